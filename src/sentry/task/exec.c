/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve: finds the image (through scripts), computes the new credentials, builds a new address
 * space in a blank cell and moves the task over. Up to the point of no return nothing of the old
 * program has been touched; after it a failure kills the process.
 */
#include <errno.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include "lib/checked.h"
#include "lib/log.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/elf.h"
#include "sentry/task/exec.h"
#include "sentry/task/fcaps.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_i.h"
#include "sentry/time/time.h"

#define BINPRM_BUF 256
#define SCRIPT_DEPTH 5
#define ARG_MIN (128ull << 10)
#define ARG_MAX_ALL (6ull << 20)
#define DEFAULT_STACK (132ull << 10)

struct exec {
	struct task *t;
	struct file *file;		/* owned: the image */
	struct file *interp_file;	/* owned */
	struct elf_image im, interp;
	struct cred *cred;		/* owned */
	struct nsproxy *ns;		/* owned: its time namespace changes; else NULL */
	bool secure, unreadable;
	/* argv after scripts: front[nfront] replaces the caller's argv[0] */
	char *front[SCRIPT_DEPTH * 3];
	unsigned nfront;
	char *script_name;		/* owned: execfn for scripts is the script's name */
	const struct exec_args *a;
	const char *execfn;
	pl_space_t space;
	pl_thread_t pl;
	struct mm *mm, *old_mm;
	pl_thread_t old_pl;
};

/* --- scripts ------------------------------------------------------------------------------- */

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "#! interp [one argument]" in a buffer of n bytes; the pieces are terminated in place. */
int script_parse(char *buf, size_t n, char **interp, char **arg)
{
	char *p = buf + 2, *end = buf + n, *nl, *e;

	*arg = NULL;
	for (nl = p; nl < end && *nl != '\n' && *nl; nl++)
		;
	if (nl == end) {
		/* Truncated: acceptable only if the interpreter's name ended before. */
		char *q = p;

		while (q < end && blank(*q))
			q++;
		while (q < end && !blank(*q))
			q++;
		if (q == end)
			return -ENOEXEC;
		nl = end - 1;
	}
	*nl = '\0';
	while (nl > p && blank(nl[-1]))
		*--nl = '\0';
	while (blank(*p))
		p++;
	if (!*p)
		return -ENOEXEC;
	*interp = p;
	for (e = p; *e && !blank(*e); e++)
		;
	if (!*e)
		return 0;
	*e++ = '\0';
	while (blank(*e))
		e++;
	if (*e)
		*arg = e;
	return 0;
}

static int push_front(struct exec *x, const char *s, unsigned at)
{
	char *c = kstrdup(s);

	if (!c)
		return -ENOMEM;
	for (unsigned i = x->nfront; i > at; i--)
		x->front[i] = x->front[i - 1];
	x->front[at] = c;
	x->nfront++;
	return 0;
}

/* argv becomes interp [arg] script rest... */
static int add_script(struct exec *x, char *interp, char *arg, const char *script, bool first)
{
	int rc;

	if (!first) {
		/* The name that stood first is what the new interpreter gets as its script. */
		kfree(x->front[0]);
		for (unsigned i = 1; i < x->nfront; i++)
			x->front[i - 1] = x->front[i];
		x->nfront--;
	}
	rc = push_front(x, script, 0);
	if (!rc && arg)
		rc = push_front(x, arg, 0);
	if (!rc)
		rc = push_front(x, interp, 0);
	return rc;
}

