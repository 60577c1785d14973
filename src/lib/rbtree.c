/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Red-black trees. Rules kept: the root is black; a red node has black children; every path from
 * a node to a leaf has the same number of black nodes. A missing child counts as black.
 */
#include "lib/rbtree.h"

static bool is_red(const struct rb_node *n)
{
	return n && n->red;
}

/* Puts `to` where `from` hangs. */
static void replace_child(struct rb_root *root, struct rb_node *from, struct rb_node *to)
{
	struct rb_node *p = from->parent;

	if (!p)
		root->node = to;
	else if (p->left == from)
		p->left = to;
	else
		p->right = to;
	if (to)
		to->parent = p;
}

static void rotate(struct rb_root *root, struct rb_node *x, bool left)
{
	struct rb_node *y = left ? x->right : x->left;
	struct rb_node *mid = left ? y->left : y->right;

	replace_child(root, x, y);
	if (left)
		y->left = x, x->right = mid;
	else
		y->right = x, x->left = mid;
	x->parent = y;
	if (mid)
		mid->parent = x;
}

void rb_insert(struct rb_root *root, struct rb_node *parent, struct rb_node **link,
	       struct rb_node *n)
{
	*n = (struct rb_node){.parent = parent, .red = true};
	*link = n;
	while (is_red(n->parent)) {
		struct rb_node *p = n->parent, *g = p->parent;
		bool p_left = g->left == p;
		struct rb_node *uncle = p_left ? g->right : g->left;

		if (is_red(uncle)) {
			p->red = uncle->red = false;
			g->red = true;
			n = g;
			continue;
		}
		if (n == (p_left ? p->right : p->left)) {
			rotate(root, p, p_left);
			n = p;
			p = n->parent;
		}
		p->red = false;
		g->red = true;
		rotate(root, g, !p_left);
	}
	root->node->red = false;
}

/* The path through `n` (perhaps NULL) below `p` lacks one black node. */
static void erase_fix(struct rb_root *root, struct rb_node *n, struct rb_node *p)
{
	while (p && !is_red(n)) {
		bool left = p->left == n;
		struct rb_node *s = left ? p->right : p->left;

		if (s->red) {
			s->red = false;
			p->red = true;
			rotate(root, p, left);
			s = left ? p->right : p->left;
		}
		if (!is_red(s->left) && !is_red(s->right)) {
			s->red = true;
			n = p;
			p = n->parent;
			continue;
		}
		if (!is_red(left ? s->right : s->left)) {
			(left ? s->left : s->right)->red = false;
			s->red = true;
			rotate(root, s, !left);
			s = left ? p->right : p->left;
		}
		s->red = p->red;
		p->red = false;
		(left ? s->right : s->left)->red = false;
		rotate(root, p, left);
		n = root->node;
		break;
	}
	if (n)
		n->red = false;
}

void rb_erase(struct rb_root *root, struct rb_node *n)
{
	struct rb_node *child, *p;
	bool lost_black;

	if (n->left && n->right) {
		struct rb_node *s = n->right;

		while (s->left)
			s = s->left;
		child = s->right;
		lost_black = !s->red;
		p = s->parent == n ? s : s->parent;
		replace_child(root, s, child);
		replace_child(root, n, s);
		s->red = n->red;
		s->left = n->left;
		s->left->parent = s;
		if (n->right) {
			s->right = n->right;
			s->right->parent = s;
		} else {
			s->right = NULL;
		}
	} else {
		child = n->left ? n->left : n->right;
		lost_black = !n->red;
		p = n->parent;
		replace_child(root, n, child);
	}
	if (lost_black)
		erase_fix(root, child, p);
	*n = (struct rb_node){0};
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *n = root->node;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *n = root->node;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
	const struct rb_root below = {n->right};
	struct rb_node *p = n->parent;

	if (n->right)
		return rb_first(&below);
	for (; p && p->right == n; p = p->parent)
		n = p;
	return p;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
	const struct rb_root below = {n->left};
	struct rb_node *p = n->parent;

	if (n->left)
		return rb_last(&below);
	for (; p && p->left == n; p = p->parent)
		n = p;
	return p;
}
