/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule behind checkpoints: an arena mapped in a fresh process, whose code lies at other
 * addresses, is usable. Objects name their behaviour by a typed id, not by a code pointer.
 * The test runs itself again (a PIE, so that ASLR moves it) with the image as descriptor 9.
 */
#include "core_fake.h"
#include <sys/mman.h>
#include "lib/list.h"

static const char *self;

static int op_add(int a, int b)
{
	return a + b;
}
static int op_mul(int a, int b)
{
	return a * b;
}

enum { OP_ADD = 1, OP_MUL };
static int (*const ops[])(int, int) = {[OP_ADD] = op_add, [OP_MUL] = op_mul};

struct node {
	struct list link;
	uint8_t ops_id;
	int a, b;
	char *name;
};
struct head {
	struct list nodes;
	uint64_t code_was_at;
};
static KCACHE(nodes, struct node, 0);
static KCACHE(heads, struct head, 0);

static int check_image(void)
{
	struct head *h;
	struct node *n;
	int sum = 0, count = 0;

	if (kheap_load(9))
		return 10;
	h = *kheap_anchor(0);
	list_for_each(n, &h->nodes, link) {
		sum += ops[n->ops_id](n->a, n->b);
		count++;
		if (n->name[0] != 'n')
			return 11;
	}
	if (count != 1000)
		return 12;
	if (kc_live(&nodes) != 0)
		return 13;		/* unknown to this process until its first use */
	/* Allocation goes on where it stopped, in the same type's range. */
	n = kc_alloc(&nodes);
	if (!n || kc_live(&nodes) != 1001)
		return 14;
	n = list_first(&h->nodes, struct node, link);
	list_del(&n->link);
	kfree(n->name);
	kc_free(&nodes, n);
	if (kc_live(&nodes) != 1000)
		return 15;
	if (sum != 500 * 7 + 500 * 12)
		return 16;
	/* Tell the parent whether the code moved. */
	return h->code_was_at == (uint64_t)(uintptr_t)op_add ? 1 : 0;
}

static int build_image(void)
{
	int hfd = memfd_create("image", 0);
	struct head *h;

	assert_int_equal(kheap_init(FAKE_BASE, FAKE_RESERVE), 0);
	h = kc_alloc(&heads);
	list_init(&h->nodes);
	h->code_was_at = (uint64_t)(uintptr_t)op_add;
	for (int i = 0; i < 1000; i++) {
		struct node *n = kc_alloc(&nodes);

		n->ops_id = i % 2 ? OP_ADD : OP_MUL;
		n->a = 3, n->b = 4;
		n->name = kstrdup("node");
		list_add_tail(&h->nodes, &n->link);
	}
	*kheap_anchor(0) = h;
	assert_int_equal(kheap_save(hfd), 0);
	return hfd;
}

static void survives(void **state)
{
	int hfd = build_image(), status, moved = 0;

	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			dup2(hfd, 9);
			execl(self, self, "--image", (char *)NULL);
			_exit(99);
		}
		waitpid(pid, &status, 0);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		moved += WEXITSTATUS(status) == 0;
	}
	/* Without ASLR (a container may lack it) the code stays, which proves less but no harm. */
	if (!moved)
		print_message("code did not move: no ASLR here\n");
	/* The image was mapped private: children changed nothing. */
	assert_int_equal(kc_live(&nodes), 1000);
}

static void damaged_images_are_refused(void **state)
{
	int hfd = memfd_create("bad", 0);
	char junk[8192] = {1};

	assert_true(kheap_load(hfd) < 0);
	assert_int_equal(write(hfd, junk, sizeof(junk)), sizeof(junk));
	assert_int_equal(ftruncate(hfd, 1 << 20), 0);
	assert_true(kheap_load(hfd) < 0);
	close(hfd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(survives),
		cmocka_unit_test(damaged_images_are_refused),
	};
	self = "/proc/self/exe";
	if (argc > 1 && !strcmp(argv[1], "--image"))
		return check_image();
	return cmocka_run_group_tests(t, NULL, NULL);
}
