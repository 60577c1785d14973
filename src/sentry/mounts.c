/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the first mount namespace from the boot spec. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "proto/control.h"
#include "sentry/boot.h"
#include "sentry/fs/dev/dev.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sys/sys.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/outcome.h"
#include "sentry/task/ns.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/names.h"

static unsigned mount_flags(const struct boot_mount *m)
{
	unsigned f = 0;

	f |= m->flags & BOOT_MNT_F_RO ? MS_RDONLY : 0u;
	f |= m->flags & BOOT_MNT_F_NOSUID ? MS_NOSUID : 0u;
	f |= m->flags & BOOT_MNT_F_NODEV ? MS_NODEV : 0u;
	f |= m->flags & BOOT_MNT_F_NOEXEC ? MS_NOEXEC : 0u;
	return f;
}

/* An in-memory layer over a root of the Gofer. */
static int make_overlay(const struct boot_mount *m, struct super **out)
{
	struct super *lower;
	unsigned shared = m->flags & BOOT_MNT_F_SHARED ? GOFER_SB_SHARED : 0u;
	int err = gofer_super_create(m->root, GOFER_SB_RO | GOFER_SB_LOWER | shared, &lower);

	if (err)
		return err;
	err = overlay_super_create(&lower, 1, m->size, out);
	super_put(lower);
	if (!err)
		outcome_add_overlay(*out, m->target);
	return err;
}

static int make_tmpfs(uint64_t size, uint32_t mode, struct super **out)
{
	const struct tmpfs_opts o = {.size = size, .mode = mode};

	return tmpfs_super_create(&o, out);
}

static int make_super(const struct boot_mount *m, struct super **out)
{
	unsigned flags = (m->flags & BOOT_MNT_F_SHARED ? GOFER_SB_SHARED : 0u) |
			 (m->flags & BOOT_MNT_F_RO ? GOFER_SB_RO : 0u);

	switch (m->kind) {
	case BOOT_MNT_OVERLAY:
		return make_overlay(m, out);
	case BOOT_MNT_GOFER:
		return gofer_super_create(m->root, flags, out);
	case BOOT_MNT_TMPFS:
		return make_tmpfs(m->size, m->mode, out);
	case BOOT_MNT_PROC:
		return proc_create(task_root->pid_ns, out);
	case BOOT_MNT_SYS:
		return sysfs_create(out);
	case BOOT_MNT_DEV:
		return make_tmpfs(64 << 10, 0755, out);
	}
	return -EINVAL;
}

/* The place of a mount: a directory with its parents, or an empty file. */
static int make_target(const struct path *root, const struct boot_mount *m, const struct cred *cred,
		       struct path *out)
{
	if (!(m->flags & BOOT_MNT_F_FILE))
		return vfs_mkdir_p(root, m->target, 0755, out);
	static char dir[BOOT_PATH_MAX];	/* one thread at boot */
	const char *slash = strrchr(m->target, '/');
	size_t n = (size_t)(slash - m->target);
	struct path parent;

	memcpy(dir, m->target, n);
	dir[n] = 0;
	int err = vfs_mkdir_p(root, n ? dir : "/", 0755, &parent);
	if (err)
		return err;
	err = path_lookup_at(NULL, root, &parent, slash + 1, 0, out);
	if (err == -ENOENT)
		err = vfs_mknod_at(&parent, slash + 1, strlen(slash + 1), S_IFREG | 0644, 0, cred, out);
	path_put(&parent);
	return err;
}

static int attach_super(struct super *sb /* consumed */, const struct boot_mount *m, const struct path *where)
{
	struct mount *mnt;
	int err = mount_create(sb, mount_flags(m), m->source, &mnt);

	super_put(sb);
	return err ? err : mount_attach(mnt, where);
}

