/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/told.h"

static struct told_page own_page;
struct told_page *told_page = &own_page;
_Thread_local struct told_walk told_walk;
static uint32_t changing;	/* a: changes under way */

void told_init(struct told_page *page)
{
	told_page = page;
}

void told_raise_epoch(void)
{
	__atomic_add_fetch(&told_page->epoch, 1, __ATOMIC_SEQ_CST);
}

void told_change_begin(void)
{
	__atomic_add_fetch(&changing, 1, __ATOMIC_SEQ_CST);
	told_raise_epoch();
}

void told_change_end(void)
{
	__atomic_sub_fetch(&changing, 1, __ATOMIC_SEQ_CST);
}

void told_names_changed(struct super *sb)
{
	if (READ_ONCE(sb->told))
		told_raise_epoch();
}

void told_news(void)
{
	__atomic_add_fetch(&told_page->news, 1, __ATOMIC_SEQ_CST);
}

void told_full(void)
{
	__atomic_store_n(&told_page->full, 1, __ATOMIC_SEQ_CST);
}

void told_walk_begin(bool absolute)
{
	told_walk.epoch = __atomic_load_n(&told_page->epoch, __ATOMIC_SEQ_CST);
	told_walk.sure = absolute && !__atomic_load_n(&changing, __ATOMIC_SEQ_CST);
}

/* Where many may write, names come and go too often for it to be worth anything. */
static bool is_quiet(const struct inode *dir)
{
	return !(READ_ONCE(dir->mode) & 022) && inode_ops(dir)->settled;
}

void told_walk_enter(struct inode *dir)
{
	if (!told_walk.sure)
		return;
	if (!is_quiet(dir))
		told_walk.sure = false;
	else if (!READ_ONCE(dir->sb->told))
		WRITE_ONCE(dir->sb->told, true);
}

void told_walk_looked(struct inode *dir)
{
	if (told_walk.sure && !inode_ops(dir)->settled(dir))
		told_walk.sure = false;
}
