/* SPDX-License-Identifier: Apache-2.0 */
/* The Gofer's server over a directory of its own, requests made by hand. Root 0 is writable,
 * root 1 the same directory read-only and public. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include "gofer/gofer_int.h"
#include "unit.h"

static struct channel ch;
static char base[] = "/tmp/brig-gofer-XXXXXX";
static struct wire_w q;

struct answer {
	int rc;
	struct wire_r r;
	uint64_t h;
	int fd;		/* the first descriptor, a copy; -1 if none */
	unsigned nfds;
};

static struct wire_w *request(uint32_t op)
{
	q = WIRE_W(ch.in, sizeof(ch.in));
	wire_put_u32(&q, op);
	wire_put_u32(&q, 77);
	return &q;
}

static struct answer call_fd(int fd)
{
	struct answer a = {.fd = -1};
	size_t n;

	assert_true(wire_fits(&q));
	n = gofer_handle(&ch, q.len, fd);
	assert_true(n >= 8);
	a.r = WIRE_R(ch.out, n);
	assert_int_equal(wire_get_u32(&a.r), 77);
	a.rc = (int32_t)wire_get_u32(&a.r);
	a.nfds = ch.rep.nfds;
	if (a.nfds)
		a.fd = dup(ch.rep.fds[ch.rep.nfds - 1]);
	reply_sent(&ch.rep, true);
	return a;
}

static struct answer call(void)
{
	return call_fd(-1);
}

static void drop(struct answer *a)
{
	if (a->fd >= 0)
		close(a->fd);
}

static uint64_t attach(uint32_t root)
{
	wire_put_u32(request(GOFER_ATTACH), root);
	struct answer a = call();
	assert_int_equal(a.rc, 0);
	drop(&a);
	return wire_get_u64(&a.r);
}

/* The handle of one name, or the error as a negative number. */
static int64_t walk1(uint64_t dir, const char *name)
{
	struct wire_w *w = request(GOFER_WALK);
	wire_put_u64(w, dir);
	wire_put_u32(w, 0);
	wire_put_u32(w, 1);
	wire_put_str(w, name);
	struct answer a = call();
	drop(&a);
	if (a.rc)
		return a.rc;
	assert_int_equal(wire_get_u32(&a.r), 1);
	wire_get_u32(&a.r);
	return (int64_t)wire_get_u64(&a.r);
}

static int open_h(uint64_t h, uint32_t flags)
{
	struct wire_w *w = request(GOFER_OPEN);
	wire_put_u64(w, h);
	wire_put_u32(w, flags);
	struct answer a = call();
	return a.rc ? a.rc : a.fd;
}

static int path_fd(const char *rel)
{
	char p[256];
	snprintf(p, sizeof(p), "%s/%s", base, rel);
	return open(p, O_PATH);
}

