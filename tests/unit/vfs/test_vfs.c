/* SPDX-License-Identifier: Apache-2.0 */
/* Path walk, tmpfs and overlay over a kernel without guests. */
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "sentry/core/charge.h"
#include "sentry/core/hhandle.h"
#include "sentry/core/kheap.h"
#include "sentry/core/user_ns.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/task/task.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/names.h"

#ifdef __SANITIZE_THREAD__
#define FAKE_BASE 0x4000000000ull
#else
#define FAKE_BASE 0x200000000000ull
#endif

static struct task me;
static struct process proc;
static struct cred root_cred, user_cred;
static struct fsctx fs;
static struct files files;
static struct nsproxy ns;
static struct mnt_ns *mns;

static void evict(unsigned n)
{
}

static void use_root(struct super *sb)
{
	struct mount *m;
	struct path top;

	assert_int_equal(mount_create(sb, 0, "test", &m), 0);
	super_put(sb);
	assert_int_equal(mnt_ns_create(m, &mns), 0);
	ns.mnt = mns;
	mnt_ns_root(mns, &top);
	fs.root = fs.cwd = top;
	path_get(&top);
}

static void drop_root(void)
{
	path_put(&fs.root);
	path_put(&fs.cwd);
	mnt_ns_put(mns);
}

static int setup(void **state)
{
	assert_int_equal(kheap_init(FAKE_BASE, 8ull << 30), 0);
	assert_int_equal(charge_init(0, 0), 0);
	assert_int_equal(hh_init(evict), 0);
	assert_int_equal(vfs_init(), 0);
	assert_int_equal(tmpfs_init(), 0);
	ref_init(&root_cred.ref, 1);
	root_cred.cap_effective = root_cred.cap_permitted = ~0ull >> 23;
	user_cred = (struct cred){.uid = 1000, .gid = 1000, .fsuid = 1000, .fsgid = 1000, .euid = 1000, .egid = 1000};
	ref_init(&user_cred.ref, 1);
	root_cred.user_ns = user_cred.user_ns = user_ns_create_init();
	mutex_init(&fs.lock, RANK_FILES);
	mutex_init(&files.lock, RANK_FILES);
	ref_init(&files.ref, 1);
	ref_init(&fs.ref, 1);
	me.cred = &root_cred;
	me.fs = &fs;
	me.files = &files;
	me.ns = &ns;
	me.proc = &proc;
	for (int i = 0; i < 16; i++)
		proc.rlim[i].cur = proc.rlim[i].max = UINT64_MAX;
	fs.umask = 022;
	return 0;
}

static int open_it(const char *name, unsigned flags, struct file **f)
{
	struct open_how_k how = {.flags = flags, .mode = 0644};

	return vfs_open(&me, AT_FDCWD, name, &how, f);
}

static int put_text(const char *name, const char *text, unsigned flags)
{
	struct file *f;
	struct uio u;
	int64_t pos = 0;
	int r = open_it(name, O_WRONLY | O_CREAT | flags, &f);

	if (r)
		return r;
	uio_kernel(&u, (void *)(uintptr_t)text, strlen(text));
	assert_int_equal(vfs_write(f, &u, &pos), strlen(text));
	file_put(f);
	return 0;
}

static void expect_text(const char *name, const char *text)
{
	char buf[256] = "";
	struct file *f;
	int r = open_it(name, O_RDONLY, &f);

	if (r)
		printf("open %s: %d\n", name, r);
	assert_int_equal(r, 0);
	int64_t n = vfs_pread(f, buf, sizeof(buf) - 1, 0);
	assert_true(n >= 0);
	buf[n] = 0;
	assert_string_equal(buf, text);
	file_put(f);
}

static int stat_it(const char *name, struct kstat *st)
{
	struct path p;
	int r = path_lookup(&me, AT_FDCWD, name, 0, &p);

	if (r)
		return r;
	r = vfs_getattr(&p, st, 0);
	path_put(&p);
	return r;
}

struct names {
	struct dir_emit e;
	char text[4096];
};

