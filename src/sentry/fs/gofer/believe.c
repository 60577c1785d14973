/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the system, which belong to root and which only root can change, are believed to be
 * as they were for a moment: a walk through one takes its stamp without an fstat, and what was found
 * in it may be told to guests (vfs/told.h).
 *
 * All that are believed stand in one list and are looked at together, so one time holds for all. A
 * look that finds a change ends the belief in all of them and raises the epoch; so does whatever
 * takes a directory out of the list, since answers that were told may rest on it.
 *
 * The moment ends at once when something else of the outside world was looked at and had changed, was
 * read, or answered (told_news). For attributes that is known by the stamp: it is no news if it is
 * the same as last time, and was then old enough that a change since would have left another.
 */
#include <sys/stat.h>
#include "host/time.h"
#include "lib/log.h"
#include "sentry/fs/gofer/gofer_int.h"
#include "sentry/vfs/told.h"

#define BELIEF_NS 1000000ll
#define BELIEVED_MAX 64u
#define IDLE_MOMENTS 8u		/* then it is cheaper to begin anew than to look at all of them */

static struct {
	struct mutex lock;
	struct gofer_inode *dir[BELIEVED_MAX];
	uint32_t n;
	bool off;
	uint64_t tsc;		/* when */
	int64_t ns;		/* it was this time */
	uint64_t moment;	/* TSC ticks; 0: not known yet */
} b = {.lock = MUTEX_INIT(RANK_BELIEF)};

static bool has_steady_tsc(void)
{
	uint32_t a = 0x80000007, c = 0, d, bx;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(bx), "+c"(c), "=d"(d));
	return d >> 8 & 1;
}

/* How many ticks the moment has; 0 while that cannot be told. */
static uint64_t moment_locked(uint64_t tsc)
{
	if (b.moment || b.off)
		return b.moment;
	int64_t now = h_now();
	if (!b.tsc) {
		b.off = !has_steady_tsc();
		b.tsc = tsc, b.ns = now;
	} else if (now - b.ns > 20 * BELIEF_NS) {
		b.moment = (uint64_t)((__int128)(tsc - b.tsc) * BELIEF_NS / (now - b.ns));
	}
	return b.moment;
}

static void forget_all_locked(void)
{
	told_raise_epoch();
	for (uint32_t i = 0; i < b.n; i++)
		__atomic_store_n(&b.dir[i]->believed, 0, __ATOMIC_RELEASE);
	b.n = 0;
}

/* Is the directory still what its entry says? Its descriptor must be at hand: no request here. */
static bool holds(struct gofer_inode *g)
{
	struct stat st;

	return !hh_is_none(READ_ONCE(g->attr)) && !gofer_stat(g, &st) && g->system &&
	       stamp_ns(st.st_mtim) == g->stamp.a && stamp_ns(st.st_ctim) == g->stamp.b;
}

/* Looks at all of them again. */
static bool look_again_locked(void)
{
	uint64_t tsc = told_clock(), news = __atomic_load_n(&told_page->news, __ATOMIC_SEQ_CST);
	uint64_t moment = moment_locked(tsc);

	if (!moment || tsc > told_page->until + IDLE_MOMENTS * moment) {
		forget_all_locked();
		return false;
	}
	for (uint32_t i = 0; i < b.n; i++) {
		if (!holds(b.dir[i])) {
			forget_all_locked();
			return false;
		}
	}
	__atomic_store_n(&told_page->until, tsc + moment, __ATOMIC_RELAXED);
	__atomic_store_n(&told_page->checked, news, __ATOMIC_RELEASE);
	return true;
}

static bool is_believed(const struct gofer_inode *g)
{
	return __atomic_load_n(&g->believed, __ATOMIC_ACQUIRE) != 0;
}

bool believed_stamp(struct gofer_inode *dir, struct stamp *s)
{
	uint64_t epoch = __atomic_load_n(&told_page->epoch, __ATOMIC_ACQUIRE);

	if (!is_believed(dir))
		return false;
	if (!told_is_fresh(told_page)) {
		if (!mutex_trylock(&b.lock))
			return false;
		bool fresh = told_is_fresh(told_page) || look_again_locked();
		mutex_unlock(&b.lock);
		if (!fresh || !is_believed(dir))
			return false;
	}
	*s = dir->stamp;
	return __atomic_load_n(&told_page->epoch, __ATOMIC_ACQUIRE) == epoch;
}

bool is_settled(struct inode *dir)
{
	return !(gofer_sb(dir)->flags & GOFER_SB_SHARED) || is_believed(to_gofer(dir));
}

void believe_begin(struct look *l)
{
	l->news = __atomic_load_n(&told_page->news, __ATOMIC_SEQ_CST);
	l->tsc = told_clock();
}

void believe(struct gofer_inode *dir, const struct stamp *s, const struct look *l)
{
	if (!dir->system || is_believed(dir) || stamp_is_recent(s) || !mutex_trylock(&b.lock))
		return;
	uint64_t now = told_clock(), moment = moment_locked(now);
	if (b.n == BELIEVED_MAX)
		forget_all_locked();
	/* not if this thread was held up, or anything was learnt, since it looked */
	if (moment && !b.off && now - l->tsc < moment && !dir->believed &&
	    __atomic_load_n(&told_page->news, __ATOMIC_SEQ_CST) == l->news) {
		if (!b.n) {
			__atomic_store_n(&told_page->until, l->tsc + moment, __ATOMIC_RELAXED);
			__atomic_store_n(&told_page->checked, l->news, __ATOMIC_RELEASE);
		}
		dir->stamp = *s;
		b.dir[b.n++] = dir;
		__atomic_store_n(&dir->believed, b.n, __ATOMIC_RELEASE);
	}
	mutex_unlock(&b.lock);
}

void believe_gone(struct gofer_inode *g)
{
	if (!is_believed(g))
		return;
	mutex_lock(&b.lock);
	if (g->believed)
		forget_all_locked();
	mutex_unlock(&b.lock);
}

/* A guest may read a host file of others without asking us: there is no telling what it learns. */
void believe_nothing(void)
{
	mutex_lock(&b.lock);
	if (!b.off)
		log_info("gofer: a file of the host is mapped shared: its directories are always looked at");
	b.off = true;
	b.moment = 0;
	forget_all_locked();
	mutex_unlock(&b.lock);
}

void note_look(struct gofer_inode *g, const struct stat *st)
{
	struct stamp s = {stamp_ns(st->st_mtim), stamp_ns(st->st_ctim)};
	uint64_t look = (s.a * 0x9e3779b97f4a7c15ull ^ s.b * 0xff51afd7ed558ccdull) | 1;

	if (__atomic_load_n(&g->look, __ATOMIC_RELAXED) == look)
		return;
	if (stamp_is_recent(&s))
		look--;
	__atomic_store_n(&g->look, look, __ATOMIC_RELAXED);
	told_news();
}
