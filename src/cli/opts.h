/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Values of options. Each returns 0, or -1 with *e set; the option's name is for the message. */
#include "sandbox/sandbox.h"

/* Bytes: a number with b, k, m, g or t. */
int opt_size(const char *name, const char *text, uint64_t *out, struct err *e);
/* Seconds, or a number with ms, s, m, h or d; more than 0. */
int opt_duration(const char *name, const char *text, uint64_t *ns, struct err *e);
int opt_count(const char *name, const char *text, unsigned max, unsigned *out, struct err *e);
/* SRC:DST[:ro|rw] */
int opt_volume(struct sb_config *c, const char *text, struct err *e);
/* DST[:size=N,mode=OCTAL] */
int opt_tmpfs(struct sb_config *c, const char *text, struct err *e);
/* NAME=VALUE, or NAME to take it over from the caller. */
int opt_env(struct strv *env, const char *text, struct err *e);
int opt_env_file(struct strv *env, const char *path, struct err *e);
/* NAME or UID, then perhaps :GROUP or :GID, looked up in the passwd and group files of rootfs (NULL:
 * the host's). Sets uid, gid, groups and *home (owned). */
int opt_user(struct sb_config *c, const char *text, char **home, struct err *e);
/* The caller's own identity. */
void opt_user_self(struct sb_config *c, char **home);
