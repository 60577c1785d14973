/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the Sentry takes away from itself. The launcher has done what needs privilege before it
 * started us (namespaces, empty root, ids, capabilities, limits, no_new_privs, Landlock).
 */
#include "proto/bootspec.h"

/*
 * First thing after the spec was read, while there is one thread: closes every descriptor that
 * the spec does not name, is not dumpable from here on, logs the place of a crash.
 */
must_check int isolate_early(const struct boot_spec *s);
/*
 * After pl_init (cells inherit the filters of whoever forks them) and after the last host file was
 * read, before the first guest instruction: no call outside syscalls.list in any thread.
 */
must_check int isolate_late(void);
