/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID: small settings and lists that need no file of their own. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <linux/capability.h>
#include <time.h>

#include "host/time.h"
#include "sentry/core/kheap.h"
#include "sentry/time/time.h"
#include "sentry/fs/proc/pid.h"
#include "sentry/task/ns.h"
#include "sentry/vfs/mount.h"

/* One decimal number with optional sign and trailing newline: 0 or -EINVAL. */
int proc_parse_i64(const char *text, int64_t *out)
{
	bool neg = *text == '-';
	int64_t v = 0;
	const char *p = text + (neg || *text == '+');

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
			return -EINVAL;
	while (*p == '\n' || *p == ' ' || *p == '\t')
		p++;
	if (*p)
		return -EINVAL;
	*out = neg ? -v : v;
	return 0;
}

/* --- OOM ------------------------------------------------------------------------------------------ */

int proc_pid_oom_score(const struct pseudo_ctx *c, struct buf *b)
{
	struct mem_facts m;
	struct mm *mm = proc_mm_get(c);
	int64_t score = 666;

	proc_mem_facts(&m);
	if (mm) {
		score += (int64_t)(mm_rss(mm) * 1000 / max(m.total, (uint64_t)1));
		mm_put(mm);
	}
	score += c->task->proc->oom_score_adj * 2 / 3;
	buf_fmt(b, "%lld\n", (long long)max(score, (int64_t)0));
	return 0;
}

int proc_pid_oom_score_adj(const struct pseudo_ctx *c, struct buf *b)
{
	buf_fmt(b, "%d\n", c->task->proc->oom_score_adj);
	return 0;
}

int64_t proc_pid_oom_score_adj_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	int64_t v;

	(void)n;
	if (proc_parse_i64(text, &v) || v < -1000 || v > 1000)
		return -EINVAL;
	if (v < c->task->proc->oom_score_adj && !task_capable(c->reader, CAP_SYS_RESOURCE))
		return -EACCES;
	c->task->proc->oom_score_adj = (int32_t)v;
	return 0;
}

int proc_pid_oom_adj(const struct pseudo_ctx *c, struct buf *b)
{
	buf_fmt(b, "%d\n", c->task->proc->oom_score_adj * 17 / 1000);
	return 0;
}

int64_t proc_pid_oom_adj_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	int64_t v;
	char scaled[24];

	if (proc_parse_i64(text, &v) || v < -17 || v > 15)
		return -EINVAL;
	fmt_n(scaled, sizeof(scaled), "%lld", (long long)(v == 15 ? 1000 : v * 1000 / 17));
	return proc_pid_oom_score_adj_store(c, scaled, n);
}

/* --- audit ids: no audit here, so no login ---------------------------------------------------------- */

int proc_pid_loginuid(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	buf_fmt(b, "4294967295");
	return 0;
}

int64_t proc_pid_loginuid_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	(void)text, (void)n;
	return task_capable(c->reader, CAP_AUDIT_CONTROL) ? 0 : -EPERM;
}

int proc_pid_sessionid(const struct pseudo_ctx *c, struct buf *b)
{
	return proc_pid_loginuid(c, b);
}

int proc_pid_personality(const struct pseudo_ctx *c, struct buf *b)
{
	buf_fmt(b, "%08x\n", c->task->personality);
	return 0;
}

int proc_pid_coredump_filter(const struct pseudo_ctx *c, struct buf *b)
{
	struct mm *mm = proc_mm_get(c);

	if (mm) {
		buf_fmt(b, "%08x\n", mm->coredump_filter);
		mm_put(mm);
	}
	return 0;
}

int64_t proc_pid_coredump_filter_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	uint64_t v = 0;
	struct mm *mm;

	(void)n;
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *p = text + (base == 16 ? 2 : 0);
	for (; *p && *p != '\n'; p++) {
		int d = *p >= '0' && *p <= '9'                 ? *p - '0'
			: (*p | 32) >= 'a' && (*p | 32) <= 'f' ? (*p | 32) - 'a' + 10
							       : 99;
		if (d >= base || v > UINT32_MAX)
			return -EINVAL;
		v = v * (uint64_t)base + (uint64_t)d;
	}
	mm = proc_mm_get(c);
	if (!mm)
		return -ESRCH;
	mm->coredump_filter = (uint32_t)v & 0x1ff;
	mm_put(mm);
	return 0;
}

int proc_pid_timerslack(const struct pseudo_ctx *c, struct buf *b)
{
	buf_fmt(b, "%llu\n", (unsigned long long)c->task->timer_slack);
	return 0;
}

