/* SPDX-License-Identifier: Apache-2.0 */
/* Shared, slave, private and unbindable mounts: what is mounted, moved and umounted where. */
#include "mounts.h"

static void dirs(const char *const *d)
{
	for (; *d; d++)
		CHECK(mkdir(*d, 0755) == 0);
}

static int tmpfs(const char *at)
{
	return mount(at, at, "tmpfs", 0, "size=1m");
}

static int type(const char *at, unsigned long flags)
{
	return mount(NULL, at, NULL, flags, NULL);
}

static int bind(const char *a, const char *b, unsigned long more)
{
	return mount(a, b, NULL, MS_BIND | more, NULL);
}

static void bad_calls(void)
{
	SHOW(type("/tmp/w/none", MS_SHARED));
	SHOW(type("p", MS_SHARED));
	CHECK(tmpfs("p") == 0);
	SHOW(type("p", MS_SHARED | MS_PRIVATE));
	SHOW(type("p", MS_SHARED | MS_RDONLY));
	SHOW(type("p", MS_UNBINDABLE));
	SHOW(bind("p", "q", 0));
	show_mounts("unbindable");
	SHOW(type("p", MS_SLAVE));
	show_mounts("slave of nobody");
	SHOW(umount("p"));
}

static void peers(void)
{
	CHECK(tmpfs("p") == 0);
	CHECK(mkdir("p/1", 0755) == 0 && mkdir("p/2", 0755) == 0);
	SHOW(type("p", MS_SHARED));
	SHOW(bind("p", "q", 0));
	SHOW(bind("p", "s", 0));
	SHOW(type("s", MS_SLAVE));
	SHOW(bind("p", "b", 0));
	SHOW(type("b", MS_SLAVE));
	SHOW(type("b", MS_SHARED));
	SHOW(bind("b", "c", 0));
	SHOW(bind("p/1", "sub", 0));
	show_mounts("groups");
	SHOW(tmpfs("p/1"));
	show_mounts("on p/1");
	SHOW(mkdir("q/1/x", 0755));
	SHOW(access("p/1/x", F_OK));
	SHOW(access("s/1/x", F_OK));
	SHOW(access("c/1/x", F_OK));
	SHOW(tmpfs("p/1/x"));
	show_mounts("on p/1/x");
	SHOW(tmpfs("s/2"));
	SHOW(access("p/2", F_OK));
	SHOW(tmpfs("b/2"));
	show_mounts("on slaves");
	SHOW(tmpfs("q/2"));		/* goes below what the slaves have there */
	show_mounts("tucked");
	SHOW(umount("q/1"));
	SHOW(umount("q/1/x"));
	SHOW(umount("q/1"));
	SHOW(umount("p/2"));
	show_mounts("umounted");
	SHOW(umount("p"));
	show_mounts("without p");
	SHOW(type("q", MS_PRIVATE));
	show_mounts("without q");
	SHOW(umount("sub"));
	SHOW(umount2("b", MNT_DETACH));
	SHOW(umount2("c", MNT_DETACH));
	SHOW(umount2("s", MNT_DETACH));
	SHOW(umount2("q", MNT_DETACH));
}

static void moves(void)
{
	CHECK(tmpfs("p") == 0);
	CHECK(mkdir("p/1", 0755) == 0 && mkdir("p/2", 0755) == 0);
	SHOW(type("p", MS_SHARED));
	SHOW(bind("p", "q", 0));
	SHOW(tmpfs("m"));
	CHECK(mkdir("m/d", 0755) == 0 && tmpfs("m/d") == 0);
	SHOW(mount("m", "p/1", NULL, MS_MOVE, NULL));
	show_mounts("moved in");
	SHOW(mount("p/1", "m", NULL, MS_MOVE, NULL));	/* its parent is shared */
	SHOW(mount("p", "p/2", NULL, MS_MOVE, NULL));
	SHOW(mount("p/1", "p/1/d", NULL, MS_MOVE, NULL));
	SHOW(mount("q/2", "m", NULL, MS_MOVE, NULL));
	SHOW(tmpfs("m"));
	SHOW(type("m", MS_UNBINDABLE));
	SHOW(mount("m", "p/2", NULL, MS_MOVE, NULL));
	SHOW(umount("m"));
	SHOW(bind("p", "m", MS_REC));
	show_mounts("rbind");
	SHOW(umount2("p", MNT_DETACH));
	show_mounts("lazily away");
	SHOW(umount2("m", MNT_DETACH));
	SHOW(umount2("q", MNT_DETACH));
	show_mounts("all");
}

