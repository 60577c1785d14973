/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of host descriptors. It is mapped read-only; its two writers, hh_add and hh_close,
 * change an entry through the memfd behind it with pwrite. A stray or hostile write in the Sentry
 * can therefore not make a handle mean another descriptor; and no mapping ever changes its
 * protection, which would interrupt all other CPUs.
 */
#include "sentry/core/hhandle.h"
#include <errno.h>
#include "host/file.h"
#include "host/mem.h"
#include "host/proc.h"
#include "lib/bug.h"
#include "lib/lock.h"

#define HH_MAX 65535u			/* indices 1..HH_MAX */
#define HH_RESERVE 64u			/* descriptors left for everything that has no handle */
#define HH_INDEX(h) ((h).v & 0xffff)
#define HH_GEN(h) ((h).v >> 16)

struct hh_entry {
	uint32_t fd1;			/* descriptor + 1; 0: free */
	uint32_t gen;			/* 16 bits used; grows at each close */
};

static const struct hh_entry *table;
static int table_hfd = -1;
static void (*evict_fn)(unsigned wanted);
static struct mutex lock = MUTEX_INIT(RANK_HEAP);
static uint16_t free_next[HH_MAX + 1];	/* of free entries; a wrong value is caught at use */
static uint32_t free_head, fresh = 1, live, budget;

int hh_init(void (*evict)(unsigned wanted))
{
	size_t size = sizeof(struct hh_entry) * (HH_MAX + 1);
	struct rlimit lim;
	void *p;
	int rc, hfd = h_memfd_create("brig-handles", MFD_CLOEXEC);

	if (hfd < 0)
		return hfd;
	rc = h_prlimit(0, RLIMIT_NOFILE, NULL, &lim);
	if (!rc && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		if (h_prlimit(0, RLIMIT_NOFILE, &lim, NULL))
			rc = h_prlimit(0, RLIMIT_NOFILE, NULL, &lim);
	}
	if (!rc)
		rc = h_ftruncate(hfd, (int64_t)size);
	if (!rc)
		rc = h_mmap(&p, NULL, size, PROT_READ, MAP_SHARED, hfd, 0);
	if (rc) {
		(void)h_close(hfd);
		return rc;
	}
	table = p;
	table_hfd = hfd;
	evict_fn = evict;
	budget = (uint32_t)min((uint64_t)lim.rlim_cur, (uint64_t)HH_MAX);
	budget = budget > 2 * HH_RESERVE ? budget - HH_RESERVE : budget / 2;
	return 0;
}

static void entry_write(uint32_t i, int32_t hfd, uint32_t gen)
{
	struct hh_entry e = {(uint32_t)(hfd + 1), gen};

	BUG_ON(h_pwrite(table_hfd, &e, sizeof(e), (int64_t)(i * sizeof(e))) != sizeof(e));
}

static uint32_t index_take(void)
{
	uint32_t i = 0;

	mutex_lock(&lock);
	if (live < budget) {
		if (free_head) {
			i = free_head;
			free_head = free_next[i];
			BUG_ON(table[i].fd1 != 0);
		} else {
			i = fresh++;
			BUG_ON(i > HH_MAX);
		}
		live++;
	}
	mutex_unlock(&lock);
	return i;
}

int hh_add(int hfd, hh_t *out)
{
	uint32_t i = index_take();

	if (!i && evict_fn) {
		evict_fn(32);
		i = index_take();
	}
	if (!i) {
		(void)h_close(hfd);
		return -ENFILE;
	}
	entry_write(i, hfd, table[i].gen);
	*out = (hh_t){i | (table[i].gen & 0xffff) << 16};
	return 0;
}

int hh_fd(hh_t h)
{
	uint32_t i = HH_INDEX(h);
	struct hh_entry e;

	if (!i)
		return -EBADF;
	e.fd1 = READ_ONCE(table[i].fd1);
	e.gen = READ_ONCE(table[i].gen);
	if ((e.gen & 0xffff) != HH_GEN(h) || !e.fd1)
		return -EBADF;
	return (int)e.fd1 - 1;
}

void hh_close(hh_t h)
{
	uint32_t i = HH_INDEX(h);
	int hfd = hh_fd(h);

	if (hfd < 0)
		return;
	mutex_lock(&lock);
	if (hh_fd(h) == hfd) {
		entry_write(i, -1, table[i].gen + 1);
		free_next[i] = (uint16_t)free_head;
		free_head = i;
		live--;
	} else {
		hfd = -1;
	}
	mutex_unlock(&lock);
	if (hfd >= 0)
		(void)h_close(hfd);
}
