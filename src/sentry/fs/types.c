/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/types.h"

#include <errno.h>
#include <linux/capability.h>

#include "sentry/fs/dev/dev.h"
#include "sentry/fs/ovl/ovl.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sys/sys.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/mount.h"

static int type_proc(struct task *t, const char *source, unsigned flags, const char *data, struct super **out)
{
	struct pid_ns *pns = task_pid_ns(t);

	(void)source, (void)flags, (void)data;
	if (pns->user_ns && !cred_ns_capable(t->cred, pns->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	return proc_create(pns, out);
}

static int type_sysfs(struct task *t, const char *source, unsigned flags, const char *data, struct super **out)
{
	const struct user_ns *owner = t->ns->net->user_ns;

	(void)source, (void)flags, (void)data;
	if (owner && !cred_ns_capable(t->cred, owner, CAP_SYS_ADMIN))
		return -EPERM;
	return sysfs_create(out);
}

static int type_devpts(struct task *t, const char *source, unsigned flags, const char *data, struct super **out)
{
	(void)t, (void)source, (void)flags;
	return devpts_create(data, out);
}

int fs_types_init(void)
{
	static const char *const proc_keys[] = {"hidepid=", "gid=", "subset=", NULL};
	static const char *const devpts_keys[] = {"newinstance", "ptmxmode=", "mode=", "uid=", "gid=", "max=",
						  NULL};
	static const struct fs_type types[] = {
		{.name = "proc", .nodev = true, .create = type_proc, .keys = proc_keys},
		{.name = "sysfs", .nodev = true, .create = type_sysfs},
		{.name = "devpts", .nodev = true, .create = type_devpts, .keys = devpts_keys},
	};

	for (unsigned i = 0; i < array_size(types); i++)
		fs_type_register(&types[i]);
	dev_init();
	return ovl_init();
}
