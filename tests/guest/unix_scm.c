/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: descriptors, credentials, truncation, peeking, cycles. */
#include <dirent.h>
#include <sys/socket.h>
#include "guest.h"

static int send_fds(int s, const int *fds, int n)
{
	char ctl[CMSG_SPACE(sizeof(int) * 300)] = "";
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = ctl,
			   .msg_controllen = CMSG_SPACE(sizeof(int) * n)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	return (int)sendmsg(s, &m, MSG_NOSIGNAL);
}

static int recv_fds(int s, int *fds, int room, int flags)
{
	char ctl[1024] = "", b[16];
	struct iovec v = {b, sizeof(b)};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = ctl,
			   .msg_controllen = room ? CMSG_LEN(sizeof(int) * room) : 0};
	int r = (int)recvmsg(s, &m, flags), n = 0;

	printf("recvmsg %d flags %x controllen %zu", r, m.msg_flags, (size_t)m.msg_controllen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); r >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
		printf(" [%d %d %zu]", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
		if (c->cmsg_type == SCM_RIGHTS) {
			n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)n);
		}
		if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred *u = (void *)CMSG_DATA(c);
			printf(" pid %d uid %d", u->pid == getpid(), u->uid == getuid());
		}
	}
	printf("\n");
	return n;
}

static int open_fds(void)
{
	int n = 0;

	for (int i = 0; i < 200; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

int main(void)
{
	int s[2], got[300], p[2], many[300], one = 1;
	char b[32] = "";

	setvbuf(stdout, NULL, _IONBF, 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
	SHOW(send_fds(s[0], p, 2));
	SHOW(recv_fds(s[1], got, 2, MSG_CMSG_CLOEXEC));
	printf("%d %d\n", fcntl(got[0], F_GETFD), fcntl(got[1], F_GETFD));
	SHOW(write(got[1], "via", 3));
	SHOW(read(p[0], b, sizeof(b)));
	close(got[0]), close(got[1]);

	/* Too little room: what does not fit is closed. */
	int before = open_fds();
	SHOW(send_fds(s[0], p, 2));
	SHOW(recv_fds(s[1], got, 1, 0));
	close(got[0]);
	SHOW(send_fds(s[0], p, 2));
	SHOW(recv_fds(s[1], got, 0, 0));
	SHOW(send_fds(s[0], p, 2));
	SHOW(read(s[1], b, sizeof(b)));
	printf("leaked %d\n", open_fds() - before);

	/* Bytes before and behind descriptors. */
	write(s[0], "aaa", 3);
	send_fds(s[0], p, 1);
	write(s[0], "bbb", 3);
	SHOW(recv_fds(s[1], got, 1, 0));
	close(got[0]);
	SHOW(recv_fds(s[1], got, 1, 0));

	send_fds(s[0], p, 1);
	SHOW(recv_fds(s[1], got, 1, MSG_PEEK));
	close(got[0]);
	SHOW(recv_fds(s[1], got, 1, 0));
	close(got[0]);

	for (int i = 0; i < 300; i++)
		many[i] = p[0];
	SHOW(send_fds(s[0], many, 253));
	SHOW(send_fds(s[0], many, 254));
	SHOW(recv_fds(s[1], got, 200, 0));
	for (int i = 3; i < 250; i++)
		if (i != s[0] && i != s[1] && i != p[0] && i != p[1])
			close(i);
	many[0] = 777;
	SHOW(send_fds(s[0], many, 1));

	setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	write(s[0], "cred", 4);
	SHOW(recv_fds(s[1], got, 20, 0));
	char ctl[CMSG_SPACE(sizeof(struct ucred))] = "";
	struct iovec v = {"y", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct ucred u = {getpid(), getuid(), getgid()};
	c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_CREDENTIALS, c->cmsg_len = CMSG_LEN(sizeof(u));
	memcpy(CMSG_DATA(c), &u, sizeof(u));
	SHOW(sendmsg(s[0], &m, 0));
	SHOW(recv_fds(s[1], got, 20, 0));
	u.pid = 1 << 21;
	memcpy(CMSG_DATA(c), &u, sizeof(u));
	CHECK(sendmsg(s[0], &m, 0) == -1);
	c->cmsg_type = 99;
	SHOW(sendmsg(s[0], &m, 0));
	c->cmsg_len = 3;
	SHOW(sendmsg(s[0], &m, 0));

	/* Sockets in each other's queues, then closed: the collector's business. */
	for (int i = 0; i < 200; i++) {
		int a[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, a))
			break;
		send_fds(a[0], &a[1], 1);
		send_fds(a[1], &a[0], 1);
		close(a[0]), close(a[1]);
	}
	printf("open %d\n", open_fds());
	DONE();
}
