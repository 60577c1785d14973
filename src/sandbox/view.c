/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Default view: an empty root with the host's system directories and the current directory, each
 * under a memory overlay and only with what every user of the host may read; fresh /tmp, /proc,
 * /sys and /dev. Volumes are what the user named: they come last and show everything in them.
 */
#include "sandbox/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `dir` is `path` or an ancestor of it. */
static bool is_under(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	if (n == 1)
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == 0 || path[n] == '/');
}

static int add_mount(struct sb_view *v, struct boot_mount m, struct err *e)
{
	if (v->n_mounts == BOOT_MAX_MOUNTS)
		return err_set(e, "too many mounts (at most %d)", BOOT_MAX_MOUNTS);
	if (!m.source)
		m.source = "none";
	v->mounts[v->n_mounts++] = m;
	return 0;
}

static int add_dir(struct sb_view *v, const char *path, unsigned mode, unsigned flags, struct err *e)
{
	return add_mount(v, (struct boot_mount){.kind = BOOT_MNT_DIR, .target = path, .mode = mode,
						.flags = flags}, e);
}

static int add_plain(struct sb_view *v, unsigned kind, const char *path, unsigned mode,
		     struct err *e)
{
	static const char *const name[] = {[BOOT_MNT_TMPFS] = "tmpfs", [BOOT_MNT_PROC] = "proc",
					   [BOOT_MNT_SYS] = "sysfs", [BOOT_MNT_DEV] = "dev"};
	return add_mount(v, (struct boot_mount){.kind = kind, .target = path, .mode = mode,
						.source = name[kind],
						.flags = BOOT_MNT_F_NOSUID}, e);
}

/* Consumes hfd. */
static int add_root(struct sb_view *v, int hfd, unsigned flags, unsigned *index, struct err *e)
{
	if (v->n_roots == GOFER_ROOTS_MAX) {
		close(hfd);
		return err_set(e, "too many directories (at most %u)", GOFER_ROOTS_MAX);
	}
	*index = v->n_roots;
	v->roots[v->n_roots++] = (struct sb_root){hfd, flags};
	if (!(flags & GOFER_ROOT_PUBLIC))
		v->private_roots = true;
	return 0;
}

static const char *kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	default:
		return "neither a file nor a directory";
	}
}