/* A child namespace gets peers (or slaves, in a user namespace of its own). */
static void namespaces(unsigned long flags)
{
	int to[2], from[2];
	char c;

	CHECK(tmpfs("p") == 0);
	CHECK(mkdir("p/1", 0755) == 0 && mkdir("p/2", 0755) == 0);
	SHOW(type("p", MS_SHARED));
	CHECK(pipe(to) == 0 && pipe(from) == 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(unshare(flags) == 0);
		show_mounts("child");
		CHECK(write(from[1], "1", 1) == 1 && read(to[0], &c, 1) == 1);
		show_mounts("child after the parent's mount");
		SHOW(tmpfs("p/2"));
		SHOW(umount("p/1"));
		SHOW(umount("p"));
		fflush(stdout);
		CHECK(write(from[1], "2", 1) == 1);
		_exit(guest_failures);
	}
	CHECK(read(from[0], &c, 1) == 1);
	SHOW(tmpfs("p/1"));
	fflush(stdout);
	CHECK(write(to[1], "1", 1) == 1 && read(from[0], &c, 1) == 1);
	show_mounts("parent after the child's");
	int st;
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	show_mounts("parent alone");
	SHOW(umount2("p", MNT_DETACH));
}

/* A directory that goes takes what others have mounted on it along. */
static void removed_place(void)
{
	int to[2], from[2], st;
	char c, link_[64];

	CHECK(pipe(to) == 0 && pipe(from) == 0 && mkdir("gone", 0755) == 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(unshare(CLONE_NEWNS) == 0 && tmpfs("gone") == 0);
		CHECK(write(from[1], "1", 1) == 1 && read(to[0], &c, 1) == 1);
		show_mounts("place removed");
		_exit(guest_failures);
	}
	CHECK(read(from[0], &c, 1) == 1);
	SHOW(rmdir("gone"));
	CHECK(write(to[1], "1", 1) == 1 && waitpid(pid, &st, 0) == pid && st == 0);
	put_text("fa", "a");
	put_text("fb", "b");
	int fd = open("fa", O_RDONLY);
	snprintf(link_, sizeof(link_), "/proc/self/fd/%d", fd);
	int l = open(link_, O_PATH | O_NOFOLLOW);
	snprintf(link_, sizeof(link_), "/proc/self/fd/%d", l);
	SHOW(mount("fb", link_, NULL, MS_BIND, NULL));
	close(l);
	close(fd);
}

static void expire(void)
{
	SHOW(tmpfs("p"));
	SHOW(umount2("p", MNT_EXPIRE | MNT_DETACH));
	SHOW(umount2("p", MNT_EXPIRE));
	SHOW(access("p/.", F_OK));
	SHOW(umount2("p", MNT_EXPIRE));
	SHOW(umount2("p", MNT_EXPIRE));
}

int main(void)
{
	static const char *const names[] = {"p", "q", "s", "b", "c", "sub", "m", NULL};

	own_mounts();
	dirs(names);
	bad_calls();
	peers();
	moves();
	namespaces(CLONE_NEWNS);
	namespaces(CLONE_NEWNS | CLONE_NEWUSER);
	removed_place();
	expire();
	DONE();
}
