/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One inode per object of the host, found by device, number and birth time, so that hard links
 * and repeated lookups meet in one place. Each holds an O_PATH descriptor, on which attributes are
 * read; the evictor may close it, and the descriptions of nobody's opens, when descriptors run out.
 *
 * attr_users: every use of the descriptor is counted; ATTR_FROZEN is set, from zero only, by who
 * changes it. Users that meet a frozen count wait a moment (the change is one close or one RPC).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include "host/file.h"
#include "host/proc.h"
#include "lib/log.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/gofer/gofer_int.h"

#define ATTR_FROZEN 0x80000000u

static KCACHE(gofer_inode_cache, struct gofer_inode, 0);
static struct super *supers[GOFER_ROOTS_MAX];	/* for the evictor; weak */
static struct mutex supers_lock = MUTEX_INIT(RANK_GOFER_TABLE);
static struct {
	uint32_t host_uid, uid, host_gid, gid;
	bool overflow;
} ids;

#define OVERFLOW_ID 65534u

void gofer_map_overflow(void)
{
	ids.overflow = true;
}

void gofer_map_ids(uint32_t host_uid, uint32_t uid, uint32_t host_gid, uint32_t gid)
{
	ids.host_uid = host_uid, ids.uid = uid;
	ids.host_gid = host_gid, ids.gid = gid;
}

static uint32_t swap_id(uint32_t id, uint32_t a, uint32_t b)
{
	return id == a ? b : id == b ? a : id;
}

static uint32_t from_host(uint32_t id, uint32_t host, uint32_t guest)
{
	return swap_id(id == OVERFLOW_ID && ids.overflow ? 0 : id, host, guest);
}

uint32_t gofer_to_host_uid(uint32_t uid)
{
	return swap_id(uid, ids.uid, ids.host_uid);
}

uint32_t gofer_to_host_gid(uint32_t gid)
{
	return swap_id(gid, ids.gid, ids.host_gid);
}

/* --- the table -------------------------------------------------------------------------------- */

static uint32_t id_hash(uint64_t dev, uint64_t ino)
{
	return (uint32_t)((dev * 0x9e3779b97f4a7c15ull ^ ino) * 0xff51afd7ed558ccdull >> 32);
}

static uint32_t link_hash(const struct list *link)
{
	const struct gofer_inode *g = container_of(link, struct gofer_inode, hash_link);

	return id_hash(g->dev, g->inode.ino);
}

static struct gofer_inode *find_locked(struct gofer_super *gs, uint64_t dev, uint64_t ino,
				       uint64_t born)
{
	struct gofer_inode *g;

	list_for_each(g, htab_bucket(&gs->table, id_hash(dev, ino)), hash_link) {
		if (g->inode.ino == ino && g->dev == dev && g->born == born &&
		    ref_get_unless_zero(&g->inode.ref))
			return g;
	}
	return NULL;
}

static void set_fields(struct gofer_inode *g, const struct stat *st)
{
	struct inode *i = &g->inode;

	WRITE_ONCE(i->mode, st->st_mode);
	WRITE_ONCE(i->uid, from_host(st->st_uid, ids.host_uid, ids.uid));
	WRITE_ONCE(i->gid, from_host(st->st_gid, ids.host_gid, ids.gid));
	WRITE_ONCE(i->nlink, (uint32_t)st->st_nlink);
	WRITE_ONCE(i->size, (uint64_t)st->st_size);
	g->system = st->st_uid == 0 && !(st->st_mode & 022) &&
		    gofer_sb(i)->flags & GOFER_SB_RO;
}

static int new_inode(struct super *sb, uint64_t h, const char *target, int hfd,
		     const struct stat *st, uint64_t born, struct gofer_inode **out)
{
	struct gofer_inode *g = kc_alloc(&gofer_inode_cache);

	if (!g) {
		(void)h_close(hfd);
		return -ENOMEM;
	}
	g->target = target ? kstrdup(target) : NULL;
	int rc = target && !g->target ? -ENOMEM : 0;
	if (rc)
		(void)h_close(hfd);
	else
		rc = hh_add(hfd, &g->attr);
	if (rc) {
		kfree(g->target);
		kc_free(&gofer_inode_cache, g);
		return rc;
	}
	inode_init(&g->inode, sb, st->st_mode, IOPS_gofer, FOPS_gofer);
	g->inode.ino = st->st_ino;
	g->inode.rdev = st->st_rdev;
	g->dev = st->st_dev, g->born = born;
	g->h = h;
	g->recent = true;
	list_init(&g->hash_link);
	set_fields(g, st);
	*out = g;
	return 0;
}

/* What the descriptor of a node really is. The target of a link comes from the Gofer and can only
 * be text, so a lie about it misleads nobody but this guest. */