static int find_image(struct exec *x)
{
	const struct exec_args *a = x->a;
	char *buf = kmalloc(BINPRM_BUF + 1), *interp, *arg, *name = NULL;
	int rc = 0;

	if (!buf)
		return -ENOMEM;
	for (unsigned depth = 0;; depth++) {
		int64_t n = vfs_pread(x->file, buf, BINPRM_BUF, 0);

		if (n < 0) {
			rc = (int)n;
			break;
		}
		__builtin_memset(buf + n, 0, (size_t)(BINPRM_BUF + 1 - n));
		if (n < 2 || buf[0] != '#' || buf[1] != '!')
			break;
		rc = depth == SCRIPT_DEPTH ? -ELOOP : script_parse(buf, (size_t)max(n, (int64_t)3), &interp, &arg);
		if (rc)
			break;
		rc = add_script(x, interp, arg, name ? name : x->execfn, depth == 0);
		if (rc)
			break;
		kfree(name);
		name = kstrdup(interp);
		if (!name) {
			rc = -ENOMEM;
			break;
		}
		file_allow_write(x->file);
		file_put(steal(x->file));
		rc = vfs_open_exec(x->t, -100 /* AT_FDCWD */, name, LOOKUP_FOLLOW, &x->file);
		if (rc)
			break;
		(void)a;
	}
	kfree(name);
	kfree(buf);
	return rc;
}

/* --- credentials --------------------------------------------------------------------------- */

static bool mount_nosuid(const struct file *f)
{
	return f->path.mnt && (f->path.mnt->flags & 2 /* MS_NOSUID */);
}

static void apply_setid(struct exec *x, struct cred *c, const struct kstat *st)
{
	struct task *t = x->t;

	if (mount_nosuid(x->file) || t->no_new_privs)
		return;
	if (user_ns_uid(c->user_ns, st->uid) == ID_INVALID || user_ns_gid(c->user_ns, st->gid) == ID_INVALID)
		return;
	/* A tracer without the right to do so must not gain control of a privileged program. */
	if (t->ptrace && !(t->tracer_cred && cred_ns_capable(t->tracer_cred, c->user_ns, CAP_SYS_PTRACE)))
		return;
	if (st->mode & 04000)
		c->euid = st->uid;
	if ((st->mode & 02010) == 02010)
		c->egid = st->gid;
}

/* capabilities(7), "Transformation of capabilities during execve"; fc: the file's, if any. Says
 * whether a program that is not root's got some. */
static int transform_caps(struct cred *c, const struct cred *old, const struct file_caps *fc, bool *gained)
{
	uint32_t root = user_ns_kuid(c->user_ns, 0);
	bool setid = c->euid != old->euid || c->egid != old->egid, eff = false;
	uint64_t permitted = 0;

	if (setid || fc)
		c->cap_ambient = 0;
	if (fc) {
		permitted = (old->cap_bset & fc->permitted) | (old->cap_inheritable & fc->inheritable);
		eff = fc->effective;
		if (eff && (fc->permitted & ~permitted))
			return -EPERM;
	}
	if (!(c->securebits & 1 /* NOROOT */) && (c->uid == root || (!fc && c->euid == root))) {
		permitted = old->cap_bset | old->cap_inheritable;
		eff = c->euid == root;
		c->cap_ambient = 0;
	}
	c->cap_permitted = permitted | c->cap_ambient;
	c->cap_effective = eff ? c->cap_permitted : c->cap_ambient;
	c->securebits &= ~0x10u;	/* KEEP_CAPS */
	*gained = c->uid != root && (eff || (c->cap_permitted & ~c->cap_ambient));
	return 0;
}

/* Under no_new_privs or a tracer without the right nothing is gained. */
static void hold_caps(struct exec *x, struct cred *c, const struct cred *old)
{
	struct task *t = x->t;
	bool traced = t->ptrace && !(t->tracer_cred && cred_ns_capable(t->tracer_cred, c->user_ns, CAP_SYS_PTRACE));

	if (!(t->no_new_privs || traced) || !(c->cap_permitted & ~old->cap_permitted))
		return;
	c->cap_permitted &= old->cap_permitted;
	c->cap_effective &= c->cap_permitted;
}

