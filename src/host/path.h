/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Extended attributes by path: for the Gofer, whose descriptors are O_PATH and which reaches them
 * as "N" in /proc/self/fd. All return -errno. */
#include "host/h_syscall.h"
#include "lib/compiler.h"

static inline must_check int64_t h_getxattr(const char *path, const char *name, void *p, size_t n)
{
	return h_sys4(SYS_getxattr, path, name, p, n);
}
static inline must_check int h_setxattr(const char *path, const char *name, const void *p,
			size_t n, int flags)
{
	return (int)h_sys5(SYS_setxattr, path, name, p, n, flags);
}
static inline must_check int64_t h_listxattr(const char *path, char *p, size_t n)
{
	return h_sys3(SYS_listxattr, path, p, n);
}
static inline must_check int h_removexattr(const char *path, const char *name)
{
	return (int)h_sys2(SYS_removexattr, path, name);
}