/* /dev: nodes, pts and shm. */
static int fill_dev(const struct path *root, const struct boot_mount *m, const struct cred *cred)
{
	struct path dev, sub;
	struct super *sb;
	const struct boot_mount pts = {.source = "devpts", .flags = BOOT_MNT_F_NOSUID | BOOT_MNT_F_NOEXEC};
	const struct boot_mount shm = {.source = "shm", .flags = BOOT_MNT_F_NOSUID};
	static char name[BOOT_PATH_MAX + 8];
	int err = path_lookup_at(NULL, root, root, m->target, LOOKUP_FOLLOW, &dev);

	if (err)
		return err;
	err = dev_populate(&dev, cred);
	path_put(&dev);
	for (int i = 0; i < 2 && !err; i++) {
		fmt_n(name, sizeof(name), "%s/%s", m->target, i ? "shm" : "pts");
		err = vfs_mkdir_p(root, name, 0755, &sub);
		if (err)
			break;
		err = i ? make_tmpfs(0, 01777, &sb) : devpts_create("ptmxmode=666", &sb);
		if (!err)
			err = attach_super(sb, i ? &shm : &pts, &sub);
		path_put(&sub);
	}
	return err;
}

static int make_link(const struct path *root, const struct boot_mount *m, const struct cred *cred)
{
	static char dir[BOOT_PATH_MAX];	/* one thread at boot */
	const char *slash = strrchr(m->target, '/');
	size_t n = (size_t)(slash - m->target);
	struct path parent;
	struct inode *made;

	memcpy(dir, m->target, n);
	dir[n] = 0;
	int err = vfs_mkdir_p(root, n ? dir : "/", 0755, &parent);
	if (err)
		return err;
	struct inode *i = parent.dentry->inode;
	mutex_lock(&i->lock);
	err = inode_ops(i)->symlink ? inode_ops(i)->symlink(i, slash + 1, strlen(slash + 1), m->source, cred, &made)
				    : -EPERM;
	mutex_unlock(&i->lock);
	if (!err)
		inode_put(made);
	path_put(&parent);
	return err == -EEXIST ? 0 : err;
}

static int make_dir(const struct boot_spec *s, const struct path *root, const struct boot_mount *m)
{
	struct path p;
	int err = vfs_mkdir_p(root, m->target, 0755, &p);

	if (err)
		return err;
	struct inode *i = p.dentry->inode;
	struct iattr a = {.valid = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = m->mode};
	if (m->flags & BOOT_MNT_F_USER)
		a.uid = s->uid, a.gid = s->gid;
	mutex_lock(&i->lock);
	err = inode_ops(i)->setattr ? inode_ops(i)->setattr(i, &a) : inode_set_attr(i, &a);
	mutex_unlock(&i->lock);
	path_put(&p);
	return err;
}

static int one_mount(const struct boot_spec *s, const struct boot_mount *m, const struct cred *cred,
		     const struct path *root)
{
	struct super *sb;
	struct path where;

	if (m->kind == BOOT_MNT_DIR)
		return make_dir(s, root, m);
	if (m->kind == BOOT_MNT_SYMLINK)
		return make_link(root, m, cred);
	int err = make_target(root, m, cred, &where);
	if (err)
		return err;
	err = make_super(m, &sb);
	if (!err)
		err = attach_super(sb, m, &where);
	path_put(&where);
	if (!err && m->kind == BOOT_MNT_DEV)
		err = fill_dev(root, m, cred);
	return err;
}

int boot_mounts(const struct boot_spec *s, const struct cred *cred, struct mnt_ns **ns, struct path *root)
{
	struct super *sb;
	struct mount *top;
	int err = make_super(&s->mounts[0], &sb);

	if (err)
		return err;
	err = mount_create(sb, mount_flags(&s->mounts[0]), s->mounts[0].source, &top);
	super_put(sb);
	if (!err)
		err = mnt_ns_create(top, ns);
	if (err)
		return err;
	mnt_ns_root(*ns, root);
	for (uint32_t i = 1; i < s->n_mounts && !err; i++) {
		err = one_mount(s, &s->mounts[i], cred, root);
		if (err)
			control_fail(err, CTL_E_BOOT, "mount %s", s->mounts[i].target);
	}
	if (!err)
		boot_stand_ins(root, s->hostname);
	return err;
}