static int new_creds(struct exec *x)
{
	const struct cred *old = x->t->cred;
	struct kstat st;
	struct cred *c = cred_copy(old);
	int rc;

	if (!c)
		return -ENOMEM;
	x->cred = c;
	rc = vfs_getattr(&x->file->path, &st, 0);
	if (rc)
		return rc;
	apply_setid(x, c, &st);
	struct file_caps fc;
	bool gained = false, has = !mount_nosuid(x->file) && file_caps_of(x->file->inode, c->user_ns, &fc);
	rc = transform_caps(c, old, has ? &fc : NULL, &gained);
	if (rc)
		return rc;
	if (has)
		hold_caps(x, c, old);
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	x->secure = c->euid != c->uid || c->egid != c->gid || (c->euid != old->euid) || (c->egid != old->egid) ||
		    (has && gained);
	x->unreadable = inode_permission(x->file->inode, 4, old) != 0;
	return 0;
}

/* --- the new stack ------------------------------------------------------------------------- */

struct stack {
	uint8_t *buf;			/* its top end corresponds to address `top` */
	uint64_t top, sp, size;
};

static uint64_t push(struct stack *s, const void *p, size_t n)
{
	s->sp -= n;
	__builtin_memcpy(s->buf + (s->size - (s->top - s->sp)), p, n);
	return s->sp;
}

static uint64_t push_str(struct stack *s, const char *p)
{
	return push(s, p, __builtin_strlen(p) + 1);
}

static const char *arg_at(const struct exec *x, uint32_t i)
{
	if (i < x->nfront)
		return x->front[i];
	return x->a->argv[x->nfront ? i - x->nfront + 1 : i];
}

static uint32_t arg_count(const struct exec *x)
{
	if (!x->nfront)
		return x->a->argc;
	return x->nfront + (x->a->argc ? x->a->argc - 1 : 0);
}

static int strings_size(const struct exec *x, uint64_t *out)
{
	uint64_t n = 0, limit, ptrs;
	uint32_t argc = arg_count(x);

	for (uint32_t i = 0; i < argc; i++)
		n += __builtin_strlen(arg_at(x, i)) + 1;
	for (uint32_t i = 0; i < x->a->envc; i++)
		n += __builtin_strlen(x->a->envp[i]) + 1;
	limit = max(min(task_rlimit(x->t, RLIMIT_STACK) / 4, ARG_MAX_ALL), ARG_MIN);
	ptrs = (argc + x->a->envc + 2ull) * 8;
	if (n + ptrs > limit)
		return -E2BIG;
	*out = n + ptrs;
	return 0;
}

#define AT_RSEQ_FEATURE_SIZE_ 27
#define AT_RSEQ_ALIGN_ 28

struct auxv {
	uint64_t v[MM_SAVED_AUXV];
	uint32_t n;
};

static void aux(struct auxv *a, uint64_t type, uint64_t val)
{
	a->v[a->n++] = type;
	a->v[a->n++] = val;
}

static void fill_auxv(const struct exec *x, struct auxv *a, uint64_t vdso, uint64_t random,
		      uint64_t platform, uint64_t execfn)
{
	const struct cred *c = x->cred;
	const struct user_ns *u = c->user_ns;

	if (vdso)
		aux(a, AT_SYSINFO_EHDR, vdso);
	aux(a, 51 /* AT_MINSIGSTKSZ */, signal_frame_max());
	aux(a, AT_HWCAP, getauxval(AT_HWCAP));
	aux(a, AT_PAGESZ, PAGE_SIZE);
	aux(a, AT_CLKTCK, 100);
	aux(a, AT_PHDR, x->im.phdr_addr);
	aux(a, AT_PHENT, sizeof(struct l_phdr));
	aux(a, AT_PHNUM, x->im.eh.phnum);
	aux(a, AT_BASE, x->interp_file ? x->interp.bias : 0);
	aux(a, AT_FLAGS, 0);
	aux(a, AT_ENTRY, x->im.entry);
	aux(a, AT_UID, user_ns_uid_munged(u, c->uid));
	aux(a, AT_EUID, user_ns_uid_munged(u, c->euid));
	aux(a, AT_GID, user_ns_gid_munged(u, c->gid));
	aux(a, AT_EGID, user_ns_gid_munged(u, c->egid));
	aux(a, AT_SECURE, x->secure);
	aux(a, AT_RANDOM, random);
	aux(a, AT_HWCAP2, getauxval(AT_HWCAP2));
	if (getauxval(AT_RSEQ_FEATURE_SIZE_)) {
		aux(a, AT_RSEQ_FEATURE_SIZE_, getauxval(AT_RSEQ_FEATURE_SIZE_));
		aux(a, AT_RSEQ_ALIGN_, getauxval(AT_RSEQ_ALIGN_));
	}
	aux(a, AT_EXECFN, execfn);
	aux(a, AT_PLATFORM, platform);
	aux(a, AT_NULL, 0);
}