static int add_name(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type, int64_t next)
{
	struct names *n = container_of(e, struct names, e);

	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return 0;
	strncat(n->text, name, len);
	strcat(n->text, " ");
	return 0;
}

static void expect_list(const char *dir, const char *want)
{
	struct names n = {.e.fn = add_name};
	struct file *f;

	assert_int_equal(open_it(dir, O_RDONLY | O_DIRECTORY, &f), 0);
	assert_int_equal(file_ops(f)->iterate(f, &n.e), 0);
	file_put(f);
	assert_string_equal(n.text, want);
}

static void test_names(void **state)
{
	struct tmpfs_opts o = {.mode = 0755};
	struct super *sb;
	struct kstat st;
	struct file *f;

	assert_int_equal(tmpfs_super_create(&o, &sb), 0);
	use_root(sb);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/a", 0777), 0);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/a/", 0777), -EEXIST);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "a/b/", 0777), 0);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/x/b", 0777), -ENOENT);
	assert_int_equal(put_text("/a/b/f", "hello", 0), 0);
	expect_text("/a/./b/../b//f", "hello");
	assert_int_equal(open_it("/a/b/f/", O_RDONLY, &f), -ENOTDIR);
	assert_int_equal(open_it("/a/b/f/x", O_RDONLY, &f), -ENOTDIR);
	assert_int_equal(open_it("/a/b/g", O_RDONLY, &f), -ENOENT);
	assert_int_equal(open_it("/a/b/f", O_RDONLY | O_CREAT | O_EXCL, &f), -EEXIST);
	assert_int_equal(open_it("/a/b/n/", O_RDWR | O_CREAT, &f), -EISDIR);
	assert_int_equal(open_it("/a/b", O_RDWR, &f), -EISDIR);
	assert_int_equal(vfs_symlink(&me, "b/f", AT_FDCWD, "/a/l"), 0);
	expect_text("/a/l", "hello");
	assert_int_equal(open_it("/a/l", O_RDONLY | O_NOFOLLOW, &f), -ELOOP);
	assert_int_equal(vfs_symlink(&me, "loop", AT_FDCWD, "/loop"), 0);
	assert_int_equal(open_it("/loop", O_RDONLY, &f), -ELOOP);
	assert_int_equal(vfs_symlink(&me, "/a/new", AT_FDCWD, "/dangling"), 0);
	assert_int_equal(put_text("/dangling", "made", 0), 0);
	expect_text("/a/new", "made");
	assert_int_equal(stat_it("/a", &st), 0);
	assert_int_equal(st.nlink, 3);
	assert_int_equal(vfs_rmdir(&me, AT_FDCWD, "/a"), -ENOTEMPTY);
	assert_int_equal(vfs_unlink(&me, AT_FDCWD, "/a"), -EISDIR);
	assert_int_equal(vfs_rmdir(&me, AT_FDCWD, "/a/new"), -ENOTDIR);
	assert_int_equal(vfs_link(&me, AT_FDCWD, "/a/new", AT_FDCWD, "/hard", 0), 0);
	assert_int_equal(stat_it("/hard", &st), 0);
	assert_int_equal(st.nlink, 2);
	assert_int_equal(vfs_rename(&me, AT_FDCWD, "/a", AT_FDCWD, "/a/b/c", 0), -EINVAL);
	assert_int_equal(vfs_rename(&me, AT_FDCWD, "/a/b", AT_FDCWD, "/moved", 0), 0);
	expect_text("/moved/f", "hello");
	assert_int_equal(vfs_rename(&me, AT_FDCWD, "/moved/f", AT_FDCWD, "/hard", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(vfs_rename(&me, AT_FDCWD, "/moved/f", AT_FDCWD, "/hard", 0), 0);
	expect_text("/hard", "hello");
	expect_text("/a/new", "made");
	assert_int_equal(vfs_unlink(&me, AT_FDCWD, "/a/new"), 0);
	assert_int_equal(stat_it("/a/new", &st), -ENOENT);
	assert_int_equal(vfs_unlink(&me, AT_FDCWD, "/a/new"), -ENOENT);
	expect_list("/", "a loop dangling hard moved ");
	me.cred = &user_cred;
	assert_int_equal(put_text("/hard", "x", 0), -EACCES);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/u", 0777), -EACCES);
	me.cred = &root_cred;
	drop_root();
}

static void test_deep(void **state)
{
	struct tmpfs_opts o = {.mode = 0755};
	struct super *sb;
	char *buf = malloc(PATH_MAX_LEN);

	assert_int_equal(tmpfs_super_create(&o, &sb), 0);
	use_root(sb);
	for (int i = 0; i < 10000; i++) {
		struct path p;
		assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "d", 0777), 0);
		assert_int_equal(path_lookup(&me, AT_FDCWD, "d", LOOKUP_DIRECTORY, &p), 0);
		path_put(&fs.cwd);
		fs.cwd = p;
	}
	assert_null(path_text(&fs.cwd, &fs.root, buf, PATH_MAX_LEN));
	free(buf);
	drop_root();
}