int64_t proc_pid_timerslack_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	int64_t v;

	(void)n;
	if (proc_parse_i64(text, &v) || v < 0)
		return -EINVAL;
	c->task->timer_slack = v ? (uint64_t)v : 50000;
	return 0;
}

int proc_pid_autogroup(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	buf_fmt(b, "/autogroup-1 nice 0\n");
	return 0;
}

int64_t proc_pid_autogroup_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	int64_t v;

	(void)c, (void)n;
	return proc_parse_i64(text, &v) || v < -20 || v > 19 ? -EINVAL : 0;
}

/* --- groups and labels ----------------------------------------------------------------------------- */

int proc_pid_cgroup(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	buf_fmt(b, "0::/\n");
	return 0;
}

int proc_pid_cpuset(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	buf_fmt(b, "/\n");
	return 0;
}

/* No security module labels anything: Linux answers EINVAL. */
int proc_pid_attr(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c, (void)b;
	return -EINVAL;
}

int proc_pid_children(const struct pseudo_ctx *c, struct buf *b)
{
	struct process *p;

	mutex_lock(&tasks_lock);
	list_for_each(p, &c->task->proc->children, sibling) {
		int nr = p->leader ? task_tgid_nr(p->leader, proc_ns(c)) : 0;
		if (nr)
			buf_fmt(b, "%d ", nr);
	}
	mutex_unlock(&tasks_lock);
	return 0;
}

/* --- user namespaces --------------------------------------------------------------------------------- */

static void id_map_show(const struct user_ns *ns, const struct id_map *m, bool gid, const struct user_ns *view,
			struct buf *b)
{
	for (uint32_t i = 0; i < m->n; i++) {
		uint32_t lower = m->extents[i].lower_first;
		/* Lower ids are stored as kernel ids; shown in the reader's namespace. */
		uint32_t seen = ns == view ? lower : gid ? gid_to_ns(view, lower) : uid_to_ns(view, lower);
		buf_fmt(b, "%10u %10u %10u\n", m->extents[i].first, seen, m->extents[i].count);
	}
}

static int map_text(const struct pseudo_ctx *c, struct buf *b, bool gid)
{
	struct cred *cr = task_cred_get(c->task);
	struct user_ns *ns = cr->user_ns;
	const struct user_ns *view = c->reader->cred->user_ns;

	if (view == ns && ns->parent)
		view = ns->parent;
	id_map_show(ns, gid ? &ns->gid_map : &ns->uid_map, gid, view, b);
	cred_put(cr);
	return 0;
}

int proc_pid_uid_map(const struct pseudo_ctx *c, struct buf *b)
{
	return map_text(c, b, false);
}

int proc_pid_gid_map(const struct pseudo_ctx *c, struct buf *b)
{
	return map_text(c, b, true);
}

static int64_t map_store(const struct pseudo_ctx *c, const char *text, bool gid)
{
	struct cred *cr = task_cred_get(c->task);
	int r = user_ns_write_map(c->reader, cr->user_ns, gid, text);

	cred_put(cr);
	return r;
}

int64_t proc_pid_uid_map_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	(void)n;
	return map_store(c, text, false);
}

int64_t proc_pid_gid_map_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	(void)n;
	return map_store(c, text, true);
}

int proc_pid_setgroups(const struct pseudo_ctx *c, struct buf *b)
{
	struct cred *cr = task_cred_get(c->task);

	buf_fmt(b, "%s\n", cr->user_ns->setgroups_denied ? "deny" : "allow");
	cred_put(cr);
	return 0;
}

int64_t proc_pid_setgroups_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	bool allow = !strncmp(text, "allow", 5), deny = !strncmp(text, "deny", 4);
	size_t used = allow ? 5 : 4;
	struct cred *cr;
	int64_t r = 0;

	if ((!allow && !deny) || (n > used && text[used] != '\n' && text[used]))
		return -EINVAL;
	cr = task_cred_get(c->task);
	r = user_ns_write_setgroups(cr->user_ns, text);
	cred_put(cr);
	return r;
}

/* --- offsets of the clocks in a time namespace --------------------------------------------------------- */

static int64_t floor_sec(int64_t ns)
{
	return ns / 1000000000 - (ns % 1000000000 < 0);
}

static void timens_line(struct buf *b, const char *name, int64_t ns)
{
	buf_fmt(b, "%-10s %10lld %9lld\n", name, (long long)floor_sec(ns),
		(long long)(ns - floor_sec(ns) * 1000000000));
}

