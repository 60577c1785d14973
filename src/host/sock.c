/* SPDX-License-Identifier: Apache-2.0 */
/* SCM_RIGHTS. What a peer sends is bounded here and nowhere else. */
#include "host/sock.h"
#include <errno.h>
#include <string.h>
#include "host/file.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * (H_FDS_MAX + 1))];
};

int64_t h_send_fds(int hfd, const void *p, size_t n, const int *hfds, unsigned count, int flags)
{
	struct iovec iov = {(void *)(uintptr_t)p, n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control ctl;
	int64_t rc;

	if (count > H_FDS_MAX)
		return -EINVAL;
	if (count) {
		struct cmsghdr *c;

		memset(&ctl, 0, sizeof(ctl));
		msg.msg_control = ctl.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), hfds, sizeof(int) * count);
	}
	do
		rc = h_sendmsg(hfd, &msg, flags | MSG_NOSIGNAL);
	while (rc == -EINTR);
	return rc;
}

int64_t h_recv_fds(int hfd, void *p, size_t n, int *hfds, unsigned max, unsigned *count, int flags)
{
	struct iovec iov = {p, n};
	union control ctl;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.bytes,
			     .msg_controllen = sizeof(ctl.bytes)};
	unsigned got = 0;
	bool bad;
	int64_t rc;

	*count = 0;
	do
		rc = h_recvmsg(hfd, &msg, flags | MSG_CMSG_CLOEXEC);
	while (rc == -EINTR);
	if (rc < 0)
		return rc;
	bad = msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < bytes / sizeof(int); i++) {
			int one;

			memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(one));
			if (got < max)
				hfds[got++] = one;
			else
				bad = true, (void)h_close(one);
		}
	}
	if (bad) {
		while (got > 0)
			(void)h_close(hfds[--got]);
		return -EPROTO;
	}
	*count = got;
	return rc;
}
