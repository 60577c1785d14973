/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "lib/rbtree.h"

struct item {
	struct rb_node node;
	unsigned key;
	int in;
};

static void insert(struct rb_root *r, struct item *it)
{
	struct rb_node **link = &r->node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = it->key < container_of(parent, struct item, node)->key ? &parent->left
									      : &parent->right;
	}
	rb_insert(r, parent, link, &it->node);
}

/* Black height, checking every rule on the way. */
static int check(const struct rb_node *n, const struct rb_node *parent)
{
	int l, r;

	if (!n)
		return 1;
	assert_ptr_equal(n->parent, parent);
	if (n->red)
		assert_false((n->left && n->left->red) || (n->right && n->right->red));
	l = check(n->left, n);
	r = check(n->right, n);
	assert_int_equal(l, r);
	return l + !n->red;
}

static void random_ops(void **state)
{
	static struct item items[512];
	struct rb_root root = {0};
	unsigned seed = 1;
	int live = 0;

	for (unsigned i = 0; i < 512; i++)
		items[i].key = i;
	for (int step = 0; step < 20000; step++) {
		struct item *it;

		seed = seed * 1103515245 + 12345;
		it = &items[(seed >> 8) % 512];
		if (it->in)
			rb_erase(&root, &it->node), live--;
		else
			insert(&root, it), live++;
		it->in = !it->in;
		if (step % 16)
			continue;
		check(root.node, NULL);
		int seen = 0;
		unsigned last = 0;
		for (struct rb_node *n = rb_first(&root); n; n = rb_next(n)) {
			unsigned k = container_of(n, struct item, node)->key;

			assert_true(!seen || k > last);
			last = k;
			seen++;
		}
		assert_int_equal(seen, live);
		for (struct rb_node *n = rb_last(&root); n; n = rb_prev(n))
			seen--;
		assert_int_equal(seen, 0);
	}
}

int main(void)
{
	const struct CMUnitTest t[] = {cmocka_unit_test(random_ops)};

	return cmocka_run_group_tests(t, NULL, NULL);
}
