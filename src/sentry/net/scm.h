/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Control messages between guest memory and struct scm. */
#include "sentry/net/sock.h"

struct l_msghdr {
	uint64_t name;
	int32_t name_len;
	uint32_t pad0;
	uint64_t iov, iovlen;
	uint64_t control, control_len;
	uint32_t flags, pad1;
};

/* The control buffer of a send: *out is NULL when there is nothing in it. */
must_check int scm_parse(struct task *t, struct sock *s, uint64_t control, uint64_t len, struct scm **out);
/* Writes what was received; *len becomes the bytes used; MSG_CTRUNC is added to *flags. */
must_check int scm_put(struct task *t, struct sock *s, struct sockmsg *m, uint64_t control, uint64_t *len,
		       bool cloexec);
