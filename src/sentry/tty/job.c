/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals and job control: controlling terminals, foreground groups, hang-up (tty_ioctl(4)). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <asm/ioctls.h>
#include <linux/capability.h>

#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/tty/tty.h"

void tty_signals_send(struct tty_signals *s)
{
	for (int sig = 1; s->mask >> sig; sig++)
		if ((s->mask >> sig & 1) && s->pgrp)
			signal_send_pgrp(s->pgrp, sig, NULL);
	if (s->pgrp)
		pid_put(steal(s->pgrp));
	s->mask = 0;
}

struct tty *tty_of_task(struct task *task)
{
	struct sighand *sh = task->proc->sighand;
	struct tty *t = NULL;

	mutex_lock(&sh->lock);
	if (task->proc->tty)
		t = tty_get(task->proc->tty);
	mutex_unlock(&sh->lock);
	return t;
}

static void set_proc_tty(struct process *p, struct tty *t /* consumed */)
{
	struct tty *old;

	mutex_lock(&p->sighand->lock);
	old = p->tty;
	p->tty = t;
	mutex_unlock(&p->sighand->lock);
	if (old)
		tty_put(old);
}

static struct pid *pgrp_of(struct task *task)
{
	struct pid *p = NULL;

	mutex_lock(&tasks_lock);
	if (task->proc->pgrp)
		p = pid_get(task->proc->pgrp);
	mutex_unlock(&tasks_lock);
	return p;
}

int tty_check_change(struct tty *t, struct task *task, int sig)
{
	struct tty *own = tty_of_task(task);
	bool mine = own == t;
	int err = 0;

	if (own)
		tty_put(own);
	if (!mine)
		return 0;
	struct pid *pgrp = pgrp_of(task);
	mutex_lock(&t->lock);
	bool background = t->pgrp && pgrp && t->pgrp != pgrp;
	mutex_unlock(&t->lock);
	if (background) {
		struct sighand *sh = task->proc->sighand;
		mutex_lock(&sh->lock);
		bool ignored = (task->blocked & SIGBIT(sig)) || sh->action[sig - 1].handler == 1;
		mutex_unlock(&sh->lock);
		if (ignored)
			err = sig == SIGTTIN ? -EIO : 0;
		else if (pgrp_is_orphaned(pgrp))
			err = -EIO;
		else {
			signal_send_pgrp(pgrp, sig, NULL);
			err = -ERESTARTSYS;
		}
	}
	if (pgrp)
		pid_put(pgrp);
	return err;
}

/* The session takes the terminal; tty->lock not held. */
static void take_ctty(struct tty *t, struct task *task)
{
	struct pid *session, *pgrp, *old_s, *old_g;

	mutex_lock(&tasks_lock);
	session = task->proc->session ? pid_get(task->proc->session) : NULL;
	pgrp = task->proc->pgrp ? pid_get(task->proc->pgrp) : NULL;
	mutex_unlock(&tasks_lock);
	mutex_lock(&t->lock);
	old_s = t->session, old_g = t->pgrp;
	t->session = session, t->pgrp = pgrp;
	mutex_unlock(&t->lock);
	if (old_s)
		pid_put(old_s);
	if (old_g)
		pid_put(old_g);
	set_proc_tty(task->proc, tty_get(t));
}

static bool is_session_leader(struct task *task)
{
	mutex_lock(&tasks_lock);
	bool is = task->proc->session && task->proc->leader && task->proc->session == task->proc->leader->pid;
	mutex_unlock(&tasks_lock);
	return is;
}

void tty_open_ctty(struct tty *t, struct task *task)
{
	struct tty *own = tty_of_task(task);

	if (own) {
		tty_put(own);
		return;
	}
	mutex_lock(&t->lock);
	bool free = !t->session && !t->hungup;
	mutex_unlock(&t->lock);
	if (free && is_session_leader(task))
		take_ctty(t, task);
}

/* Every process of the session loses the terminal. */
static void session_clear_tty(struct pid *session, struct tty *t)
{
	struct task *m;
	unsigned dropped = 0;

	mutex_lock(&tasks_lock);
	list_for_each(m, &session->tasks[PIDTYPE_SID], pid_links[PIDTYPE_SID]) {
		mutex_lock(&m->proc->sighand->lock);
		if (m->proc->tty == t) {
			m->proc->tty = NULL;
			dropped++;
		}
		mutex_unlock(&m->proc->sighand->lock);
	}
	mutex_unlock(&tasks_lock);
	while (dropped--)
		tty_put(t);
}

void tty_disassociate(struct task *task, bool exiting)
{
	struct tty *t = tty_of_task(task);
	struct pid *session = NULL, *pgrp = NULL;

	if (!t)
		return;
	if (!is_session_leader(task)) {
		if (!exiting)
			set_proc_tty(task->proc, NULL);
		tty_put(t);
		return;
	}
	mutex_lock(&t->lock);
	session = steal(t->session);
	pgrp = steal(t->pgrp);
	mutex_unlock(&t->lock);
	if (pgrp) {
		signal_send_pgrp(pgrp, SIGHUP, NULL);
		signal_send_pgrp(pgrp, SIGCONT, NULL);
		pid_put(pgrp);
	}
	if (session) {
		session_clear_tty(session, t);
		pid_put(session);
	}
	if (exiting)
		tty_hangup(t);
	tty_put(t);
}

