# SPDX-License-Identifier: Apache-2.0
"""Real programs, and sizes that real programs reach, natively and under brig."""
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest


def run(cmd, cwd, timeout=120, **kw):
    return subprocess.run(cmd, cwd=cwd, text=True, capture_output=True, check=False, timeout=timeout,
                          stdin=subprocess.DEVNULL, **kw)


def both(brig, tmp_path, script, options=(), timeout=120):
    """The same script in two fresh directories; output and status must agree."""
    results = []
    for name, prefix in (("native", []), ("brig", [brig, "do", *options, "--"])):
        d = tmp_path / name / "w"
        d.mkdir(parents=True)
        for p in (d, d.parent):
            p.chmod(0o755)
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}
        p = run([*prefix, "sh", "-c", script], d, timeout, env=env)
        results.append((p.returncode, p.stdout, p.stderr.replace(str(d), "DIR")))
    native, ours = results
    assert native[0] == 0, native
    ours = (*ours[:2], "\n".join(x for x in ours[2].splitlines() if "discarded" not in x))
    assert ours == (*native[:2], native[2].rstrip("\n")), ours


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            pytest.skip(f"{p} is not installed")


def test_make(brig, tmp_path, project):
    need("gcc", "make")
    both(brig, tmp_path, r"""
for i in 1 2 3 4 5 6; do echo "int f$i(int x) { return x * $i; }" > f$i.c; done
cat > main.c <<'E'
#include <stdio.h>
int f1(int), f2(int), f3(int), f4(int), f5(int), f6(int);
int main(void) { printf("%d\n", f1(1) + f2(2) + f3(3) + f4(4) + f5(5) + f6(6)); return 0; }
E
printf 'prog: main.o f1.o f2.o f3.o f4.o f5.o f6.o\n\tcc -o $@ $^\n%%.o: %%.c\n\tcc -O2 -Wall -c $<\n' > Makefile
make -s -j4 && ./prog && make -s && ls""")


def test_python(brig, tmp_path, project):
    both(brig, tmp_path, r"""python3 - <<'E'
import asyncio, concurrent.futures, multiprocessing, os, queue, signal, sqlite3, subprocess, tempfile, threading
q = queue.Queue()
ts = [threading.Thread(target=lambda i=i: q.put(i * i)) for i in range(50)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sum(q.get() for _ in ts))
print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 3"], capture_output=True))
async def go():
    ps = [await asyncio.create_subprocess_exec("sh", "-c", f"sleep 0.0{i}; echo {i}",
          stdout=asyncio.subprocess.PIPE) for i in range(5)]
    return [(await p.communicate())[0] for p in ps]
print(asyncio.run(go()))
with concurrent.futures.ProcessPoolExecutor(3) as pool:
    print(list(pool.map(abs, range(-5, 5))))
with multiprocessing.Pool(3) as pool:
    print(pool.map(len, ["a", "bb", "ccc"]))
db = sqlite3.connect("x.db")
db.execute("create table t(a)")
db.executemany("insert into t values(?)", [(i,) for i in range(1000)])
db.commit()
print(db.execute("select sum(a) from t").fetchone())
with tempfile.NamedTemporaryFile() as f:
    f.write(b"x" * 100000); f.flush(); print(os.stat(f.name).st_size)
signal.signal(signal.SIGALRM, lambda *a: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
signal.pause()
E""")


def test_git(brig, tmp_path, project):
    need("git")
    both(brig, tmp_path, r"""
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
export GIT_CONFIG_NOSYSTEM=1
git init -q -b main r && cd r && git config user.name n && git config user.email e@example.org
for i in $(seq 50); do echo $i > f$i; done
git add . && git commit -q -m one && git checkout -q -b b && echo x >> f1 && git commit -qam two
git checkout -q main && echo y >> f2 && git commit -qam three && git merge -q b -m merge
git log --oneline --graph | cat; git gc -q; git fsck; git status --short; git diff HEAD~1 --stat""")


def test_tar(brig, tmp_path, project):
    need("tar", "gzip")
    both(brig, tmp_path, r"""
mkdir -p t/a/b && for i in $(seq 300); do echo $i > t/a/b/f$i; done; ln -s f1 t/a/b/l; ln t/a/b/f2 t/a/h
chmod 750 t/a; tar czf x.tgz t && mkdir u && tar xzf x.tgz -C u && diff -r t u/t && tar tzf x.tgz | wc -l
find u -links 2 -type f | sort; readlink u/t/a/b/l; stat -c %a u/t/a; tar df x.tgz && echo same""")


