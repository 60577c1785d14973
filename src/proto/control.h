/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The control socket between the launcher and the Sentry: SOCK_SEQPACKET, one struct ctl_msg a
 * packet, of exactly that size. Each side drops packets that do not check; a Sentry is not
 * trusted by the launcher. End of file means: launcher gone (the Sentry ends the sandbox) or
 * Sentry gone (the launcher reports its death as an error of its own, 125).
 */
#include "lib/compiler.h"

#define CTL_MAGIC 0x4c544342u
#define CTL_TEXT_MAX 224

enum ctl_kind {
	/* launcher to Sentry */
	CTL_SIGNAL = 1,	/* a = signal number, b = 1: whole foreground group (typed at the terminal),
			 * 0: the first process. Default actions apply, also to pid 1. */
	CTL_WINCH,	/* a = rows, b = columns of the pty */
	CTL_KILL,	/* a = enum ctl_reason: kill everything, then CTL_EXIT with that reason */
	/* Sentry to launcher */
	CTL_READY,	/* the first program runs */
	CTL_EXIT,	/* the last message: a = wait status of the first process, b = reason,
			 * c = files written to overlays and dropped, text = one of their directories */
	CTL_ALIVE,	/* the answer to each CTL_SIGNAL: it was passed on */
	CTL_ERROR,	/* the last message: a = positive errno, b = enum ctl_error, text = what */
	CTL_KINDS
};

enum ctl_reason {
	CTL_R_NORMAL,
	CTL_R_TIMEOUT,
	CTL_R_OOM,	/* the memory limit ended the first process */
	CTL_R_KILLED,
	CTL_REASONS
};

enum ctl_error {
	CTL_E_BOOT,	/* brig's own failure: 125 */
	CTL_E_NOEXEC,	/* the program was found and cannot be run: 126 */
	CTL_E_NOENT,	/* the program does not exist: 127 */
	CTL_ERRORS
};

/* Limits that were hit at least once, in CTL_EXIT's d. */
#define CTL_HIT_MEMORY (1u << 0)
#define CTL_HIT_PIDS (1u << 1)
#define CTL_HIT_DISK (1u << 2)
#define CTL_HIT_NOFILE (1u << 3)

struct ctl_msg {
	uint32_t magic;
	uint32_t kind;
	int32_t a, b;
	uint64_t c;
	uint32_t d;
	uint32_t text_len;	/* bytes of text, no NUL */
	char text[CTL_TEXT_MAX];
};
_Static_assert(sizeof(struct ctl_msg) == 256, "control message");