static int build_stack(struct exec *x, uint64_t top, uint64_t strings, uint64_t vdso, uint64_t *sp)
{
	struct mm *mm = x->mm;
	struct stack s = {.top = top, .sp = top};
	struct auxv a = {.n = 0};
	uint32_t argc = arg_count(x), envc = x->a->envc;
	uint64_t random[2] = {task_random(), task_random()}, *ptrs, rnd, plat, fn, at;
	size_t words;
	int rc = -ENOMEM;

	words = 1 + argc + 1 + envc + 1 + MM_SAVED_AUXV;
	s.size = strings + __builtin_strlen(x->execfn) + 1 + words * 8 + 512;
	s.buf = kmalloc(s.size);
	ptrs = kmalloc(words * 8);
	if (!s.buf || !ptrs)
		goto out;
	(void)push(&s, "\0\0\0\0\0\0\0", 8);
	fn = push_str(&s, x->execfn);
	/* Strings lie in order of address: argv first, so they are pushed from the end. */
	mm->env_end = s.sp;
	for (uint32_t i = envc; i-- > 0;)
		ptrs[1 + argc + 1 + i] = push_str(&s, x->a->envp[i]);
	mm->env_start = mm->arg_end = s.sp;
	for (uint32_t i = argc; i-- > 0;)
		ptrs[1 + i] = push_str(&s, arg_at(x, i));
	mm->arg_start = s.sp;
	plat = push_str(&s, "x86_64");
	s.sp &= ~15ull;
	rnd = push(&s, random, sizeof(random));
	fill_auxv(x, &a, vdso, rnd, plat, fn);
	ptrs[0] = argc;
	__builtin_memcpy(&ptrs[1 + argc + 1 + envc + 1], a.v, a.n * 8ull);
	__builtin_memcpy(mm->auxv, a.v, a.n * 8ull);
	mm->auxv_n = a.n;
	words = 1 + argc + 1 + envc + 1 + a.n;
	at = (s.sp - words * 8) & ~15ull;
	s.sp = at + words * 8;
	(void)push(&s, ptrs, words * 8);
	*sp = s.sp;
	mm->start_stack = s.sp;
	mm->args = args_copy_create(mm->arg_start, s.buf + (s.size - (top - mm->arg_start)),
				    mm->env_end - mm->arg_start);
	rc = mm_batch_write(x->t, s.sp, s.buf + (s.size - (top - s.sp)), top - s.sp);
out:
	kfree(s.buf);
	kfree(ptrs);
	return rc;
}

/* --- the point of no return ---------------------------------------------------------------- */

static void set_comm(struct task *t, const char *path)
{
	const char *base = path;

	for (const char *p = path; *p; p++)
		if (*p == '/')
			base = p + 1;
	task_set_comm(t, base);
}

static int unshare_sighand(struct task *t)
{
	struct process *p = t->proc;
	struct sighand *old = p->sighand, *n;

	if (ref_read(&old->ref) == 1)
		return 0;
	n = sighand_copy(old);
	if (!n)
		return -ENOMEM;
	mutex_lock(&tasks_lock);
	mutex_lock(&old->lock);
	p->sighand = n;
	mutex_unlock(&old->lock);
	mutex_unlock(&tasks_lock);
	sighand_put(old);
	return 0;
}

