/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/file.h"
#include "host/proc.h"
#include "sandbox/stage.h"

#define NS_FLAGS (CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS)
/* Made with the child; the others it makes itself, beside us (a network takes half a millisecond). */
#define AT_CLONE ((unsigned)(CLONE_NEWUSER | CLONE_NEWPID))
#define HIGH_FD 512

/* What the child reports before exec; end of file behind it means that exec worked. */
struct report {
	int err;		/* 0 or a negative errno */
	unsigned got;
	char step[24];
};

void spawn_fd_add(struct spawn *s, int src, int dst)
{
	if (src < 0 || s->n_fds == SPAWN_MAX_FDS)
		return;
	s->fds[s->n_fds++] = (struct spawn_fd){src, dst};
}

/* All sources go above the targets first, so that no step overwrites a source still needed. */
static int place_fds(struct spawn *s, int *report)
{
	int last = -1;
	*report = fcntl(*report, F_DUPFD_CLOEXEC, HIGH_FD);
	s->exe_hfd = fcntl(s->exe_hfd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (*report < 0 || s->exe_hfd < 0)
		return -errno;
	for (unsigned i = 0; i < s->n_fds; i++) {
		s->fds[i].src = fcntl(s->fds[i].src, F_DUPFD_CLOEXEC, HIGH_FD);
		if (s->fds[i].src < 0)
			return -errno;
		last = max(last, s->fds[i].dst);
	}
	for (int fd = 0; fd <= last; fd++)
		close(fd);
	for (unsigned i = 0; i < s->n_fds; i++)
		if (dup2(s->fds[i].src, s->fds[i].dst) < 0)
			return -errno;
	if (h_close_range((unsigned)last + 1, HIGH_FD - 1, 0) != 0)
		for (int fd = last + 1; fd < HIGH_FD; fd++)
			close(fd);
	/* Everything above is close-on-exec: the launcher opens nothing otherwise. */
	return 0;
}

static void reset_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	for (int sig = 1; sig < 65; sig++)
		signal(sig, SIG_DFL);
	/* The user's limits of file size and CPU time are an error of a call, not an end. */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGXCPU, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void fail_step(struct report *r, const char *step, int rc)
{
	r->err = rc;
	snprintf(r->step, sizeof(r->step), "%s", step);
}

/* In the child. Fills *r; returns only to have it reported. */
static void isolate(struct spawn *s, struct report *r, unsigned ns, int *report_hfd)
{
	int rc, cell = s->cell_hfd;
	bool is_nobody;
	reset_signals();
	(void)setsid();
	if (s->cgroup_hfd >= 0 && write(s->cgroup_hfd, "0", 1) < 0)
		return fail_step(r, "cgroup", -errno);
	stage_limits();
	if (ns & CLONE_NEWUSER)
		r->got |= GOT_USERNS;
	if (ns & CLONE_NEWNET) {
		r->got |= GOT_NAMESPACES;
		(void)!sethostname("brig", 4);
		if (stage_empty_root() == 0)
			r->got |= GOT_EMPTY_ROOT;
	}
	rc = s->prepare ? s->prepare(s->arg, r->got) : 0;
	if (rc)
		return fail_step(r, "boot spec", rc);
	if (cell >= 0)
		cell = fcntl(cell, F_DUPFD_CLOEXEC, HIGH_FD);
	rc = place_fds(s, report_hfd);
	if (rc)
		return fail_step(r, "descriptors", rc);
	if (s->drop_ids) {
		rc = stage_drop_ids(&is_nobody);
		if (rc)
			return fail_step(r, "capabilities", rc);
		r->got |= is_nobody ? GOT_NOBODY : 0;
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fail_step(r, "no_new_privs", -errno);
	if (s->landlock && stage_landlock(s->exe_hfd, cell) == 0)
		r->got |= GOT_LANDLOCK;
}

static _Noreturn void child(struct spawn *s, unsigned ns, int report_hfd, unsigned uid, unsigned gid)
{
	struct report r = {0};
	/* rseq of our own threads: no use for it, and the filters do without the call. */
	static char no_rseq[] = "GLIBC_TUNABLES=glibc.pthread.rseq=0";
	char *argv[] = {(char *)(uintptr_t)s->name, NULL}, *envp[] = {no_rseq, NULL};
	int rc = ns & CLONE_NEWUSER ? stage_map_ids(uid, gid) : 0;
	if (rc)
		fail_step(&r, "userns", rc);
	else if (ns & ~AT_CLONE && unshare((int)(ns & ~AT_CLONE)) != 0)
		fail_step(&r, "namespaces", -errno);
	else
		isolate(s, &r, ns, &report_hfd);
	if (r.err == 0) {
		(void)!write(report_hfd, &r, sizeof(r));
		fail_step(&r, "exec", h_execveat(s->exe_hfd, "", argv, envp, AT_EMPTY_PATH));
	}
	(void)!write(report_hfd, &r, sizeof(r));
	_exit(EXIT_BRIG);
}

static pid_t clone_child(struct spawn *s, unsigned ns, int report_hfd)
{
	unsigned uid = geteuid(), gid = getegid();
	int pidfd = -1;
	pid_t pid = h_clone_process((ns & AT_CLONE) | CLONE_PIDFD, &pidfd);
	if (pid == 0)
		child(s, ns, report_hfd, uid, gid);
	s->pidfd = pidfd;
	return pid;
}

/*
 * The namespaces of an attempt: all, for others than root in a user namespace; then for root
 * without CAP_SYS_ADMIN (in a container) in a user namespace too; then none. False when all were
 * tried.
 */
static bool level_flags(const struct spawn *s, unsigned *ns)
{
	bool root = geteuid() == 0;
	switch (s->level) {
	case 0:
		*ns = NS_FLAGS | (root ? 0u : (unsigned)CLONE_NEWUSER);
		return true;
	case 1:
		*ns = NS_FLAGS | CLONE_NEWUSER;
		return true;
	case 2:
		*ns = 0;
		return true;
	default:
		return false;
	}
}

static void next_level(struct spawn *s)
{
	s->level++;
	if (s->level == 1 && geteuid() != 0)
		s->level++;
}

static int fail_start(const struct spawn *s, const char *step, int rc, struct err *e)
{
	return err_sys(e, rc, "cannot start %s (%s)", s->name, step);
}

/* Makes a child at this level, or at the next one that works. */
static int clone_at_level(struct spawn *s, struct err *e)
{
	unsigned ns = 0;
	int hfds[2], rc = -EPERM;
	for (; level_flags(s, &ns); next_level(s)) {
		if (pipe2(hfds, O_CLOEXEC) != 0)
			return fail_start(s, "pipe", -errno, e);
		s->pid = clone_child(s, ns, hfds[1]);
		close(hfds[1]);
		if (s->pid > 0) {
			s->report_hfd = hfds[0];
			return 0;
		}
		rc = s->pid;
		s->pid = 0;
		close(hfds[0]);
	}
	return fail_start(s, "clone", rc, e);
}

int spawn_begin(struct spawn *s, struct err *e)
{
	s->level = s->namespaces ? 0 : 2;
	s->pidfd = s->report_hfd = -1;
	return clone_at_level(s, e);
}

/* What the child said; end of file behind the first report means that its program runs. */
static void read_report(struct spawn *s, struct report *r)
{
	struct report next;
	*r = (struct report){0};
	if (read(s->report_hfd, r, sizeof(*r)) != (ssize_t)sizeof(*r))
		fail_step(r, "start", -ECHILD);
	else if (r->err == 0 && read(s->report_hfd, &next, sizeof(next)) == (ssize_t)sizeof(next))
		*r = next;
	close(s->report_hfd);
}

static void close_sources(struct spawn *s)
{
	for (unsigned i = 0; i < s->n_fds; i++) {
		bool again = s->fds[i].src <= 2;
		for (unsigned j = 0; j < i; j++)
			again |= s->fds[j].src == s->fds[i].src;
		if (!again)
			close(s->fds[i].src);
	}
}

/* Reaps it. One that was killed before it could say anything is told of by the signal. */
static void end_of_child(struct spawn *s, struct report *r)
{
	int status = 0;
	(void)waitpid(s->pid, &status, __WALL);
	s->pid = 0;
	if (r->err == -ECHILD && WIFSIGNALED(status))
		snprintf(r->step, sizeof(r->step), "killed by signal %d", WTERMSIG(status));
}

int spawn_finish(struct spawn *s, struct err *e)
{
	struct report r;
	for (;;) {
		read_report(s, &r);
		if (r.err == 0)
			break;
		close(s->pidfd);
		end_of_child(s, &r);
		next_level(s);
		if (s->level > 2)
			return fail_start(s, r.step, r.err, e);
		if (clone_at_level(s, e))
			return -1;
	}
	s->got = r.got;
	close_sources(s);
	return 0;
}
