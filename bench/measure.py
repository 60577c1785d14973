# SPDX-License-Identifier: Apache-2.0
"""One run of a command: wall seconds, CPU seconds of all its processes, what it printed; and what
a tree of processes costs while it does nothing."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

# where groups count CPU time: version 2, or the controller of version 1
CGROUPS = Path('/sys/fs/cgroup')
V1 = ('cpuacct', 'cpu,cpuacct')

class Failed(Exception):
    pass


def own_cgroup(name):
    """A cgroup that counts CPU time, or None: then children's rusage has to do."""
    tries = [CGROUPS / v / name for v in V1 if (CGROUPS / v / 'cpuacct.usage').exists()]
    if (CGROUPS / 'cgroup.procs').exists():
        line = next((x for x in Path('/proc/self/cgroup').read_text().splitlines()
                     if x.startswith('0::')), '0::/')
        tries.append(CGROUPS / line[3:].lstrip('/') / name)
    for group in tries:
        try:
            group.mkdir()
            return group
        except OSError:
            pass
    return None


def cgroup_cpu(group):
    usage = group / 'cpuacct.usage'
    if usage.exists():
        return int(usage.read_text()) / 1e9
    return int(re.search(r'usage_usec (\d+)', (group / 'cpu.stat').read_text())[1]) / 1e6


def drop_cgroup(group):
    for _ in range(100):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.01)


_serial = iter(range(1 << 30))


def timed(cmd, cwd, timeout=240, cpus=None):
    """(wall seconds, CPU seconds, output)"""
    group = own_cgroup(f'brig-bench-{os.getpid()}-{next(_serial)}')

    def enter():
        if group:
            (group / 'cgroup.procs').write_text(str(os.getpid()))
        if cpus:
            os.sched_setaffinity(0, cpus)
    start = time.monotonic()
    p = subprocess.Popen(cmd, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, preexec_fn=enter, start_new_session=True)
    before = os.times()
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        p.communicate()
        raise Failed(f'no end after {timeout} s')
    finally:
        wall = time.monotonic() - start
        after = os.times()
        cpu = after.children_user + after.children_system \
            - before.children_user - before.children_system
        if group:
            cpu = cgroup_cpu(group)
            drop_cgroup(group)
    if p.returncode != 0:
        said = err.decode(errors='replace').strip().split('\n')[-1]
        raise Failed(f'status {p.returncode}: {said}')
    return wall, cpu, out.decode(errors='replace')


def tree(root):
    """The pids below and with `root`."""
    parents = {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rpartition(')')[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


def pss_kib(pids):
    total = 0
    for pid in pids:
        try:
            text = Path(f'/proc/{pid}/smaps_rollup').read_text()
        except OSError:
            continue
        m = re.search(r'^Pss:\s+(\d+)', text, re.M)
        total += int(m[1]) if m else 0
    return total


def switches_and_cpu(pids):
    """(context switches, CPU nanoseconds) of all threads so far"""
    switches = ns = 0
    for pid in pids:
        for task in Path(f'/proc/{pid}/task').glob('*'):
            try:
                status = (task / 'status').read_text()
                ns += int((task / 'schedstat').read_text().split()[0])
            except OSError:
                continue
            switches += sum(int(n) for n in re.findall(r'ctxt_switches:\s+(\d+)', status))
    return switches, ns


def idle(cmd, cwd, seconds):
    """What `cmd`, which prints a line and then blocks, costs: (PSS KiB, CPU ms, switches)"""
    p = subprocess.Popen(cmd, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        if b'idle' not in p.stdout.readline():
            raise Failed('did not start')
        time.sleep(1)
        pids = tree(p.pid)
        pss, before = pss_kib(pids), switches_and_cpu(pids)
        time.sleep(seconds)
        after = switches_and_cpu(pids)
        return pss, (after[1] - before[1]) / 1e6, after[0] - before[0]
    finally:
        for pid in reversed(tree(p.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        p.wait()
