/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Host sockets and descriptor passing. All return -errno. */
#include <sys/socket.h>
#include "host/h_syscall.h"
#include "lib/compiler.h"

static inline must_check int h_socket(int domain, int type, int proto)
{
	return (int)h_sys3(SYS_socket, domain, type, proto);
}
static inline must_check int h_socketpair(int domain, int type, int proto, int *hfds)
{
	return (int)h_sys4(SYS_socketpair, domain, type, proto, hfds);
}
static inline must_check int h_bind(int hfd, const void *addr, unsigned len)
{
	return (int)h_sys3(SYS_bind, hfd, addr, len);
}
static inline must_check int h_listen(int hfd, int backlog)
{
	return (int)h_sys2(SYS_listen, hfd, backlog);
}
static inline must_check int h_accept4(int hfd, void *addr, unsigned *len, int flags)
{
	return (int)h_sys4(SYS_accept4, hfd, addr, len, flags);
}
static inline must_check int h_connect(int hfd, const void *addr, unsigned len)
{
	return (int)h_sys3(SYS_connect, hfd, addr, len);
}
static inline must_check int h_shutdown(int hfd, int how)
{
	return (int)h_sys2(SYS_shutdown, hfd, how);
}
static inline must_check int h_getsockopt(int hfd, int level, int name, void *val, unsigned *len)
{
	return (int)h_sys5(SYS_getsockopt, hfd, level, name, val, len);
}
static inline must_check int h_setsockopt(int hfd, int level, int name, const void *val,
			unsigned len)
{
	return (int)h_sys5(SYS_setsockopt, hfd, level, name, val, len);
}
static inline must_check int64_t h_sendto(int hfd, const void *p, size_t n, int flags,
			const void *addr, unsigned len)
{
	return h_sys6x(SYS_sendto, hfd, p, n, flags, addr, len);
}
static inline must_check int64_t h_recvfrom(int hfd, void *p, size_t n, int flags, void *addr,
			unsigned *len)
{
	return h_sys6x(SYS_recvfrom, hfd, p, n, flags, addr, len);
}
static inline must_check int64_t h_sendmsg(int hfd, const struct msghdr *msg, int flags)
{
	return h_sys3(SYS_sendmsg, hfd, msg, flags);
}
static inline must_check int64_t h_recvmsg(int hfd, struct msghdr *msg, int flags)
{
	return h_sys3(SYS_recvmsg, hfd, msg, flags);
}

/* One message of n bytes with up to H_FDS_MAX descriptors. Bytes sent, or -errno. */
#define H_FDS_MAX 16
must_check int64_t h_send_fds(int hfd, const void *p, size_t n, const int *hfds, unsigned count,
			      int flags);
/* One message; received descriptors are close-on-exec, *count says how many came. More than `max`,
 * or a truncated message: all are closed and -EPROTO comes back. 0 is the end of the stream. */
must_check int64_t h_recv_fds(int hfd, void *p, size_t n, int *hfds, unsigned max,
			      unsigned *count, int flags);
