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
	char *argv[] = {(char *)(uintptr_t)s->name, NULL}, *envp[] = {NULL};
	int rc = ns & CLONE_NEWUSER ? stage_map_ids(uid, gid) : 0;
	if (rc)
		fail_step(&r, "userns", rc);
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
	pid_t pid = h_clone_process(ns | CLONE_PIDFD, &pidfd);
	if (pid == 0)
		child(s, ns, report_hfd, uid, gid);
	s->pidfd = pidfd;
	return pid;
}

/* One attempt with the given namespaces. 0, or a negative errno with `r` filled. */
static int attempt(struct spawn *s, unsigned ns, struct report *r)
{
	struct report next;
	int hfds[2];
	*r = (struct report){0};
	if (pipe2(hfds, O_CLOEXEC) != 0)
		return -errno;
	s->pid = clone_child(s, ns, hfds[1]);
	close(hfds[1]);
	if (s->pid < 0) {
		close(hfds[0]);
		fail_step(r, "clone", s->pid);
		return s->pid;
	}
	if (read(hfds[0], r, sizeof(*r)) != (ssize_t)sizeof(*r))
		fail_step(r, "start", -ECHILD);
	else if (r->err == 0 && read(hfds[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
		*r = next;
	close(hfds[0]);
	if (r->err == 0) {
		s->got = r->got;
		return 0;
	}
	close(s->pidfd);
	(void)waitpid(s->pid, NULL, __WALL);
	return r->err;
}

int spawn_start(struct spawn *s, struct err *e)
{
	struct report r = {0};
	unsigned first = geteuid() == 0 ? NS_FLAGS : NS_FLAGS | CLONE_NEWUSER;
	int rc = -EPERM;
	if (s->namespaces)
		rc = attempt(s, first, &r);
	/* Root without CAP_SYS_ADMIN (a container): perhaps a user namespace gives them. */
	if (rc && s->namespaces && geteuid() == 0)
		rc = attempt(s, first | CLONE_NEWUSER, &r);
	if (rc)
		rc = attempt(s, 0, &r);
	if (rc == 0)
		return 0;
	return err_sys(e, rc, "cannot start %s (%s)", s->name, r.step[0] ? r.step : "pipe");
}
