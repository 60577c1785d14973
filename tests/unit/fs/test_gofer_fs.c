/* SPDX-License-Identifier: Apache-2.0 */
/* fs/gofer against the real server, which runs in threads of this process over a directory of its
 * own. What "the host" does is done with ordinary calls beside it. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include "gofer/gofer_int.h"
#include "sentry/core/charge.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/vfs/vfs.h"
#include "sentry/vfs/vfs_int.h"
#include "unit.h"

#ifdef __SANITIZE_THREAD__
#define FAKE_BASE 0x4000000000ull
#else
#define FAKE_BASE 0x200000000000ull
#endif

#define CHANNELS 2

static char base[] = "/tmp/brig-gofer-fs-XXXXXX";
static struct channel server[CHANNELS];
static struct super *sb, *ro;
static struct cred me;

static void *serve(void *arg)
{
	gofer_serve(arg);
	return NULL;
}

static const char *at(const char *rel)
{
	static _Thread_local char p[2][256];
	static _Thread_local int which;

	which ^= 1;
	snprintf(p[which], sizeof(p[0]), "%s/%s", base, rel);
	return p[which];
}

static void put_file(const char *rel, const char *text)
{
	int fd = open(at(rel), O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int setup(void **state)
{
	int ours[CHANNELS], pair[2];
	pthread_t t;

	(void)state;
	assert_non_null(mkdtemp(base));
	chmod(base, 0755);
	assert_int_equal(chdir("/proc/self/fd"), 0);
	umask(0);
	assert_int_equal(kheap_init(FAKE_BASE, 4ull << 30), 0);
	assert_int_equal(charge_init(0, 0), 0);
	assert_int_equal(hh_init(gofer_evict), 0);
	assert_int_equal(vfs_init(), 0);
	assert_int_equal(handles_init(2, 4096, 100), 0);
	assert_int_equal(handle_add_root(0, open(base, O_PATH), GOFER_ROOT_RW), 0);
	assert_int_equal(handle_add_root(1, open(base, O_PATH), 0), 0);
	for (int i = 0; i < CHANNELS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		ours[i] = pair[0];
		server[i].hfd = pair[1];
		pthread_create(&t, NULL, serve, &server[i]);
		pthread_detach(t);
	}
	assert_int_equal(gofer_client_init(ours, CHANNELS), 0);
	assert_int_equal(gofer_super_create(0, GOFER_SB_SHARED, &sb), 0);
	assert_int_equal(gofer_super_create(1, GOFER_SB_SHARED | GOFER_SB_RO, &ro), 0);
	me.fsuid = me.euid = me.uid = geteuid();
	me.fsgid = me.egid = me.gid = getegid();
	return 0;
}

static int finish(void **state)
{
	char p[256];

	(void)state;
	snprintf(p, sizeof(p), "rm -rf %s", base);
	return system(p);
}

/* One name below d; NULL when it is not there. */
static struct dentry *find(struct dentry *d, const char *name)
{
	struct dentry *out;
	int rc = dentry_lookup(d, name, strlen(name), &out);

	assert_int_equal(rc, 0);
	if (out->inode)
		return out;
	dentry_put(out);
	return NULL;
}

static bool there(const char *name)
{
	struct dentry *d = find(sb->root, name);

	dentry_put(d);
	return d != NULL;
}

static void settle(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 40000000}, NULL);
}

/* --- coherence --- */

static void coherence(void **state)
{
	(void)state;
	assert_false(there("a"));
	put_file("a", "1");
	assert_true(there("a"));
	settle();
	assert_true(there("a"));
	assert_true(there("a"));	/* by the stamp */
	unlink(at("a"));
	assert_false(there("a"));
	settle();
	assert_false(there("a"));
	assert_false(there("a"));
	mkdir(at("a"), 0755);
	assert_true(there("a"));

	/* The same tick: a change right behind a lookup is seen as well. */
	for (int i = 0; i < 300; i++) {
		put_file("tick", "x");
		assert_true(there("tick"));
		unlink(at("tick"));
		assert_false(there("tick"));
	}

	/* A name that changes hands gives the new object; an unchanged one keeps its dentry. */
	put_file("old", "1"), put_file("new", "22");
	struct dentry *a = find(sb->root, "a"), *d = find(sb->root, "old");
	struct kstat st;
	rename(at("new"), at("old"));
	struct dentry *a2 = find(sb->root, "a"), *d2 = find(sb->root, "old");
	assert_ptr_equal(a, a2);
	assert_ptr_not_equal(d->inode, d2->inode);
	assert_int_equal(inode_ops(d2->inode)->getattr(d2->inode, &st, 0), 0);
	assert_int_equal(st.size, 2);
	assert_int_equal(inode_ops(d->inode)->getattr(d->inode, &st, 0), 0);
	assert_int_equal(st.nlink, 0);		/* still readable by who has it */
	dentry_put(a), dentry_put(a2), dentry_put(d), dentry_put(d2);
}

