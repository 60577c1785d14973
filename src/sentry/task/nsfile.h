/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Namespaces as files: /proc/PID/ns/NAME, setns(2), NS_GET_* ioctls. */
#include "sentry/task/task.h"

/* type: CLONE_NEWUTS, ...; for_children picks pid_for_children and time_for_children. */
uint32_t task_ns_inum(struct task *t, int type, bool for_children);
const char *nsfile_type_name(int type);		/* "uts", "mnt", ... */
/* A path to a file on the namespace (nsfs), with references. */
must_check int nsfile_path(struct task *t, int type, bool for_children, struct path *out);
