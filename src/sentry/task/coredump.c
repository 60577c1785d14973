/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a core is written, by whom, and where to. The dumper ends its fellow threads as a group exit
 * does; each of them, before it leaves the memory, adds its registers to the dump and waits until
 * the file is written (as coredump_task_exit in Linux). core_elf.c has the format.
 */
#include "sentry/task/coredump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "host/event.h"
#include "host/time.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/core_elf.h"
#include "sentry/task/ns.h"
#include "sentry/task/task_i.h"

#define JOIN_MS 2000	/* a thread that does not come by then is missing in the file */

static void dump_put(struct core *d)
{
	struct core_thread *c;

	if (!ref_put(&d->ref))
		return;
	while ((c = list_first(&d->threads, struct core_thread, link))) {
		list_del(&c->link);
		kfree(c);
	}
	kfree(d);
}

/* The calling task's registers. NULL: no memory. */
static struct core_thread *snapshot(struct task *t)
{
	size_t n = pl_xstate_size();
	struct core_thread *c = kmalloc(sizeof(*c) + n);
	uint32_t lo, hi;

	if (!c)
		return NULL;
	c->tid = task_pid_nr(t, task_pid_ns(t));
	c->pending = t->pending.set | t->proc->shared.set;
	c->blocked = t->blocked;
	if (!t->gone) {
		c->regs = *task_regs(t, false);
		if (pl_get_xstate(t->pl, c->xstate, n) >= 0)
			c->xstate_n = n;
	}
	if (c->xstate_n >= 512) {	/* where Linux says which components there are */
		__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
		const uint64_t xcr0 = (uint64_t)hi << 32 | lo;

		memset(c->xstate + 464, 0, 48);
		memcpy(c->xstate + 464, &xcr0, sizeof(xcr0));
	}
	return c;
}

void core_join(struct task *t)
{
	struct process *p = t->proc;
	struct core_thread *c;
	struct core *d;

	mutex_lock(&p->sighand->lock);
	d = p->core;
	if (d && (d->dumper == t || d->mm != t->mm))
		d = NULL;
	if (d)
		ref_get(&d->ref);
	mutex_unlock(&p->sighand->lock);
	if (!d)
		return;
	c = snapshot(t);
	mutex_lock(&p->sighand->lock);
	if (c)
		list_add_tail(&d->threads, &c->link);
	mutex_unlock(&p->sighand->lock);
	__atomic_fetch_add(&d->joined, 1, __ATOMIC_RELEASE);
	(void)h_futex_wake(&d->joined, 1);
	while (!__atomic_load_n(&d->done, __ATOMIC_ACQUIRE))
		(void)h_futex_wait(&d->done, 0, NULL);
	dump_put(d);
}

static uint32_t fellows(struct task *t)
{
	uint32_t n = 0;
	struct task *i;

	mutex_lock(&tasks_lock);
	list_for_each(i, &t->proc->threads, thread_link)
		n += i != t && !i->dead_thread;
	mutex_unlock(&tasks_lock);
	return n;
}

static void await_fellows(struct task *t, struct core *d)
{
	struct timespec tick = h_timespec(10000000);

	for (int i = 0; i < JOIN_MS / 10; i++) {
		uint32_t n = __atomic_load_n(&d->joined, __ATOMIC_ACQUIRE);

		if (n >= fellows(t))
			return;
		(void)h_futex_wait(&d->joined, n, &tick);
	}
}

/* --- the name ------------------------------------------------------------------------------------ */

static void add_plain(struct buf *b, const char *s)
{
	for (; *s; s++)
		buf_addc(b, *s == '/' ? '!' : *s);
}

static void add_exe(struct buf *b, struct task *t)
{
	char *text = kmalloc(PATH_MAX_LEN), *s = NULL;
	struct path root;

	if (text && t->mm->exe && !task_root_get(t, &root)) {
		s = path_text(&t->mm->exe->path, &root, text, PATH_MAX_LEN);
		path_put(&root);
	}
	add_plain(b, s ? s : t->comm);
	kfree(text);
}

