/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command as a container engine with its usual default profile would: as an ordinary user
 * without capabilities, in PID, mount, IPC and network namespaces, and with a system call filter
 * that refuses what such profiles refuse. Needs root to start.
 *
 *	container UID COMMAND [ARGUMENT...]
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_MASK 0x7e020000u	/* CLONE_NEW* */

static const char *const refused[] = {
	"acct", "add_key", "bpf", "chroot", "clock_settime", "delete_module", "fanotify_init",
	"finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_mempolicy", "init_module",
	"ioperm", "iopl", "kcmp", "kexec_load", "keyctl", "mbind", "mount", "mount_setattr",
	"move_mount", "move_pages", "nfsservctl", "open_by_handle_at", "open_tree",
	"perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "quotactl", "reboot",
	"request_key", "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday",
	"swapoff", "swapon", "syslog", "umount2", "unshare", "userfaultfd", "vhangup",
	"process_vm_readv", "process_vm_writev", "ptrace",
};

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static void install_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (!ctx)
		die("seccomp_init");
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
				 seccomp_syscall_resolve_name(refused[i]), 0);
	seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (unsigned bit = 1; bit; bit <<= 1)
		if (bit & NS_MASK)
			seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					 SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
	if (seccomp_load(ctx) != 0)
		die("seccomp_load");
	seccomp_release(ctx);
}

int main(int argc, char **argv)
{
	unsigned uid = argc > 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	int status;
	if (!uid)
		return 125;
	if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) != 0)
		die("unshare");
	pid_t pid = fork();
	if (pid == 0) {
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0 ||
		    mount("tmpfs", "/proc/acpi", "tmpfs", MS_RDONLY, NULL) != 0)
			perror("mount");
		for (int cap = 0; cap < 64; cap++)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		install_filter();
		if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 ||
		    setresuid(uid, uid, uid) != 0)
			die("setresuid");
		execvp(argv[2], argv + 2);
		die(argv[2]);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
