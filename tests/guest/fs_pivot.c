/* SPDX-License-Identifier: Apache-2.0 */
/* pivot_root moves the roots and directories of others too; too many mounts are ENOSPC. */
#include "mounts.h"

static int pivot(const char *new, const char *old)
{
	return syscall(SYS_pivot_root, new, old);
}

static void refusals(void)
{
	CHECK(mkdir("plain", 0755) == 0 && mkdir("plain/old", 0755) == 0);
	SHOW(pivot("plain", "plain/old"));
	SHOW(pivot("r", "plain"));
	SHOW(pivot("/", "r"));
	SHOW(pivot("r", "/"));
	SHOW(pivot("none", "r"));
	SHOW(pivot("r", "r/f"));
	CHECK(mount(NULL, "r", NULL, MS_SHARED, NULL) == 0);
	SHOW(pivot("r", "r/old"));
	CHECK(mount(NULL, "r", NULL, MS_PRIVATE, NULL) == 0);
}

static void growth(void)
{
	int n = 0;
	CHECK(mkdir("grow", 0755) == 0 && mount("g", "grow", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("grow/a", 0755) == 0 && mount(NULL, "grow", NULL, MS_SHARED, NULL) == 0);
	while (n < 30 && mount("grow", "grow/a", NULL, MS_BIND | MS_REC, NULL) == 0)
		n++;
	printf("growth ends after %d with %s\n", n, strerrorname_np(errno));
	SHOW(umount2("grow", MNT_DETACH));
	show_mounts("after growth");
}

int main(void)
{
	int to[2], from[2];
	char c, cwd[64];

	own_mounts();
	CHECK(mkdir("r", 0755) == 0 && mount("r", "r", "tmpfs", 0, NULL) == 0);
	CHECK(mkdir("r/old", 0755) == 0);
	put_text("r/f", "new\n");
	refusals();
	growth();
	CHECK(pipe(to) == 0 && pipe(from) == 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(chdir("/") == 0 && write(from[1], "1", 1) == 1 && read(to[0], &c, 1) == 1);
		cat("/f");
		cat("f");
		SHOW(access("old/tmp/w", F_OK));
		fflush(stdout);
		_exit(guest_failures);
	}
	CHECK(read(from[0], &c, 1) == 1);
	SHOW(pivot("r", "r/old"));
	CHECK(write(to[1], "1", 1) == 1);
	int st;
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	printf("cwd %s\n", getcwd(cwd, sizeof(cwd)));
	SHOW(chdir("/"));
	SHOW(umount("/old"));
	SHOW(umount2("/old", MNT_DETACH));
	SHOW(access("/old/tmp", F_OK));
	/* The runtimes' way: the old root on top of the new one, then away. */
	CHECK(mkdir("/n", 0755) == 0 && mount("n", "/n", "tmpfs", 0, NULL) == 0);
	put_text("/n/inner", "x");
	int old = open("/", O_PATH | O_DIRECTORY);
	SHOW(chdir("/n"));
	SHOW(pivot(".", "."));
	SHOW(fchdir(old));
	SHOW(umount2(".", MNT_DETACH));
	SHOW(chdir("/"));
	SHOW(access("/inner", F_OK));
	SHOW(access("/f", F_OK));
	DONE();
}