static void put_file(const char *rel, const char *text, unsigned mode)
{
	char p[256];
	snprintf(p, sizeof(p), "%s/%s", base, rel);
	int fd = open(p, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	fchmod(fd, mode);
	close(fd);
}

static unsigned budget = 200;

static int setup(void **state)
{
	char p[256];

	(void)state;
	if (base[strlen(base) - 1] == 'X')
		assert_non_null(mkdtemp(base));
	chmod(base, 0755);
	assert_int_equal(chdir("/proc/self/fd"), 0);
	umask(0);
	assert_int_equal(handles_init(2, 4096, budget), 0);
	assert_int_equal(handle_add_root(0, path_fd("."), GOFER_ROOT_RW), 0);
	assert_int_equal(handle_add_root(1, path_fd("."), GOFER_ROOT_PUBLIC), 0);
	snprintf(p, sizeof(p), "rm -rf %s/*", base);
	return system(p);
}

static int finish(void **state)
{
	char p[256];

	(void)state;
	snprintf(p, sizeof(p), "rm -rf %s", base);
	return system(p);
}

static void walking(void **state)
{
	char p[300];
	uint64_t root = attach(0);

	(void)state;
	snprintf(p, sizeof(p), "mkdir -p %s/a/b/c; ln -s ../../etc %s/a/l; echo x > %s/a/b/f", base,
		 base, base);
	assert_int_equal(system(p), 0);
	struct wire_w *w = request(GOFER_WALK);
	wire_put_u64(w, root);
	wire_put_u32(w, 0);
	wire_put_u32(w, 4);
	wire_put_str(w, "a"), wire_put_str(w, "b"), wire_put_str(w, "f"), wire_put_str(w, "g");
	struct answer a = call();
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.nfds, 3);		/* stops at the file */
	assert_int_equal(wire_get_u32(&a.r), 3);
	drop(&a);

	w = request(GOFER_WALK);
	wire_put_u64(w, root);
	wire_put_u32(w, 1);
	wire_put_u32(w, 3);
	wire_put_str(w, "a"), wire_put_str(w, "l"), wire_put_str(w, "passwd");
	a = call();
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.nfds, 2);		/* and at the link */
	wire_get_u32(&a.r), wire_get_u32(&a.r);
	wire_get_u64(&a.r), wire_get_u32(&a.r);
	uint64_t link = wire_get_u64(&a.r);
	assert_int_equal(wire_get_u32(&a.r), 1);
	assert_string_equal(wire_get_str(&a.r, GOFER_TARGET_MAX, NULL), "../../etc");
	assert_true(wire_done(&a.r));
	drop(&a);
	assert_int_equal(open_h(link, O_RDONLY), -ELOOP);
	assert_int_equal(walk1(link, "passwd"), -ENOTDIR);

	assert_int_equal(walk1(root, "absent"), -ENOENT);
	assert_int_equal(walk1(root, ".."), -EINVAL);
	assert_int_equal(walk1(root, "a/b"), -EINVAL);
	assert_int_equal(walk1(root, "."), -EINVAL);
	assert_int_equal(walk1(root, ""), -EINVAL);
	assert_int_equal(walk1(root + 100, "a"), -ESTALE);
	assert_int_equal(walk1(0, "a"), -ESTALE);
}

static void types(void **state)
{
	char p[300];
	uint64_t root = attach(0), ro = attach(1);

	(void)state;
	snprintf(p, sizeof(p), "mkfifo %s/fifo; mkdir %s/dir", base, base);
	assert_int_equal(system(p), 0);
	put_file("f", "hello", 0644);
	put_file("secret", "hello", 0600);
	struct wire_w *w = request(GOFER_WALK);
	wire_put_u64(w, root), wire_put_u32(w, 1), wire_put_u32(w, 1), wire_put_str(w, "f");
	struct answer a = call();
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.nfds, 2);	/* opened along with it */
	assert_int_equal(read(a.fd, p, 5), 5);
	assert_int_equal(pwrite(a.fd, "J", 1, 0), -1);
	drop(&a);
	w = request(GOFER_WALK);
	wire_put_u64(w, ro), wire_put_u32(w, 1), wire_put_u32(w, 1), wire_put_str(w, "secret");
	a = call();
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.nfds, 1);
	drop(&a);
	uint64_t f = (uint64_t)walk1(root, "f");
	int fd = open_h(f, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "J", 1, 0), 1);
	close(fd);
	fd = open_h(f, O_RDONLY);
	assert_int_equal(pwrite(fd, "J", 1, 0), -1);
	close(fd);
	assert_int_equal(open_h(f, O_RDONLY | O_DIRECTORY), -ENOTDIR);
	assert_int_equal(open_h(f, O_CREAT), -EINVAL);
	assert_int_equal(open_h((uint64_t)walk1(root, "fifo"), O_RDONLY), -EACCES);
	assert_int_equal(open_h((uint64_t)walk1(root, "dir"), O_RDWR), -EISDIR);
	fd = open_h((uint64_t)walk1(root, "dir"), O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	close(fd);

	f = (uint64_t)walk1(ro, "f");
	assert_int_equal(open_h(f, O_RDWR), -EROFS);
	assert_int_equal(open_h(f, O_RDONLY | O_TRUNC), -EROFS);
	close(open_h(f, O_RDONLY));
	assert_int_equal(open_h((uint64_t)walk1(ro, "secret"), O_RDONLY), -EACCES);
	snprintf(p, sizeof(p), "%s/dir", base);
	chmod(p, 0700);
	assert_int_equal(walk1((uint64_t)walk1(ro, "dir"), "x"), -EACCES);
}