static int make(const char *name)
{
	struct inode *dir = sb->root->inode, *i;
	struct dentry *d;

	assert_int_equal(dentry_lookup(sb->root, name, strlen(name), &d), 0);
	assert_null(d->inode);
	mutex_lock(&dir->lock);
	int rc = inode_ops(dir)->create(dir, name, strlen(name), S_IFREG | 0600, 0, &me, &i);
	if (!rc)
		dentry_instantiate(d, i);
	mutex_unlock(&dir->lock);
	dentry_put(d);
	return rc;
}

/* Changes of ours and of the host, one right behind the other. */
static void taking_turns(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(make("turn"), 0);
		if (i % 2)
			assert_true(there("turn"));
		assert_int_equal(unlink(at("turn")), 0);
		assert_false(there("turn"));
		put_file("turn", "x");
		assert_true(there("turn"));
		struct dentry *d = find(sb->root, "turn");
		struct inode *dir = sb->root->inode;
		mutex_lock(&dir->lock);
		assert_int_equal(inode_ops(dir)->unlink(dir, "turn", 4, d->inode), 0);
		dentry_deleted(d);
		mutex_unlock(&dir->lock);
		dentry_put(d);
		if (i % 3)
			assert_false(there("turn"));
	}
}

static void hard_links(void **state)
{
	(void)state;
	put_file("l1", "x");
	assert_int_equal(link(at("l1"), at("l2")), 0);
	struct dentry *a = find(sb->root, "l1"), *b = find(sb->root, "l2");
	assert_ptr_equal(a->inode, b->inode);
	dentry_put(a), dentry_put(b);
}

/* --- files --- */

static struct file open_file(struct inode *i, unsigned mode, unsigned flags)
{
	struct file f = {.fops = FOPS_gofer, .mode = mode, .flags = flags, .inode = i};

	assert_int_equal(file_ops(&f)->open(i, &f), 0);
	return f;
}

static void data(void **state)
{
	struct inode *dir = sb->root->inode, *i;
	const struct inode_ops *ops = inode_ops(dir);
	char buf[100];
	struct uio u;
	struct stat st;
	struct file_map map;
	int64_t pos = 0;

	(void)state;
	mutex_lock(&dir->lock);
	vfs_open_intent = 1 + O_WRONLY;
	assert_int_equal(ops->create(dir, "made", 4, S_IFREG | 0400, 0, &me, &i), 0);
	vfs_open_intent = 0;
	mutex_unlock(&dir->lock);
	struct file f = open_file(i, FMODE_WRITE, O_WRONLY);
	uio_kernel(&u, (char[]){"hello world"}, 11);
	assert_int_equal(file_ops(&f)->write(&f, &u, &pos), 11);
	assert_int_equal(pos, 11);
	stat(at("made"), &st);
	assert_int_equal(st.st_mode, S_IFREG | 0400);
	assert_int_equal(st.st_size, 11);
	struct iattr a = {.valid = ATTR_SIZE, .size = 5, .file = &f};
	mutex_lock(&i->lock);
	assert_int_equal(ops->setattr(i, &a), 0);
	mutex_unlock(&i->lock);
	file_ops(&f)->release(&f);

	inode_put(i);
	vfs_open_intent = 1 + O_RDONLY;
	struct dentry *md = find(sb->root, "made");
	vfs_open_intent = 0;
	i = md->inode;
	f = open_file(i, FMODE_READ, O_RDONLY);
	uio_kernel(&u, buf, sizeof(buf));
	pos = 1;
	assert_int_equal(file_ops(&f)->read(&f, &u, &pos), 4);
	assert_memory_equal(buf, "ello", 4);
	assert_int_equal(file_ops(&f)->llseek(&f, -1, SEEK_END), 4);
	assert_int_equal(file_ops(&f)->mmap(&f, 0, 4096, PROT_READ, MAP_SHARED, &map), 0);
	/* I1: the mapping cannot become writable. */
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, hh_fd(map.h), 0), MAP_FAILED);
	file_ops(&f)->release(&f);
	dentry_put(md);

	f = (struct file){.fops = FOPS_gofer, .mode = FMODE_WRITE, .flags = O_WRONLY};
	struct dentry *d = find(ro->root, "made");
	f.inode = d->inode;
	assert_int_equal(file_ops(&f)->open(f.inode, &f), -EROFS);
	dentry_put(d);
}

