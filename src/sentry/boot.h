/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From the boot spec to a running first program; between main.c, mounts.c and control.c. */
#include "proto/bootspec.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount.h"

/* mounts.c: builds the tree of the spec; *root is a referenced path to its top. */
must_check int boot_mounts(const struct boot_spec *s, const struct cred *cred, struct mnt_ns **ns,
			   struct path *root);

/* standins.c: a sudoers file where the view hides the host's, and the sandbox's own name in hosts. */
void boot_stand_ins(const struct path *root, const char *hostname);

/* settle.c: what goes back to the host when the work is done. */
must_check int settle_init(void);

/* control.c: the socket to the launcher. */
void control_open(int hfd);
/* Sends CTL_ERROR and ends the process with 125. */
__attribute__((noreturn)) void control_fail(int err, int kind, const char *f, ...) printf_like(3, 4);
void control_send_ready(void);
__attribute__((noreturn)) void control_send_exit(int32_t status);
/* Serves the launcher's messages until it is gone; does not return. */
__attribute__((noreturn)) void control_serve(void);
extern struct tty *control_tty;		/* of -t, or NULL */
