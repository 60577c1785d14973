/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: signals, window sizes and kill orders in; ready, exit and errors out. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "host/event.h"
#include "host/mem.h"
#include "host/proc.h"
#include "host/sock.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "proto/control.h"
#include "sentry/boot.h"
#include "sentry/task/task.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/told.h"
#include "sentry/outcome.h"

#define SETTLED_MS 300

static int control_hfd = -1;
static int kill_reason = CTL_R_NORMAL;	/* a: why task_kill_all was called */
struct tty *control_tty;

void control_open(int hfd)
{
	control_hfd = hfd;
}

static void control_send(const struct ctl_msg *m)
{
	struct iovec iov = {(void *)(uintptr_t)m, sizeof(*m)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	int64_t r;

	do
		r = h_sendmsg(control_hfd, &mh, MSG_NOSIGNAL);
	while (r == -EINTR);
}

static void set_text(struct ctl_msg *m, const char *text, size_t n)
{
	m->text_len = (uint32_t)min(n, sizeof(m->text));
	memcpy(m->text, text, m->text_len);
}

void control_fail(int err, int kind, const char *f, ...)
{
	struct ctl_msg m = {.magic = CTL_MAGIC, .kind = CTL_ERROR, .a = err < 0 ? -err : err, .b = kind};
	char text[CTL_TEXT_MAX];
	va_list ap;

	va_start(ap, f);
	size_t n = fmt_v(text, sizeof(text), f, ap);
	va_end(ap);
	set_text(&m, text, min(n, sizeof(text) - 1));
	control_send(&m);
	pl_shutdown();
	h_exit(125);
}

static void send_kind(uint32_t kind)
{
	const struct ctl_msg m = {.magic = CTL_MAGIC, .kind = kind};

	control_send(&m);
}

void control_send_ready(void)
{
	send_kind(CTL_READY);
}

void control_send_exit(int32_t status)
{
	struct ctl_msg m = {.magic = CTL_MAGIC, .kind = CTL_EXIT, .a = status,
			    .b = __atomic_load_n(&kill_reason, __ATOMIC_RELAXED)};
	char dir[CTL_TEXT_MAX];

	m.d = outcome_hit();
	if (m.b == CTL_R_NORMAL && (m.d & CTL_HIT_MEMORY))
		m.b = CTL_R_OOM;
	m.c = outcome_dropped_files(dir, sizeof(dir));
	set_text(&m, dir, strnlen(dir, sizeof(dir)));
	pl_shutdown();
	control_send(&m);
	h_exit(0);
}

static void pass_signal(const struct ctl_msg *m)
{
	if (m->a < 1 || m->a > L_NSIG)
		return;
	if (m->b == 1 && control_tty) {
		struct tty_signals s = {.mask = m->a < 32 ? 1u << m->a : 0};
		mutex_lock(&control_tty->lock);
		s.pgrp = control_tty->pgrp ? pid_get(control_tty->pgrp) : NULL;
		mutex_unlock(&control_tty->lock);
		tty_signals_send(&s);
	} else if (task_signal_init(m->a)) {
		log_debug("signal %d found no first process", m->a);
	}
}

static void serve_one(const struct ctl_msg *m)
{
	switch (m->kind) {
	case CTL_SIGNAL:
		pass_signal(m);
		send_kind(CTL_ALIVE);
		return;
	case CTL_WINCH:
		if (control_tty) {
			struct l_winsize w = {.row = (uint16_t)m->a, .col = (uint16_t)m->b};
			tty_set_winsize(control_tty, &w);
		}
		return;
	case CTL_KILL:
		__atomic_store_n(&kill_reason, m->a, __ATOMIC_RELAXED);
		task_kill_all();
		return;
	}
}

void control_serve(void)
{
	struct pollfd p = {.fd = control_hfd, .events = POLLIN};
	struct ctl_msg m;

	/* A sandbox that lives on has no use for what only its start needed. */
	if (h_poll(&p, 1, SETTLED_MS) == 0)
		h_drop_text();
	for (;;) {
		struct iovec iov = {&m, sizeof(m)};
		struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
		int64_t r = h_recvmsg(control_hfd, &mh, MSG_CMSG_CLOEXEC);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		told_news();
		if (r == sizeof(m) && m.magic == CTL_MAGIC)
			serve_one(&m);
	}
	/* The launcher is gone: nobody waits for an answer. */
	pl_shutdown();
	h_exit(125);
}