static void appending(void **state)
{
	struct dentry *d;
	struct uio u;
	static char big[300000];
	int64_t pos = 0;

	(void)state;
	put_file("log", "abc");
	d = find(sb->root, "log");
	struct file f = open_file(d->inode, FMODE_WRITE, O_WRONLY | O_APPEND);
	uio_kernel(&u, (char[]){"de"}, 2);
	assert_int_equal(file_ops(&f)->write(&f, &u, &pos), 2);
	assert_int_equal(pos, 5);
	uio_kernel(&u, big, sizeof(big));
	pos = 0;
	assert_int_equal(file_ops(&f)->write(&f, &u, &pos), sizeof(big));
	assert_int_equal(pos, 5 + sizeof(big));
	file_ops(&f)->release(&f);
	dentry_put(d);
}

/* --- directories --- */

struct seen {
	struct dir_emit e;
	unsigned n, room;
	char first[256];
};

static int see(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type,
	       int64_t next_pos)
{
	struct seen *s = container_of(e, struct seen, e);

	(void)ino, (void)type, (void)next_pos;
	if (!s->room)
		return -1;
	s->room--, s->n++;
	memcpy(s->first, name, len);
	s->first[len] = 0;
	return 0;
}

static void listing(void **state)
{
	(void)state;
	mkdir(at("many"), 0755);
	for (int i = 0; i < 3000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "many/file-%d", i);
		put_file(name, "");
	}
	struct dentry *d = find(sb->root, "many");
	struct file f = open_file(d->inode, FMODE_READ, O_RDONLY | O_DIRECTORY);
	struct seen s = {.e.fn = see};
	unsigned rounds = 0;
	do {
		s.room = 7;
		assert_int_equal(file_ops(&f)->iterate(&f, &s.e), 0);
	} while (!s.room && ++rounds < 10000);
	assert_int_equal(s.n, 3002);
	s.e.pos = 0, s.n = 0, s.room = 100000;	/* rewinddir */
	assert_int_equal(file_ops(&f)->iterate(&f, &s.e), 0);
	assert_int_equal(s.n, 3002);
	file_ops(&f)->release(&f);
	/* Everything looked up: more inodes than descriptors in the Gofer. */
	struct dentry *keep[300];
	for (int i = 0; i < 300; i++) {
		char name[32];
		snprintf(name, sizeof(name), "file-%d", i);
		keep[i] = find(d, name);
		assert_non_null(keep[i]);
	}
	gofer_evict(1000), gofer_evict(1000);
	for (int i = 0; i < 300; i++) {
		struct kstat st;
		struct inode *in = keep[i]->inode;
		assert_int_equal(inode_ops(in)->getattr(in, &st, 0), 0);
		assert_int_equal(st.ino, in->ino);
		dentry_put(keep[i]);
	}
	dentry_put(d);
}