/* Signals, timers, descriptors, ids: what a program does not inherit. */
static void reset_task(struct exec *x)
{
	struct task *t = x->t;
	struct process *p = t->proc;
	struct files *files = NULL;

	if (ref_read(&t->files->ref) > 1 && (files = files_copy(t->files)) != NULL) {
		mutex_lock(&tasks_lock);
		struct files *old = t->files;

		t->files = files;
		mutex_unlock(&tasks_lock);
		files_put(t, old);
	}
	mutex_lock(&p->sighand->lock);
	for (int i = 0; i < L_NSIG; i++) {
		struct l_sigaction *act = &p->sighand->action[i];

		if (act->handler != (uint64_t)(uintptr_t)SIG_IGN)
			act->handler = 0;
		act->flags = act->mask = act->restorer = 0;
	}
	mutex_unlock(&p->sighand->lock);
	t->altstack = (struct l_sigaltstack){.flags = SS_DISABLE};
	t->clear_tid = t->set_child_tid = 0;
	t->robust_list = t->robust_len = 0;
	t->restart.kind = RESTART_NONE;
	t->restore_mask = false;
	if (x->secure)
		t->personality &= ~(uint32_t)(READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT |
					      MMAP_PAGE_ZERO);
	ptimers_drop(t);
	files_close_on_exec(t);
}

/* Moves the task into the new space; the old one is left as by an exit. */
static void switch_space(struct exec *x)
{
	struct task *t = x->t;

	x->old_mm = t->mm;
	x->old_pl = t->pl;
	if (t->mm)
		task_leave_mm(t);
	mutex_lock(&tasks_lock);
	process_cpu_detach(t->proc);
	process_cpu_attach(t->proc, x->space);
	t->mm = x->mm;
	x->mm->pl_users = 1;
	mutex_unlock(&tasks_lock);
	t->pl = x->pl;
	t->regs_valid = t->regs_dirty = false;
	t->told_default = 0;
}

/* When the new program is ready to go: nothing of the old one is in its way. */
static void leave_old(struct exec *x)
{
	if (x->old_mm)
		task_put_space(x->t, steal(x->old_mm), x->old_pl);
	vfork_release(x->t);
}

/* Stack, program and interpreter. */
static int map_images(struct exec *x, uint64_t strings, uint64_t *top)
{
	struct task *t = x->t;
	uint64_t base = x->im.dyn ? mm_image_base(x->mm, x->file) : 0;
	int rc = mm_setup_stack(t, max(DEFAULT_STACK, strings + (64ull << 10)),
				x->im.stack_flag_seen && x->im.exec_stack, top);

	if (!rc)
		rc = elf_load(t, &x->im, base);
	if (!rc && x->interp_file)
		rc = elf_load(t, &x->interp, 0);
	return rc;
}

static int load(struct exec *x)
{
	struct task *t = x->t;
	struct mm *mm = x->mm;
	uint64_t strings, top, sp, vdso = 0;
	int sent;
	struct l_regs r = {.cs = 0x33, .ss = 0x2b, .eflags = 0x202, .orig_rax = ~0ull};
	int rc = strings_size(x, &strings);

	if (!rc)
		rc = mm_batch_begin(t);
	if (rc)
		return rc;
	rc = map_images(x, strings, &top);
	if (!rc)
		rc = elf_finish(t, &x->im);
	if (!rc && x->interp_file)
		rc = elf_finish(t, &x->interp);
	mm->start_code = x->im.start_code, mm->end_code = x->im.end_code;
	mm->start_data = x->im.start_data, mm->end_data = x->im.end_data;
	mm_set_brk(mm, x->im.brk);
	if (!rc)
		rc = mm_setup_vdso(t, &vdso);
	if (!rc)
		rc = build_stack(x, top, strings, vdso, &sp);
	sent = mm_batch_send(t);
	if (rc || sent)
		return rc ? rc : sent;
	t->loading = true;
	mm->exe = steal(x->file);
	r.rip = x->interp_file ? x->interp.entry : x->im.entry;
	r.rsp = sp;
	task_regs_load(t, &r);
	return 0;
}