static void test_data(void **state)
{
	struct tmpfs_opts o = {.mode = 0755, .size = 1 << 20};
	struct super *sb;
	struct file *f;
	struct uio u;
	char *big = malloc(2 << 20), *back = malloc(2 << 20);
	int64_t pos = 0;

	assert_int_equal(tmpfs_super_create(&o, &sb), 0);
	use_root(sb);
	for (int i = 0; i < 2 << 20; i++)
		big[i] = (char)(i * 7 + i / 4096);
	assert_int_equal(open_it("/f", O_RDWR | O_CREAT, &f), 0);
	uio_kernel(&u, big, 2 << 20);
	assert_int_equal(vfs_write(f, &u, &pos), 1 << 20);
	assert_int_equal(pos, 1 << 20);
	uio_kernel(&u, big, 10);
	assert_int_equal(vfs_write(f, &u, &pos), -ENOSPC);
	assert_int_equal(vfs_pread(f, back, 2 << 20, 0), 1 << 20);
	assert_memory_equal(big, back, 1 << 20);
	assert_int_equal(file_ops(f)->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 100000), 0);
	memset(big + 5000, 0, 100000);
	assert_int_equal(vfs_pread(f, back, 2 << 20, 0), 1 << 20);
	assert_memory_equal(big, back, 1 << 20);
	assert_int_equal(file_ops(f)->llseek(f, 0, SEEK_HOLE), 8192);
	assert_int_equal(file_ops(f)->llseek(f, 8192, SEEK_DATA), 102400);
	struct file_map map;
	assert_int_equal(file_ops(f)->mmap(f, 0, 4096, 3, MAP_PRIVATE, &map), 0);
	assert_int_equal(vfs_pread(f, back, 2 << 20, 0), 1 << 20);
	assert_memory_equal(big, back, 1 << 20);
	struct iattr a = {.valid = ATTR_SIZE, .size = 100};
	assert_int_equal(vfs_setattr(&f->path, &a, NULL), 0);
	assert_int_equal(vfs_pread(f, back, 2 << 20, 0), 100);
	file_put(f);
	assert_int_equal(vfs_unlink(&me, AT_FDCWD, "/f"), 0);
	struct l_statfs sf = {0};
	assert_int_equal(super_ops_table[sb->sops]->statfs(sb, &sf), 0);
	assert_int_equal(sf.bfree, sf.blocks);
	free(big), free(back);
	drop_root();
}