static void changing(void **state)
{
	uint64_t root = attach(0), ro = attach(1);
	struct wire_w *w = request(GOFER_CREATE);
	struct stat st;

	(void)state;
	wire_put_u64(w, root), wire_put_str(w, "new"), wire_put_u32(w, 0400);
	wire_put_u32(w, O_RDWR), wire_put_u32(w, geteuid()), wire_put_u32(w, getegid());
	struct answer a = call();
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.nfds, 2);
	uint64_t f = wire_get_u64(&a.r);
	assert_int_equal(write(a.fd, "abc", 3), 3);
	drop(&a);
	w = request(GOFER_CREATE);	/* again */
	wire_put_u64(w, root), wire_put_str(w, "new"), wire_put_u32(w, 0400);
	wire_put_u32(w, O_RDWR), wire_put_u32(w, 0), wire_put_u32(w, 0);
	assert_int_equal(call().rc, -EEXIST);
	w = request(GOFER_CREATE);
	wire_put_u64(w, ro), wire_put_str(w, "other"), wire_put_u32(w, 0400);
	wire_put_u32(w, O_RDWR), wire_put_u32(w, 0), wire_put_u32(w, 0);
	assert_int_equal(call().rc, -EROFS);

	w = request(GOFER_MKDIR);
	wire_put_u64(w, root), wire_put_str(w, "d"), wire_put_u32(w, 01777);
	wire_put_u32(w, geteuid()), wire_put_u32(w, getegid());
	a = call();
	assert_int_equal(a.rc, 0);
	uint64_t d = wire_get_u64(&a.r);
	fstat(a.fd, &st);
	assert_int_equal(st.st_mode, S_IFDIR | 01777);
	drop(&a);

	w = request(GOFER_RENAME);
	wire_put_u64(w, root), wire_put_str(w, "new");
	wire_put_u64(w, d), wire_put_str(w, "moved"), wire_put_u32(w, 0);
	wire_put_u64(w, f), wire_put_u64(w, 0);
	assert_int_equal(call().rc, 0);
	assert_int_equal(walk1(root, "new"), -ENOENT);
	assert_true(walk1(d, "moved") > 0);

	w = request(GOFER_SETATTR);
	wire_put_u64(w, f);
	wire_put_u32(w, GOFER_SET_MODE | GOFER_SET_SIZE | GOFER_SET_MTIME), wire_put_u32(w, 0640);
	wire_put_u32(w, 0), wire_put_u32(w, 0), wire_put_u64(w, 2);
	for (int i = 0; i < 4; i++)
		wire_put_u64(w, 1000);
	assert_int_equal(call().rc, 0);
	wire_put_u64(request(GOFER_GETFD), f);
	a = call();
	assert_int_equal(a.rc, 0);
	fstat(a.fd, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_size, 2);
	assert_int_equal(st.st_mtime, 1000);
	drop(&a);

	w = request(GOFER_LINK);
	wire_put_u64(w, f), wire_put_u64(w, root), wire_put_str(w, "link");
	assert_int_equal(call().rc, 0);
	uint64_t there = (uint64_t)walk1(ro, "link");
	w = request(GOFER_LINK);	/* from a read-only root into a writable one */
	wire_put_u64(w, there), wire_put_u64(w, root), wire_put_str(w, "l2");
	assert_int_equal(call().rc, -EROFS);

	w = request(GOFER_SYMLINK);
	wire_put_u64(w, root), wire_put_str(w, "sym"), wire_put_str(w, "to/where");
	wire_put_u32(w, geteuid()), wire_put_u32(w, getegid());
	a = call();
	assert_int_equal(a.rc, 0);
	wire_get_u64(&a.r);
	assert_int_equal(wire_get_u32(&a.r), 1);
	assert_string_equal(wire_get_str(&a.r, GOFER_TARGET_MAX, NULL), "to/where");
	drop(&a);

	w = request(GOFER_MKNOD);
	wire_put_u64(w, root), wire_put_str(w, "dev"), wire_put_u32(w, S_IFCHR | 0666);
	wire_put_u32(w, 0), wire_put_u32(w, 0);
	assert_int_equal(call().rc, -EPERM);

	for (int i = 0; i < 2; i++) {
		w = request(GOFER_UNLINK);
		wire_put_u64(w, i ? root : d), wire_put_str(w, i ? "d" : "moved"), wire_put_u32(w, i);
		wire_put_u64(w, i ? d : f);
		assert_int_equal(call().rc, 0);
	}
}

