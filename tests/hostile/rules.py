# SPDX-License-Identifier: Apache-2.0
"""What brig's processes may ask of the host, read from the project's own lists, apart from the
filters that enforce them: for the Sentry and the Gofer their syscalls.list, for a cell the
rules of src/platform/cell/stub/filter.S, written down a second time."""
import re
import subprocess
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
FUTEX_PRIVATE = {128, 129, 131, 132, 133, 137, 138}


def numbers():
    """{name: number} of all system calls"""
    out = subprocess.run(['cc', '-E', '-dM', '-x', 'c', '-'], input='#include <asm/unistd_64.h>',
                         text=True, capture_output=True, check=True).stdout
    return {m[1]: int(m[2]) for m in re.finditer(r'#define __NR_(\w+) (\d+)$', out, re.M)}


def constants(names):
    """The values of C constants, by a small program with the headers of tools/gen_seccomp.c."""
    if not names:
        return {}
    includes = re.findall(r'^#include <.*>$', (TOP / 'tools/gen_seccomp.c').read_text(), re.M)
    lines = [f'\tprintf("{n} %llu\\n", (unsigned long long)({n}));' for n in sorted(names)]
    text = '\n'.join(['#define _GNU_SOURCE', *[i for i in includes if 'seccomp.h>' not in i
                                              or 'linux' in i],
                      'int main(void)\n{', *lines, '\treturn 0;\n}'])
    with tempfile.TemporaryDirectory() as d:
        (Path(d) / 'c.c').write_text(text)
        subprocess.run(['cc', '-w', '-o', f'{d}/c', f'{d}/c.c'], check=True)
        out = subprocess.run([f'{d}/c'], text=True, capture_output=True, check=True).stdout
    return {n: int(v) for n, v in (line.split() for line in out.splitlines())}


def parse_list(path):
    """{number: [conditions]}, a condition being a list of (arg, mask, value)"""
    nr, defined, rows, wanted = numbers(), {}, [], set()
    for line in path.read_text().splitlines():
        words = line.split('#')[0].split()
        if not words:
            continue
        if words[0] == 'define':
            defined[words[1]] = int(words[2], 0)
        elif words[0] != 'enosys':
            conds = [re.match(r'arg(\d)(?:&(\w+))?==(\w+)$', w) for w in words[1:]]
            if None in conds:
                raise SystemExit(f'{path}: cannot read: {line}')
            rows.append((words[0], [c.groups() for c in conds]))
            wanted |= {n for c in conds for n in c.groups()[1:] if n and not n[0].isdigit()}
    defined.update(constants(wanted - set(defined)))

    def value(text):
        return defined[text] if text in defined else int(text, 0)
    rules = {}
    for name, conds in rows:
        rules.setdefault(nr[name], []).append(
            [(int(a), value(m) if m else (1 << 64) - 1, value(v)) for a, m, v in conds])
    return rules


class ListRule:
    def __init__(self, path):
        self.rules = parse_list(path)

    def allows(self, nr, args, ip):
        return any(all(args[a] & m == v for a, m, v in conds)
                   for conds in self.rules.get(nr, ()))


def layout():
    """The numbers of src/platform/cell/stub/layout.h"""
    text = subprocess.run(['cc', '-E', '-dM', '-x', 'c', str(TOP / 'src/platform/cell/stub/layout.h')],
                          text=True, capture_output=True, check=True).stdout
    raw = dict(re.findall(r'^#define ((?:CELL|IP|CTX|TRAMP)_\w+) (.+)$', text, re.M))

    def value(name):
        return eval(re.sub(r'[A-Z]\w+', lambda m: str(value(m[0])), raw[name]))  # noqa: S307
    return {n: value(n) for n in raw if re.fullmatch(r'[\w\s()+*|-]+', raw[n])}


class CellRule:
    def __init__(self):
        self.at = layout()

    def guest(self, addr, length):
        """A range of the guest's part of the address space"""
        a = self.at
        return a['CELL_MIN'] <= addr < a['CELL_TOP'] and length < a['CELL_GUARD_HI'] << 32

    def context(self, addr):
        return addr >> 32 == self.at['CELL_CTX_HI']

    def anywhere(self, nr, args):
        if nr == 202:
            return args[1] & 0xffffffff & ~256 in FUTEX_PRIVATE
        # 335 and 336 (uretprobe, uprobe): Linux lets them by every filter; outside a probe's own
        # trampoline they are SIGILL
        return nr in (24, 219, 335, 336)

    def stub(self, nr, args):
        return {202: lambda: self.context(args[0]) and args[1] < 2,
                131: lambda: args[1] == 0,
                14: lambda: args[2] == 0,
                3: lambda: self.at['CELL_FD_LENT'] <= args[0] < self.at['CELL_FD_LENT_END'],
                334: lambda: args[2] & 0xffffffff == 1,
                436: lambda: [a & 0xffffffff for a in args[:3]] == [self.at['CELL_FD_PROC'] + 1, 0xffffffff, 0],
                228: lambda: args[0] & 0xffffffff == 3 and self.context(args[1]),
                }.get(nr, lambda: False)()

    def anon(self, nr, args):
        if not self.guest(args[0], args[1]):
            return False
        # the filter looks at the low half; the host refuses or ignores the rest of it
        prot = args[2] & 0xffffffff
        if nr == 9:
            return args[3] & ~0x2c000 == 0x32 and prot < 8
        return nr == 11 or nr == 10 and prot < 8 or nr == 28

    def ordered(self, nr, args):
        """Only what the notary was told to let through comes as far as here."""
        in_guest = self.guest(args[0], 0)
        if nr == 9:
            return args[0] >= self.at['CELL_MIN'] and args[3] & 0x10
        if nr == 257:
            return args[1] in (self.at['CELL_STR_MEM'], self.at['CELL_STR_STATUS']) and args[0] == self.at['CELL_FD_PROC']
        if nr == 302:
            return args[0] in (0, ) and args[1] == 2
        if nr in (10, 11, 25, 26, 28):
            return in_guest or self.context(args[0])
        if nr == 334:
            return in_guest and args[2] == 0
        if nr == 317:       # a strict thread's second filter, from our text
            return args[:3] == [1, 0, self.at['CELL_STRICT']]
        if nr == 27:
            return in_guest and self.context(args[2])
        return nr in (3, 46, 60, 231, 324)

    def allows(self, nr, args, ip):
        if self.anywhere(nr, args):
            return True
        sites = self.sites(nr, args)
        # an address that tracing lost: there must be one where this would be right
        return sites.get(ip, False) if ip else any(sites.values())

    def sites(self, nr, args):
        a = self.at
        thread = 0x10d00                # VM, FILES, SIGHAND, THREAD are set, nothing of namespaces
        return {a['IP_STUB']: self.stub(nr, args),
                a['IP_SIGRET']: nr == 15,
                a['IP_ANON']: self.anon(nr, args),
                a['IP_PRIV']: bool(self.ordered(nr, args)),
                a['IP_CLONE']: nr == 56 and args[0] & (thread | 0x7e0200ff) == thread,
                a['IP_FORK']: nr == 56 and args[0] == 0x8011,
                a['IP_FORK1']: nr == 9 and self.context(args[0]),
                a['IP_PDS']: nr == 157 and args[:2] == [1, 9],
                a['IP_MAD']: nr == 28 and self.context(args[0]) and args[2] == 10,
                a['IP_GATE']: nr == 11 and args[0] == a['CELL_MIN'],
                a['IP_NATIVE']: nr in (202, 219),
                a['IP_DIE']: nr == 231}