int proc_pid_timens(const struct pseudo_ctx *c, struct buf *b)
{
	const struct time_ns *ns = c->task->ns ? c->task->ns->time_for_children : NULL;

	timens_line(b, "monotonic", ns ? ns->mono_offset : 0);
	timens_line(b, "boottime", ns ? ns->boot_offset : 0);
	return 0;
}

/* The next word of the line at *p, ended with a NUL; NULL at the line's end. */
static char *next_word(char **p)
{
	char *w;

	while (**p == ' ' || **p == '\t')
		++*p;
	if (!**p)
		return NULL;
	w = *p;
	while (**p && **p != ' ' && **p != '\t')
		++*p;
	if (**p)
		*(*p)++ = 0;
	return w;
}

/* "monotonic SECONDS NANOSECONDS": the clock and its offset. */
static int timens_parse(char *line, int *clock, int64_t *sec, int64_t *nsec)
{
	char *w[3];

	for (int i = 0; i < 3; i++) {
		w[i] = next_word(&line);
		if (!w[i])
			return -EINVAL;
	}
	if (next_word(&line) || proc_parse_i64(w[1], sec) || proc_parse_i64(w[2], nsec))
		return -EINVAL;
	if (!strcmp(w[0], "monotonic") || !strcmp(w[0], "1"))
		*clock = CLOCK_MONOTONIC;
	else if (!strcmp(w[0], "boottime") || !strcmp(w[0], "7"))
		*clock = CLOCK_BOOTTIME;
	else
		return -EINVAL;
	return *nsec < 0 || *nsec > 999999999 ? -EINVAL : 0;
}

/* As Linux: the clock stays positive and far from its end. */
static int timens_range(int clock, int64_t sec)
{
	const int64_t max = INT64_MAX / 1000000000;
	int64_t now = h_clock_ns(clock) / 1000000000;

	if (sec > max || sec < -max || now + sec < 0 || now + sec > max / 2)
		return -ERANGE;
	return 0;
}

int64_t proc_pid_timens_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	struct time_ns *ns = c->task->ns ? c->task->ns->time_for_children : NULL;
	int64_t sec, nsec, off[2] = {0, 0};
	int clock, lines = 0, err = 0;
	bool set[2] = {false, false};
	char *end;

	(void)n;
	for (; *text; text = end) {
		end = text + strcspn(text, "\n");
		if (*end)
			*end++ = 0;
		err = ++lines > 2 ? -EINVAL : timens_parse(text, &clock, &sec, &nsec);
		if (err)
			return err;
		set[clock == CLOCK_BOOTTIME] = true;
		if (timens_range(clock, sec))
			err = -ERANGE;
		else
			off[clock == CLOCK_BOOTTIME] = sec * 1000000000 + nsec;
	}
	if (!lines)
		return -EINVAL;
	if (!ns || !cred_ns_capable(c->reader->cred, ns->user_ns, CAP_SYS_TIME))
		return -EPERM;
	if (err)
		return err;
	mutex_lock(&tasks_lock);
	err = ns->frozen ? -EACCES : 0;
	if (!err && set[0])
		ns->mono_offset = off[0];
	if (!err && set[1])
		ns->boot_offset = off[1];
	mutex_unlock(&tasks_lock);
	return err;
}

int proc_pid_timers(const struct pseudo_ctx *c, struct buf *b)
{
	ptimers_show(c->task, proc_ns(c), b);
	return 0;
}

/* --- mounts -------------------------------------------------------------------------------------------- */

static int mounts_text(const struct pseudo_ctx *c, struct buf *b, enum mount_text fmt)
{
	struct path root;
	struct nsproxy *ns = NULL;

	mutex_lock(&tasks_lock);
	if (c->task->ns)
		ns = nsproxy_get(c->task->ns);
	mutex_unlock(&tasks_lock);
	if (!ns)
		return -EINVAL;
	int err = task_root_get(c->task, &root);
	if (!err) {
		mounts_show(ns->mnt, &root, fmt, b);
		path_put(&root);
	}
	nsproxy_put(ns);
	return err;
}

int proc_pid_mounts(const struct pseudo_ctx *c, struct buf *b)
{
	return mounts_text(c, b, MOUNT_TEXT_MOUNTS);
}

int proc_pid_mountinfo(const struct pseudo_ctx *c, struct buf *b)
{
	return mounts_text(c, b, MOUNT_TEXT_INFO);
}

int proc_pid_mountstats(const struct pseudo_ctx *c, struct buf *b)
{
	return mounts_text(c, b, MOUNT_TEXT_STATS);
}
