/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * --strace: lines like those of strace(1), one per call, written when it returns. Arguments that
 * the call reads are decoded before it (exec replaces the memory they lie in), the others after.
 */
#include "lib/fmt.h"
#include "sentry/syscalls/syscalls.h"

extern bool strace_on;
void strace_open(int hfd);	/* once at start */

struct strace_line {
	struct buf b;
	unsigned next_arg;	/* the first that is not decoded yet */
	const char *next_sig;
};

void strace_enter(struct task *t, uint32_t nr, const struct sys_row *row, const struct sysargs *a,
		  struct strace_line *line);
void strace_exit(struct task *t, const struct sys_row *row, const struct sysargs *a, int64_t ret,
		 struct strace_line *line);
/* A line that is no call: "[pid] --- SIGCHLD ---", "[pid] +++ exited with 0 +++". */
void strace_note(struct task *t, const char *f, ...) printf_like(2, 3);
