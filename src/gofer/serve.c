/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in, replies out: one channel, one thread, one request at a time. */
#include "gofer/gofer_int.h"
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "host/file.h"
#include "host/sock.h"

size_t (*gofer_reply_hook)(struct channel *ch, size_t n);

static gofer_op_fn *const ops[GOFER_OP_END] = {
	[GOFER_ATTACH] = op_attach,
	[GOFER_WALK] = op_walk,
	[GOFER_OPEN] = op_open,
	[GOFER_CREATE] = op_create,
	[GOFER_MKDIR] = op_mkdir,
	[GOFER_MKNOD] = op_mknod,
	[GOFER_SYMLINK] = op_symlink,
	[GOFER_LINK] = op_link,
	[GOFER_UNLINK] = op_unlink,
	[GOFER_RENAME] = op_rename,
	[GOFER_SETATTR] = op_setattr,
	[GOFER_GETXATTR] = op_getxattr,
	[GOFER_SETXATTR] = op_setxattr,
	[GOFER_LISTXATTR] = op_listxattr,
	[GOFER_REMOVEXATTR] = op_removexattr,
	[GOFER_GETFD] = op_getfd,
	[GOFER_PEEK] = op_peek,
	[GOFER_SIBLINGS] = op_siblings,
	[GOFER_TMPFILE] = op_tmpfile,
};

int reply_fd(struct reply *rep, int hfd, bool close_after)
{
	if (rep->nfds >= GOFER_FDS_MAX) {
		if (close_after)
			(void)h_close(hfd);
		return -EPROTO;
	}
	rep->fds[rep->nfds] = hfd;
	rep->close_fd[rep->nfds++] = close_after;
	return 0;
}

int reply_node(struct channel *ch, struct href *node, int open_hfd)
{
	struct reply *rep = &ch->rep;
	bool link = S_ISLNK(node->mode);
	int rc = 0;

	wire_put_u64(&rep->w, node->id);
	wire_put_u32(&rep->w, (link ? GOFER_NODE_TARGET : 0) | (open_hfd >= 0 ? GOFER_NODE_OPEN : 0));
	if (link) {
		int64_t n = h_readlinkat(node->hfd, "", (char *)ch->scratch, GOFER_TARGET_MAX + 1);

		if (n > (int64_t)GOFER_TARGET_MAX)
			n = -ENAMETOOLONG;
		if (n < 0)
			rc = (int)n;
		else
			wire_put_strn(&rep->w, (const char *)ch->scratch, (size_t)n);
	}
	if (!rc)
		rc = reply_fd(rep, node->hfd, false);
	if (!rc && open_hfd >= 0)
		rc = reply_fd(rep, open_hfd, true);
	else if (open_hfd >= 0)
		(void)h_close(open_hfd);
	if (rc || rep->npins >= GOFER_FDS_MAX) {
		uint64_t id = node->id;

		handle_unpin(node);
		handle_forget(id);
		return rc ? rc : -EPROTO;
	}
	rep->is_node[rep->npins] = true;
	rep->pins[rep->npins++] = *node;
	node->h = NULL;
	return 0;
}

void reply_stamp(struct channel *ch, const struct href *dir, const char *name, const struct href *is)
{
	struct stat st = {0};
	struct statx sx;
	int rc = h_fstat(dir->hfd, &st);

	/* The stamp first: whatever happens to the name later moves it. */
	if (!rc)
		rc = h_statx(dir->hfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO, &sx);
	bool holds = is ? !rc && sx.stx_ino == is->ino &&
				  gnu_dev_makedev(sx.stx_dev_major, sx.stx_dev_minor) == is->dev
			: rc == -ENOENT;
	wire_put_u64(&ch->rep.w, holds ? gofer_born(st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec) : 0);
	wire_put_u64(&ch->rep.w, holds ? gofer_born(st.st_ctim.tv_sec, (uint32_t)st.st_ctim.tv_nsec) : 0);
}

