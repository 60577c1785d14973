/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages in a socket's queue, and the control data that travels with them. A message is charged
 * to its sender (wmem) until it is freed, as in Linux, which bounds what a guest can queue.
 */
#include "lib/list.h"
#include "lib/refcount.h"

struct file;
struct pid;
struct sock;
struct task;
struct unix_addr;

#define SCM_MAX_FD 253u
#define SKB_MAX 32768u		/* bytes of one stream message */

struct scm {
	struct pid *pid;	/* owned; NULL none */
	uint32_t uid, gid;
	bool has_creds;		/* given by the sender explicitly, or its own */
	bool inflight;		/* fds are counted as in flight (unix_gc.c) */
	uint32_t inflight_uid;
	uint32_t nfds;
	struct file *fds[];	/* owned */
};

/* What control messages of IP say of a datagram: as received, or asked for by the sender. */
struct ip_info {
	bool valid, has_src, has_ttl, has_tos;
	uint8_t err;			/* of the error queue: the datagram to dst came back with it */
	uint8_t tos;
	int16_t ttl;
	uint16_t dst_port;	/* host order */
	uint8_t dst[16], src[16];	/* as in struct inet_addr */
};

struct skb {
	refcount_t ref;
	struct list link;
	uint32_t len;		/* I: bytes in data */
	uint32_t off;		/* the queue's lock: bytes already read */
	uint32_t truesize;
	uint32_t level;		/* of descriptors inside, see unix_gc.c */
	struct sock *owner;	/* owned: charged */
	struct scm *scm;	/* owned by the queue's lock: moved to the reader with the descriptors */
	struct unix_addr *from_unix;	/* owned */
	uint8_t from[28];	/* sockaddr_in or in6 of the sender */
	uint8_t from_len;
	bool oob;
	uint64_t stamp;
	struct ip_info ip;
	char *data;
};

/* Charged to `owner` (NULL: nobody); data is zeroed. NULL: out of memory. */
struct skb *skb_alloc(struct sock *owner, uint32_t len) must_check;
struct skb *skb_get(struct skb *b);
void skb_put(struct skb *b);		/* may release files: no lock held */
uint32_t skb_truesize(uint32_t len);
void skb_list_free(struct list *l);

struct scm *scm_alloc(uint32_t nfds) must_check;
void scm_free(struct scm *scm);		/* NULL is accepted; no lock held */
/* A second set of references, for MSG_PEEK. */
struct scm *scm_dup(const struct scm *scm) must_check;
/* The sender's own identity, unless some was given. */
must_check int scm_add_creds(struct scm **scm, struct task *t);
bool scm_same_creds(const struct scm *a, const struct scm *b);
