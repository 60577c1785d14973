# SPDX-License-Identifier: Apache-2.0
"""How each runtime is told to run a command in the bench's directory."""
import json
import os
import shutil
import subprocess
from pathlib import Path

SYSTEM = [d for d in ('/usr', '/bin', '/sbin', '/lib', '/lib64', '/etc', '/opt')
          if os.path.isdir(d)]
ENV = ['PATH=/usr/bin:/bin', 'HOME=/', 'LANG=C.UTF-8']


def native(work, scratch):
    return lambda cmd: cmd


def brig(program):
    def prefix(work, scratch):
        return lambda cmd: [str(program), 'do', '-w', str(work), '-v', f'{work}:{work}:rw',
                            '--', *cmd]
    return prefix


def bwrap(work, scratch):
    args = ['bwrap', '--unshare-all', '--die-with-parent', '--proc', '/proc', '--dev', '/dev',
            '--tmpfs', '/tmp', '--bind', str(work), str(work), '--chdir', str(work)]
    for d in SYSTEM:
        args += ['--symlink', os.readlink(d), d] if os.path.islink(d) else ['--ro-bind', d, d]
    return lambda cmd: [*args, *cmd]


def oci(start):
    """An OCI runtime: `start` are the words before the bundle's path."""
    def prefix(work, scratch):
        counter = iter(range(1 << 30))
        bundle = scratch / ('bundle-' + start[0])
        root = bundle / 'rootfs'
        for d in ('proc', 'dev', 'tmp', 'sys'):
            (root / d).mkdir(parents=True, exist_ok=True)
        mounts = [('proc', 'proc', '/proc', []), ('tmpfs', 'tmpfs', '/dev', ['mode=755']),
                  ('tmpfs', 'tmpfs', '/tmp', [])]
        for d in SYSTEM:
            if os.path.islink(d):
                if not (root / d[1:]).is_symlink():
                    (root / d[1:]).symlink_to(os.readlink(d))
            else:
                mounts.append(('bind', d, d, ['rbind', 'ro']))
        mounts.append(('bind', str(work), str(work), ['rbind', 'rw']))

        def command(cmd):
            config = {
                'ociVersion': '1.0.0', 'hostname': 'bench',
                'process': {'args': cmd, 'cwd': str(work), 'env': ENV, 'terminal': False,
                            'user': {'uid': os.getuid(), 'gid': os.getgid()}},
                'root': {'path': 'rootfs', 'readonly': False},
                'mounts': [{'type': t, 'source': s, 'destination': d, 'options': o}
                           for t, s, d, o in mounts],
                'linux': {'namespaces': [{'type': t} for t in
                                         ('pid', 'mount', 'ipc', 'uts', 'network')]}}
            (bundle / 'config.json').write_text(json.dumps(config))
            return [*start, '--bundle', str(bundle), f'bench-{os.getpid()}-{next(counter)}']
        return command
    return prefix


def works(prefix, work, scratch):
    """None, or why this runtime cannot be measured here."""
    try:
        r = subprocess.run(prefix(work, scratch)(['/bin/sh', '-c', 'echo alive']), timeout=30,
                           stdin=subprocess.DEVNULL, capture_output=True)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    if r.returncode == 0 and r.stdout == b'alive\n':
        return None
    said = r.stderr.decode(errors='replace').strip().split('\n')[-1]
    return f'status {r.returncode}: {said}'


def installed(brig_program, work, scratch, log):
    """{name: command builder} of everything that runs on this machine, native first."""
    known = {'native': native, 'brig': brig(brig_program), 'bwrap': bwrap,
             'crun': oci(['crun', '--cgroup-manager=disabled', 'run']), 'runc': oci(['runc', 'run']),
             'runsc': oci(['runsc', '--network=none', 'run'])}
    found = {}
    for name, prefix in known.items():
        if name not in ('native', 'brig') and not shutil.which(name):
            continue
        why = works(prefix, work, scratch)
        if why:
            log(f'{name} is left out: {why}')
        else:
            found[name] = prefix(work, scratch)
    return found