def test_shell(brig, tmp_path, project):
    both(brig, tmp_path, r"""
seq 1000 | sort -rn | head -3; echo a b c | tr ' ' '\n' | while read x; do echo "<$x>"; done
trap 'echo bye' EXIT; (exit 7) || echo $?; sleep 0.1 & wait $!; echo $?; x=$(echo in; echo put); echo "$x"
cat <<E | grep -c o
one
two
E
echo hi > f; cat < f >> g; cat g g; kill -l 9; ulimit -n >/dev/null; printf '%s\n' *""")


def test_deep_path(brig, tmp_path, project):
    """10,000 components"""
    both(brig, tmp_path, r"""python3 - <<'E'
import os
for i in range(10000):
    os.mkdir("d"); os.chdir("d")
open("leaf", "w").write("x")
print(os.listdir("."))
os.remove("leaf")
for i in range(10000):
    os.chdir(".."); os.rmdir("d")
print(os.listdir("."))
E""", timeout=240)


def test_threads_and_processes(brig, tmp_path, project):
    both(brig, tmp_path, r"""python3 - <<'E'
import os, threading
threading.stack_size(65536)
go, n = threading.Event(), []
ts = [threading.Thread(target=lambda: (go.wait(), n.append(1))) for _ in range(2000)]
[t.start() for t in ts]; go.set(); [t.join() for t in ts]
print(len(n))
r, w = os.pipe()
pids = []
for i in range(500):
    pid = os.fork()
    if pid == 0:
        os.close(w); os.read(r, 1); os._exit(i % 100)
    pids.append(pid)
os.close(w)
print(sum(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids))
E""", timeout=240)


def test_many_files_few_descriptors(brig, tmp_path, project):
    """100,000 files untarred under ulimit -n 1024, besides the archive and file.txt"""
    with subprocess.Popen([sys.executable, "-c", """
import sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
for i in range(100000):
    t.addfile(tarfile.TarInfo(f"d{i // 1000}/f{i}"))
t.close()"""], stdout=open(project / "x.tar", "wb")) as p:
        p.wait()
    (project / "x.tar").chmod(0o644)
    p = run([brig, "do", "--", "sh", "-c", "tar xf x.tar && find . -type f | wc -l"], project, 400,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)))
    assert (p.returncode, p.stdout.strip()) == (0, "100002"), p.stderr


def below(pid):
    found, todo = [], [pid]
    while todo:
        kids = subprocess.run(["pgrep", "-P", str(todo.pop())], capture_output=True, text=True,
                              check=False).stdout.split()
        found += map(int, kids)
        todo += map(int, kids)
    return found


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_cell_killed(brig):
    """The host kills a guest process: it dies by SIGKILL, the others go on."""
    p = subprocess.Popen([brig, "do", "sh", "-c",
                          "python3 -c 'import time; print(1, flush=True); time.sleep(99)'; echo then $?"],
                         cwd="/usr", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "1\n"
    cells = [c for c in below(p.pid) if name_of(c) not in ("brig-sentry", "brig-gofer", "brig", "")]
    big = max(cells, key=lambda c: int(pathlib.Path(f"/proc/{c}/statm").read_text().split()[1]))
    os.kill(big, signal.SIGKILL)
    out, _ = p.communicate(timeout=20)
    assert out == "then 137\n" and p.returncode == 0


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_launcher_ended(brig, sig):
    p = subprocess.Popen([brig, "do", "sh", "-c", "sleep 100 & sleep 100"], cwd="/usr",
                         stdin=subprocess.DEVNULL)
    time.sleep(0.7)
    ours = below(p.pid)
    assert len(ours) >= 4
    p.send_signal(sig)
    p.wait(15)
    end = time.monotonic() + 5
    while time.monotonic() < end and any(os.path.exists(f"/proc/{c}") for c in ours):
        time.sleep(0.1)
    assert not [c for c in ours if os.path.exists(f"/proc/{c}")]


def test_bombs(brig, project):
    """A fork bomb, a memory bomb and a full disk end inside."""
    p = run([brig, "do", "--pids-limit", "100", "--timeout", "20", "--", "python3", "-c",
             "import os\nwhile True:\n  try: os.fork()\n  except OSError as e: print(e.errno); break"],
            project, 60)
    assert "11" in p.stdout.split()
    p = run([brig, "do", "-m", "200m", "--", "sh", "-c",
             "head -c 1G /dev/zero > big; echo $?; rm big; echo again > small; cat small"], project, 60)
    assert "again" in p.stdout and p.stdout.split()[0] != "0", (p.stdout, p.stderr)
    assert "No space left" in p.stderr