void tty_hangup(struct tty *t)
{
	struct pid *session, *pgrp;

	mutex_lock(&t->lock);
	t->hungup = true;
	session = steal(t->session);
	pgrp = steal(t->pgrp);
	mutex_unlock(&t->lock);
	if (session) {
		struct task *leader = NULL;
		mutex_lock(&tasks_lock);
		if (!list_empty(&session->tasks[PIDTYPE_TGID]))
			leader = task_get(list_entry(session->tasks[PIDTYPE_TGID].next, struct task,
						     pid_links[PIDTYPE_TGID]));
		mutex_unlock(&tasks_lock);
		if (leader) {
			signal_send(leader, SEND_PROCESS, SIGHUP, NULL);
			signal_send(leader, SEND_PROCESS, SIGCONT, NULL);
			task_put(leader);
		}
		session_clear_tty(session, t);
		pid_put(session);
	}
	if (pgrp) {
		signal_send_pgrp(pgrp, SIGHUP, NULL);
		signal_send_pgrp(pgrp, SIGCONT, NULL);
		pid_put(pgrp);
	}
	wq_wake_all(&t->read_wq);
	wq_wake_all(&t->write_wq);
	wq_wake_all(&t->m_read_wq);
	wq_wake_all(&t->m_write_wq);
}

/* --- ioctls ----------------------------------------------------------------------------------------- */

static int64_t set_ctty(struct tty *t, struct task *task, uint64_t arg)
{
	struct tty *own = tty_of_task(task);
	bool leader = is_session_leader(task), mine = own == t;

	if (own)
		tty_put(own);
	if (leader && mine)
		return 0;
	if (!leader || own)
		return -EPERM;
	mutex_lock(&t->lock);
	struct pid *session = t->session ? pid_get(t->session) : NULL;
	mutex_unlock(&t->lock);
	if (session) {
		bool steal_it = arg == 1 && task_capable(task, CAP_SYS_ADMIN);
		if (steal_it)
			session_clear_tty(session, t);
		pid_put(session);
		if (!steal_it)
			return -EPERM;
	}
	take_ctty(t, task);
	return 0;
}

static int64_t set_pgrp(struct tty *t, struct task *task, uint64_t arg)
{
	int32_t nr;
	int err = tty_check_change(t, task, SIGTTOU);
	struct tty *own;

	if (err)
		return err == -EIO ? -ENOTTY : err;
	own = tty_of_task(task);
	if (own)
		tty_put(own);
	if (own != t)
		return -ENOTTY;
	err = get_user(task, nr, UADDR(arg));
	if (err)
		return err;
	if (nr < 0)
		return -EINVAL;
	struct pid *pg = NULL, *old = NULL;
	mutex_lock(&tasks_lock);
	pg = pid_find_locked(task_pid_ns(task), nr);
	if (!pg)
		err = -ESRCH;
	else if (list_empty(&pg->tasks[PIDTYPE_PGID]) ||
		 list_entry(pg->tasks[PIDTYPE_PGID].next, struct task, pid_links[PIDTYPE_PGID])
				 ->proc->session != task->proc->session)
		err = -EPERM;
	else
		pid_get(pg);
	mutex_unlock(&tasks_lock);
	if (err)
		return err;
	mutex_lock(&t->lock);
	old = t->pgrp;
	t->pgrp = pg;
	mutex_unlock(&t->lock);
	if (old)
		pid_put(old);
	return 0;
}

static int64_t get_id(struct tty *t, struct task *task, uint64_t arg, bool session, bool master)
{
	struct tty *own = tty_of_task(task);
	int32_t nr = 0;

	if (own)
		tty_put(own);
	if (own != t && !master)
		return -ENOTTY;
	mutex_lock(&t->lock);
	struct pid *p = session ? t->session : t->pgrp;
	if (p)
		nr = pid_nr(p, task_pid_ns(task));
	bool none = !t->session;
	mutex_unlock(&t->lock);
	if (session && none)
		return -ENOTTY;
	return put_user(task, UADDR(arg), nr);
}

int64_t tty_job_ioctl(struct tty *t, struct task *task, uint32_t cmd, uint64_t arg, bool master)
{
	switch (cmd) {
	case TIOCSCTTY:
		return set_ctty(t, task, arg);
	case TIOCNOTTY: {
		struct tty *own = tty_of_task(task);
		if (own)
			tty_put(own);
		if (own != t)
			return -ENOTTY;
		tty_disassociate(task, false);
		return 0;
	}
	case TIOCGPGRP:
		return get_id(t, task, arg, false, master);
	case TIOCGSID:
		return get_id(t, task, arg, true, master);
	case TIOCSPGRP:
		return set_pgrp(t, task, arg);
	}
	return -ENOTTY;
}

void tty_stat_fields(struct task *task, struct pid_ns *ns, int *tty_nr, int *tpgid)
{
	struct tty *t = tty_of_task(task);

	*tty_nr = 0;
	*tpgid = -1;
	if (!t)
		return;
	mutex_lock(&t->lock);
	*tty_nr = (int)(136u << 8 | (t->index & 0xff) | (t->index & ~0xffu) << 12);
	*tpgid = t->pgrp ? pid_nr(t->pgrp, ns) : -1;
	mutex_unlock(&t->lock);
	tty_put(t);
}