void reply_sent(struct reply *rep, bool ok)
{
	for (unsigned i = 0; i < rep->nfds; i++)
		if (rep->close_fd[i])
			(void)h_close(rep->fds[i]);
	for (unsigned i = 0; i < rep->npins; i++) {
		uint64_t id = rep->pins[i].id;

		handle_unpin(&rep->pins[i]);
		if (!ok && rep->is_node[i])
			handle_forget(id);
	}
	rep->nfds = rep->npins = 0;
}

static void forget(struct wire_r *r)
{
	uint32_t n = wire_get_u32(r);

	for (uint32_t i = 0; i < n && i < GOFER_FORGET_MAX && !r->bad; i++) {
		uint64_t id = wire_get_u64(r);

		if (!r->bad)
			handle_forget(id);
	}
}

/* Shared read-only mappings of a memfd want a description that cannot be made writable. The
 * descriptor must be one of a memfd: F_GET_SEALS fails on O_PATH and on ordinary files. */
static int reopen_ro(struct channel *ch, struct wire_r *r, int in_fd)
{
	if (!wire_done(r) || in_fd < 0)
		return -EPROTO;
	int rc = h_fcntl(in_fd, F_GET_SEALS, 0);
	if (rc < 0)
		return -EINVAL;
	rc = handles_make_room(1);
	int hfd = rc ? rc : step_reopen(in_fd, O_RDONLY);
	return hfd < 0 ? hfd : reply_fd(&ch->rep, hfd, true);
}

size_t gofer_handle(struct channel *ch, size_t n, int in_fd)
{
	struct wire_r r = WIRE_R(ch->in, n);
	struct reply *rep = &ch->rep;
	uint32_t op = wire_get_u32(&r), seq = wire_get_u32(&r);
	int rc;

	rep->w = WIRE_W(ch->out, sizeof(ch->out));
	rep->nfds = rep->npins = 0;
	memset(rep->is_node, 0, sizeof(rep->is_node));
	if (!r.bad && op == GOFER_FORGET) {
		forget(&r);
		return 0;
	}
	wire_put_u32(&rep->w, seq);
	wire_put_u32(&rep->w, 0);
	if (r.bad || op >= GOFER_OP_END || (!ops[op] && op != GOFER_REOPEN_RO))
		rc = -EPROTO;
	else
		rc = ops[op] ? ops[op](ch, &r) : reopen_ro(ch, &r, in_fd);
	if (!rc && !wire_fits(&rep->w))
		rc = -EOVERFLOW;
	if (rc) {
		reply_sent(rep, false);
		rep->w = WIRE_W(ch->out, sizeof(ch->out));
		wire_put_u32(&rep->w, seq);
		wire_put_u32(&rep->w, (uint32_t)rc);
	}
	return rep->w.len;
}

void gofer_serve(struct channel *ch)
{
	for (;;) {
		int in_fd = -1;
		unsigned nfds;
		int64_t n = h_recv_fds(ch->hfd, ch->in, sizeof(ch->in), &in_fd, 1, &nfds, 0);

		/* The Sentry is gone, or it sent descriptors that we could not take. */
		if (n == 0 || (n < 0 && n != -EPROTO))
			return;
		size_t len = gofer_handle(ch, n < 0 ? 0 : (size_t)n, nfds ? in_fd : -1);

		if (nfds)
			(void)h_close(in_fd);
		if (!len)
			continue;
		size_t (*hook)(struct channel *, size_t) = __atomic_load_n(&gofer_reply_hook, __ATOMIC_ACQUIRE);
		if (hook)
			len = hook(ch, len);
		n = h_send_fds(ch->hfd, ch->out, len, ch->rep.fds, ch->rep.nfds, 0);
		reply_sent(&ch->rep, n >= 0);
		if (n == -ETOOMANYREFS || n == -EMFILE || n == -ENOBUFS || n == -ENOMEM) {
			const int32_t status = -ENFILE;	/* behind the sequence number */

			memcpy(ch->out + 4, &status, sizeof(status));
			n = h_send_fds(ch->hfd, ch->out, 8, NULL, 0, 0);
		}
		if (n < 0)
			return;
	}
}
