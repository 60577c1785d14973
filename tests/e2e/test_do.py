# SPDX-License-Identifier: Apache-2.0
"""brig do with everything in place: what a user can tell from a local command, and what not."""
import getpass
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import time

import pytest


def do(brig, *args, cwd="/usr", status=0, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    p = subprocess.run([brig, "do", *args], cwd=cwd, text=True, capture_output=True, check=False,
                       timeout=120, **kw)
    assert p.returncode == status, (p.stdout, p.stderr)
    return p


@pytest.mark.parametrize("script,status", [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143),
                                           ("kill -KILL $$", 137), ("exit 255", 255)])
def test_status(brig, script, status):
    do(brig, "--", "sh", "-c", script, status=status)


@pytest.mark.parametrize("limit", ["-c 0", "-n 1024", "-s 1024"])
def test_starts_below_hard_limits(brig, limit):
    p = subprocess.run(["sh", "-c", f'ulimit {limit} && exec "$0" do -- echo hi', brig], cwd="/usr",
                       capture_output=True, text=True, check=False, timeout=60)
    assert (p.returncode, p.stdout) == (0, "hi\n"), p.stderr


def test_not_found(brig):
    p = do(brig, "no-such-program", status=127)
    assert "no-such-program" in p.stderr
    do(brig, "/usr/no/such", status=127)


def test_not_executable(brig, project):
    do(brig, "./file.txt", cwd=project, status=126)
    (project / "broken").write_bytes(b"\x7fELF" + b"\x02" * 60)
    (project / "broken").chmod(0o755)
    do(brig, "./broken", cwd=project, status=126)
    do(brig, "/usr", status=126)


def test_streams(brig):
    p = do(brig, "sh", "-c", "cat; echo err >&2", stdin=None, input="in\n")
    assert p.stdout == "in\n" and p.stderr == "err\n"


def test_streams_are_files(brig, project):
    with open(project / "out", "w+") as out:
        out.write("kept ")
        out.flush()
        subprocess.run([brig, "do", "echo", "more"], cwd="/usr", stdout=out, check=True)
    assert (project / "out").read_text() == "kept more\n"


def test_writes_stay_in_memory(brig, project):
    p = do(brig, "sh", "-c", "echo x > new; rm file.txt; ls; touch /usr/bin/new 2>&1; exit 0", cwd=project)
    assert p.stdout.startswith("new\n")
    assert (p.stdout == "new\n") == (os.getuid() == 0)     # /usr/bin is root's in the guest too
    assert [f.name for f in project.iterdir()] == ["file.txt"]
    assert not os.path.exists("/usr/bin/new")
    assert "discarded" in p.stderr and len(p.stderr.splitlines()) == 1


def test_nothing_written_nothing_said(brig, project):
    assert do(brig, "cat", "file.txt", cwd=project).stderr == ""


def test_volume_keeps(brig, project):
    (project / "out").mkdir(mode=0o755)
    do(brig, "-v", f"{project}/out:/out:rw", "sh", "-c", "echo y > /out/kept; mkdir /out/d")
    assert (project / "out/kept").read_text() == "y\n" and (project / "out/d").is_dir()


def test_volume_read_only(brig, project):
    p = do(brig, "-v", f"{project}:/in", "sh", "-c", "cat /in/file.txt; echo z > /in/x", status=2)
    assert p.stdout == "hello\n" and "Read-only" in p.stderr
    assert not (project / "x").exists()


