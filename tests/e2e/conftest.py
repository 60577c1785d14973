# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = TOP / "build/rel"


@pytest.fixture(scope="session")
def brig():
    """The real one."""
    return str(BUILD / "brig")


@pytest.fixture(scope="session")
def fake(tmp_path_factory):
    """The launcher and the Gofer with a stand-in for the Sentry (fake_sentry.c)."""
    d = tmp_path_factory.mktemp("fake")
    for p in (d, *d.parents):
        if p.stat().st_uid == os.getuid() and p != pathlib.Path("/tmp"):
            p.chmod(0o755)
    shutil.copy((BUILD / "brig").resolve(), d / "brig")
    shutil.copy(BUILD / "src/gofer/brig-gofer", d / "brig-gofer")
    shutil.copy(shutil.which("true"), d / "brig-cell")
    subprocess.run(["cc", "-static", "-O1", "-D_GNU_SOURCE", f"-I{TOP}/src", "-o",
                    d / "brig-sentry", TOP / "tests/e2e/fake_sentry.c",
                    TOP / "src/proto/bootspec.c"], check=True)
    return str(d / "brig")


@pytest.fixture
def project(tmp_path):
    """A directory that everybody may read."""
    p = tmp_path
    while p != pathlib.Path("/tmp") and p.stat().st_uid == os.getuid() and p.parent != p:
        p.chmod(0o755)
        p = p.parent
    (tmp_path / "file.txt").write_text("hello\n")
    return tmp_path
