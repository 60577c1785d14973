/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest finds in place of files that would not do as the host has them: a sudoers file as
 * Debian ships it for the guest's root, since the host's own is hidden and sudo does not start
 * without one, and a hosts file that knows the sandbox's name. /etc/shadow stays hidden.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/fmt.h"
#include "sentry/boot.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/vfs/names.h"

#define NAMES_MAX (256u << 10)		/* of /etc/passwd and /etc/group */

static const char sudoers[] =
	"Defaults\tenv_reset\n"
	"Defaults\tmail_badpass\n"
	"Defaults\tsecure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n"
	"Defaults\tuse_pty\n"
	"root\tALL=(ALL:ALL) ALL\n"
	"%sudo\tALL=(ALL:ALL) ALL\n"
	"%wheel\tALL=(ALL:ALL) ALL\n";

static int find(const struct path *root, const char *name, struct path *out)
{
	return path_lookup_at(NULL, root, root, name, LOOKUP_FOLLOW, out);
}

/* A public file as a string, to be freed, or NULL. */
static char *content(const struct path *root, const char *name, int64_t *n)
{
	struct file *f = NULL;
	struct path p;
	char *text = kmalloc(NAMES_MAX);

	*n = -ENOENT;
	if (text && !find(root, name, &p)) {
		if (!file_open_inode(p.dentry->inode, O_RDONLY, NULL, &f))
			*n = vfs_pread(f, text, NAMES_MAX - 1, 0);
		file_put(f);
		path_put(&p);
	}
	if (*n < 0) {
		kfree(text);
		return NULL;
	}
	text[*n] = 0;
	return text;
}

/* Failures leave the file hidden: the guest sees what it would see without us. */
static void stand_in(const struct path *root, const char *name, const char *text, size_t n)
{
	struct path p;

	if (find(root, name, &p))
		return;
	(void)!overlay_stand_in(p.dentry->inode, true, text, n);
	path_put(&p);
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += n)
		if (p > text && strchr(" \t", p[-1]) && (!p[n] || strchr(" \t\n", p[n])))
			return true;
	return false;
}

/* The sandbox's name leads to itself, as in every installation and container. */
static void name_ourselves(const struct path *root, const char *hostname)
{
	struct buf b = {0};
	struct path p;
	int64_t n;
	char *text = content(root, "/etc/hosts", &n);

	if (text && *hostname && !has_word(text, hostname) && !find(root, "/etc/hosts", &p)) {
		buf_fmt(&b, "%s%s127.0.1.1\t%s\n", text, n && text[n - 1] != '\n' ? "\n" : "", hostname);
		if (!b.oom)
			(void)!overlay_stand_in(p.dentry->inode, false, b.p, b.len);
		buf_fini(&b);
		path_put(&p);
	}
	kfree(text);
}

void boot_stand_ins(const struct path *root, const char *hostname)
{
	name_ourselves(root, hostname);
	stand_in(root, "/etc/sudoers", sudoers, sizeof(sudoers) - 1);
}
