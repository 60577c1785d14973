/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of this process: one line to the log (or stderr if there is none), then a trap, which
 * needs no system call that a filter could refuse. The launcher reports the signal.
 */
#include "lib/bug.h"
#include "lib/fmt.h"
#include "lib/hooks.h"
#include "lib/log.h"

void bug_at(const char *file, int line, const char *what)
{
	char msg[256];
	size_t n = fmt_n(msg, sizeof(msg), "brig: BUG at %s:%d: %s\n", file, line, what);

	hook_write(log_hfd >= 0 ? log_hfd : 2, msg, min(n, sizeof(msg) - 1));
	__builtin_trap();
}
