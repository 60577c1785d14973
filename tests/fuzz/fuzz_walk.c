/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path walk and names: each input is a list of calls on a fresh tmpfs, or on an overlay over a small
 * tree. One byte picks the call, then names follow, each ended by a NUL.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "sentry/core/charge.h"
#include "sentry/core/hhandle.h"
#include "sentry/core/kheap.h"
#include "sentry/core/user_ns.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct task me;
static struct process proc;
static struct cred cred;
static struct fsctx fs;
static struct files files;
static struct nsproxy ns;

static void evict(unsigned n)
{
}

static void start(void)
{
	if (kheap_init(0x200000000000ull, 8ull << 30) || charge_init(256 << 20, 64 << 20) ||
	    hh_init(evict) || vfs_init() || tmpfs_init())
		abort();
	ref_init(&cred.ref, 1);
	cred.cap_effective = cred.cap_permitted = ~0ull >> 23;
	cred.user_ns = user_ns_create_init();
	mutex_init(&fs.lock, RANK_FILES);
	mutex_init(&files.lock, RANK_FILES);
	ref_init(&files.ref, 1);
	ref_init(&fs.ref, 1);
	me.cred = &cred, me.fs = &fs, me.files = &files, me.ns = &ns, me.proc = &proc;
	for (int i = 0; i < 16; i++)
		proc.rlim[i].cur = proc.rlim[i].max = UINT64_MAX;
}

struct input {
	const uint8_t *p, *end;
};

/* The next name; a copy, since the walk wants a NUL. */
static const char *name(struct input *in, char *buf)
{
	size_t n = 0;

	while (in->p < in->end && *in->p && n < PATH_MAX_LEN - 1)
		buf[n++] = (char)*in->p++;
	if (in->p < in->end)
		in->p++;
	buf[n] = 0;
	return buf;
}

static void one_open(const char *path, uint8_t how)
{
	static const unsigned flags[] = {
		O_RDONLY, O_RDWR | O_CREAT, O_RDONLY | O_DIRECTORY, O_PATH | O_NOFOLLOW, O_WRONLY | O_TRUNC,
		O_CREAT | O_EXCL | O_WRONLY, O_RDWR | O_DIRECTORY | O_TMPFILE_BIT, O_RDONLY | O_NOFOLLOW,
	};
	static const unsigned resolve[] = {0, LOOKUP_BENEATH, LOOKUP_IN_ROOT, LOOKUP_NO_SYMLINKS,
					   LOOKUP_NO_XDEV, LOOKUP_CACHED, LOOKUP_NO_MAGICLINKS, 0};
	const struct open_how_k o = {.flags = flags[how & 7], .mode = 0644, .resolve = resolve[how >> 3 & 7]};
	char buf[300];
	struct file *f;

	if (vfs_open(&me, AT_FDCWD, path, &o, &f))
		return;
	if (f->mode & FMODE_WRITE) {
		struct uio u;
		int64_t pos = how * 37;
		memset(buf, how, sizeof(buf));
		uio_kernel(&u, buf, sizeof(buf));
		(void)!vfs_write(f, &u, &pos);
	} else if (f->mode & FMODE_READ && file_ops(f)->read) {
		(void)!vfs_pread(f, buf, sizeof(buf), 0);
	}
	file_put(f);
}

static void step(struct input *in)
{
	static char a[PATH_MAX_LEN], b[PATH_MAX_LEN];
	uint8_t op = *in->p++;
	struct path p;

	name(in, a);
	switch (op & 15) {
	case 0: case 1: (void)!vfs_mkdir(&me, AT_FDCWD, a, 0777); break;
	case 2: (void)!vfs_unlink(&me, AT_FDCWD, a); break;
	case 3: (void)!vfs_rmdir(&me, AT_FDCWD, a); break;
	case 4: (void)!vfs_symlink(&me, *name(in, b) ? b : "x", AT_FDCWD, a); break;
	case 5: (void)!vfs_link(&me, AT_FDCWD, a, AT_FDCWD, name(in, b), 0); break;
	case 6: case 7:
		(void)!vfs_rename(&me, AT_FDCWD, a, AT_FDCWD, name(in, b), op >> 4 & 7);
		break;
	case 8:
		(void)!vfs_mount(&me, name(in, b), a, "tmpfs", op & 16 ? MS_BIND : op & 32 ? MS_MOVE : 0, NULL);
		break;
	case 9: (void)!vfs_umount(&me, a, op & 16 ? MNT_DETACH : 0); break;
	case 10:
		if (path_lookup(&me, AT_FDCWD, a, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p) == 0) {
			path_put(&fs.cwd);
			fs.cwd = p;
		}
		break;
	case 11:
		if (path_lookup(&me, AT_FDCWD, a, 0, &p) == 0) {
			(void)path_text(&p, &fs.root, b, sizeof(b));
			path_put(&p);
		}
		break;
	default: one_open(a, op >> 4 | (op & 1) << 4); break;
	}
}

static struct super *make_super(bool overlay)
{
	const struct tmpfs_opts o = {.mode = 0755, .size = 8 << 20, .layer = overlay};
	struct super *low, *sb;

	if (tmpfs_super_create(&o, &low))
		abort();
	if (!overlay)
		return low;
	struct mount *m;
	struct path root, d, e;
	if (mount_create(low, 0, "low", &m))
		abort();
	root = (struct path){m, low->root};
	if (!vfs_mkdir_p(&root, "/a/b", 0755, &d)) {
		if (!vfs_mknod_at(&d, "f", 1, S_IFREG | 0644, 0, NULL, &e))
			path_put(&e);
		path_put(&d);
	}
	if (overlay_super_create(&low, 1, 8 << 20, &sb))
		abort();
	mount_put(m);
	super_put(low);
	return sb;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct input in = {data, data + size};
	struct mount *m;
	struct mnt_ns *mns;

	if (!started)
		start();
	started = true;
	if (!size)
		return 0;
	struct super *sb = make_super(*in.p++ & 1);
	if (mount_create(sb, 0, "fuzz", &m) || mnt_ns_create(m, &mns))
		abort();
	super_put(sb);
	ns.mnt = mns;
	mnt_ns_root(mns, &fs.root);
	fs.cwd = fs.root;
	path_get(&fs.cwd);
	while (in.p < in.end)
		step(&in);
	path_put(&fs.cwd);
	path_put(&fs.root);
	mnt_ns_put(mns);
	if (charge_used(CHARGE_FILE))
		abort();	/* pages of a file system that is gone */
	return 0;
}
