/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving the arena and mapping it again. The file's offsets are the arena's: what was never used
 * is a hole, so that loading is a few mmap calls and costs the pages that are touched.
 */
#include <errno.h>
#include <string.h>
#include "host/file.h"
#include "host/mem.h"
#include "sentry/core/kheap_int.h"

static int write_range(int hfd, uint64_t off, uint64_t n)
{
	const char *p = (const char *)kheap_root->base;

	while (n) {
		int64_t rc = h_pwrite(hfd, p + off, min(n, (uint64_t)1 << 30), (int64_t)off);

		if (rc <= 0)
			return rc ? (int)rc : -EIO;
		off += (uint64_t)rc;
		n -= (uint64_t)rc;
	}
	return 0;
}

static const struct chunk *chunk_table(const struct kheap_root *r)
{
	return (const struct chunk *)(r->base + r->chunks_off);
}

int kheap_save(int hfd)
{
	const struct kheap_root *r = kheap_root;
	uint64_t end = r->data_off + r->next_granule * GRANULE;
	int rc = h_ftruncate(hfd, (int64_t)end);

	if (!rc)
		rc = write_range(hfd, 0, sizeof(*r));
	if (!rc)
		rc = write_range(hfd, r->chunks_off, r->nchunks * sizeof(struct chunk));
	if (!rc)
		rc = write_range(hfd, r->owners_off, r->next_granule * sizeof(uint32_t));
	if (!rc)
		rc = write_range(hfd, r->metas_off, r->next_meta * sizeof(struct slot_meta));
	for (uint32_t i = 0; !rc && i < r->nchunks; i++) {
		const struct chunk *ch = chunk_table(r) + i;

		rc = write_range(hfd, r->data_off + ch->first_granule * GRANULE,
				 ch->granules * GRANULE - PAGE_SIZE);
	}
	return rc;
}

/* The tables of an image come from us (it is authenticated before); sizes are checked anyway. */
static bool root_sane(const struct kheap_root *r, uint64_t file_size)
{
	return r->magic == KHEAP_MAGIC && r->base % GRANULE == 0 && r->data_off % GRANULE == 0 &&
	       r->data_off < r->reserve && r->granules == (r->reserve - r->data_off) / GRANULE &&
	       r->next_granule <= r->granules && r->nchunks <= CHUNKS_MAX &&
	       r->ncaches <= KC_MAX && file_size == r->data_off + r->next_granule * GRANULE;
}

static int load_chunks(const struct kheap_root *r, int hfd)
{
	for (uint32_t i = 0; i < r->nchunks; i++) {
		const struct chunk *ch = chunk_table(r) + i;
		uint64_t off = r->data_off + ch->first_granule * GRANULE;
		void *p;
		int rc;

		if (ch->granules == 0 || ch->first_granule > r->next_granule ||
		    ch->granules > r->next_granule - ch->first_granule || ch->cache >= r->ncaches)
			return -EINVAL;
		rc = h_mmap(&p, (void *)(r->base + off), ch->granules * GRANULE - PAGE_SIZE,
			    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, hfd, (int64_t)off);
		if (rc)
			return rc;
	}
	return 0;
}

int kheap_load(int hfd)
{
	uint64_t base, reserve, tables;
	struct kheap_root *head;
	struct stat st;
	void *p = NULL;
	bool sane;
	int rc = h_fstat(hfd, &st);

	if (rc)
		return rc;
	if (st.st_size < (int64_t)sizeof(*head))
		return -EINVAL;
	rc = h_mmap(&p, NULL, sizeof(*head), PROT_READ, MAP_PRIVATE, hfd, 0);
	if (rc)
		return rc;
	head = p;
	sane = root_sane(head, (uint64_t)st.st_size);
	base = head->base;
	reserve = head->reserve;
	tables = head->data_off;
	(void)!h_munmap(p, sizeof(*head));
	if (!sane)
		return -EINVAL;
	rc = h_mmap(&p, (void *)base, reserve, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (rc)
		return rc;
	rc = h_mmap(&p, (void *)base, tables, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, hfd,
		    0);
	if (!rc)
		rc = load_chunks(p, hfd);
	if (rc) {
		(void)!h_munmap((void *)base, reserve);
		return rc;
	}
	kheap_root = p;
	return 0;
}