static void changes(void **state)
{
	struct inode *dir = sb->root->inode, *i, *l;
	const struct inode_ops *ops = inode_ops(dir);
	char buf[20];
	struct stat st;

	(void)state;
	mutex_lock(&dir->lock);
	assert_int_equal(ops->mkdir(dir, "d", 1, 0750, &me, &i), 0);
	assert_int_equal(ops->mkdir(dir, "d", 1, 0750, &me, &l), -EEXIST);
	assert_int_equal(ops->symlink(dir, "s", 1, "where", &me, &l), 0);
	assert_int_equal(ops->readlink(l, buf, sizeof(buf)), 5);
	inode_put(l);
	assert_int_equal(ops->create(dir, "fifo", 4, S_IFIFO | 0600, 0, &me, &l), 0);
	inode_put(l);
	assert_int_equal(ops->create(dir, "dev", 3, S_IFCHR | 0600, 0x103, &me, &l), -EPERM);
	assert_int_equal(ops->create(dir, "r", 1, S_IFREG | 0600, 0, &me, &l), 0);
	assert_int_equal(ops->rename(dir, "r", 1, l, i, "r2", 2, NULL, 0), 0);
	assert_int_equal(lstat(at("d/r2"), &st), 0);
	assert_int_equal(ops->rmdir(dir, "d", 1, i), -ENOTEMPTY);
	assert_int_equal(ops->link(dir, "hard", 4, l), 0);
	assert_int_equal(ops->unlink(i, "r2", 2, l), 0);
	assert_int_equal(ops->rmdir(dir, "d", 1, i), 0);
	mutex_unlock(&dir->lock);
	struct iattr a = {.valid = ATTR_MODE | ATTR_ATIME | ATTR_MTIME | ATTR_MTIME_NOW, .mode = 0640,
			  .atime = {5, 6}};
	assert_int_equal(ops->setattr(l, &a), 0);
	stat(at("hard"), &st);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_atim.tv_sec, 5);
	assert_int_equal(st.st_atim.tv_nsec, 6);
	assert_true(time(NULL) - st.st_mtime < 10);
	inode_put(i), inode_put(l);
	assert_int_equal(lstat(at("fifo"), &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
}

/* Looked through name by name: fetched ahead, and still what the host has. */
static void looking_through(void **state)
{
	char name[32];
	struct stat st;
	unsigned replaced = 0;

	(void)state;
	mkdir(at("tree"), 0755);
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "tree/%d", i);
		put_file(name, "");
	}
	settle();
	struct dentry *d = find(sb->root, "tree");
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "tree/%d", i);
		if (i % 100 == 50) {	/* somebody replaces a name that lies ahead */
			char next[32];
			snprintf(next, sizeof(next), "tree/%d", i + 1);
			put_file("tree/new", "x");
			rename(at("tree/new"), at(next));
			replaced++;
		}
		struct dentry *x = find(d, name + 5);
		stat(at(name), &st);
		assert_non_null(x);
		assert_int_equal(x->inode->ino, st.st_ino);
		dentry_put(x);
		assert_null(find(d, "absent"));
	}
	assert_int_equal(replaced, 4);
	dentry_put(d);
}

/* A Gofer that answers garbage: errors, and nothing worse; afterwards all is well. */
static void lies(void **state)
{
	struct inode *dir = sb->root->inode, *i;
	const struct inode_ops *ops = inode_ops(dir);
	unsigned wrong = 0;
	char buf[100], name[16];
	struct kstat st;

	(void)state;
	put_file("honest", "x");
	__atomic_store_n(&gofer_reply_hook, gofer_lie, __ATOMIC_RELEASE);
	for (int round = 0; round < 3000; round++) {
		snprintf(name, sizeof(name), "n%d", round % 50);
		mutex_lock(&dir->lock);
		vfs_open_intent = round % 4;
		int rc = ops->create(dir, name, strlen(name), S_IFREG | 0600, 0, &me, &i);
		if (rc)
			rc = ops->lookup(dir, name, strlen(name), &i);
		vfs_open_intent = 0;
		mutex_unlock(&dir->lock);
		if (rc) {
			assert_true(rc < 0 && rc > -4096);
			wrong++;
			continue;
		}
		struct file f = {.fops = FOPS_gofer, .mode = FMODE_READ, .inode = i};
		if (!file_ops(&f)->open(i, &f)) {
			struct uio u;
			int64_t pos = 0;
			uio_kernel(&u, buf, sizeof(buf));
			(void)!file_ops(&f)->read(&f, &u, &pos);
			file_ops(&f)->release(&f);
		}
		if (round % 50 == 0)
			gofer_evict(1000), gofer_evict(1000);
		(void)!ops->getattr(i, &st, 0);
		(void)!ops->getxattr(i, "user.a", buf, sizeof(buf));
		(void)!ops->listxattr(i, buf, sizeof(buf));
		inode_put(i);
	}
	__atomic_store_n(&gofer_reply_hook, NULL, __ATOMIC_RELEASE);
	assert_true(wrong > 0);
	settle();
	assert_true(there("honest"));
}

static void descriptors(void **state)
{
	int memfd = memfd_create("m", 0), out;

	(void)state;
	assert_int_equal(gofer_reopen_ro(memfd, &out), 0);
	assert_int_equal(pwrite(out, "x", 1, 0), -1);
	close(out), close(memfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(coherence),   cmocka_unit_test(taking_turns),
		cmocka_unit_test(hard_links),  cmocka_unit_test(data),
		cmocka_unit_test(appending),   cmocka_unit_test(listing),
		cmocka_unit_test(changes),     cmocka_unit_test(looking_through),
		cmocka_unit_test(descriptors), cmocka_unit_test(lies),
	};
	return cmocka_run_group_tests(tests, setup, finish);
}
