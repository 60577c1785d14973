# SPDX-License-Identifier: Apache-2.0
"""The launcher alone: options, view, isolation, signals, terminal, exit status."""
import json
import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import termios
import time

import pytest


def run(fake, *args, cwd="/usr", **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("timeout", 30)
    return subprocess.run([fake, "do", *args], cwd=cwd, text=True, capture_output=True,
                          check=False, **kw)


def spec(fake, *args, **kw):
    p = run(fake, *args, "--", "spec", "a", **kw)
    assert p.returncode == 7, p.stderr
    return p.stdout.splitlines()


def processes():
    """Ours that run; an orphan that nobody has reaped yet does not."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
            if name in ("brig-sentry", "brig-gofer") and rest.split()[0] != "Z":
                found.append(stat.parent.name)
        except OSError:
            pass
    return found


@pytest.mark.parametrize("what,status,text", [
    ("x", 7, ""), ("noent", 127, "no?such: No such file"), ("noexec", 126, "prog: Permission"),
    ("crash", 125, "brig-sentry"), ("garbage", 125, "brig-sentry"),
])
def test_status(fake, what, status, text):
    p = run(fake, what)
    assert p.returncode == status
    assert text in p.stderr
    assert len(p.stderr.splitlines()) == (1 if text else 0)


def test_default_view(fake, project):
    out = spec(fake, cwd=project)
    assert out[0].startswith(f"uid {os.getuid()} gid {os.getgid()} cwd {project} host brig")
    targets = [line.split()[3] for line in out if line.startswith("mount 1")]
    assert {"/usr", "/etc", str(project)} <= set(targets)
    assert not {"/home", "/root", "/run", "/var"} & set(targets)
    assert "arg spec" in out and "arg a" in out


def test_environment(fake):
    env = dict(os.environ, SECRET="s", LC_X="1", TZ="UTC", PATH="/usr/bin")
    out = [line for line in spec(fake, "-e", "A=1", "-e", "SECRET", env=env) if line.startswith("env")]
    assert {"env A=1", "env SECRET=s", "env LC_X=1", "env TZ=UTC", "env PATH=/usr/bin"} <= set(out)
    assert not [line for line in spec(fake, env=env) if "SECRET" in line]


def test_env_file(fake, project):
    (project / "env").write_text("# comment\n\nB=two words\n  C=3\n")
    out = spec(fake, "--env-file", str(project / "env"))
    assert "env B=two words" in out and "env C=3" in out


@pytest.mark.parametrize("where", ["/", os.path.expanduser("~"), "/tmp"])
def test_says_what_is_hidden(fake, where):
    p = run(fake, "x", cwd=where)
    assert p.returncode == 7 and "is hidden" in p.stderr and where in p.stderr


def test_volumes(fake, project):
    out = spec(fake, "-v", f"{project}:/data/x:rw", "-v", f"{project}/file.txt:/data/y")
    assert f"mount 2 14 /data/x {project}" in out
    assert f"mount 2 17 /data/y {project}/file.txt" in out
    assert [line.split()[3] for line in out if line.startswith("mount 2")] == ["/data/x", "/data/y"]


def special_files(d):
    os.mkfifo(d / "fifo")
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(d / "sock"))
    return s


def test_bad_volumes(fake, project):
    keep = special_files(project)
    for source, word in ((project / "fifo", "FIFO"), (project / "sock", "socket"),
                         ("/dev/null", "device"), (project / "none", "No such file")):
        p = run(fake, "-v", f"{source}:/x", "--", "x")
        assert p.returncode == 125 and word in p.stderr and str(source) in p.stderr
        assert len(p.stderr.splitlines()) == 1
    keep.close()


@pytest.mark.parametrize("args", [
    ["-v", "nothing", "x"], ["-v", "/usr:relative", "x"], ["-v", "/usr:/", "x"], ["-m", "12q", "x"],
    ["-v", "/usr:/a/../b", "x"], ["--timeout", "0", "x"], ["--pids-limit", "0", "x"], ["--nope"],
    ["-w", "rel", "x"], [], ["--without", "gravity", "x"], ["-u", "nobody-knows", "x"], ["-e", "=1", "x"],
    ["--env-file", "/none", "x"], ["--env-file", "/etc", "x"], ["--env-file", "/dev/zero", "x"],
    ["-m", "1k", "x"], ["--tmpfs", "/t:size=x", "x"], ["--rootfs", "/none", "x"], ["-v"],
])
def test_bad_options(fake, args):
    p = run(fake, *args)
    assert p.returncode == 125
    assert len(p.stderr.splitlines()) == 1 and p.stderr.startswith("brig: ")


def test_file_size_limit(fake):
    p = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; exec {fake} do -- x"], cwd="/usr", text=True,
        capture_output=True, check=False)
    assert p.returncode in (7, 125)     # root may raise the limit
    assert len(p.stderr.splitlines()) == (1 if p.returncode == 125 else 0)


def test_limits(fake):
    out = spec(fake, "-m", "64m", "--pids-limit", "99")
    assert f"limits memory {64 << 20} disk {32 << 20} pids 99" in out


def test_isolation(fake):
    p = run(fake, "self")
    out = p.stdout.splitlines()
    for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"self {cap}:\t0000000000000000" in out
    assert "self NoNewPrivs:\t1" in out
    assert "self socket no" in out
    fds = [line for line in out if line.startswith("fd ")]
    assert len(fds) == 10, fds	# spec, control, cell, log, four channels; two are its own
    if os.getuid() == 0:
        assert any(line.endswith("euid 65534") for line in out)
    assert "self opens passwd yes" not in out


@pytest.mark.parametrize("feature", ["landlock", "userns", "cgroup", "fsgsbase", "openat2", "clone3",
                                     "notif-sync"])
def test_without(fake, feature):
    assert run(fake, "--without", feature, "-m", "64m", "x").returncode == 7


def test_timeout(fake):
    begin = time.monotonic()
    p = run(fake, "--timeout", "300ms", "serve")
    assert p.returncode == 124 and "timed out" in p.stderr and "got 3 1 0" in p.stdout
    assert time.monotonic() - begin < 15


def test_timeout_of_a_sentry_that_hangs(fake):
    p = start(fake, "--timeout", "600ms", "hang")
    ours = children(p.pid)
    p.communicate(timeout=20)
    assert p.returncode == 124 and len(ours) == 2
    assert not ours & set(processes())


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


def children(pid):
    return set(subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True,
                              check=False).stdout.split())


def start(fake, *args, **kw):
    p = subprocess.Popen([fake, "do", *args], cwd="/usr", text=True, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    if args[-1] == "serve":
        assert p.stdout.readline() == "ready\n"
    wait_for(lambda: len(children(p.pid)) == 2)
    return p


def test_signals(fake):
    p = start(fake, "serve")
    for sig in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
        p.send_signal(sig)
        assert p.stdout.readline() == f"got 1 {int(sig)} 0\n"
    p.communicate(timeout=20)
    assert p.returncode == 128 + 15


def test_signal_to_a_sentry_that_hangs(fake):
    p = start(fake, "hang")
    ours = children(p.pid)
    p.terminate()
    _, err = p.communicate(timeout=40)
    assert p.returncode == 125 and len(ours) == 2
    assert "did not take a signal" in err and len(err.splitlines()) == 1
    assert not ours & set(processes())


def test_launcher_killed(fake):
    p = start(fake, "hang")
    ours = children(p.pid)
    assert len(ours) == 2
    p.kill()
    p.communicate()
    assert wait_for(lambda: not ours & set(processes()))


@pytest.mark.parametrize("victim", ["brig-gofer", "brig-sentry"])
def test_helper_killed(fake, victim):
    p = start(fake, "serve")
    ours = children(p.pid)
    subprocess.run(["pkill", "-KILL", "-P", str(p.pid), victim], check=True)
    _, err = p.communicate(timeout=30)
    assert p.returncode == 125 and victim in err
    assert not ours & set(processes())


def test_discarded_is_said_once(fake):
    p = run(fake, "wrote")
    assert p.returncode == 0
    assert p.stderr == ("brig: 3 files written under /some/where were discarded; "
                        "use -v /some/where:/some/where to keep them\n") or ":rw to keep" in p.stderr


def test_terminal(fake):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(fake, [fake, "do", "tty"])
    wait_for(lambda: not termios.tcgetattr(fd)[3] & termios.ICANON)	# raw
    os.write(fd, b"ab\x03q")
    got = b""
    while select.select([fd], [], [], 20)[0]:
        try:
            data = os.read(fd, 100)
        except OSError:
            break
        if not data:
            break
        got += data
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert b"AB\x03Q" in got	# raw: ^C is a byte, nothing is echoed twice


def test_doctor(fake):
    p = subprocess.run([fake, "doctor", "--json"], capture_output=True, text=True, check=False)
    checks = {c["name"]: c for c in json.loads(p.stdout)["checks"]}
    assert p.returncode in (0, 1) and "seccomp-notify" in checks
    p = subprocess.run([fake, "doctor", "--json", "--without", "landlock"], capture_output=True,
                       text=True, check=False)
    checks = {c["name"]: c for c in json.loads(p.stdout)["checks"]}
    assert checks["landlock"]["state"] == "off"


def test_help(fake):
    p = run(fake, "--help")
    assert p.returncode == 0 and "--rootfs" in p.stdout