static void test_overlay(void **state)
{
	struct tmpfs_opts o = {.mode = 0755, .layer = true};
	struct super *low, *sb;
	struct kstat st, st2;
	struct file *f;
	char buf[16];

	assert_int_equal(tmpfs_super_create(&o, &low), 0);
	super_get(low);
	use_root(low);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/d", 0755), 0);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/d/sub", 0755), 0);
	assert_int_equal(put_text("/d/one", "1", 0), 0);
	assert_int_equal(put_text("/d/two", "2", 0), 0);
	assert_int_equal(put_text("/d/sub/deep", "deep", 0), 0);
	assert_int_equal(vfs_link(&me, AT_FDCWD, "/d/one", AT_FDCWD, "/d/hard", 0), 0);
	assert_int_equal(overlay_super_create(&low, 1, 0, &sb), 0);
	struct fsctx lowfs = fs;
	struct mnt_ns *lowns = mns;
	use_root(sb);
	expect_list("/d", "sub one two hard ");
	expect_text("/d/one", "1");
	assert_int_equal(open_it("/d/one", O_RDONLY, &f), 0);
	assert_int_equal(put_text("/d/one", "changed", O_TRUNC), 0);
	assert_int_equal(vfs_pread(f, buf, 16, 0), 7);
	file_put(f);
	expect_text("/d/one", "changed");
	expect_text("/d/hard", "changed");
	assert_int_equal(stat_it("/d/one", &st), 0);
	assert_int_equal(stat_it("/d/hard", &st2), 0);
	assert_int_equal(st.ino, st2.ino);
	assert_int_equal(st.nlink, 2);
	assert_int_equal(vfs_unlink(&me, AT_FDCWD, "/d/one"), 0);
	assert_int_equal(stat_it("/d/one", &st), -ENOENT);
	expect_list("/d", "sub two hard ");
	assert_int_equal(put_text("/d/one", "again", 0), 0);
	expect_list("/d", "sub two hard one ");
	assert_int_equal(vfs_unlink(&me, AT_FDCWD, "/d/one"), 0);
	assert_int_equal(stat_it("/d/one", &st), -ENOENT);
	assert_int_equal(vfs_rename(&me, AT_FDCWD, "/d", AT_FDCWD, "/e", 0), 0);
	expect_text("/e/sub/deep", "deep");
	assert_int_equal(stat_it("/d", &st), -ENOENT);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/d", 0755), 0);
	expect_list("/d", "");
	expect_list("/", "d e ");
	assert_int_equal(vfs_rmdir(&me, AT_FDCWD, "/e/sub"), -ENOTEMPTY);
	assert_int_equal(vfs_rename(&me, AT_FDCWD, "/d", AT_FDCWD, "/e/sub", 0), -ENOTEMPTY);
	assert_int_equal(vfs_unlink(&me, AT_FDCWD, "/e/sub/deep"), 0);
	assert_int_equal(vfs_rename(&me, AT_FDCWD, "/d", AT_FDCWD, "/e/sub", 0), 0);
	assert_int_equal(vfs_rmdir(&me, AT_FDCWD, "/e/sub"), 0);
	expect_list("/e", "two hard ");
	struct path p;
	assert_int_equal(path_lookup(&me, AT_FDCWD, "/e/two", 0, &p), 0);
	struct iattr a = {.valid = ATTR_MODE, .mode = 0600};
	assert_int_equal(vfs_setattr(&p, &a, &root_cred), 0);
	path_put(&p);
	assert_int_equal(stat_it("/e/two", &st), 0);
	assert_int_equal(st.mode, S_IFREG | 0600);
	assert_int_equal(st.size, 1);
	expect_text("/e/two", "2");
	drop_root();
	fs = lowfs;
	mns = lowns;
	expect_text("/d/one", "1");
	expect_list("/d", "sub one two hard ");
	super_put(low);
	drop_root();
}