static void commit(struct exec *x)
{
	struct task *t = x->t;
	struct mm *mm = t->mm;
	bool plain = x->cred->euid == x->cred->uid && x->cred->egid == x->cred->gid && !x->unreadable;

	mm->dumpable = plain && !x->secure;
	mm->dumpable_mode = mm->dumpable ? 1 : 0;
	if (x->secure || x->cred->euid != t->cred->euid)
		t->pdeath_signal = 0;
	task_commit_creds_exec(t, steal(x->cred));
	if (x->ns)
		task_set_ns(t, steal(x->ns));
	t->proc->did_exec = true;
	mutex_lock(&tasks_lock);
	t->proc->exit_signal = SIGCHLD;
	mutex_unlock(&tasks_lock);
	set_comm(t, x->execfn);
	if (t->in_syscall)
		t->keep_result = true;
}

static int prepare(struct exec *x)
{
	struct task *t = x->t;
	uint64_t strings;
	int rc = find_image(x);

	if (!rc)
		rc = elf_read(x->file, false, &x->im);
	if (!rc)
		rc = strings_size(x, &strings);
	if (!rc && x->im.interp) {
		rc = vfs_open_exec(t, -100 /* AT_FDCWD */, x->im.interp, LOOKUP_FOLLOW, &x->interp_file);
		if (!rc)
			rc = elf_read(x->interp_file, true, &x->interp);
	}
	if (!rc)
		rc = new_creds(x);
	if (!rc)
		rc = pl_space_create(&x->space, &x->pl) ? -ENOMEM : 0;
	if (!rc)
		rc = mm_create(x->space, &x->mm);
	if (!rc && t->ns->time != t->ns->time_for_children)
		rc = nsproxy_copy(t, 0, t->cred->user_ns, t->fs, &x->ns);
	if (!rc && x->ns)
		nsproxy_join_time(x->ns);
	return rc;
}

static void cleanup(struct exec *x)
{
	nsproxy_put(x->ns);
	if (x->mm)
		mm_put(x->mm);
	if (x->pl.v != PL_NONE)
		pl_thread_put(x->pl, true, false);
	if (x->file) {
		file_allow_write(x->file);
		file_put(x->file);
	}
	if (x->interp_file) {
		file_allow_write(x->interp_file);
		file_put(x->interp_file);
	}
	cred_put(x->cred);
	elf_fini(&x->im);
	elf_fini(&x->interp);
	for (unsigned i = 0; i < x->nfront; i++)
		kfree(x->front[i]);
}

static int do_exec(struct exec *x, int32_t old_nr)
{
	struct task *t = x->t;
	int rc = prepare(x);

	if (!rc)
		rc = de_thread(t);
	if (!rc)
		rc = unshare_sighand(t);
	if (rc)
		return rc;
	switch_space(x);
	x->pl.v = PL_NONE;		/* the task's now */
	reset_task(x);
	rc = load(x);
	x->mm = NULL;
	if (rc) {
		leave_old(x);
		log_info("exec of %s failed past the point of no return: %d", x->execfn, rc);
		t->in_syscall = false;
		process_exit_group(t, SIGKILL);
		task_exit_self(t, SIGKILL);
		return 0;
	}
	commit(x);
	if (t->in_syscall)	/* not the first program, which is not to run yet */
		task_prestart(t);
	leave_old(x);		/* before a stop for a tracer, who may wait for vfork's end */
	if (!t->prestarted)
		ptrace_exec(t, old_nr);
	return 0;
}

int task_exec(struct task *t, const struct exec_args *a)
{
	struct exec *x;
	int32_t old_nr = task_pid_nr(t, task_pid_ns(t));
	int rc;

	if (ucount_nproc(t->cred->uid) > task_rlimit(t, RLIMIT_NPROC) && t->exec_nproc_check &&
	    !task_capable(t, CAP_SYS_RESOURCE))
		return -EAGAIN;
	x = kmalloc(sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->t = t;
	x->a = a;
	x->execfn = a->execfn ? a->execfn : a->name;
	if (a->file) {
		x->file = file_get(a->file);
		rc = 0;
	} else {
		rc = vfs_open_exec(t, a->dirfd, a->name, a->lookup, &x->file);
	}
	if (!rc)
		rc = do_exec(x, old_nr);
	cleanup(x);
	kfree(x);
	return rc;
}