static void add_field(struct buf *b, struct task *t, const struct core *d, char what)
{
	switch (what) {
	case '%': buf_addc(b, '%'); break;
	case 'p': buf_fmt(b, "%d", task_tgid_nr(t, task_pid_ns(t))); break;
	case 'P': buf_fmt(b, "%d", task_tgid_nr(t, task_root->pid_ns)); break;
	case 'i': buf_fmt(b, "%d", task_pid_nr(t, task_pid_ns(t))); break;
	case 'I': buf_fmt(b, "%d", task_pid_nr(t, task_root->pid_ns)); break;
	case 'u': buf_fmt(b, "%u", t->cred->uid); break;
	case 'g': buf_fmt(b, "%u", t->cred->gid); break;
	case 'd': buf_fmt(b, "%d", t->mm->dumpable_mode); break;
	case 's': buf_fmt(b, "%d", d->sig); break;
	case 't': buf_fmt(b, "%ld", (long)(h_clock_ns(CLOCK_REALTIME) / NSEC_PER_SEC)); break;
	case 'h': add_plain(b, t->ns->uts->nodename); break;
	case 'e': add_plain(b, t->comm); break;
	case 'E': add_exe(b, t); break;
	case 'c': buf_fmt(b, "%lu", d->limit); break;
	default: break;
	}
}

static void core_name(struct buf *b, struct task *t, const struct core *d)
{
	char pattern[CORE_PATTERN_MAX];
	bool has_pid = false;

	mutex_lock(&tasks_lock);
	memcpy(pattern, task_root->core_pattern, sizeof(pattern));
	mutex_unlock(&tasks_lock);
	for (const char *p = pattern; *p; p++) {
		if (*p != '%') {
			buf_addc(b, *p);
			continue;
		}
		if (!*++p)
			break;
		has_pid |= *p == 'p';
		add_field(b, t, d, *p);
	}
	if (!has_pid && READ_ONCE(task_root->core_uses_pid))
		buf_fmt(b, ".%d", task_tgid_nr(t, task_pid_ns(t)));
	buf_addc(b, '\0');
}

/* Only a plain file of the process's own user, with one name, is written over. */
static int open_core(struct task *t, const struct core *d, struct file **out)
{
	const struct open_how_k how = {.flags = O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK, .mode = 0600};
	struct iattr a = {.valid = ATTR_SIZE};
	struct buf name = {0};
	struct kstat st;

	core_name(&name, t, d);
	if (name.oom || !name.p || !name.p[0] || name.p[0] == '|') {	/* no handlers by pipe */
		buf_fini(&name);
		return -ENOENT;
	}
	int r = vfs_open(t, AT_FDCWD, name.p, &how, out);
	buf_fini(&name);
	if (r)
		return r;
	r = vfs_getattr(&(*out)->path, &st, 0);
	if (!r && (!S_ISREG(st.mode) || st.nlink > 1 || st.uid != t->cred->fsuid))
		r = -EPERM;
	if (!r && st.size)
		r = vfs_setattr(&(*out)->path, &a, NULL);
	if (r)
		file_put(steal(*out));
	return r;
}

static bool write_core(struct task *t, struct core *d)
{
	struct core_thread *c = snapshot(t);
	struct file *f;

	if (!c)
		return false;
	mutex_lock(&t->proc->sighand->lock);
	list_add(&d->threads, &c->link);	/* the culprit comes first */
	mutex_unlock(&t->proc->sighand->lock);
	task_serve_mem(t);
	if (open_core(t, d, &f))
		return false;
	int r = core_write(t, d, f);
	file_put(f);
	return r == 0;
}

bool core_dump(struct task *t, int sig, const struct l_siginfo *info)
{
	struct process *p = t->proc;
	uint64_t limit = task_rlimit(t, RLIMIT_CORE);
	struct core *d;
	bool ok = false;

	if (limit < PAGE_SIZE || !t->mm || t->gone || t->mm->dumpable_mode != 1)
		return false;
	d = kmalloc(sizeof(*d));
	if (!d)
		return false;
	ref_init(&d->ref, 1);
	list_init(&d->threads);
	d->dumper = t, d->mm = t->mm, d->sig = sig, d->info = *info, d->limit = limit;
	mutex_lock(&p->sighand->lock);
	if (!(p->group_exit & SG_EXIT) && !p->core) {
		p->core = d;
		group_exit_locked(p, sig, t);
		ok = true;
	}
	mutex_unlock(&p->sighand->lock);
	if (ok) {
		await_fellows(t, d);
		ok = write_core(t, d);
		mutex_lock(&p->sighand->lock);
		p->core = NULL;
		if (ok)
			p->exit_code |= 0x80;
		mutex_unlock(&p->sighand->lock);
		__atomic_store_n(&d->done, 1, __ATOMIC_RELEASE);
		(void)h_futex_wake(&d->done, INT32_MAX);
	}
	dump_put(d);
	return ok;
}
