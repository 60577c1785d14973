/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of unix sockets: paths (the VFS node's inode points at its socket, under the inode's lock)
 * and abstract names (a hash per network namespace).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/net/net.h"
#include "sentry/net/unix/unix.h"
#include "sentry/vfs/acl.h"
#include "sentry/task/task.h"
#include "sentry/vfs/names.h"

static KCACHE(unix_addr_cache, struct unix_addr, 0);

#define FAMILY_LEN 2u

struct unix_addr *unix_addr_get(struct unix_addr *a)
{
	ref_get(&a->ref);
	return a;
}

void unix_addr_put(struct unix_addr *a)
{
	if (a && ref_put(&a->ref))
		kc_free(&unix_addr_cache, a);
}

uint32_t unix_addr_sockaddr(const struct unix_addr *a, void *out)
{
	uint16_t family = AF_UNIX;
	uint32_t n = a ? min(a->len, (uint32_t)sizeof(a->name)) : 0;

	__builtin_memcpy(out, &family, FAMILY_LEN);
	if (n)
		__builtin_memcpy((char *)out + FAMILY_LEN, a->name, n);
	return FAMILY_LEN + n;
}

/* Checks and copies the name part; a path gets its NUL. len is the whole sockaddr's. */
static int name_of(const void *addr, uint32_t len, struct unix_addr **out)
{
	struct unix_addr *a;
	uint16_t family;

	if (len <= FAMILY_LEN || len > sizeof(struct sockaddr_un))
		return -EINVAL;
	__builtin_memcpy(&family, addr, FAMILY_LEN);
	if (family != AF_UNIX)
		return -EINVAL;
	a = kc_alloc(&unix_addr_cache);
	if (!a)
		return -ENOMEM;
	ref_init(&a->ref, 1);
	a->len = len - FAMILY_LEN;
	__builtin_memcpy(a->name, (const char *)addr + FAMILY_LEN, a->len);
	if (a->name[0])
		a->len = (uint32_t)__builtin_strlen(a->name) + 1;
	*out = a;
	return 0;
}

static struct list *bucket(struct net *n, const struct unix_addr *a)
{
	uint32_t h = 5381;

	for (uint32_t i = 0; i < a->len; i++)
		h = h * 33 + (uint8_t)a->name[i];
	return &n->abstract[h % UNIX_BUCKETS];
}

static struct unix_sock *abstract_find_locked(struct net *n, const struct unix_addr *a)
{
	struct unix_sock *us;

	list_for_each(us, bucket(n, a), hash_link)
		if (us->addr->len == a->len && !__builtin_memcmp(us->addr->name, a->name, a->len))
			return us;
	return NULL;
}

/* Consumes a. */
static int bind_abstract(struct sock *s, struct unix_addr *a)
{
	struct net *n = net_of(s->net);
	int r = n ? 0 : -ENOMEM;

	if (r) {
		unix_addr_put(a);
		return r;
	}
	mutex_lock(&s->lock);
	mutex_lock(&n->lock);
	if (s->unix_->addr || s->dead)
		r = -EINVAL;
	else if (abstract_find_locked(n, a))
		r = -EADDRINUSE;
	else {
		s->unix_->addr = a;
		list_add(bucket(n, a), &s->unix_->hash_link);
	}
	mutex_unlock(&n->lock);
	mutex_unlock(&s->lock);
	if (r)
		unix_addr_put(a);
	return r;
}

/* Nothing can be made under this last part of a path, whatever it names: "", ".", "..", "x/". */
static int no_new_name(struct task *t, const char *name)
{
	struct path p;
	int r = path_lookup(t, AT_FDCWD, name, 0, &p);

	if (r)
		return r;
	path_put(&p);
	return -EEXIST;
}

/* Consumes a. The node is made first, as in Linux, and removed when the socket has a name already. */
static int bind_path(struct sock *s, struct task *t, struct unix_addr *a)
{
	struct path parent, node;
	const char *last;
	bool trailing;
	size_t len;
	int r;

	r = path_parent(t, AT_FDCWD, a->name, 0, &parent, &last, &len, &trailing);
	if (r == 0) {
		uint32_t mode = S_IFSOCK | (0777 & ~acl_umask(parent.dentry->inode, t->fs->umask));

		bool dots = len <= 2 && !__builtin_memcmp(last, "..", len);

		r = dots || trailing ? no_new_name(t, a->name)
				     : vfs_mknod_at(&parent, last, len, mode, 0, t->cred, &node);
		path_put(&parent);
	}
	if (r) {
		unix_addr_put(a);
		return r == -EEXIST ? -EADDRINUSE : r;
	}
	mutex_lock(&node.dentry->inode->lock);
	mutex_lock(&s->lock);
	if (s->unix_->addr || s->dead) {
		r = -EINVAL;
	} else {
		s->unix_->addr = a;
		s->unix_->inode = inode_get(node.dentry->inode);
		node.dentry->inode->pipe = s;
	}
	mutex_unlock(&s->lock);
	mutex_unlock(&node.dentry->inode->lock);
	path_put(&node);
	if (r) {
		int u = vfs_unlink(t, AT_FDCWD, a->name);

		unix_addr_put(a);
		return u ? u : r;
	}
	return 0;
}

