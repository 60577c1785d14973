#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside the sandbox: the honest half of an untrusted script. Prints one line a task.
say() { printf 'WORK\t%s\t%s\t%s\n' "$1" "$2" "$3"; }
step() {	# NAME COMMAND...: ok when the command succeeds
	name=$1; shift
	if "$@" >"/tmp/log.$$" 2>&1; then
		say "$name" ok "$(tail -n 1 "/tmp/log.$$" | cut -c1-60)"
	else
		say "$name" FAILED "status $?: $(tail -n 1 "/tmp/log.$$" | cut -c1-100)"
		sed 's/^/    /' "/tmp/log.$$" | tail -n 15 >&2
	fi
}

out=$1
cd project || exit 1
step "gcc and make -j4" make -j4
step "its tests" make test
step "python threads" python3 ../python.py threads
step "python subprocess" python3 ../python.py subprocess
step "python asyncio subprocesses" python3 ../python.py asyncio
step "python asyncio pipes" python3 ../python.py pipes
commit() {
	git init -q . &&
	git -c user.name=demo -c user.email=demo@example.org add -A &&
	git -c user.name=demo -c user.email=demo@example.org commit -q -m "Build it" &&
	git log --oneline && git fsck --strict && test -z "$(git status --porcelain)" &&
	git log --oneline
}
step "git commit" commit
pack() { make dist && cp text.tar.gz "$out/" && tar -tzf "$out/text.tar.gz" | tail -n 1; }
step "tarball, kept by -v rw" pack