static int look(int hfd, bool has_target, struct stat *st, uint64_t *born)
{
	struct statx sx;

	if (h_statx(hfd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &sx))
		return -EIO;
	if (S_ISLNK(sx.stx_mode) != has_target || !(sx.stx_mode & S_IFMT))
		return -EIO;
	*st = (struct stat){
		.st_dev = gnu_dev_makedev(sx.stx_dev_major, sx.stx_dev_minor),
		.st_rdev = gnu_dev_makedev(sx.stx_rdev_major, sx.stx_rdev_minor),
		.st_ino = sx.stx_ino, .st_mode = sx.stx_mode, .st_nlink = sx.stx_nlink,
		.st_uid = sx.stx_uid, .st_gid = sx.stx_gid, .st_size = (off_t)sx.stx_size,
	};
	*born = gofer_born(sx.stx_btime.tv_sec, sx.stx_btime.tv_nsec);
	return 0;
}

/* The open description that came with a node: kept for the open that follows. A known inode may
 * have one already, or be busy; then this one is not needed. */
static int adopt_desc(struct gcall *c, struct gofer_inode *g, bool is_new)
{
	int hfd = gcall_take_fd(c);
	int fl = hfd < 0 ? hfd : h_fcntl(hfd, F_GETFL, 0);

	if (hfd < 0)
		return hfd;
	unsigned k = (unsigned)max(fl, 0) & O_ACCMODE;	/* DESC_* = O_RDONLY, O_WRONLY, O_RDWR */
	int rc = S_ISREG(g->inode.mode) && k < DESC_KINDS ? desc_check(g, hfd, k) : -EIO;
	bool locked = !rc && !is_new && mutex_trylock(&g->inode.lock);

	if (!rc && (is_new || locked) && hh_is_none(g->desc[k].h))
		rc = hh_add(hfd, &g->desc[k].h);
	else
		(void)h_close(hfd);
	if (locked)
		mutex_unlock(&g->inode.lock);
	return rc;
}

int gofer_node(struct gcall *c, struct super *sb, struct inode **out)
{
	struct gofer_super *gs = sb->priv;
	struct gofer_inode *g, *made = NULL;
	uint64_t h = wire_get_u64(&c->r), born;
	uint32_t has = wire_get_u32(&c->r);
	const char *target = has & GOFER_NODE_TARGET ? wire_get_str(&c->r, GOFER_TARGET_MAX, NULL) : NULL;
	struct stat st;
	int rc, hfd = c->r.bad || has > 3 || !h ? -EIO : gcall_take_fd(c);

	if (hfd < 0)
		return -EIO;
	rc = look(hfd, target != NULL, &st, &born);
	if (rc) {
		(void)h_close(hfd);
		gcall_forget(c, h);
		return rc;
	}
	mutex_lock(&gs->lock);
	g = find_locked(gs, st.st_dev, st.st_ino, born);
	mutex_unlock(&gs->lock);
	if (g) {
		(void)h_close(hfd);
		gcall_forget(c, h);
		set_fields(g, &st);
	} else {
		rc = new_inode(sb, h, target, hfd, &st, born, &made);
		if (rc) {
			gcall_forget(c, h);
			return rc;
		}
	}
	if (has & GOFER_NODE_OPEN) {
		rc = adopt_desc(c, g ? g : made, !g);
		if (rc) {
			gcall_put(c, g ? &g->inode : &made->inode);
			return rc;
		}
	}
	if (!g) {
		mutex_lock(&gs->lock);
		g = find_locked(gs, st.st_dev, st.st_ino, born);
		if (!g)
			htab_add(&gs->table, &made->hash_link, link_hash, kc_live(&gofer_inode_cache));
		mutex_unlock(&gs->lock);
		if (g)
			gcall_put(c, &made->inode);	/* another thread was first */
		else
			g = made;
		gofer_caps_note(g);
	}
	*out = &g->inode;
	return 0;
}

#define BIG_FILE (64u << 10)	/* whose space is wanted back at once when it is deleted */

void gofer_destroy(struct inode *i)
{
	struct gofer_inode *g = to_gofer(i);
	struct gofer_super *gs = gofer_sb(i);

	mutex_lock(&gs->lock);
	htab_del(&gs->table, &g->hash_link, link_hash, kc_live(&gofer_inode_cache));
	mutex_unlock(&gs->lock);
	for (unsigned k = 0; k < DESC_KINDS; k++)
		hh_close(g->desc[k].h);
	hh_close(g->attr);
	believe_gone(g);
	prefetch_drop(g);
	gofer_forget(g->h, READ_ONCE(g->unnamed) && i->size >= BIG_FILE);
	kfree(g->target);
	kc_free(&gofer_inode_cache, g);
}

/* --- the attribute descriptor ------------------------------------------------------------------ */

