/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between exec.c, clone.c and exit.c. */
#include "sentry/task/task.h"

int script_parse(char *buf, size_t n, char **interp, char **arg);
void task_set_comm(struct task *t, const char *name);
struct sighand *sighand_create(void) must_check;
struct sighand *sighand_copy(struct sighand *old) must_check;
struct sighand *sighand_get(struct sighand *s);
void sighand_put(struct sighand *s);
/* Ends the other threads of the process; the caller becomes its leader. */
must_check int de_thread(struct task *t);
/* What must still be done in the old memory: robust futexes, CLONE_CHILD_CLEARTID. */
void task_leave_mm(struct task *t);
/* Gives the guest thread and the layout back. */
void task_put_space(struct task *t, struct mm *mm, pl_thread_t pl);

/* retire.c: the end of a space whose last thread has left, with so many bytes mapped. May it come
 * later? Then space_end must follow with `lags`, else it waits for the memory (R17). Both consume
 * a reference of mm. */
must_check bool space_may_lag(uint64_t bytes);
void space_end(struct mm *mm, pl_thread_t pl, bool lags);
void vfork_release(struct task *t);
void task_commit_creds_exec(struct task *t, struct cred *c /* consumed */);
uint64_t signal_frame_max(void);
