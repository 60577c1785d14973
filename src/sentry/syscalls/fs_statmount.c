/* SPDX-License-Identifier: Apache-2.0 */
/* statmount, listmount */
#include <errno.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/syscalls/fs_util.h"
#include "sentry/vfs/statmount.h"

#define LISTMOUNT_REVERSE_BIT 1u
#define STRINGS (L_STATMOUNT_MNT_ROOT | L_STATMOUNT_MNT_POINT | L_STATMOUNT_FS_TYPE |              \
		 L_STATMOUNT_MNT_OPTS | L_STATMOUNT_SB_SOURCE)

/* copy_mnt_id_req; other namespaces than the caller's are not looked into. */
static int get_req(struct task *t, uaddr_t u, struct l_mnt_id_req *q)
{
	uint32_t size;
	int r = get_user(t, size, u);

	if (r)
		return r;
	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < L_MNT_ID_REQ_VER0)
		return -EINVAL;
	*q = (struct l_mnt_id_req){0};
	r = copy_in(t, q, u, min((size_t)size, sizeof(*q)));
	if (!r && (q->spare || q->mnt_id <= MNT_UNIQUE_BASE))
		r = -EINVAL;
	if (!r && q->mnt_ns_id && q->mnt_ns_id != t->ns->mnt->inum)
		r = -ENOENT;
	return r;
}

int64_t sys_statmount(struct task *t, const struct sysargs *a)
{
	struct l_mnt_id_req q;
	struct l_statmount sm;
	struct buf b = {0};
	uint64_t cap = a->a[2];

	if (ARG_U32(3))
		return -EINVAL;
	int r = get_req(t, ARG_UADDR(0), &q);
	if (!r && cap == sizeof(sm) && (q.param & STRINGS))
		r = -EOVERFLOW;
	if (r)
		return r;
	buf_addc(&b, 0);	/* offset 0: an empty string */
	r = mount_stat(t, t->ns->mnt, q.mnt_id, q.param, &sm, &b);
	uint64_t fixed = min(cap, (uint64_t)sizeof(sm));
	bool text = b.len > 1;
	if (!r && text && cap < sizeof(sm) + b.len)
		r = -EOVERFLOW;
	sm.size = (uint32_t)(fixed + (text ? b.len : 0));
	uint64_t behind;
	if (!r && __builtin_add_overflow(a->a[1], sizeof(sm), &behind))
		r = -EFAULT;
	if (!r && text)
		r = copy_out(t, UADDR(behind), b.p, b.len);
	if (!r)
		r = copy_out(t, ARG_UADDR(1), &sm, fixed);
	buf_fini(&b);
	return r;
}

int64_t sys_listmount(struct task *t, const struct sysargs *a)
{
	struct l_mnt_id_req q;
	uint64_t want = a->a[2];

	if (ARG_U32(3) & ~LISTMOUNT_REVERSE_BIT)
		return -EINVAL;
	if (want > LISTMOUNT_MAX)
		return -EOVERFLOW;
	int64_t r = get_req(t, ARG_UADDR(0), &q);
	if (r)
		return r;
	if (q.param && q.param <= MNT_UNIQUE_BASE)
		return -EINVAL;
	uint64_t *v;
	r = mount_list(t, t->ns->mnt, q.mnt_id, q.param, ARG_U32(3) & LISTMOUNT_REVERSE_BIT, &v);
	if (r < 0)
		return r;
	r = min(r, (int64_t)want);
	int err = r ? copy_out(t, ARG_UADDR(1), v, (uint64_t)r * sizeof(*v)) : 0;
	kfree(v);
	return err ? err : r;
}
