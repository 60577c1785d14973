/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Restart codes of Linux's include/linux/errno.h; task/signal.c converts them, so that a guest
 * never sees one. */
#define ERESTARTSYS 512			/* restart if SA_RESTART, else EINTR */
#define ERESTARTNOINTR 513		/* always restart */
#define ERESTARTNOHAND 514		/* EINTR if a handler runs, else restart */
#define ERESTART_RESTARTBLOCK 516	/* like NOHAND, but through restart_syscall */
