/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	return a;
}

static int send_fd(int s, int fd, const char *text)
{
	char c[CMSG_SPACE(sizeof(int))] = "";
	struct iovec v = {(void *)text, strlen(text)};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c,
			   .msg_controllen = sizeof(c)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	return (int)sendmsg(s, &m, 0);
}

static void receive(int s, int flags)
{
	char c[256] = "", b[64] = "";
	struct iovec v = {b, 5};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c,
			   .msg_controllen = sizeof(c)};
	ssize_t n = recvmsg(s, &m, flags);
	printf("got %zd %s \"%s\" flags %x", n, n < 0 ? strerrorname_np(errno) : "", b,
	       (unsigned)m.msg_flags & ~(unsigned)MSG_CMSG_CLOEXEC);
	for (struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		printf(" cmsg %d len %zu", h->cmsg_type, (size_t)h->cmsg_len);
		if (h->cmsg_type == SCM_RIGHTS) {
			int fd;
			memcpy(&fd, CMSG_DATA(h), sizeof(fd));
			printf(" cloexec %d write %zd", fcntl(fd, F_GETFD), write(fd, "via", 3));
			close(fd);
		} else if (h->cmsg_type == SCM_CREDENTIALS) {
			struct ucred u;
			memcpy(&u, CMSG_DATA(h), sizeof(u));
			printf(" me %d", u.pid == getpid() && u.uid == getuid());
		}
	}
	printf("\n");
}

static void pair(int type)
{
	int s[2], one = 1, p[2];
	char b[64];
	printf("type %d\n", type);
	SHOW(socketpair(AF_UNIX, type, 0, s));
	SHOW(send(s[0], "hello world", 11, 0));
	receive(s[1], 0);
	receive(s[1], MSG_DONTWAIT);
	SHOW(recv(s[1], b, 64, MSG_DONTWAIT) >= 0);
	SHOW(send(s[0], "peek", 4, 0));
	SHOW(recv(s[1], b, 64, MSG_PEEK));
	SHOW(recv(s[1], b, 2, MSG_TRUNC));
	while (recv(s[1], b, 64, MSG_DONTWAIT) > 0)
		;
	pipe(p);
	SHOW(send_fd(s[0], p[1], "fd"));
	receive(s[1], 0);
	SHOW(read(p[0], b, 3));
	SHOW(send_fd(s[0], p[1], "fd"));
	receive(s[1], MSG_CMSG_CLOEXEC);
	SHOW(send_fd(s[0], 99, "fd"));
	SHOW(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)));
	SHOW(send(s[0], "cred", 4, 0));
	receive(s[1], 0);
	struct ucred u;
	socklen_t len = sizeof(u);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &len));
	printf("%d\n", u.pid == getpid() && u.uid == getuid());
	SHOW(shutdown(s[0], SHUT_WR));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(recv(s[1], b, 64, MSG_DONTWAIT));
	SHOW(send(s[1], "back", 4, 0));
	SHOW(recv(s[0], b, 64, 0));
	struct pollfd pf = {s[1], POLLIN | POLLOUT | POLLRDHUP, 0};
	SHOW(poll(&pf, 1, 0));
	printf("%x\n", pf.revents);
	close(s[0]);
	SHOW(poll(&pf, 1, 0));
	printf("%x\n", pf.revents);
	SHOW(send(s[1], "x", 1, MSG_NOSIGNAL));
	close(s[1]);
}

int main(void)
{
	char b[64];
	pair(SOCK_STREAM);
	pair(SOCK_DGRAM);
	pair(SOCK_SEQPACKET);
	/* names */
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a = at("sock"), got;
	SHOW(connect(c, (void *)&a, sizeof(a)));
	SHOW(bind(l, (void *)&a, sizeof(a)));
	SHOW(bind(l, (void *)&a, sizeof(a)));
	SHOW(connect(c, (void *)&a, sizeof(a)));
	SHOW(listen(l, 5));
	struct stat st;
	stat("sock", &st);
	printf("%o\n", st.st_mode & S_IFMT);
	SHOW(open("sock", O_RDWR));
	SHOW(connect(c, (void *)&a, sizeof(a)));
	SHOW(connect(c, (void *)&a, sizeof(a)));
	socklen_t len = sizeof(got);
	int s = accept4(l, (void *)&got, &len, SOCK_CLOEXEC);
	SHOW(s >= 0);
	printf("%u\n", len);
	SHOW(fcntl(s, F_GETFD));
	len = sizeof(got);
	SHOW(getpeername(c, (void *)&got, &len));
	printf("%u %s\n", len, got.sun_path);
	SHOW(write(c, "data", 4));
	SHOW(read(s, b, 64));
	close(c);
	SHOW(read(s, b, 64));
	fcntl(l, F_SETFL, O_NONBLOCK);
	SHOW(accept(l, NULL, NULL));
	int d = socket(AF_UNIX, SOCK_DGRAM, 0);
	SHOW(connect(d, (void *)&a, sizeof(a)));
	SHOW(unlink("sock"));
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(connect(c, (void *)&a, sizeof(a)));
	/* abstract names and datagrams with an address */
	struct sockaddr_un x = {.sun_family = AF_UNIX};
	memcpy(x.sun_path, "\0brig-test", 10);
	SHOW(bind(d, (void *)&x, 12));
	int e = socket(AF_UNIX, SOCK_DGRAM, 0);
	SHOW(bind(e, (void *)&x, 12));
	SHOW(bind(e, (void *)&(sa_family_t){AF_UNIX}, 2));
	SHOW(sendto(e, "dgram", 5, 0, (void *)&x, 12));
	len = sizeof(got);
	SHOW(recvfrom(d, b, 64, 0, (void *)&got, &len));
	printf("%u %d\n", len, got.sun_path[0]);
	SHOW(sendto(d, "back", 4, 0, (void *)&got, len));
	SHOW(recv(e, b, 64, 0));
	SHOW(sendto(e, "x", 1, 0, (void *)&a, sizeof(a)));
	SHOW(send(e, "x", 1, 0));
	SHOW(listen(d, 1));
	SHOW(accept(d, NULL, NULL));
	int type;
	len = sizeof(type);
	SHOW(getsockopt(d, SOL_SOCKET, SO_TYPE, &type, &len));
	printf("%d\n", type);
	SHOW(getsockopt(c, SOL_SOCKET, SO_ERROR, &type, &len));
	SHOW(getsockopt(c, SOL_SOCKET, 9999, &type, &len));
	SHOW(getsockopt(0, SOL_SOCKET, SO_TYPE, &type, &len));
	SHOW(socket(AF_UNIX, 99, 0));
	SHOW(socket(99, SOCK_STREAM, 0));
	SHOW(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0, 0}));
	DONE();
}
