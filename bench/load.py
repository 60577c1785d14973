# SPDX-License-Identifier: Apache-2.0
"""What the rows of whole programs work on."""
import subprocess


def c_project(top, files=40):
    """A program of many files that do some work, with headers they all include."""
    d = top / 'c'
    d.mkdir()
    structs = '\n'.join(f'struct s{i} {{ int a[{i + 1}]; struct s{i} *next; }};'
                        for i in range(200))
    (d / 'all.h').write_text('#pragma once\n#include <stdio.h>\n#include <stdlib.h>\n'
                             '#include <string.h>\n#include <unistd.h>\n#include <sys/stat.h>\n'
                             + structs + '\n'
                             + ''.join(f'int part{i}(int x);\n' for i in range(files)))
    for i in range(files):
        body = ''.join(f'''
static int f{k}(int x)
{{
	struct s{k} v, *p = &v;
	memset(p, x, sizeof(*p));
	for (int i = 0; i < {k + 1}; i++)
		x += p->a[i] * (x ^ {k * 7 + i});
	return x % {k + 11};
}}
''' for k in range(30))
        calls = ' + '.join(f'f{k}(x)' for k in range(30))
        (d / f'part{i}.c').write_text(
            f'#include "all.h"\n{body}\nint part{i}(int x)\n{{\n\treturn {calls};\n}}\n')
    total = ' + '.join(f'part{i}(n)' for i in range(files))
    (d / 'main.c').write_text('#include "all.h"\nint main(int n, char **v)\n{\n'
                              f'\tprintf("%d\\n", {total});\n\treturn v == 0;\n}}\n')
    (d / 'Makefile').write_text(
        'SRC := $(wildcard *.c)\nall: prog\nprog: $(SRC:.c=.o)\n\tcc -o $@ $^\n'
        '%.o: %.c all.h\n\tcc -O1 -c -o $@ $<\nclean:\n\trm -f *.o prog\n.PHONY: all clean\n')


def git_tree(top, files=10000):
    d = top / 'git'
    for i in range(files):
        sub = d / f'd{i // 500}' / f'e{i // 50 % 10}'
        if i % 50 == 0:
            sub.mkdir(parents=True, exist_ok=True)
        (sub / f'f{i}.txt').write_text(f'file {i}\n')
    git = ['git', '-C', str(d), '-c', 'user.name=b', '-c', 'user.email=b@example.org']
    subprocess.run(['git', 'init', '-q', str(d)], check=True)
    subprocess.run([*git, 'add', '-A'], check=True)
    subprocess.run([*git, 'commit', '-q', '-m', 'all'], check=True)
    subprocess.run([*git, 'status'], check=True, stdout=subprocess.DEVNULL)


def make(row, top):
    if row == 'c_build':
        c_project(top)
    elif row == 'git_status_10k':
        git_tree(top)
