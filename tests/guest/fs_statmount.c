/* SPDX-License-Identifier: Apache-2.0 */
/* statmount and listmount: what they tell of mounts that the test made. */
#include "mounts.h"
#include <linux/stat.h>

struct req {
	uint32_t size, spare;
	uint64_t id, param, ns;
};

static union {
	uint32_t u32[2048];
	uint64_t u64[1024];
	char b[8192];
} out;

static const char *text(unsigned word)
{
	return out.b + 512 + out.u32[word];
}

static long stat_mount(uint64_t id, uint64_t mask, size_t cap)
{
	struct req q = {.size = 24, .id = id, .param = mask};
	memset(&out, 0, sizeof(out));
	return syscall(457, &q, &out, cap, 0);
}

static long list_mounts(uint64_t id, uint64_t last, uint64_t *v, size_t n, unsigned flags)
{
	struct req q = {.size = 24, .id = id, .param = last};
	return syscall(458, &q, v, n, flags);
}

static uint64_t id_of(const char *path)
{
	struct statx x;
	if (syscall(SYS_statx, AT_FDCWD, path, 0, 0x4000, &x) || !(x.stx_mask & 0x4000))
		return 0;
	return x.stx_mnt_id;
}

static void show_one(const char *path)
{
	uint64_t id = id_of(path);
	if (stat_mount(id, 0x2bf, sizeof(out))) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return;
	}
	CHECK(out.u64[5] == id);
	printf("%s: mask %lx magic %lx sbflags %x attr %lx propagation %lx group %d master %d\n", path,
	       (long)out.u64[1], (long)out.u64[3], out.u32[8], (long)out.u64[8], (long)out.u64[9],
	       out.u64[10] != 0, out.u64[11] != 0);
	printf("  type %s root %s point %s source %s\n", text(9), text(26), text(27), text(31));
	if (out.u64[1] & 0x80)
		printf("  options %s\n", text(1));
}

int main(void)
{
	uint64_t v[64], w[64];
	long n, k;

	own_mounts();
	CHECK(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0 && mount("src", "a", "tmpfs", MS_NOSUID, "size=4k") == 0);
	CHECK(mkdir("a/sub", 0755) == 0 && mount("two", "a/sub", "tmpfs", MS_RDONLY, NULL) == 0);
	CHECK(mount("a/sub", "b", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "a", NULL, MS_SHARED, NULL) == 0);
	show_one("a");
	show_one("a/sub");
	show_one("b");
	CHECK(mkdir("c", 0755) == 0 && mount("a", "c", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "c", NULL, MS_SLAVE, NULL) == 0);
	show_one("c");
	uint64_t id = id_of("a");
	SHOW(stat_mount(id, 0x2, 512));
	SHOW(stat_mount(id, 0x20, 512));
	SHOW(stat_mount(id, 0x20, 514));
	SHOW(stat_mount(1, 0x2, 512));
	SHOW(stat_mount(id + 100000, 0x2, 512));
	SHOW(syscall(457, NULL, &out, 512, 0));
	SHOW(syscall(457, &(struct req){.size = 8, .id = id}, &out, 512, 0));
	SHOW(syscall(457, &(struct req){.size = 24, .id = id}, &out, 512, 1));
	SHOW(syscall(457, &(struct req){.size = 24, .id = id, .spare = 1}, &out, 512, 0));
	n = list_mounts(id_of("/tmp/w"), 0, v, 64, 0);
	printf("below: %ld\n", n);
	CHECK(n == 4 && v[0] == id && v[1] == id_of("a/sub") && v[2] == id_of("b") && v[3] == id_of("c"));
	SHOW(list_mounts(id, 0, v, 64, 0));
	SHOW(list_mounts(id_of("b"), 0, v, 64, 0));
	k = list_mounts(id_of("/tmp/w"), v[0], w, 2, 0);
	printf("the next: %ld\n", k);
	k = list_mounts(id_of("/tmp/w"), 0, w, 64, 1);
	CHECK(k == 4 && w[0] == id_of("c") && w[3] == id);
	SHOW(list_mounts(~0ull, 0, v, 1, 0));
	SHOW(list_mounts(~0ull, 0, v, 1, 2));
	SHOW(list_mounts(5, 0, v, 1, 0));
	SHOW(list_mounts(id, 5, v, 1, 0));
	SHOW(list_mounts(id, 0, v, 10000000, 0));
	DONE();
}
