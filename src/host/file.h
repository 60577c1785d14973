/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Host files by descriptor; paths appear only in the Gofer, the launcher and start-up code.
 * All return -errno. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include "host/h_syscall.h"
#include "lib/compiler.h"

static inline must_check int h_openat(int dirfd, const char *path, int flags, unsigned mode)
{
	return (int)h_sys4(SYS_openat, dirfd, path, flags, mode);
}
static inline must_check int h_openat2(int dirfd, const char *path, const struct open_how *how,
			size_t size)
{
	return (int)h_sys4(SYS_openat2, dirfd, path, how, size);
}
static inline int h_close(int hfd)
{
	return (int)h_sys1(SYS_close, hfd);
}
static inline int h_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)h_sys3(SYS_close_range, first, last, flags);
}
static inline must_check int64_t h_read(int hfd, void *p, size_t n)
{
	return h_sys3(SYS_read, hfd, p, n);
}
static inline must_check int64_t h_write(int hfd, const void *p, size_t n)
{
	return h_sys3(SYS_write, hfd, p, n);
}
static inline must_check int64_t h_pread(int hfd, void *p, size_t n, int64_t off)
{
	return h_sys4(SYS_pread64, hfd, p, n, off);
}
static inline must_check int64_t h_pwrite(int hfd, const void *p, size_t n, int64_t off)
{
	return h_sys4(SYS_pwrite64, hfd, p, n, off);
}
static inline must_check int64_t h_readv(int hfd, const struct iovec *iov, int cnt)
{
	return h_sys3(SYS_readv, hfd, iov, cnt);
}
static inline must_check int64_t h_writev(int hfd, const struct iovec *iov, int cnt)
{
	return h_sys3(SYS_writev, hfd, iov, cnt);
}
static inline must_check int64_t h_preadv2(int hfd, const struct iovec *iov, int cnt, int64_t off,
			int flags)
{
	return h_sys6x(SYS_preadv2, hfd, iov, cnt, off, 0, flags);
}
static inline must_check int64_t h_pwritev2(int hfd, const struct iovec *iov, int cnt, int64_t off,
			int flags)
{
	return h_sys6x(SYS_pwritev2, hfd, iov, cnt, off, 0, flags);
}
static inline must_check int64_t h_lseek(int hfd, int64_t off, int whence)
{
	return h_sys3(SYS_lseek, hfd, off, whence);
}
static inline must_check int h_fstat(int hfd, struct stat *st)
{
	return (int)h_sys2(SYS_fstat, hfd, st);
}
static inline must_check int h_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return (int)h_sys4(SYS_newfstatat, dirfd, path, st, flags);
}
static inline must_check int h_statx(int dirfd, const char *path, int flags, unsigned mask,
			struct statx *stx)
{
	return (int)h_sys5(SYS_statx, dirfd, path, flags, mask, stx);
}
static inline must_check int h_fstatfs(int hfd, struct statfs *st)
{
	return (int)h_sys2(SYS_fstatfs, hfd, st);
}
static inline must_check int h_ftruncate(int hfd, int64_t len)
{
	return (int)h_sys2(SYS_ftruncate, hfd, len);
}
static inline must_check int h_fallocate(int hfd, int mode, int64_t off, int64_t len)
{
	return (int)h_sys4(SYS_fallocate, hfd, mode, off, len);
}
static inline must_check int h_fadvise(int hfd, int64_t off, int64_t len, int advice)
{
	return (int)h_sys4(SYS_fadvise64, hfd, off, len, advice);
}
static inline must_check int h_fsync(int hfd)
{
	return (int)h_sys1(SYS_fsync, hfd);
}
static inline must_check int h_fdatasync(int hfd)
{
	return (int)h_sys1(SYS_fdatasync, hfd);
}
static inline must_check int h_sync_file_range(int hfd, int64_t off, int64_t len, unsigned flags)
{
	return (int)h_sys4(SYS_sync_file_range, hfd, off, len, flags);
}
static inline must_check int h_flock(int hfd, int op)
{
	return (int)h_sys2(SYS_flock, hfd, op);
}
static inline must_check int h_fcntl(int hfd, int cmd, uint64_t arg)
{
	return (int)h_sys3(SYS_fcntl, hfd, cmd, arg);
}
static inline must_check int h_ioctl(int hfd, uint64_t cmd, uint64_t arg)
{
	return (int)h_sys3(SYS_ioctl, hfd, cmd, arg);
}
static inline must_check int h_dup(int hfd)
{
	return (int)h_sys1(SYS_dup, hfd);
}
static inline must_check int h_dup3(int hfd, int to, int flags)
{
	return (int)h_sys3(SYS_dup3, hfd, to, flags);
}
static inline must_check int h_pipe2(int *hfds, int flags)
{
	return (int)h_sys2(SYS_pipe2, hfds, flags);
}
static inline must_check int64_t h_getdents(int hfd, void *p, size_t n)
{
	return h_sys3(SYS_getdents64, hfd, p, n);
}
static inline must_check int64_t h_readlinkat(int dirfd, const char *path, char *p, size_t n)
{
	return h_sys4(SYS_readlinkat, dirfd, path, p, n);
}
static inline must_check int h_mkdirat(int dirfd, const char *path, unsigned mode)
{
	return (int)h_sys3(SYS_mkdirat, dirfd, path, mode);
}
static inline must_check int h_mknodat(int dirfd, const char *path, unsigned mode, uint64_t dev)
{
	return (int)h_sys4(SYS_mknodat, dirfd, path, mode, dev);
}
static inline must_check int h_unlinkat(int dirfd, const char *path, int flags)
{
	return (int)h_sys3(SYS_unlinkat, dirfd, path, flags);
}
static inline must_check int h_renameat2(int fromdir, const char *from, int todir, const char *to,
			unsigned flags)
{
	return (int)h_sys5(SYS_renameat2, fromdir, from, todir, to, flags);
}
static inline must_check int h_linkat(int fromdir, const char *from, int todir, const char *to,
			int flags)
{
	return (int)h_sys5(SYS_linkat, fromdir, from, todir, to, flags);
}
static inline must_check int h_symlinkat(const char *target, int dirfd, const char *path)
{
	return (int)h_sys3(SYS_symlinkat, target, dirfd, path);
}
static inline must_check int h_fchmod(int hfd, unsigned mode)
{
	return (int)h_sys2(SYS_fchmod, hfd, mode);
}
static inline must_check int h_fchmodat(int dirfd, const char *path, unsigned mode)
{
	return (int)h_sys3(SYS_fchmodat, dirfd, path, mode);
}
static inline must_check int h_fchown(int hfd, unsigned uid, unsigned gid)
{
	return (int)h_sys3(SYS_fchown, hfd, uid, gid);
}
static inline must_check int h_fchownat(int dirfd, const char *path, unsigned uid, unsigned gid,
			int flags)
{
	return (int)h_sys5(SYS_fchownat, dirfd, path, uid, gid, flags);
}
static inline must_check int h_utimensat(int dirfd, const char *path, const struct timespec *ts,
			int flags)
{
	return (int)h_sys4(SYS_utimensat, dirfd, path, ts, flags);
}
static inline must_check int h_faccessat(int dirfd, const char *path, int mode)
{
	return (int)h_sys3(SYS_faccessat, dirfd, path, mode);
}
static inline must_check int64_t h_copy_file_range(int from, int64_t *from_off, int to,
			int64_t *to_off, size_t n, unsigned flags)
{
	return h_sys6x(SYS_copy_file_range, from, from_off, to, to_off, n, flags);
}
static inline must_check int64_t h_sendfile(int to, int from, int64_t *off, size_t n)
{
	return h_sys4(SYS_sendfile, to, from, off, n);
}
static inline must_check int64_t h_fgetxattr(int hfd, const char *name, void *p, size_t n)
{
	return h_sys4(SYS_fgetxattr, hfd, name, p, n);
}
static inline must_check int h_fsetxattr(int hfd, const char *name, const void *p, size_t n,
			int flags)
{
	return (int)h_sys5(SYS_fsetxattr, hfd, name, p, n, flags);
}
static inline must_check int h_fremovexattr(int hfd, const char *name)
{
	return (int)h_sys2(SYS_fremovexattr, hfd, name);
}
static inline must_check int64_t h_flistxattr(int hfd, char *p, size_t n)
{
	return h_sys3(SYS_flistxattr, hfd, p, n);
}
static inline must_check int h_fchdir(int hfd)
{
	return (int)h_sys1(SYS_fchdir, hfd);
}
static inline must_check int h_chroot(const char *path)
{
	return (int)h_sys1(SYS_chroot, path);
}
static inline int h_umask(unsigned mask)
{
	return (int)h_sys1(SYS_umask, mask);
}

/* The whole range, retried over EINTR and short transfers: 0, -EIO at an early end, or -errno. */
must_check int h_write_all(int hfd, const void *p, size_t n);
must_check int h_read_all(int hfd, void *p, size_t n);