/* Five hexadecimal digits, the first free ones. */
int unix_autobind(struct sock *s)
{
	struct net *n = net_of(s->net);

	if (!n)
		return -ENOMEM;
	for (unsigned tries = 0; tries < 0x100000; tries++) {
		struct unix_addr *a;
		int r;

		if (READ_ONCE(s->unix_->addr))
			return 0;
		a = kc_alloc(&unix_addr_cache);
		if (!a)
			return -ENOMEM;
		ref_init(&a->ref, 1);
		a->len = 6;
		fmt_n(a->name + 1, 6, "%05x",
		      __atomic_fetch_add(&n->next_abstract, 1, __ATOMIC_RELAXED) & 0xfffff);
		r = bind_abstract(s, a);
		if (r != -EADDRINUSE)
			return r == -EINVAL ? 0 : r;
	}
	return -ENOSPC;
}

int unix_bind(struct sock *s, struct task *t, const void *addr, uint32_t len)
{
	struct unix_addr *a;
	uint16_t family = 0;
	int r;

	if (len == FAMILY_LEN) {
		__builtin_memcpy(&family, addr, FAMILY_LEN);
		return family == AF_UNIX ? unix_autobind(s) : -EINVAL;
	}
	r = name_of(addr, len, &a);
	if (r)
		return r;
	return a->name[0] ? bind_path(s, t, a) : bind_abstract(s, a);
}

static int find_path(struct task *t, const char *name, struct sock **out)
{
	struct path p;
	struct inode *i;
	int r = path_lookup(t, AT_FDCWD, name, LOOKUP_FOLLOW, &p);

	if (r)
		return r;
	i = p.dentry->inode;
	r = i ? inode_permission(i, 2 /* W_OK */, t->cred) : -ENOENT;
	if (r == 0) {
		struct sock *s;

		mutex_lock(&i->lock);
		s = S_ISSOCK(i->mode) ? i->pipe : NULL;
		if (s && ref_get_unless_zero(&s->ref))
			*out = s;
		else
			r = -ECONNREFUSED;
		mutex_unlock(&i->lock);
	}
	path_put(&p);
	return r;
}

int unix_find(struct sock *s, struct task *t, const void *addr, uint32_t len, struct sock **out)
{
	struct unix_addr *a;
	struct sock *found = NULL;
	int r = name_of(addr, len, &a);

	if (r)
		return r;
	if (a->name[0]) {
		r = find_path(t, a->name, &found);
	} else {
		struct net *n = net_of(s->net);
		struct unix_sock *us;

		r = n ? -ECONNREFUSED : -ENOMEM;
		if (n) {
			mutex_lock(&n->lock);
			us = abstract_find_locked(n, a);
			if (us && ref_get_unless_zero(&us->sock->ref)) {
				found = us->sock;
				r = 0;
			}
			mutex_unlock(&n->lock);
		}
	}
	unix_addr_put(a);
	if (r == 0 && found->type != s->type) {
		sock_put(found);
		r = -EPROTOTYPE;
	}
	if (r == 0)
		*out = found;
	return r;
}

int unix_getname(struct sock *s, bool peer, void *addr, uint32_t *len)
{
	struct sock *of = peer ? sock_peer_get(s) : sock_get(s);
	struct unix_addr *a;

	if (!of)
		return -ENOTCONN;
	mutex_lock(&of->lock);
	a = of->unix_->addr ? unix_addr_get(of->unix_->addr) : NULL;
	mutex_unlock(&of->lock);
	*len = unix_addr_sockaddr(a, addr);
	unix_addr_put(a);
	sock_put(of);
	return 0;
}

/* The name is free again; the node of a path stays, and refuses connections. */
void unix_unbind(struct sock *s)
{
	struct unix_sock *us = s->unix_;
	struct net *n = net_of(s->net);
	struct inode *i;

	mutex_lock(&s->lock);
	i = steal(us->inode);
	if (n) {
		mutex_lock(&n->lock);
		list_del(&us->hash_link);
		mutex_unlock(&n->lock);
	}
	mutex_unlock(&s->lock);
	if (!i)
		return;
	mutex_lock(&i->lock);
	if (i->pipe == s)
		i->pipe = NULL;
	mutex_unlock(&i->lock);
	inode_put(i);
}