static void xattrs(void **state)
{
	uint64_t root = attach(0);
	(void)state;
	put_file("x", "", 0644);
	uint64_t f = (uint64_t)walk1(root, "x");
	struct wire_w *w = request(GOFER_SETXATTR);
	wire_put_u64(w, f), wire_put_str(w, "user.k"), wire_put_u32(w, 0);
	wire_put_u32(w, 3), wire_put(w, "val", 3);
	int rc = call().rc;
	if (rc == -EOPNOTSUPP)
		skip();
	assert_int_equal(rc, 0);
	w = request(GOFER_GETXATTR);
	wire_put_u64(w, f), wire_put_str(w, "user.k"), wire_put_u32(w, 100);
	struct answer a = call();
	assert_int_equal(a.rc, 0);
	assert_int_equal(wire_get_u32(&a.r), 3);
	assert_memory_equal(wire_take(&a.r, 3), "val", 3);
	w = request(GOFER_LISTXATTR);
	wire_put_u64(w, f), wire_put_u32(w, 100);
	a = call();
	assert_int_equal(wire_get_u32(&a.r), 7);
	w = request(GOFER_GETXATTR);
	wire_put_u64(w, f), wire_put_str(w, "security.capability"), wire_put_u32(w, 100);
	assert_int_equal(call().rc, -EOPNOTSUPP);
	w = request(GOFER_REMOVEXATTR);
	wire_put_u64(w, f), wire_put_str(w, "user.k");
	assert_int_equal(call().rc, 0);
}

static void read_only_copies(void **state)
{
	int memfd = memfd_create("m", MFD_ALLOW_SEALING), file, o_path;
	(void)state;
	request(GOFER_REOPEN_RO);
	struct answer a = call_fd(memfd);
	assert_int_equal(a.rc, 0);
	assert_int_equal(pwrite(a.fd, "x", 1, 0), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, a.fd, 0), MAP_FAILED);
	drop(&a);
	put_file("priv", "secret", 0600);
	o_path = path_fd("priv");
	request(GOFER_REOPEN_RO);
	assert_int_equal(call_fd(o_path).rc, -EINVAL);
	file = open("/dev/null", O_RDONLY);
	request(GOFER_REOPEN_RO);
	assert_int_equal(call_fd(file).rc, -EINVAL);
	request(GOFER_REOPEN_RO);
	assert_int_equal(call_fd(-1).rc, -EPROTO);
	close(memfd), close(o_path), close(file);
}

