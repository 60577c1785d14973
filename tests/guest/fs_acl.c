/* SPDX-License-Identifier: Apache-2.0 */
/* Access control lists: their attributes, what chmod and creation make of them, who may do what. */
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/xattr.h>
#include "guest.h"

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

static struct {
	struct posix_acl_xattr_header h;
	struct posix_acl_xattr_entry e[8];
} list;
static int n;

static void add(int tag, int perm, unsigned id)
{
	list.e[n++] = (struct posix_acl_xattr_entry){(uint16_t)tag, (uint16_t)perm, id};
}

static void begin(void)
{
	n = 0;
	list.h.a_version = POSIX_ACL_XATTR_VERSION;
}

static int set(const char *path, const char *name)
{
	return setxattr(path, name, &list, sizeof(list.h) + (size_t)n * sizeof(list.e[0]), 0);
}

static void show(const char *path, const char *name)
{
	struct stat st;
	ssize_t got = getxattr(path, name, &list, sizeof(list));

	stat(path, &st);
	printf("%s %o %s:", path, st.st_mode, name + 17);
	if (got < 0)
		printf(" %s", strerrorname_np(errno));
	for (int i = 0; got > 0 && i < (int)((size_t)got - sizeof(list.h)) / (int)sizeof(list.e[0]); i++)
		printf(" %x:%d:%d", list.e[i].e_tag, list.e[i].e_perm, (int)list.e[i].e_id);
	printf("\n");
}

/* The whole of what access tells about the user, in one number. */
static void may(const char *path, unsigned uid, unsigned gid)
{
	fflush(stdout);
	if (fork() == 0) {
		int r = 0;

		if (getuid() == 0 && (setgid(gid) || setuid(uid)))
			die("setuid");
		for (int i = 0; i < 8; i++)
			r |= (access(path, i) == 0) << i;
		printf("%s for %u %u: %02x %s\n", path, uid, gid, r,
		       open(path, O_RDWR) < 0 ? strerrorname_np(errno) : "open");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void access_lists(void)
{
	char names[100] = "";

	close(open("f", O_CREAT | O_RDWR, 0640));
	show("f", ACCESS);
	begin();
	add(ACL_USER_OBJ, 6, -1u), add(ACL_USER, 7, 1234), add(ACL_USER, 2, 77), add(ACL_GROUP_OBJ, 4, -1u);
	add(ACL_GROUP, 6, 55), add(ACL_MASK, 6, -1u), add(ACL_OTHER, 0, -1u);
	SHOW(set("f", ACCESS));
	SHOW(set("f", DEFAULT));
	show("f", ACCESS);
	SHOW(listxattr("f", names, sizeof(names)));
	printf("%s\n", names);
	SHOW(getxattr("f", ACCESS, names, 10));
	SHOW(getxattr("f", ACCESS, NULL, 0));
	if (!getuid()) {
		may("f", 1234, 1234), may("f", 77, 55), may("f", 500, 55), may("f", 500, 500), may("f", 500, 0);
		SHOW(chmod("f", 0617));
		may("f", 1234, 1234), may("f", 77, 55), may("f", 500, 55), may("f", 500, 500), may("f", 500, 0);
		SHOW(chmod("f", 0604));
		may("f", 1234, 1234), may("f", 500, 500);
	}
	show("f", ACCESS);
	SHOW(removexattr("f", ACCESS));
	SHOW(removexattr("f", ACCESS));
	show("f", ACCESS);
	begin();
	add(ACL_USER_OBJ, 7, -1u), add(ACL_GROUP_OBJ, 5, -1u), add(ACL_OTHER, 1, -1u);
	SHOW(set("f", ACCESS));	/* says no more than the mode */
	show("f", ACCESS);
}

static void wrong(void)
{
	begin();
	SHOW(set("f", ACCESS));
	add(ACL_USER_OBJ, 7, -1u), add(ACL_USER, 5, 3), add(ACL_GROUP_OBJ, 5, -1u), add(ACL_OTHER, 1, -1u);
	SHOW(set("f", ACCESS));		/* no mask */
	begin();
	add(ACL_USER_OBJ, 7, -1u), add(ACL_OTHER, 1, -1u), add(ACL_GROUP_OBJ, 5, -1u);
	SHOW(set("f", ACCESS));
	begin();
	add(ACL_USER_OBJ, 9, -1u), add(ACL_GROUP_OBJ, 5, -1u), add(ACL_OTHER, 1, -1u);
	SHOW(set("f", ACCESS));
	list.e[0].e_perm = 7, list.h.a_version = 1;
	SHOW(set("f", ACCESS));
	SHOW(setxattr("f", ACCESS, &list, 3, 0));
	SHOW(setxattr("f", ACCESS, &list, 7, 0));
	SHOW(setxattr("f", ACCESS, NULL, 0, 0));
	symlink("f", "l");
	SHOW(lgetxattr("l", ACCESS, &list, 4));
	SHOW(lsetxattr("l", ACCESS, &list, 4, 0));
}

static void inherited(void)
{
	umask(077);
	mkdir("d", 0755);
	chmod("d", 0755);
	begin();
	add(ACL_USER_OBJ, 7, -1u), add(ACL_USER, 7, 1234), add(ACL_GROUP_OBJ, 5, -1u), add(ACL_MASK, 7, -1u);
	add(ACL_OTHER, 5, -1u);
	SHOW(set("d", DEFAULT));
	show("d", DEFAULT), show("d", ACCESS);
	close(open("d/f", O_CREAT | O_RDWR, 0664));
	mkdir("d/d", 0750);
	symlink("f", "d/l");
	mkfifo("d/p", 0666);
	show("d/f", ACCESS), show("d/d", ACCESS), show("d/d", DEFAULT), show("d/p", ACCESS);
	close(open("d/d/f", O_CREAT | O_RDWR, 0600));
	show("d/d/f", ACCESS);
	begin();
	add(ACL_USER_OBJ, 7, -1u), add(ACL_GROUP_OBJ, 5, -1u), add(ACL_OTHER, 1, -1u);
	SHOW(set("d", DEFAULT));
	show("d", DEFAULT);
	close(open("d/g", O_CREAT | O_RDWR, 0666));
	show("d/g", ACCESS);
	SHOW(removexattr("d", DEFAULT));
	close(open("d/h", O_CREAT | O_RDWR, 0666));
	show("d/h", ACCESS);
}

int main(void)
{
	char dir[32];

	enter_tmp(dir);
	chmod(dir, 0755);
	access_lists();
	wrong();
	inherited();
	DONE();
}
