/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readlink, stat and open of the same path over and over, with a change in between of which there
 * must be no doubt the next time: by the same thread, by a thread, by another process.
 */
#include "guest.h"
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/time.h>

#define TIMES 40

static char buf[PATH_MAX];

/* What a path is now, asked often enough that an answer would be remembered. */
static const char *is(const char *path)
{
	struct stat st;
	long r = 0, o, s;
	int e = 0, oe, se;

	/* the directories of the system, so that somebody looks at them */
	for (int i = 0; i < TIMES; i++) {
		(void)!readlink("/usr/bin", buf, sizeof(buf));
		r = readlink(path, buf, sizeof(buf));
		e = errno;
	}
	o = open(path, O_RDONLY | O_CLOEXEC);
	oe = errno;
	if (o >= 0)
		close((int)o);
	s = lstat(path, &st);
	se = errno;
	if (r >= 0)
		return S_ISLNK(st.st_mode) ? "link" : "odd link";
	if (e == ENOENT)
		return s && se == ENOENT && o < 0 && oe == ENOENT ? "absent" : "odd absent";
	if (e == EINVAL)
		return s ? "odd object" : S_ISDIR(st.st_mode) ? "directory" : "file";
	return strerrorname_np(e);
}

static void say(const char *what, const char *path)
{
	printf("%s: %s\n", what, is(path));
}

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	CHECK(fd >= 0);
	close(fd);
}

static void in_child(void (*fn)(void))
{
	pid_t p = fork();

	if (!p) {
		fn();
		_exit(0);
	}
	CHECK(waitpid(p, NULL, 0) == p);
}

static void names(void)
{
	say("before", "/d/x");
	touch("/d/x");
	say("created", "/d/x");
	unlink("/d/x");
	say("unlinked", "/d/x");
	mkdir("/d/x", 0755);
	say("made", "/d/x");
	say("below", "/d/x/y/z");
	rmdir("/d/x");
	say("removed", "/d/x");
	say("below", "/d/x/y/z");
	CHECK(!symlink("y", "/d/x"));
	say("linked", "/d/x");
	CHECK(!rename("/d/x", "/d/y"));
	say("moved away", "/d/x");
	say("moved here", "/d/y");
	touch("/d/f");
	say("a file", "/d/f");
	CHECK(!link("/d/f", "/d/x"));
	say("a hard link", "/d/x");
	CHECK(!rename("/d/y", "/d/x"));
	say("replaced", "/d/x");
	mkdir("/d/z", 0755);
	say("exchange", "/d/z");
	CHECK(!syscall(SYS_renameat2, AT_FDCWD, "/d/z", AT_FDCWD, "/d/x", 2));
	say("exchanged", "/d/z");
	say("exchanged", "/d/x");
}

static void parents(void)
{
	mkdir("/p", 0755);
	mkdir("/p/q", 0755);
	mkdir("/p/q/r", 0755);
	say("deep", "/p/q/r");
	rename("/p/q", "/p/s");
	say("parent moved", "/p/q/r");
	say("parent moved", "/p/s/r");
	CHECK(!symlink("s", "/p/q"));
	say("through a link", "/p/q/r");
	unlink("/p/q");
	CHECK(!symlink("nowhere", "/p/q"));
	say("through a dangling one", "/p/q/r");
	say("itself", "/p/q");
}

static void by_child(void)
{
	rename("/p/s", "/p/t");
}

static void close_door(void)
{
	chmod("/p/t", 0700);
}

/* Rights are those of another process, which changes them while we look. */
static void rights(void)
{
	say("child moved", "/p/s/r");
	in_child(by_child);
	say("child moved", "/p/s/r");
	say("child moved", "/p/t/r");
	CHECK(!setresuid(1, 1, 0));
	say("as another user", "/p/t/r");
	CHECK(!setresuid(0, 0, 0));
	pid_t p = fork();
	if (!p) {
		CHECK(!setgroups(0, NULL) && !setresuid(1, 1, 1));
		for (int i = 0; i < 2000000 && !strcmp(is("/p/t/r"), "directory"); i++)
			usleep(100);
		say("door closed", "/p/t/r");
		fflush(stdout);
		_exit(0);
	}
	usleep(20000);
	in_child(close_door);
	CHECK(waitpid(p, NULL, 0) == p);
}

#define MANY 12

static pthread_barrier_t all;
static int wrong_rights;

/* Threads after each other in the same place: what one of root's was told is not another's to use. */
static void *root_thread(void *arg)
{
	char b[16];

	for (int i = 0; i < TIMES; i++)
		if (readlink("/p/t/r", b, sizeof(b)) != -1 || errno != EINVAL)
			__atomic_add_fetch(&wrong_rights, 1, __ATOMIC_RELAXED);
	pthread_barrier_wait(&all);
	return NULL;
}