/* A writable memory layer over a host directory. */
static int add_overlay(struct sb_view *v, const char *host, const char *target, unsigned flags,
		       struct err *e)
{
	unsigned index = 0;
	int hfd = open(host, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (hfd < 0)
		return err_sys(e, errno, "%s", host);
	if (add_root(v, hfd, flags, &index, e))
		return -1;
	return add_mount(v, (struct boot_mount){.kind = BOOT_MNT_OVERLAY, .root = index,
						.flags = BOOT_MNT_F_SHARED, .target = target,
						.source = "overlay"}, e);
}

static bool is_system_name(const char *name)
{
	static const char *const names[] = {"usr", "bin", "sbin", "etc", "opt"};
	for (size_t i = 0; i < array_size(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "lib", 3) == 0 && strchr(name, '/') == NULL;
}

static int add_system_dir(struct sb_view *v, const char *name, struct err *e)
{
	struct stat st;
	char *path = xasprintf("/%s", name), text[1024];
	if (lstat(path, &st) != 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return add_overlay(v, path, path, GOFER_ROOT_PUBLIC, e);
	if (!S_ISLNK(st.st_mode))
		return 0;
	ssize_t n = readlink(path, text, sizeof(text) - 1);
	if (n < 0)
		return 0;
	text[n] = 0;
	return add_mount(v, (struct boot_mount){.kind = BOOT_MNT_SYMLINK, .target = path,
						.source = xstrdup(text)}, e);
}

static int add_system(struct sb_view *v, struct err *e)
{
	struct dirent **list;
	int rc = 0, n = scandir("/", &list, NULL, alphasort);
	if (n < 0)
		return err_sys(e, errno, "/");
	for (int i = 0; i < n; i++) {
		if (rc == 0 && is_system_name(list[i]->d_name))
			rc = add_system_dir(v, list[i]->d_name, e);
		free(list[i]);
	}
	free(list);
	return rc;
}

static int add_pseudo(struct sb_view *v, struct err *e)
{
	return add_plain(v, BOOT_MNT_PROC, "/proc", 0555, e) ||
			       add_plain(v, BOOT_MNT_SYS, "/sys", 0555, e) ||
			       add_plain(v, BOOT_MNT_DEV, "/dev", 0755, e) ||
			       add_plain(v, BOOT_MNT_TMPFS, "/tmp", 01777, e)
		       ? -1
		       : 0;
}

static int add_base(struct sb_view *v, struct err *e)
{
	static const struct {
		const char *path;
		unsigned mode;
	} dirs[] = {
		{"/boot", 0755},      {"/home", 0755},	    {"/media", 0755},	 {"/mnt", 0755},
		{"/root", 0700},      {"/run", 0755},	    {"/run/lock", 01777}, {"/srv", 0755},
		{"/var", 0755},	      {"/var/cache", 0755}, {"/var/lib", 0755},	 {"/var/log", 0755},
		{"/var/spool", 0755}, {"/var/tmp", 01777},
	};
	if (add_plain(v, BOOT_MNT_TMPFS, "/", 0755, e))
		return -1;
	v->mounts[0].flags = 0;
	for (size_t i = 0; i < array_size(dirs); i++)
		if (add_dir(v, dirs[i].path, dirs[i].mode, 0, e))
			return -1;
	if (add_mount(v, (struct boot_mount){.kind = BOOT_MNT_SYMLINK, .target = "/var/run",
					     .source = "/run"}, e))
		return -1;
	return add_system(v, e) || add_pseudo(v, e) ? -1 : 0;
}

/* A clean absolute guest path, or NULL. */
static char *clean_path(const char *p)
{
	if (p[0] != '/')
		return NULL;
	char *out = xmalloc(strlen(p) + 2), *o = out;
	while (*p) {
		while (*p == '/')
			p++;
		size_t n = strcspn(p, "/");
		if (n == 0)
			break;
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			free(out);
			return NULL;
		}
		if (!(n == 1 && p[0] == '.')) {
			*o++ = '/';
			memcpy(o, p, n);
			o += n;
		}
		p += n;
	}
	if (o == out)
		*o++ = '/';
	*o = 0;
	if (strlen(out) < BOOT_PATH_MAX)
		return out;
	free(out);
	return NULL;
}

static int add_volume(struct sb_view *v, const struct sb_volume *vol, struct err *e)
{
	struct stat st;
	unsigned index = 0;
	char *target = clean_path(vol->dst);
	if (!target)
		return err_set(e, "-v: the target must be an absolute path without '..': %s",
			       vol->dst);
	int hfd = open(vol->src, O_PATH | O_CLOEXEC);
	if (hfd < 0)
		return err_sys(e, errno, "-v: %s", vol->src);
	if (fstat(hfd, &st) != 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
		close(hfd);
		return err_set(e, "-v: %s is %s; only files and directories can be shown",
			       vol->src, kind_name(st.st_mode));
	}
	if (add_root(v, hfd, vol->rw ? GOFER_ROOT_RW : 0, &index, e))
		return -1;
	char *real = realpath(vol->src, NULL);
	unsigned flags = BOOT_MNT_F_SHARED | BOOT_MNT_F_NODEV;
	flags |= vol->rw ? 0 : BOOT_MNT_F_RO;
	flags |= S_ISREG(st.st_mode) ? BOOT_MNT_F_FILE : 0;
	return add_mount(v, (struct boot_mount){.kind = BOOT_MNT_GOFER, .root = index,
						.flags = flags, .target = target,
						.source = real ? real : target}, e);
}

static int add_tmpfs(struct sb_view *v, const struct sb_tmpfs *t, struct err *e)
{
	char *target = clean_path(t->dst);
	if (!target)
		return err_set(e, "--tmpfs: not an absolute path without '..': %s", t->dst);
	return add_mount(v, (struct boot_mount){.kind = BOOT_MNT_TMPFS, .target = target,
						.mode = t->mode, .size = t->size,
						.source = "tmpfs"}, e);
}

static int by_target(const void *a, const void *b)
{
	const struct boot_mount *x = a, *y = b;
	size_t n = strlen(x->target), m = strlen(y->target);
	return n < m ? -1 : n > m;
}

/* Volumes and tmpfs, shorter targets first, so that what lies deeper is mounted later. */
static int add_named(const struct sb_config *c, struct sb_view *v, struct err *e)
{
	unsigned first = v->n_mounts;
	for (size_t i = 0; i < c->n_tmpfs; i++)
		if (add_tmpfs(v, &c->tmpfs[i], e))
			return -1;
	for (size_t i = 0; i < c->n_volumes; i++)
		if (add_volume(v, &c->volumes[i], e))
			return -1;
	qsort(v->mounts + first, v->n_mounts - first, sizeof(v->mounts[0]), by_target);
	for (unsigned i = first; i + 1 < v->n_mounts; i++)
		if (strcmp(v->mounts[i].target, v->mounts[i + 1].target) == 0)
			return err_set(e, "two mounts at %s", v->mounts[i].target);
	if (v->n_mounts > first && strcmp(v->mounts[first].target, "/") == 0)
		return err_set(e, "-v, --tmpfs: the target / is the root; use --rootfs");
	return 0;
}

static bool covered_by_volume(const struct sb_config *c, const char *path)
{
	for (size_t i = 0; i < c->n_volumes; i++)
		if (is_under(path, c->volumes[i].dst))
			return true;
	return false;
}

/* Directories whose own content is never shown as "the current directory". */
static bool is_hidden_dir(const char *cwd, const char *home)
{
	static const char *const exact[] = {"/home", "/root", "/tmp", "/var", "/var/tmp"};
	static const char *const trees[] = {"/proc", "/sys", "/dev", "/run", "/var/run"};
	for (size_t i = 0; i < array_size(exact); i++)
		if (strcmp(cwd, exact[i]) == 0)
			return true;
	for (size_t i = 0; i < array_size(trees); i++)
		if (is_under(cwd, trees[i]))
			return true;
	return is_under(home, cwd);	/* also "/" */
}

static bool is_in_system(const char *cwd)
{
	const char *name = cwd + 1;
	char first[NAME_MAX + 1];
	size_t n = strcspn(name, "/");
	if (n >= sizeof(first))
		return false;
	memcpy(first, name, n);
	first[n] = 0;
	return is_system_name(first);
}

static void say_if_private(const char *cwd)
{
	struct stat st;
	if (stat(cwd, &st) == 0 && (st.st_mode & 05) != 05)
		say("the current directory %s is private (mode %04o): what is in it is hidden; "
		    "show it with -v %s:%s", cwd, st.st_mode & 07777, cwd, cwd);
}

/* Shows the current directory at its own path, unless it is hidden or shown already. */
static int add_cwd(const struct sb_config *c, struct sb_view *v, const char *home, struct err *e)
{
	char *cwd = getcwd(NULL, 0);
	bool quiet = c->workdir != NULL;
	v->cwd = xstrdup("/");
	if (!cwd || cwd[0] != '/') {
		free(cwd);
		return 0;
	}
	free(v->cwd);
	v->cwd = cwd;
	if (covered_by_volume(c, cwd) || is_in_system(cwd))
		return 0;
	/* A home that is hidden exists all the same, and so does the place one started in. */
	if (is_hidden_dir(cwd, home)) {
		if (!quiet)
			say("started in %s: what is in it is hidden; start in a project's "
			    "directory, or show one with -v DIR:DIR", cwd);
		return is_under(home, cwd) ? 0 : add_dir(v, cwd, 0755, 0, e);
	}
	if (!quiet)
		say_if_private(cwd);
	return add_overlay(v, cwd, cwd, GOFER_ROOT_PUBLIC, e);
}

static int add_home(struct sb_view *v, const char *home, struct err *e)
{
	if (is_in_system(home) || strcmp(home, "/") == 0 || strcmp(home, "/root") == 0 ||
	    is_under(home, "/proc") || is_under(home, "/sys") || is_under(home, "/dev"))
		return 0;
	return add_dir(v, home, 0700, BOOT_MNT_F_USER, e);
}

static int add_rootfs(const struct sb_config *c, struct sb_view *v, struct err *e)
{
	if (add_overlay(v, c->rootfs, "/", 0, e))
		return -1;
	v->cwd = xstrdup("/");
	return add_pseudo(v, e);
}

int view_build(const struct sb_config *c, struct sb_view *v, struct err *e)
{
	const char *env_home = strv_getenv(&c->env, "HOME");
	char *home = clean_path(env_home && *env_home ? env_home : "/");
	if (!home)
		home = xstrdup("/");
	if (c->rootfs) {
		if (add_rootfs(c, v, e))
			return -1;
	} else if (add_base(v, e) || add_home(v, home, e) || add_cwd(c, v, home, e)) {
		return -1;
	}
	if (add_named(c, v, e))
		return -1;
	if (c->workdir) {
		char *dir = clean_path(c->workdir);
		if (!dir)
			return err_set(e, "-w: not an absolute path without '..': %s", c->workdir);
		/* the old text stays: a mount names it */
		v->cwd = dir;
	}
	return 0;
}

void view_close(struct sb_view *v)
{
	for (unsigned i = 0; i < v->n_roots; i++)
		close(v->roots[i].hfd);
	v->n_roots = 0;
}
