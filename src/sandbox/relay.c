/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher while the sandbox runs: signals and size changes go in, the pty's bytes both ways,
 * the deadline is kept, and the Sentry's last message becomes the exit status. The Sentry is not
 * trusted: its messages are of one size, checked, and text of them is printed as text.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/launch_int.h"
#include "sandbox/oom.h"

#define END_GRACE_NS 3000000000ll	/* from the last message, or the kill, to the Sentry's death */
#define ANSWER_S 10			/* from a signal to the Sentry's answer that it was passed on */

static const int relayed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP, SIGWINCH};

enum { P_SIGNAL, P_CONTROL, P_TIMER, P_SENTRY, P_GOFER, P_TTY_IN, P_TTY_OUT, P_SOCK_IN, P_SOCK_OUT,
       P_COUNT };

struct relay {
	struct launch *l;
	struct pollfd p[P_COUNT];
	struct oom oom;
	struct pump in, out;	/* user to sandbox, sandbox to user */
	int64_t give_up;	/* when to stop waiting for the Sentry's end; 0: not yet */
	int64_t answer_by;	/* when it must have answered to a signal; 0: nothing is asked */
	bool mute;		/* it has not */
	bool sentry_dead, gofer_dead, gofer_told;
	int sentry_status, gofer_status;	/* as wait gives them */
};

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void signal_set(sigset_t *set)
{
	struct sigaction old;
	sigemptyset(set);
	for (size_t i = 0; i < array_size(relayed); i++) {
		/* What the caller has ignored (nohup, a background job) stays ignored. */
		if (sigaction(relayed[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue;
		sigaddset(set, relayed[i]);
	}
}

void relay_block_signals(void)
{
	sigset_t set;
	signal_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* an error with a text instead */
}

static void tell(struct launch *l, uint32_t kind, int32_t a, int32_t b)
{
	struct ctl_msg m = {.magic = CTL_MAGIC, .kind = kind, .a = a, .b = b};
	(void)send(l->control, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void start_giving_up(struct relay *r)
{
	if (!r->give_up)
		r->give_up = now_ns() + END_GRACE_NS;
}

static void pass_signal(struct relay *r, int sig, bool typed)
{
	tell(r->l, CTL_SIGNAL, sig, typed);
	if (!r->answer_by)
		r->answer_by = now_ns() + ANSWER_S * 1000000000ll;
}

/* Stops like the local command would, and goes on when the shell says so. */
static void stop_self(struct relay *r)
{
	tell(r->l, CTL_SIGNAL, SIGTSTP, 1);
	tty_restore(r->l);
	raise(SIGSTOP);
	tty_raw(r->l);
	pass_signal(r, SIGCONT, true);
}

static void on_signal(struct relay *r)
{
	struct signalfd_siginfo si;
	unsigned rows, cols;
	if (read(r->p[P_SIGNAL].fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	bool typed = si.ssi_code == SI_KERNEL;
	switch (si.ssi_signo) {
	case SIGWINCH:
		tty_size(&rows, &cols);
		tell(r->l, CTL_WINCH, (int32_t)rows, (int32_t)cols);
		break;
	case SIGTSTP:
		stop_self(r);
		break;
	default:
		pass_signal(r, (int)si.ssi_signo, typed);
		break;
	}
}

/* One message; false when there is none. */
static bool on_control(struct relay *r)
{
	struct launch *l = r->l;
	struct ctl_msg m;
	ssize_t n = recv(l->control, &m, sizeof(m), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		r->p[P_CONTROL].fd = -1;
		start_giving_up(r);
		return false;
	}
	if (n < 0)
		return false;
	if (n != (ssize_t)sizeof(m) || m.magic != CTL_MAGIC || m.text_len > CTL_TEXT_MAX || l->ended)
		return true;
	if (m.kind == CTL_READY) {
		l->ready = true;
	} else if (m.kind == CTL_ALIVE) {
		r->answer_by = 0;
	} else if (m.kind == CTL_EXIT || m.kind == CTL_ERROR) {
		l->last = m;
		l->ended = true;
		start_giving_up(r);
	}
	return true;
}

static void on_timer(struct relay *r)
{
	uint64_t ticks;
	if (read(r->p[P_TIMER].fd, &ticks, sizeof(ticks)) < 0)
		return;
	r->l->timed_out = true;
	r->p[P_TIMER].fd = -1;
	tell(r->l, CTL_KILL, CTL_R_TIMEOUT, 0);
	start_giving_up(r);
}

/* The wait status of a dead child, which stays to be reaped. */
static int peek_status(pid_t pid)
{
	siginfo_t si = {0};
	if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) != 0)
		return 0;
	return si.si_code == CLD_EXITED ? si.si_status << 8 : si.si_status;
}

static void on_gofer_death(struct relay *r)
{
	r->gofer_status = peek_status(r->l->gofer.pid);
	r->p[P_GOFER].fd = -1;
	/* It ends well when the Sentry has gone. */
	if (r->l->ended || r->gofer_status == 0)
		return;
	r->gofer_dead = true;
	r->gofer_told = true;
	tell(r->l, CTL_KILL, CTL_R_KILLED, 0);
	start_giving_up(r);
}

static void on_sentry_death(struct relay *r)
{
	r->sentry_dead = true;
	start_giving_up(r);
	r->p[P_SENTRY].fd = -1;
	r->sentry_status = peek_status(r->l->sentry.pid);
}

/* What the bridge waits for now; nothing without a pty. */
static void arm_pumps(struct relay *r)
{
	bool on = r->l->tty_sock >= 0;
	r->p[P_TTY_IN].fd = on && pump_wants_read(&r->in) && !r->l->ended ? r->in.from : -1;
	r->p[P_SOCK_OUT].fd = on && pump_wants_write(&r->in) ? r->in.to : -1;
	r->p[P_SOCK_IN].fd = on && pump_wants_read(&r->out) ? r->out.from : -1;
	r->p[P_TTY_OUT].fd = on && pump_wants_write(&r->out) ? r->out.to : -1;
}

static void run_pumps(struct relay *r)
{
	if (r->p[P_TTY_IN].fd >= 0 && r->p[P_TTY_IN].revents) {
		pump_read(&r->in);
		if (r->in.eof && !isatty(r->in.from)) {	/* a pipe ends: the terminal's ^D */
			r->in.data[0] = 4;
			r->in.pos = 0;
			r->in.len = 1;
		}
	}
	if (r->p[P_SOCK_OUT].fd >= 0 && r->p[P_SOCK_OUT].revents)
		pump_write(&r->in);
	if (r->p[P_SOCK_IN].fd >= 0 && r->p[P_SOCK_IN].revents)
		pump_read(&r->out);
	if (r->p[P_TTY_OUT].fd >= 0 && r->p[P_TTY_OUT].revents)
		pump_write(&r->out);
}

static bool is_finished(const struct relay *r)
{
	bool drained = r->l->tty_sock < 0 || (r->out.eof && r->out.len == 0);
	return r->sentry_dead && r->p[P_CONTROL].fd < 0 && drained;
}

static int wait_ms(const struct relay *r)
{
	int64_t now = now_ns(), ends[] = {r->give_up, r->answer_by};
	int ms = r->sentry_dead ? -1 : oom_wait_ms(&r->oom, now);
	for (size_t i = 0; i < array_size(ends); i++) {
		int64_t left = ends[i] - now;
		int end = left <= 0 ? 0 : (int)(left / 1000000 + 1);
		if (ends[i])
			ms = ms < 0 ? end : min(ms, end);
	}
	return ms;
}

/* A deadline is over. What the Sentry has said is heard first: we may have been stopped ourselves. */
static bool is_too_late(struct relay *r)
{
	int64_t now = now_ns();
	while (r->p[P_CONTROL].fd >= 0 && on_control(r))
		;
	if (r->give_up)
		return now >= r->give_up;
	r->mute = r->answer_by && now >= r->answer_by;
	return r->mute;
}

static void loop(struct relay *r)
{
	while (!is_finished(r)) {
		arm_pumps(r);
		int n = poll(r->p, P_COUNT, wait_ms(r));
		if (n < 0 && errno != EINTR)
			break;
		if (is_too_late(r))
			break;
		if (!r->sentry_dead)
			oom_look(&r->oom, now_ns());
		if (n <= 0)
			continue;
		if (r->p[P_SIGNAL].revents)
			on_signal(r);
		if (r->p[P_TIMER].fd >= 0 && r->p[P_TIMER].revents)
			on_timer(r);
		if (r->p[P_SENTRY].fd >= 0 && r->p[P_SENTRY].revents)
			on_sentry_death(r);
		if (r->p[P_GOFER].fd >= 0 && r->p[P_GOFER].revents)
			on_gofer_death(r);
		run_pumps(r);
	}
}

static void kill_and_reap(struct spawn *s)
{
	if (s->pid <= 0)
		return;
	(void)kill(s->pid, SIGKILL);
	while (waitpid(s->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	close(s->pidfd);
	s->pid = 0;
}

/* Text of the Sentry with anything but printable bytes replaced. */
static const char *safe_text(const struct ctl_msg *m, char *out)
{
	for (uint32_t i = 0; i < m->text_len; i++)
		out[i] = m->text[i] >= 32 && m->text[i] != 127 ? m->text[i] : '?';
	out[m->text_len] = 0;
	return out;
}

static int exit_status(int wstatus)
{
	if (WIFEXITED(wstatus))
		return WEXITSTATUS(wstatus);
	return WIFSIGNALED(wstatus) ? 128 + WTERMSIG(wstatus) : EXIT_BRIG;
}

static void say_died(const char *who, int wstatus)
{
	bool by_signal = WIFSIGNALED(wstatus);
	say("the sandbox was ended: its %s died (%s %d)", who, by_signal ? "signal" : "status",
	    by_signal ? WTERMSIG(wstatus) : WEXITSTATUS(wstatus));
}

static void say_limits(const struct relay *r)
{
	const struct launch *l = r->l;
	const struct ctl_msg *m = &l->last;
	const struct sb_config *c = l->c;
	if (m->b == CTL_R_OOM || (m->d & CTL_HIT_MEMORY) || r->oom.kills ||
	    cgroup_oom_kills(&l->cgroup))
		say("the memory limit of %llu MiB was hit (-m)",
		    (unsigned long long)(c->memory >> 20));
	if (m->d & CTL_HIT_PIDS)
		say("the limit of %u processes was hit (--pids-limit)", c->pids);
	if (m->d & CTL_HIT_DISK)
		say("the limit of %llu MiB on files in memory was hit",
		    (unsigned long long)(c->disk >> 20));
}

static int conclude(const struct relay *r)
{
	const struct launch *l = r->l;
	const struct ctl_msg *m = &l->last;
	char text[CTL_TEXT_MAX + 1];
	if (l->timed_out && !(l->ended && m->kind == CTL_ERROR)) {
		say("timed out after %.3g s", (double)l->c->timeout_ns / 1e9);
		return EXIT_TIMEOUT;
	}
	if (l->ended && m->kind == CTL_ERROR) {
		safe_text(m, text);
		if (m->a)
			say("%s: %s", text, strerror(abs(m->a)));
		else
			say("%s", text);
		return m->b == CTL_E_NOENT ? EXIT_NOENT
		       : m->b == CTL_E_NOEXEC ? EXIT_NOEXEC : EXIT_BRIG;
	}
	if (r->gofer_dead && !l->ended) {
		say_died("file proxy, brig-gofer,", r->gofer_status);
		return EXIT_BRIG;
	}
	if (r->mute) {
		say("the sandbox was ended: its kernel, brig-sentry, did not take a signal within %d s",
		    ANSWER_S);
		return EXIT_BRIG;
	}
	if (!l->ended) {
		if (cgroup_oom_kills(&l->cgroup))
			say("the memory limit of %llu MiB ended the sandbox (-m)",
			    (unsigned long long)(l->c->memory >> 20));
		else
			say_died("kernel, brig-sentry,", r->sentry_status);
		return EXIT_BRIG;
	}
	/* A Sentry that was told of the Gofer's death may have ended everything itself. */
	if (r->gofer_told) {
		say_died("file proxy, brig-gofer,", r->gofer_status);
		return EXIT_BRIG;
	}
	say_limits(r);
	if (m->c && m->text_len)
		say("%llu file%s written under %s %s discarded; use -v %s:%s:rw to keep them",
		    (unsigned long long)m->c, m->c == 1 ? "" : "s", safe_text(m, text),
		    m->c == 1 ? "was" : "were", text, text);
	return exit_status(m->a);
}

static int arm_timeout(const struct launch *l)
{
	if (!l->c->timeout_ns)
		return -1;
	int hfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec t = {.it_value = {(time_t)(l->c->timeout_ns / 1000000000ull),
					    (long)(l->c->timeout_ns % 1000000000ull)}};
	if (hfd >= 0)
		timerfd_settime(hfd, 0, &t, NULL);
	return hfd;
}

int relay_run(struct launch *l)
{
	static struct relay r;
	sigset_t set;
	signal_set(&set);
	r.l = l;
	for (int i = 0; i < P_COUNT; i++)
		r.p[i] = (struct pollfd){-1, POLLIN, 0};
	r.p[P_TTY_OUT].events = r.p[P_SOCK_OUT].events = POLLOUT;
	r.p[P_SIGNAL].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r.p[P_CONTROL].fd = l->control;
	r.p[P_TIMER].fd = arm_timeout(l);
	r.p[P_SENTRY].fd = l->sentry.pidfd;
	r.p[P_GOFER].fd = l->gofer.pidfd;
	if (l->lease)
		r.oom = (struct oom){.limit = l->c->memory, .sentry = l->sentry.pid};
	r.in = (struct pump){.from = 0, .to = l->tty_sock};
	r.out = (struct pump){.from = l->tty_sock, .to = 1};
	tty_remember(l);
	tty_raw(l);
	loop(&r);
	kill_and_reap(&l->sentry);
	kill_and_reap(&l->gofer);
	tty_put_back(l);
	return conclude(&r);
}