static void test_mounts(void **state)
{
	struct tmpfs_opts o = {.mode = 0755};
	struct super *sb;
	struct kstat a, b;
	struct file *f;

	assert_int_equal(tmpfs_super_create(&o, &sb), 0);
	use_root(sb);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/m", 0777), 0);
	assert_int_equal(vfs_mkdir(&me, AT_FDCWD, "/n", 0777), 0);
	assert_int_equal(put_text("/m/under", "u", 0), 0);
	assert_int_equal(vfs_mount(&me, "none", "/m", "tmpfs", 0, "size=1m"), 0);
	assert_int_equal(stat_it("/m/under", &a), -ENOENT);
	assert_int_equal(put_text("/m/on", "o", 0), 0);
	assert_int_equal(vfs_rmdir(&me, AT_FDCWD, "/m"), -EBUSY);
	assert_int_equal(vfs_mount(&me, "/m", "/n", NULL, MS_BIND, NULL), 0);
	expect_text("/n/on", "o");
	assert_int_equal(stat_it("/n", &a), 0);
	assert_int_equal(stat_it("/m/../n/.", &b), 0);
	assert_int_equal(a.ino, b.ino);
	assert_int_equal(vfs_mount(&me, NULL, "/n", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	assert_int_equal(put_text("/n/x", "x", 0), -EROFS);
	assert_int_equal(vfs_rename(&me, AT_FDCWD, "/m/on", AT_FDCWD, "/n/on2", 0), -EXDEV);
	assert_int_equal(open_it("/m/on", O_RDONLY, &f), 0);
	assert_int_equal(vfs_umount(&me, "/m", 0), -EBUSY);
	assert_int_equal(vfs_umount(&me, "/m", MNT_DETACH), 0);
	expect_text("/m/under", "u");
	file_put(f);
	assert_int_equal(vfs_umount(&me, "/n", 0), 0);
	assert_int_equal(vfs_umount(&me, "/n", 0), -EINVAL);
	drop_root();
}

#ifndef __SANITIZE_THREAD__	/* attributes are read without locks, as in Linux */
#define RACERS 4

static void *racer(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg * 7919 + 1;
	struct task t = me;
	char a[32], b[32];

	current = &t;
	for (int i = 0; i < 6000; i++) {
		struct open_how_k how = {.flags = O_RDWR | O_CREAT, .mode = 0644};
		struct file *f;
		struct path p;
		unsigned r = (unsigned)rand_r(&seed);
		snprintf(a, sizeof(a), "/%c/%c", 'a' + r % 3, 'p' + r / 3 % 4);
		snprintf(b, sizeof(b), "/%c/%c", 'a' + r / 12 % 3, 'p' + r / 36 % 4);
		switch (r / 144 % 10) {
		case 0: (void)!vfs_mkdir(&t, AT_FDCWD, a, 0755); break;
		case 1: (void)!vfs_rmdir(&t, AT_FDCWD, a); break;
		case 2: (void)!vfs_unlink(&t, AT_FDCWD, a); break;
		case 3: case 4: (void)!vfs_rename(&t, AT_FDCWD, a, AT_FDCWD, b, 0); break;
		case 5: (void)!vfs_rename(&t, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE); break;
		case 6: (void)!vfs_link(&t, AT_FDCWD, a, AT_FDCWD, b, 0); break;
		case 7:
			if (path_lookup(&t, AT_FDCWD, a, LOOKUP_FOLLOW, &p) == 0) {
				char text[256];
				(void)path_text(&p, &fs.root, text, sizeof(text));
				path_put(&p);
			}
			break;
		default:
			if (vfs_open(&t, AT_FDCWD, a, &how, &f) == 0) {
				struct uio u;
				int64_t pos = 0;
				uio_kernel(&u, a, sizeof(a));
				(void)!vfs_write(f, &u, &pos);
				file_put(f);
			}
		}
	}
	current = NULL;
	return NULL;
}

/* Nothing may be left of a file system that four threads have stirred. */
static void test_race(void **state)
{
	uint64_t before = charge_used(CHARGE_FILE);
	pthread_t th[RACERS];

	for (int overlay = 0; overlay < 2; overlay++) {
		struct tmpfs_opts o = {.mode = 0755, .layer = overlay};
		struct super *low, *sb;
		assert_int_equal(tmpfs_super_create(&o, &low), 0);
		sb = low;
		if (overlay) {
			assert_int_equal(overlay_super_create(&low, 1, 0, &sb), 0);
			super_put(low);
		}
		use_root(sb);
		for (const char *d = "/a\0/b\0/c\0"; *d; d += 3)
			assert_int_equal(vfs_mkdir(&me, AT_FDCWD, d, 0755), 0);
		for (uintptr_t i = 0; i < RACERS; i++)
			assert_int_equal(pthread_create(&th[i], NULL, racer, (void *)i), 0);
		for (int i = 0; i < RACERS; i++)
			pthread_join(th[i], NULL);
		drop_root();
		assert_int_equal(charge_used(CHARGE_FILE), before);
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_data), cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_mounts), cmocka_unit_test(test_deep),
#ifndef __SANITIZE_THREAD__
		cmocka_unit_test(test_race),
#endif
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
