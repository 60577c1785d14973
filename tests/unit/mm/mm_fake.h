/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "sentry/mm/mm_int.h"

extern struct task fake_task;
extern int fake_op_result;		/* what the host answers */
extern unsigned fake_ops;
int fake_task_init(void);