static void *user_thread(void *arg)
{
	char b[16];

	pthread_barrier_wait(&all);
	if (syscall(SYS_setresuid, 1, 1, 1))	/* this thread alone */
		return NULL;
	for (int i = 0; i < TIMES; i++) {
		(void)!readlink("/usr/bin", b, sizeof(b));
		if (readlink("/d/f", b, sizeof(b)) != -1 || errno != EINVAL ||
		    readlink("/p/t/r", b, sizeof(b)) != -1 || errno != EACCES)
			__atomic_add_fetch(&wrong_rights, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void rights_of_threads(void)
{
	pthread_t t[MANY];

	pthread_barrier_init(&all, NULL, MANY);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < MANY; i++)
			pthread_create(&t[i], NULL, round & 1 ? user_thread : root_thread, NULL);
		for (int i = 0; i < MANY; i++)
			pthread_join(t[i], NULL);
	}
	printf("wrong rights: %d\n", wrong_rights);
}

static void *chroot_thread(void *arg)
{
	CHECK(!chroot("/new"));
	return NULL;
}

static void roots(void)
{
	pthread_t t;

	mkdir("/new", 0755);
	mkdir("/new/d", 0755);
	mkdir("/only-outside", 0755);
	say("outside", "/only-outside");
	pthread_create(&t, NULL, chroot_thread, NULL);
	pthread_join(t, NULL);
	say("a thread changed the root", "/only-outside");
	mkdir("/m", 0755);
	say("not mounted", "/m/inside");
	if (!mount("none", "/m", "tmpfs", 0, "mode=755")) {
		mkdir("/m/inside", 0755);
		say("mounted", "/m/inside");
		CHECK(!umount("/m"));
	} else {
		printf("mounted: directory\n");
	}
	say("unmounted", "/m/inside");
}

static uint32_t step;

/* One thread makes and removes; the other, told by a word of memory, must see each. */
static void *maker(void *arg)
{
	for (uint32_t i = 0; i < 500; i++) {
		while (__atomic_load_n(&step, __ATOMIC_ACQUIRE) != 2 * i)
			sched_yield();
		if (i & 1)
			rmdir("/d/t");
		else
			mkdir("/d/t", 0755);
		__atomic_store_n(&step, 2 * i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void threads(void)
{
	int wrong = 0;
	pthread_t t;

	pthread_create(&t, NULL, maker, NULL);
	for (uint32_t i = 0; i < 500; i++) {
		(void)!readlink("/usr/bin", buf, sizeof(buf));
		while (__atomic_load_n(&step, __ATOMIC_ACQUIRE) != 2 * i + 1)
			(void)!readlink("/d/t", buf, sizeof(buf));
		wrong += readlink("/d/t", buf, sizeof(buf)) != -1 || errno != (i & 1 ? ENOENT : EINVAL);
		__atomic_store_n(&step, 2 * i + 2, __ATOMIC_RELEASE);
	}
	pthread_join(t, NULL);
	printf("wrong: %d\n", wrong);
}

/* A full table is noticed before the name. */
static void full(void)
{
	int top = dup(0);
	struct rlimit r, few;

	say("none", "/d/none");
	CHECK(!getrlimit(RLIMIT_NOFILE, &r) && top > 0);
	few = (struct rlimit){(rlim_t)top + 1, r.rlim_max};
	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	SHOW(open("/d/none", O_RDONLY));
	SHOW(readlink("/d/none", buf, sizeof(buf)));
	CHECK(!setrlimit(RLIMIT_NOFILE, &r));
	close(top);
	SHOW(open("/d/none", O_RDONLY));
}

static volatile sig_atomic_t signals;

static void on_alarm(int sig)
{
	signals++;
}

/* A signal at any place of such a call leaves its result alone. */
static void interrupted(void)
{
	const struct itimerval it = {{0, 200}, {0, 200}}, off = {0};
	int wrong = 0;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &it, NULL);
	for (long i = 0; i < 30000 || signals < 50; i++) {
		if (!(i % 16))
			(void)!readlink("/usr/bin", buf, sizeof(buf));
		long r = readlink(i & 1 ? "/d" : "/d/none", buf, sizeof(buf));
		wrong += r != -1 || errno != (i & 1 ? EINVAL : ENOENT);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	printf("wrong: %d\n", wrong);
}

static void arguments(void)
{
	say("a file", "/d/f");
	SHOW(readlink("/d/f", buf, 0));
	SHOW(readlink("/d/none", buf, 0));
	SHOW(readlinkat(-1, "/d/none", buf, 10));
	SHOW(open("/d/none/", O_RDONLY));
	SHOW(open("/d/none", O_RDONLY | O_DIRECTORY));
	SHOW(openat(-7, "/d/none", O_RDONLY));
	SHOW(open("/d/none", O_RDONLY | O_CREAT | O_DIRECTORY, 0600));
	SHOW(access("/d/none", F_OK));
	SHOW(access("/d/none", 8));
	SHOW(fstatat(-1, "/d/none", (struct stat *)(void *)buf, 0x40000000));
	int fd = open("/d/none", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	say("made by open", "/d/none");
	SHOW(truncate("/d/none", 5));
	unlink("/d/none");
	say("none", "/d/none");
}

int main(void)
{
	char dir[32], real[PATH_MAX];

	setvbuf(stdout, NULL, _IOLBF, 0);
	enter_tmp(dir);
	CHECK(realpath(dir, real) && !chmod(dir, 0755));
	mkdir("usr", 0755);
	if (!unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		(void)!mount("/usr", "usr", NULL, MS_BIND, NULL);
	if (chroot(dir) || chdir("/")) {	/* a quiet place: nobody else may write there */
		printf("no right to chroot\n");
		return 0;
	}
	mkdir("/d", 0755);
	names();
	parents();
	rights();
	rights_of_threads();
	threads();
	interrupted();
	arguments();
	full();
	roots();
	DONE();
}
