# SPDX-License-Identifier: Apache-2.0
"""Host files through the Gofer: what the host does beside it, odd objects, a Gofer that lies."""
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from conftest import BUILD


def run(brig, d, script, **kw):
    return subprocess.run([brig, "do", "-w", str(d), "-v", f"{d}:{d}:rw", "--", "/bin/sh", "-c",
                           script], capture_output=True, text=True, timeout=60, **kw)


def test_odd_objects(brig, project):
    os.mkfifo(project / "fifo")
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(project / "sock"))
    s.listen()
    r = run(brig, project, "stat -c %F fifo sock; "
            "(timeout 1 cat fifo; echo $?); ln -s /etc/shadow l; cat l; echo $?; rm l; "
            "mknod dev b 7 0; echo $?; mkfifo mine; stat -c %F mine")
    assert r.stdout.split("\n")[:3] == ["fifo", "socket", "124"]
    assert r.stdout.split("\n")[3] != "0" and "root:" not in r.stdout
    assert stat.S_ISFIFO(os.lstat(project / "mine").st_mode)
    assert not os.path.lexists(project / "dev")
    if shutil.which("python3"):
        r = subprocess.run([brig, "do", "-w", str(project), "-v", f"{project}:{project}:rw", "--",
                            "python3", "-c", "import socket\ns=socket.socket(socket.AF_UNIX)\n"
                            "s.connect('sock')"], capture_output=True, text=True, timeout=60)
        assert "Connection refused" in r.stderr


def test_host_changes_are_seen(brig, project):
    p = subprocess.Popen([brig, "do", "-w", str(project), "-v", f"{project}:{project}:rw", "--",
                          "/bin/sh", "-c",
                          "ls sig 2>/dev/null; echo ready; while ! cat sig 2>/dev/null; do sleep 0.02; done; "
                          "while [ \"$(cat sig)\" != two ]; do sleep 0.02; done; echo two; "
                          "while [ -e sig ]; do sleep 0.02; done; echo gone"],
                         stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n"
    (project / "sig.new").write_text("one\n")
    os.rename(project / "sig.new", project / "sig")
    assert p.stdout.readline() == "one\n"
    (project / "sig.new").write_text("two\n")
    os.rename(project / "sig.new", project / "sig")
    assert p.stdout.readline() == "two\n"
    os.unlink(project / "sig")
    assert p.stdout.readline() == "gone\n"
    assert p.wait(timeout=60) == 0


def test_truncated_mapping_is_sigbus(brig, project):
    p = subprocess.Popen([brig, "do", "-w", str(project), "-v", f"{project}:{project}:rw", "--",
                          "python3", "-c",
                          "import mmap,sys\nf=open('m','w+b'); f.write(b'x'*8192); f.flush()\n"
                          "m=mmap.mmap(f.fileno(),8192); print(m[5000],flush=True)\n"
                          "sys.stdin.read(1); print(m[5000])"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "120\n"
    os.truncate(project / "m", 0)
    p.communicate("x", timeout=60)
    assert p.returncode == 128 + 7


def test_few_descriptors(brig, project):
    r = subprocess.run(["/bin/sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", brig, "do", "-w", str(project),
                        "-v", f"{project}:{project}:rw", "--", "/bin/sh", "-c",
                        "i=0; while [ $i -lt 1500 ]; do echo $i >n$i; i=$((i+1)); done; "
                        "ls | wc -l; cat n* | wc -l; rm n*; ls"],
                       capture_output=True, text=True, timeout=120)
    assert r.stdout.split() == ["1501", "1500", "file.txt"]


def test_a_gofer_that_lies(tmp_path, project):
    lying = BUILD / "src/gofer/brig-gofer-lying"
    if not lying.exists():
        pytest.skip("not built")
    d = tmp_path / "lying"
    d.mkdir()
    shutil.copy((BUILD / "brig").resolve(), d / "brig")
    shutil.copy(BUILD / "src/sentry/brig-sentry", d)
    shutil.copy(next(BUILD.glob("src/platform/**/brig-cell")), d)
    shutil.copy(lying, d / "brig-gofer")
    r = run(str(d / "brig"), project,
            "for i in 1 2 3 4 5 6 7 8 9; do for n in a b c d e f; do echo x >$n; read y <$n; "
            "ls -l $n; rm -f $n; mkdir dir; rmdir dir; done; done >/dev/null 2>&1; echo alive")
    assert r.stdout == "alive\n" or r.returncode in (125, 126, 127)
    assert r.returncode < 128


@pytest.mark.parametrize("way", ["stdin", "data", "size", "name", "signal"])
def test_who_hears_of_a_change_sees_it(brig, project, tmp_path_factory, way):
    """What a guest was told of a directory of the system does not outlive news of its change."""
    system = tmp_path_factory.mktemp("system")
    system.chmod(0o755)
    subprocess.run(["cc", "-static", "-O1", "-D_GNU_SOURCE", "-o", project / "messages",
                    BUILD.parent.parent / "tests/e2e/messages.c"], check=True)
    for name in ("size", "data"):
        (project / name).write_text("")
    p = subprocess.Popen([brig, "do", "-w", str(project), "-v", f"{project}:{project}:rw",
                          "-v", f"{system}:/system", "--", "./messages", way],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert p.stdout.read(1) == b"r"
    x = system / "x"
    for n in range(1, 21):
        time.sleep(0.06)        # the directory is at rest, and believed
        if n % 2:
            x.write_text("")
        else:
            x.unlink()
        if way == "stdin":
            os.write(p.stdin.fileno(), b"!")
        elif way == "signal":
            p.send_signal(signal.SIGUSR1)
        elif way == "name":
            (project / f"name{n}").write_text("")
        else:
            with open(project / way, "a") as f:
                f.write("!")
        assert p.stdout.read(1) == (b"1" if n % 2 else b"0"), (way, n)
    assert p.wait(timeout=60) == 0


DELETE = """
import os
import pathlib
for i in range(3):
    f = os.open('/v/big', os.O_CREAT | os.O_RDWR)
    os.write(f, b'x' * (2 << 20))
    os.unlink('/v/big')
    os.close(f)
f = os.open('/v/next', os.O_CREAT | os.O_RDWR)
os.write(f, b'x' * (2 << 20))
os.rename('/v/next', '/v/last')
print('deleted', flush=True)
input()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to see what the Gofer holds")
def test_deleted_files_give_their_space_back(brig, project):
    (project / "v").mkdir()
    p = subprocess.Popen([brig, "do", "-v", f"{project}/v:/v:rw", "--", "python3", "-c", DELETE], cwd=project,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "deleted\n"
    time.sleep(0.3)
    held = []
    for child in subprocess.run(["pgrep", "-P", str(p.pid)], capture_output=True, text=True,
                                check=False).stdout.split():
        for fd in pathlib.Path(f"/proc/{child}/fd").iterdir():
            held += [t for t in [os.readlink(fd)] if t.endswith("(deleted)") and str(project) in t]
    p.communicate("\n", timeout=30)
    assert p.returncode == 0 and not held
