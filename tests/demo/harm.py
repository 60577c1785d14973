# SPDX-License-Identifier: Apache-2.0
"""
Runs inside the sandbox: tries to do harm. Each attempt says what became of it on a line of its
own; "refused" carries the reason, "done" means that nobody stopped it.

usage: harm.py TARGETS.json   (what the host side has put up as targets)
       harm.py fork|memory|disk
"""
import errno
import json
import os
import signal
import socket
import sys


def report(name, verdict, detail):
    print(f"HARM\t{name}\t{verdict}\t{detail}", flush=True)


def attempt(name, what):
    """what() returns a text when the harm was done, and raises when it was not."""
    try:
        detail = what()
    except (OSError, AssertionError) as e:
        report(name, "refused", e.strerror if isinstance(e, OSError) and e.strerror else str(e))
    else:
        report(name, "done", detail)


def read_files(paths, secret):
    seen = []
    for path in paths:
        try:
            with open(path, "rb") as f:
                if secret is None or secret in f.read().decode("utf-8", "replace"):
                    return f"read {path}"
            seen.append(f"{path} has nothing of the host's")
        except OSError as e:
            seen.append(f"{os.path.basename(path)}: {e.strerror}")
    raise AssertionError("; ".join(seen)[:70] if seen else "there is none")


def read_ssh():
    home = os.path.expanduser("~/.ssh")
    names = os.listdir(home)
    return read_files([os.path.join(home, n) for n in names], None)


def write_usr():
    """Writing works, in the overlay: the host side looks whether its /usr has changed."""
    with open("/usr/brig-demo-harm", "w") as f:
        f.write("x")
    raise AssertionError("written to memory only")


def write_cwd():
    with open("harm.txt", "w") as f:
        f.write("x")
    os.unlink("victim.txt")
    raise AssertionError("written to memory only")


def see_processes(pid):
    names = [p for p in os.listdir("/proc") if p.isdigit()]
    for p in names:
        with open(f"/proc/{p}/cmdline", "rb") as f:
            if b"brig-demo-sentinel" in f.read():
                return f"saw process {p}"
    raise AssertionError(f"{len(names)} processes, all of the sandbox")


def signal_process(pid):
    if os.path.exists(f"/proc/{pid}"):
        raise AssertionError("that number is a process of the sandbox")
    os.kill(pid, signal.SIGKILL)
    return f"signalled {pid}"


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        s.connect(address)
    return f"connected to {address}"


def gently():
    with open(sys.argv[1]) as f:
        t = json.load(f)
    attempt("read ~/.ssh", read_ssh)
    attempt("read /etc/shadow", lambda: read_files(["/etc/shadow", "/etc/gshadow"], None))
    attempt("read another user's file", lambda: read_files(t["private"], t["secret"]))
    attempt("write to /usr", write_usr)
    attempt("write to the working directory", write_cwd)
    attempt("see host processes", lambda: see_processes(t["pid"]))
    attempt("signal a host process", lambda: signal_process(t["pid"]))
    attempt("connect to the Docker socket",
            lambda: connect(socket.AF_UNIX, "/var/run/docker.sock"))
    attempt("connect to a host unix socket", lambda: connect(socket.AF_UNIX, t["socket"]))
    attempt("connect to an abstract unix socket",
            lambda: connect(socket.AF_UNIX, "\0" + t["abstract"]))
    attempt("reach 169.254.169.254", lambda: connect(socket.AF_INET, ("169.254.169.254", 80)))
    attempt("reach a server on the host's loopback",
            lambda: connect(socket.AF_INET, ("127.0.0.1", t["port"])))


def fork_without_end():
    children = 0
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        try:
            pid = os.fork()
        except OSError as e:
            if e.errno == errno.EAGAIN:
                raise AssertionError(f"fork failed after {children} children") from e
            raise
        if pid == 0:
            signal.pause()
            os._exit(0)
        children += 1
        if children > 20000:
            return f"{children} processes"


def fill_memory():
    held = []
    while len(held) < 8 * 1024:
        block = bytearray(1 << 20)
        block[::4096] = b"x" * 256
        held.append(block)
    return f"{len(held)} MiB"


def fill_disk():
    size = 0
    block = b"x" * (1 << 20)
    with open("/tmp/fill", "wb", buffering=0) as f:
        try:
            while size < 8 << 10:
                f.write(block)
                size += 1
        except OSError as e:
            raise AssertionError(f"{e.strerror} after {size} MiB") from e
    return f"{size} MiB"


BOMBS = {"fork": ("fork without end", fork_without_end), "memory": ("fill the memory", fill_memory),
         "disk": ("fill the disk", fill_disk)}
if sys.argv[1] in BOMBS:
    attempt(*BOMBS[sys.argv[1]])
else:
    gently()
