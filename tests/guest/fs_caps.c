/* SPDX-License-Identifier: Apache-2.0 */
/* File capabilities: setting, reading, losing them at a write, and what exec makes of them. */
#include "guest.h"
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

#define NAME "security.capability"

static void copy_self(const char *to)
{
	char b[65536];
	ssize_t n;
	int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	while ((n = read(in, b, sizeof(b))) > 0)
		CHECK(write(out, b, (size_t)n) == n);
	close(in);
	close(out);
	chmod(to, 0755);
}

static void show_caps(const char *what)
{
	char l[256];
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(l, sizeof(l), f))
		if (!strncmp(l, "CapPrm", 6) || !strncmp(l, "CapEff", 6))
			printf("%s %s", what, l);
	if (f)
		fclose(f);
	printf("%s secure %ld\n", what, getauxval(AT_SECURE));
}

/* As uid 1500: runs the program, which says what it got. */
static void run(const char *prog, const char *what, int nnp)
{
	int st;
	fflush(stdout);
	pid_t p = fork();
	if (!p) {
		if (setresgid(1500, 1500, 1500) || setresuid(1500, 1500, 1500))
			_exit(9);
		if (nnp)
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		execl(prog, prog, what, NULL);
		printf("%s: exec %s\n", what, strerrorname_np(errno));
		fflush(stdout);
		_exit(8);
	}
	waitpid(p, &st, 0);
	printf("%s: status %d\n", what, WEXITSTATUS(st));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		show_caps(argv[1]);
		return 0;
	}
	char dir[] = "/var/tmp/brig-caps-XXXXXX", b[64];
	struct vfs_cap_data d = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
				 .data[0].permitted = 1 << CAP_DAC_READ_SEARCH | 1 << CAP_KILL};
	if (!mkdtemp(dir) || chdir(dir))	/* /tmp may be mounted nosuid */
		die(dir);
	chmod(dir, 0755);
	copy_self("prog");
	SHOW(getxattr("prog", NAME, b, sizeof(b)));
	SHOW(setxattr("prog", NAME, "x", 1, 0));
	SHOW(setxattr("prog", NAME, &d, sizeof(d) - 1, 0));
	SHOW(setxattr("prog", NAME, &d, sizeof(d), XATTR_REPLACE));
	SHOW(setxattr("prog", NAME, &d, sizeof(d), 0));
	SHOW(setxattr("prog", NAME, &d, sizeof(d), XATTR_CREATE));
	SHOW(getxattr("prog", NAME, NULL, 0));
	SHOW(getxattr("prog", NAME, b, 4));
	SHOW(getxattr("prog", NAME, b, sizeof(b)));
	printf("same %d\n", !memcmp(b, &d, sizeof(d)));
	run("./prog", "effective", 0);
	run("./prog", "no_new_privs", 1);
	d.magic_etc = VFS_CAP_REVISION_2;
	SHOW(setxattr("prog", NAME, &d, sizeof(d), 0));
	run("./prog", "permitted", 0);
	SHOW(chmod("prog", 0755));
	SHOW(getxattr("prog", NAME, NULL, 0));
	SHOW(rename("prog", "prog2"));
	SHOW(getxattr("prog2", NAME, NULL, 0));
	int fd = open("prog2", O_WRONLY | O_APPEND);
	SHOW(write(fd, "x", 1));
	close(fd);
	SHOW(getxattr("prog2", NAME, NULL, 0));
	SHOW(setxattr("prog2", NAME, &d, sizeof(d), 0));
	SHOW(chown("prog2", getuid(), getgid()));
	SHOW(getxattr("prog2", NAME, NULL, 0));
	SHOW(setxattr("prog2", NAME, &d, sizeof(d), 0));
	SHOW(truncate("prog2", 100));
	SHOW(getxattr("prog2", NAME, NULL, 0));
	SHOW(setxattr("prog2", NAME, &d, sizeof(d), 0));
	SHOW(removexattr("prog2", NAME));
	SHOW(removexattr("prog2", NAME));
	unlink("prog2");
	chdir("/");
	rmdir(dir);
	DONE();
}
