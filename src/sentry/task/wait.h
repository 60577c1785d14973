/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* wait4 and waitid behind their argument decoding. */
#include "sentry/task/task.h"

enum wait_who { WAIT_ALL, WAIT_PID, WAIT_PGRP };

struct wait_opts {
	enum wait_who who;
	struct pid *pid;		/* borrowed: for WAIT_PID and WAIT_PGRP */
	int flags;			/* WNOHANG, WEXITED, WUNTRACED, ... __WALL */
	bool nonblock;			/* a pidfd with O_NONBLOCK */
	/* result */
	int32_t nr;			/* 0: nothing (WNOHANG) */
	uint32_t uid;
	int code, status;		/* CLD_*; waitid's si_status */
	int32_t wstatus;		/* wait4's word */
	struct rusage_sum usage;
};
/* Thread id found or -ECHILD, -ERESTARTSYS; 0 with WNOHANG. */
must_check int task_wait(struct task *t, struct wait_opts *o);
