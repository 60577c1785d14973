# SPDX-License-Identifier: Apache-2.0
"""The demo, in each of the surroundings that brig promises to work in."""
import os
import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
FEATURES = ["landlock", "userns", "cgroup", "fsgsbase", "openat2", "clone3", "notif-sync"]


def demo(*args, prefix=(), **kw):
    p = subprocess.run([*prefix, str(TOP / "tests/demo/run"), *args], text=True, timeout=900,
                       capture_output=True, check=False, **kw)
    assert p.returncode == 0, p.stdout + p.stderr


def test_here():
    demo()


@pytest.mark.parametrize("feature", FEATURES)
def test_without(feature):
    demo("--", "--without", feature)


@pytest.fixture
def public_brig(tmp_path):
    """The programs where another user can start them."""
    for p in (tmp_path, *tmp_path.parents):
        if p != pathlib.Path("/tmp") and p.stat().st_uid == os.getuid() and p != pathlib.Path("/"):
            p.chmod(0o755)
    for name, path in (("brig", "brig"), ("brig-gofer", "src/gofer/brig-gofer"),
                       ("brig-sentry", "src/sentry/brig-sentry"),
                       ("brig-cell", "src/platform/cell/stub/brig-cell")):
        shutil.copy((TOP / "build/rel" / path).resolve(), tmp_path / name)
    shutil.copytree(TOP / "tests/demo", tmp_path / "demo")
    return tmp_path


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
@pytest.mark.parametrize("how", ["user", "container"])
def test_as_user(public_brig, how):
    prefix = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]
    if how == "container":
        tool = public_brig / "container"
        subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-o", tool, TOP / "tests/e2e/container.c",
                        "-lseccomp"], check=True)
        prefix = [str(tool), "1000"]
    p = subprocess.run([*prefix, str(public_brig / "demo/run"), "--brig", str(public_brig / "brig")],
                       text=True, timeout=900, capture_output=True, check=False, cwd="/tmp",
                       env=dict(os.environ, HOME="/tmp"))
    assert p.returncode == 0, p.stdout + p.stderr