static bool attr_freeze(struct gofer_inode *g)
{
	uint32_t zero = 0;

	return __atomic_compare_exchange_n(&g->attr_users, &zero, ATTR_FROZEN, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void attr_thaw(struct gofer_inode *g)
{
	__atomic_store_n(&g->attr_users, 0, __ATOMIC_RELEASE);
}

static int attr_fetch(struct gofer_inode *g)
{
	struct gcall c;
	struct stat st;
	uint64_t born;

	gcall_begin(&c, GOFER_GETFD);
	wire_put_u64(&c.w, g->h);
	int rc = gcall_send(&c);
	int hfd = rc ? rc : gcall_take_fd(&c);
	gcall_end(&c);
	if (hfd < 0)
		return hfd;
	rc = look(hfd, g->target != NULL, &st, &born);
	if (!rc && (st.st_ino != g->inode.ino || st.st_dev != g->dev || born != g->born))
		rc = -ESTALE;
	if (rc)
		(void)h_close(hfd);
	else
		rc = hh_add(hfd, &g->attr);
	return rc;
}

int attr_begin(struct gofer_inode *g)
{
	for (;;) {
		uint32_t n = __atomic_load_n(&g->attr_users, __ATOMIC_RELAXED);

		if (n & ATTR_FROZEN) {
			(void)h_sched_yield();
			continue;
		}
		if (!__atomic_compare_exchange_n(&g->attr_users, &n, n + 1, true, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED))
			continue;
		if (likely(!hh_is_none(g->attr))) {
			if (!g->recent)
				g->recent = true;
			return hh_fd(g->attr);
		}
		attr_end(g);
		if (!attr_freeze(g))
			continue;
		int rc = hh_is_none(g->attr) ? attr_fetch(g) : 0;
		attr_thaw(g);
		if (rc)
			return rc;
	}
}

void attr_end(struct gofer_inode *g)
{
	__atomic_fetch_sub(&g->attr_users, 1, __ATOMIC_RELEASE);
}

int gofer_stat(struct gofer_inode *g, struct stat *st)
{
	int hfd = attr_begin(g);

	if (hfd < 0)
		return hfd;
	int rc = h_fstat(hfd, st);
	attr_end(g);
	if (rc)
		return rc == -ESTALE || rc == -ENOMEM ? rc : -EIO;
	set_fields(g, st);
	note_look(g, st);
	return 0;
}

/* --- eviction ----------------------------------------------------------------------------------- */

/* Closes what can be closed of one inode; descriptors closed. */
static unsigned evict_inode(struct gofer_inode *g)
{
	unsigned n = 0;

	if (g->recent) {	/* a second chance */
		g->recent = false;
		return 0;
	}
	if (!hh_is_none(g->attr) && attr_freeze(g)) {
		hh_close(g->attr);
		g->attr = HH_NONE;
		attr_thaw(g);
		n++;
	}
	if (!mutex_trylock(&g->inode.lock))
		return n;
	for (unsigned k = 0; k < DESC_KINDS; k++) {
		struct gofer_desc *d = &g->desc[k];

		if (!d->opens && !hh_is_none(d->h)) {
			hh_close(d->h);
			d->h = HH_NONE;
			n++;
		}
	}
	mutex_unlock(&g->inode.lock);
	return n;
}

static unsigned evict_super(struct gofer_super *gs, unsigned wanted)
{
	unsigned n = 0;

	for (unsigned round = 0; n < wanted && round < 2 * gs->table.n; round++) {
		struct list *b = htab_bucket(&gs->table, gs->hand++);
		struct gofer_inode *g;

		list_for_each(g, b, hash_link)
			n += evict_inode(g);
	}
	return n;
}

void gofer_evict(unsigned wanted)
{
	unsigned n = 0;

	if (!mutex_trylock(&supers_lock))
		return;
	for (unsigned i = 0; i < array_size(supers) && n < wanted; i++) {
		if (!supers[i])
			continue;
		struct gofer_super *gs = supers[i]->priv;

		/* Tried, not taken: the caller may hold locks of any rank. */
		if (mutex_trylock(&gs->lock)) {
			n += evict_super(gs, wanted - n);
			mutex_unlock(&gs->lock);
		}
	}
	mutex_unlock(&supers_lock);
	log_debug("gofer: %u descriptors given up of %u wanted", n, wanted);
}

int gofer_register_super(struct super *sb)
{
	int rc = -ENFILE;

	mutex_lock(&supers_lock);
	for (unsigned i = 0; i < array_size(supers) && rc; i++) {
		if (!supers[i]) {
			supers[i] = sb;
			rc = 0;
		}
	}
	mutex_unlock(&supers_lock);
	return rc;
}

void gofer_unregister_super(struct super *sb)
{
	mutex_lock(&supers_lock);
	for (unsigned i = 0; i < array_size(supers); i++)
		if (supers[i] == sb)
			supers[i] = NULL;
	mutex_unlock(&supers_lock);
}
