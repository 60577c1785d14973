/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a sandbox's life as the launcher sees them; see sandbox.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/launch_int.h"

#define MIN_FILES 768

/* A limit that is asked for is held by a cgroup, else by sampling (oom.h). */
static void hold_memory(struct launch *l)
{
	l->cgroup = (struct cgroup){.procs_hfd = -1};
	if (!l->c->memory)
		return;
	if (!(l->c->without & SB_CGROUP) && cgroup_create(&l->cgroup, l->c->memory) == 0)
		return;
	l->lease = true;
}

static void end_child(struct spawn *s)
{
	if (s->pid <= 0)
		return;
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, __WALL);
	s->pid = 0;
}

/* Descriptors 0 to 2 exist, so that nothing else gets their numbers; closed ones stay unused. */
static int fill_low_fds(void)
{
	int hfd;
	do {
		hfd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (hfd >= 0 && hfd < 3);
	if (hfd < 0)
		return -1;
	close(hfd);
	return 0;
}

static int check_limits(struct err *e)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_max >= MIN_FILES)
		return 0;
	return err_set(e, "the limit of open files is too low (ulimit -Hn is %llu, brig needs %d)",
		       (unsigned long long)r.rlim_max, MIN_FILES);
}

int sb_run(const struct sb_config *c)
{
	static struct launch l;
	struct err e = {0};
	int status;
	l = (struct launch){.c = c, .control = -1, .gofer_control = -1, .tty_sock = -1,
			    .exe_sentry = -1, .exe_gofer = -1, .exe_cell = -1};
	if (fill_low_fds() != 0)
		err_sys(&e, errno, "/dev/null");
	else if (!check_limits(&e) && !view_build(c, &l.view, &e) && !boot_find_programs(&l, &e)) {
		hold_memory(&l);
		relay_block_signals();
		/* The Sentry first: it has more to do before it needs a file. */
		if (!boot_sentry(&l, &e) && !boot_gofer(&l, &e))
			(void)boot_finish(&l, &e);
	}
	if (e.status) {
		end_child(&l.sentry);
		end_child(&l.gofer);
		status = err_report(&e);
	} else {
		status = relay_run(&l);
	}
	cgroup_destroy(&l.cgroup);
	return status;
}