/* More handles than descriptors: closed ones are found again, and only if they are the same. */
static void eviction(void **state)
{
	uint64_t root = attach(0), at = root, dirs[40];
	unsigned used, open;
	char p[600], *e = p + snprintf(p, sizeof(p), "mkdir -p %s", base);

	for (int i = 0; i < 40; i++)
		e += snprintf(e, (size_t)(p + sizeof(p) - e), "/d%d", i);
	assert_int_equal(system(p), 0);
	for (int i = 0; i < 40; i++) {
		snprintf(p, sizeof(p), "d%d", i);
		at = dirs[i] = (uint64_t)walk1(at, p);
		assert_true((int64_t)at > 0);
	}
	for (int i = 0; i < 40; i++) {
		struct wire_w *w = request(GOFER_UNLINK);
		wire_put_u64(w, dirs[i]), wire_put_str(w, "absent"), wire_put_u32(w, 0);
		wire_put_u64(w, 0);
		assert_int_equal(call().rc, -ENOENT);
	}
	handles_count(&used, &open);
	assert_int_equal(used, 42);
	assert_true(open <= budget);
	snprintf(p, sizeof(p), "mv %s/d0 %s/e0; mkdir %s/d0", base, base, base);
	assert_int_equal(system(p), 0);
	if (budget < 40) {
		assert_int_equal(walk1(dirs[39], "absent"), -ENOENT);
		for (int i = 20; i < 40; i++)	/* push the first ones out */
			(void)walk1(dirs[i], "absent");
		assert_int_equal(walk1(dirs[0], "d1"), -ESTALE);
	}
	struct wire_w *w = request(GOFER_FORGET);
	wire_put_u32(w, 40);
	for (int i = 0; i < 40; i++)
		wire_put_u64(w, dirs[i]);
	assert_int_equal(gofer_handle(&ch, w->len, -1), 0);
	handles_count(&used, &open);
	assert_int_equal(used, 2);
	assert_int_equal(open, 2);
	assert_int_equal(walk1(dirs[5], "x"), -ESTALE);
	(void)state;
}

static void garbage(void **state)
{
	unsigned used, open, seed = 1;
	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t n = (size_t)rand_r(&seed) % 200;
		for (size_t i = 0; i < n; i++)
			ch.in[i] = (uint8_t)(rand_r(&seed) & (i < 24 ? 3 : 255));
		if (n > 4)
			ch.in[1] = ch.in[2] = ch.in[3] = 0, ch.in[0] = (uint8_t)(rand_r(&seed) % 20);
		(void)!gofer_handle(&ch, n, -1);
		reply_sent(&ch.rep, false);
	}
	handles_count(&used, &open);
	assert_int_equal(used, 2);
}

static void wire(void **state)
{
	uint8_t b[16];
	struct wire_w w = WIRE_W(b, sizeof(b));
	(void)state;
	wire_put_str(&w, "abc");
	wire_put_u64(&w, 5);
	assert_true(wire_fits(&w));
	wire_put_u32(&w, 1);
	assert_false(wire_fits(&w));
	assert_int_equal(w.len, 14);
	for (size_t n = 0; n <= 14; n++) {
		struct wire_r r = WIRE_R(b, n);
		(void)wire_get_str(&r, 255, NULL);
		(void)wire_get_u64(&r);
		assert_int_equal(wire_done(&r), n == 14);
	}
	b[3] = 0;	/* a NUL inside */
	struct wire_r r = WIRE_R(b, 14);
	assert_string_equal(wire_get_str(&r, 255, NULL), "");
	assert_true(r.bad);
	b[3] = 'b', r = WIRE_R(b, 14);
	(void)wire_get_str(&r, 2, NULL);
	assert_true(r.bad);
}

static int setup_plain(void **state)
{
	gofer_no_openat2 = true;
	return setup(state);
}

static int setup_small(void **state)
{
	budget = 12;
	return setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wire),
		cmocka_unit_test_setup(walking, setup),
		cmocka_unit_test_setup(types, setup),
		cmocka_unit_test_setup(changing, setup),
		cmocka_unit_test_setup(xattrs, setup),
		cmocka_unit_test_setup(read_only_copies, setup),
		cmocka_unit_test_setup(eviction, setup),
		cmocka_unit_test_setup(garbage, setup),
		cmocka_unit_test_setup(eviction, setup_small),
		cmocka_unit_test_setup(walking, setup_plain),
		cmocka_unit_test_setup(types, setup_plain),
		cmocka_unit_test_setup(changing, setup_plain),
	};
	return cmocka_run_group_tests(tests, NULL, finish);
}
