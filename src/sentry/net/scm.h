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

/* The control buffer of a send, into m->scm (NULL when nothing of it is to be sent) and m->ip. */
must_check int scm_parse(struct task *t, struct sock *s, uint64_t control, uint64_t len, struct sockmsg *m);
/* A control buffer of a receive, being filled. */
struct cmsg_out {
	struct task *t;
	uint64_t at, left, used;
	bool trunc;
};
/* A message of n bytes; cut, with MSG_CTRUNC, when the buffer ends. */
must_check int scm_put_one(struct cmsg_out *o, int level, int type, const void *data, uint32_t n);
/* inet/cmsg.c: messages of IPPROTO_IP and IPPROTO_IPV6. */
must_check int inet_cmsg_in(struct sock *s, int level, int type, const void *data, uint64_t n, struct ip_info *ip);
must_check int inet_cmsg_out(struct sock *s, const struct ip_info *ip, struct cmsg_out *o);
/* Writes what was received; *len becomes the bytes used; MSG_CTRUNC is added to *flags. */
must_check int scm_put(struct task *t, struct sock *s, struct sockmsg *m, uint64_t control, uint64_t *len,
		       bool cloexec);