def test_volume_special_files(brig, project):
    os.mkfifo(project / "fifo")
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(project / "sock"))
    s.listen(1)
    reader = os.open(project / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    do(brig, "-v", f"{project}:/in:rw", "python3", "-c", """
import errno, os, socket
for what in (lambda: os.open("/in/fifo", os.O_WRONLY | os.O_NONBLOCK),	# the host's reader is not ours
             lambda: socket.socket(socket.AF_UNIX).connect("/in/sock")):
    try:
        what()
    except OSError as e:
        assert e.errno in (errno.ENXIO, errno.ECONNREFUSED, errno.EACCES), e
    else:
        raise SystemExit("reached the host")
""")
    os.close(reader)
    s.close()


def test_hidden(brig, project):
    (project / "key").write_text("secret")
    (project / "key").chmod(0o600)
    p = do(brig, "sh", "-c", "cat key; cat /etc/shadow; ls /home /run; ls /root 2>/dev/null; exit 0", cwd=project)
    assert "secret" not in p.stdout and p.stderr.count("Permission denied") == 2
    assert re.sub(r"lock|/\w+:|\s", "", p.stdout) in ("", getpass.getuser())


def test_no_network(brig):
    p = do(brig, "python3", "-c", "import socket; s = socket.socket(); s.connect(('169.254.169.254', 80))",
           status=1)
    assert "unreachable" in p.stderr


def test_no_host_processes(brig):
    p = do(brig, "sh", "-c", "ls /proc | grep -c '^[0-9]'; kill -0 %d" % os.getpid(), status=1)
    assert int(p.stdout) < 6


def test_identity(brig):
    p = do(brig, "sh", "-c", "id -u; id -g; pwd; uname -n; uname -r")
    uid, gid, pwd, node, release = p.stdout.split()
    assert (int(uid), int(gid), pwd, node) == (os.getuid(), os.getgid(), "/usr", "brig")
    assert release.endswith("-brig")
    assert do(brig, "-u", "1234:77", "sh", "-c", "echo $(id -u) $(id -g)").stdout == "1234 77\n"
    assert do(brig, "--hostname", "x", "uname", "-n").stdout == "x\n"


def test_workdir(brig):
    assert do(brig, "-w", "/tmp", "pwd").stdout == "/tmp\n"
    assert "no" in do(brig, "-w", "/none", "pwd", status=125).stderr


def test_tmpfs(brig):
    p = do(brig, "--tmpfs", "/data:size=1m", "sh", "-c",
           "echo a > /data/f; head -c 3m /dev/zero > /data/g || df -k /data | tail -1", status=0)
    assert "No space left" in p.stderr


def test_timeout(brig):
    begin = time.monotonic()
    do(brig, "--timeout", "500ms", "sleep", "100", status=124)
    do(brig, "--timeout", "500ms", "sh", "-c", "while :; do :; done", status=124)
    assert time.monotonic() - begin < 40


def test_pids_limit(brig):
    p = do(brig, "--pids-limit", "20", "sh", "-c", "for i in $(seq 50); do sleep 5 & done; wait", status=2)
    assert "ork" in p.stderr


@pytest.mark.parametrize("more", [[], ["--without", "cgroup"]])
def test_memory_limit(brig, more):
    p = do(brig, "-m", "128m", *more, "python3", "-c", "b = [bytearray(1 << 20) for _ in range(4000)]",
           status=137)
    assert "memory limit" in p.stderr


FILL_PIPES = """
import fcntl, os
for i in range(900):
    r, w = os.pipe2(os.O_NONBLOCK)
    try:
        fcntl.fcntl(w, 1031, 1 << 20)
        while os.write(w, b"x" * 65536) > 0:
            pass
    except BlockingIOError:
        pass
    except OSError as e:
        print(e)
        break
"""


def test_memory_limit_of_kernel_objects(brig):
    """What the sandbox's kernel holds for a guest does not end the sandbox."""
    p = do(brig, "-m", "64m", "--", "sh", "-c", "python3 -c \"$1\"; echo alive", "sh", FILL_PIPES)
    assert p.returncode == 0 and "alive" in p.stdout, p.stderr
    assert "Cannot allocate memory" in p.stdout and "memory limit" in p.stderr


def test_strace(brig, project):
    do(brig, f"--strace={project}/trace", "true")
    text = (project / "trace").read_text()
    assert "mmap(" in text and "exit_group(0)" in text


def test_signals(brig):
    p = subprocess.Popen([brig, "do", "sh", "-c", "trap 'echo usr1' USR1; trap 'echo term; exit 4' TERM; "
                          "echo ready; while :; do sleep 0.05; done"], cwd="/usr", text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert p.stdout.readline() == "ready\n"
    p.send_signal(signal.SIGUSR1)
    assert p.stdout.readline() == "usr1\n"
    p.send_signal(signal.SIGTERM)
    assert p.stdout.readline() == "term\n"
    assert p.wait(60) == 4


def test_default_action(brig):
    p = subprocess.Popen([brig, "do", "sh", "-c", "echo ready; exec sleep 100"], cwd="/usr", text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert p.stdout.readline() == "ready\n"
    p.terminate()
    assert p.wait(60) == 143


def read_until(fd, want, seconds=30):
    got = b""
    while want not in got and select.select([fd], [], [], seconds)[0]:
        try:
            data = os.read(fd, 1000)
        except OSError:
            break
        if not data:
            break
        got += data
    return got


def test_terminal(brig):
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir("/usr")
        os.execv(brig, [brig, "do", "sh"])
    os.write(fd, b"tty; stty size; echo do''ne\n")
    got = read_until(fd, b"done")
    assert b"/dev/pts/" in got
    os.write(fd, b"echo run''ning; sleep 100\n")
    assert b"running" in read_until(fd, b"running")
    time.sleep(0.5)
    os.write(fd, b"\x03")
    time.sleep(0.5)
    os.write(fd, b"echo af''ter\n")
    assert b"after" in read_until(fd, b"after")
    os.write(fd, b"exit 5\n")
    read_until(fd, b"never", 3)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 5


def family(pid):
    """Everything below a launcher."""
    found, new = set(), {pid}
    while new:
        out = subprocess.run(["pgrep", "-P", ",".join(map(str, new))], capture_output=True, text=True,
                             check=False).stdout
        new = set(map(int, out.split())) - found
        found |= new
    return found


def sandbox_processes():
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
            if name in ("brig-sentry", "brig-gofer", "brig-cell") and rest.split()[0] != "Z":
                found.append(int(stat.parent.name))
        except OSError:
            pass
    return found


@pytest.mark.parametrize("victim", ["brig-gofer", "brig-sentry"])
def test_helper_killed(brig, victim):
    p = subprocess.Popen([brig, "do", "sh", "-c", "echo ready; exec sleep 100"], cwd="/usr", text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.stdout.readline() == "ready\n"
    ours = family(p.pid)
    subprocess.run(["pkill", "-KILL", "-P", str(p.pid), victim], check=True)
    _, err = p.communicate(timeout=60)
    assert p.returncode == 125 and victim in err
    end = time.monotonic() + 20
    while ours & set(sandbox_processes()) and time.monotonic() < end:
        time.sleep(0.1)
    assert len(ours) >= 3 and not ours & set(sandbox_processes())


def test_rootfs(brig, tmp_path):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    busybox = pathlib.Path("/bin/busybox")
    if not busybox.exists():
        pytest.skip("no static program to put there")
    (root / "bin/busybox").write_bytes(busybox.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    assert do(brig, "--rootfs", str(root), "/bin/busybox", "ls", "/").stdout.split() == [
        "bin", "dev", "proc", "sys", "tmp"]
