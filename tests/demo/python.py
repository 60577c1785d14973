# SPDX-License-Identifier: Apache-2.0
"""Runs inside the sandbox: what Python programs do with threads, processes and pipes."""
import asyncio
import hashlib
import os
import queue
import subprocess
import sys
import threading


def threads():
    todo, done, total = queue.Queue(), [], 200
    lock = threading.Lock()

    def worker():
        while (item := todo.get()) is not None:
            digest = hashlib.sha256(b"%d" % item).hexdigest()
            with lock:
                done.append((item, digest))

    pool = [threading.Thread(target=worker) for _ in range(8)]
    for t in pool:
        t.start()
    for i in range(total):
        todo.put(i)
    for _ in pool:
        todo.put(None)
    for t in pool:
        t.join()
    assert sorted(i for i, _ in done) == list(range(total))
    return f"{len(pool)} threads, {len(done)} jobs"


def subprocesses():
    text = "".join(f"line {i}\n" for i in range(20000))
    got = subprocess.run(["sort", "-r"], input=text, capture_output=True, text=True, check=True)
    assert got.stdout.count("\n") == 20000
    cat = subprocess.Popen(["sh", "-c", "cat; exit 3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = cat.communicate(b"x" * 300000)
    assert len(out) == 300000 and cat.returncode == 3
    killed = subprocess.Popen(["sleep", "100"])
    killed.terminate()
    assert killed.wait() == -15
    return "20000 lines sorted, 300000 bytes through a pipe"


async def run_many():
    async def one(i):
        p = await asyncio.create_subprocess_exec("sh", "-c", f"echo {i}; exit {i}",
                                                 stdout=asyncio.subprocess.PIPE)
        out, _ = await p.communicate()
        return int(out), p.returncode

    got = await asyncio.gather(*(one(i) for i in range(20)))
    assert got == [(i, i) for i in range(20)]
    return "20 at a time"


async def run_pipes():
    loop = asyncio.get_running_loop()
    r, w = os.pipe()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, "rb"))
    transport, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(w, "wb"))
    sent = b"".join(b"%d\n" % i for i in range(30000))
    transport.write(sent)
    transport.close()
    got = await asyncio.wait_for(reader.read(), 30)
    assert got == sent
    await asyncio.wait_for(asyncio.sleep(0.05), 5)
    return f"{len(got)} bytes"


TASKS = {"threads": threads, "subprocess": subprocesses,
         "asyncio": lambda: asyncio.run(run_many()), "pipes": lambda: asyncio.run(run_pipes())}
print(TASKS[sys.argv[1]]())
