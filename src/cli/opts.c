/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/opts.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENV_FILE_MAX (1u << 20)

/* A number without sign; *rest is what follows it. */
static bool number(const char *text, double *out, const char **rest)
{
	char *end;
	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*out = strtod(text, &end);
	*rest = end;
	return errno == 0 && end != text;
}

int opt_size(const char *name, const char *text, uint64_t *out, struct err *e)
{
	static const char units[] = "bkmgt";
	const char *rest;
	double v;
	if (!number(text, &v, &rest))
		return err_set(e, "%s: not a size: %s (for example 512m, 2g)", name, text);
	int shift = 0;
	if (*rest) {
		const char *u = strchr(units, tolower((unsigned char)*rest));
		bool tail = !rest[1] || strcasecmp(rest + 1, "b") == 0 ||
			    strcasecmp(rest + 1, "ib") == 0;
		if (!u || !tail)
			return err_set(e, "%s: not a size: %s (for example 512m, 2g)", name, text);
		shift = (int)(u - units) * 10;
	}
	v *= (double)(1ull << shift);
	if (v > 4e18)
		return err_set(e, "%s: too large: %s", name, text);
	*out = (uint64_t)v;
	return 0;
}

int opt_duration(const char *name, const char *text, uint64_t *ns, struct err *e)
{
	static const struct {
		const char *unit;
		double s;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	const char *rest;
	double v;
	if (number(text, &v, &rest)) {
		for (size_t i = 0; i < array_size(units); i++) {
			if (strcmp(rest, units[i].unit) != 0)
				continue;
			v *= units[i].s * 1e9;
			if (v < 1 || v > 9e18)
				return err_set(e, "%s: out of range: %s", name, text);
			*ns = (uint64_t)v;
			return 0;
		}
	}
	return err_set(e, "%s: not a time: %s (for example 30, 500ms, 5m)", name, text);
}

int opt_count(const char *name, const char *text, unsigned max_value, unsigned *out, struct err *e)
{
	char *end;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (errno || *end || !isdigit((unsigned char)text[0]) || v < 1 || v > max_value)
		return err_set(e, "%s: not a number from 1 to %u: %s", name, max_value, text);
	*out = (unsigned)v;
	return 0;
}

int opt_volume(struct sb_config *c, const char *text, struct err *e)
{
	char *copy = xstrdup(text), *last = strrchr(copy, ':');
	struct sb_volume vol = {.rw = false};
	if (last && (strcmp(last, ":ro") == 0 || strcmp(last, ":rw") == 0)) {
		vol.rw = last[2] == 'w';
		*last = 0;
	}
	char *colon = strrchr(copy, ':');
	if (!colon || colon == copy || !colon[1])
		return err_set(e, "-v: not SRC:DST[:ro|rw]: %s", text);
	*colon = 0;
	vol.src = copy;
	vol.dst = colon + 1;
	if (vol.dst[0] != '/')
		return err_set(e, "-v: the target must be an absolute path: %s", vol.dst);
	c->volumes = reallocarray(c->volumes, c->n_volumes + 1, sizeof(vol));
	if (!c->volumes)
		return err_set(e, "out of memory");
	c->volumes[c->n_volumes++] = vol;
	return 0;
}

static int tmpfs_option(struct sb_tmpfs *t, const char *o, struct err *e)
{
	char *end;
	if (strncmp(o, "size=", 5) == 0)
		return opt_size("--tmpfs size", o + 5, &t->size, e);
	if (strncmp(o, "mode=", 5) == 0 && o[5]) {
		t->mode = (unsigned)strtoul(o + 5, &end, 8);
		if (!*end && t->mode <= 07777)
			return 0;
	}
	return err_set(e, "--tmpfs: not size=N or mode=OCTAL: %s", o);
}

int opt_tmpfs(struct sb_config *c, const char *text, struct err *e)
{
	char *copy = xstrdup(text), *opts = strchr(copy, ':');
	struct sb_tmpfs t = {.dst = copy, .mode = 01777};
	if (opts)
		*opts++ = 0;
	for (char *o = opts, *next; o; o = next) {
		next = strchr(o, ',');
		if (next)
			*next++ = 0;
		if (tmpfs_option(&t, o, e))
			return -1;
	}
	c->tmpfs = reallocarray(c->tmpfs, c->n_tmpfs + 1, sizeof(t));
	if (!c->tmpfs)
		return err_set(e, "out of memory");
	c->tmpfs[c->n_tmpfs++] = t;
	return 0;
}

int opt_env(struct strv *env, const char *text, struct err *e)
{
	if (text[0] == '=' || text[0] == 0)
		return err_set(e, "-e: not NAME=VALUE or NAME: %s", text);
	if (strchr(text, '=')) {
		strv_setenv(env, xstrdup(text));
		return 0;
	}
	const char *value = getenv(text);
	if (value)
		strv_setenv(env, xasprintf("%s=%s", text, value));
	return 0;
}

int opt_env_file(struct strv *env, const char *path, struct err *e)
{
	char *text, *line, *next;
	size_t n;
	int rc = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		return err_sys(e, errno, "--env-file: %s", path);
	text = xmalloc(ENV_FILE_MAX + 1);
	n = fread(text, 1, ENV_FILE_MAX + 1, f);
	if (ferror(f))
		rc = err_sys(e, errno, "--env-file: %s", path);
	else if (n > ENV_FILE_MAX || memchr(text, 0, n))
		rc = err_set(e, "--env-file: %s: not a text of at most 1 MiB", path);
	fclose(f);
	text[min(n, (size_t)ENV_FILE_MAX)] = 0;
	for (line = text; rc == 0 && *line; line = next) {
		next = line + strcspn(line, "\n");
		next += *next ? 1 : 0;
		line += strspn(line, " \t");
		line[strcspn(line, "\r\n")] = 0;
		if (*line && *line != '#')
			rc = opt_env(env, line, e);
	}
	free(text);
	return rc;
}

/* --- users ------------------------------------------------------------------------------------- */

static FILE *open_db(const struct sb_config *c, const char *path)
{
	char *full = xasprintf("%s%s", c->rootfs ? c->rootfs : "", path);
	FILE *f = fopen(full, "re");
	free(full);
	return f;
}

static bool parse_id(const char *text, unsigned *id)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || v >= 0xffffffffull)
		return false;
	*id = (unsigned)v;
	return true;
}

/* Fills uid, gid and home from the passwd file; by name, or by number when name is NULL. */
static bool find_user(struct sb_config *c, const char *name, char **user, char **home)
{
	struct passwd *pw = NULL;
	FILE *f = open_db(c, "/etc/passwd");
	if (!f)
		return false;
	while ((pw = fgetpwent(f)) != NULL)
		if (name ? strcmp(pw->pw_name, name) == 0 : pw->pw_uid == c->uid)
			break;
	if (pw) {
		c->uid = pw->pw_uid;
		c->gid = pw->pw_gid;
		*user = xstrdup(pw->pw_name);
		*home = xstrdup(pw->pw_dir);
	}
	fclose(f);
	return pw != NULL;
}

static bool find_group(struct sb_config *c, const char *name)
{
	struct group *gr;
	bool found = false;
	FILE *f = open_db(c, "/etc/group");
	if (!f)
		return false;
	while (!found && (gr = fgetgrent(f)) != NULL) {
		found = strcmp(gr->gr_name, name) == 0;
		if (found)
			c->gid = gr->gr_gid;
	}
	fclose(f);
	return found;
}

static void find_memberships(struct sb_config *c, const char *user)
{
	struct group *gr;
	FILE *f = open_db(c, "/etc/group");
	c->n_groups = 0;
	while (f && user && c->n_groups < array_size(c->groups) && (gr = fgetgrent(f)) != NULL)
		for (char **m = gr->gr_mem; *m; m++)
			if (strcmp(*m, user) == 0 && c->n_groups < array_size(c->groups))
				c->groups[c->n_groups++] = gr->gr_gid;
	if (f)
		fclose(f);
}

int opt_user(struct sb_config *c, const char *text, char **home, struct err *e)
{
	char *user = xstrdup(text), *group = strchr(user, ':'), *name = NULL;
	if (group)
		*group++ = 0;
	*home = NULL;
	if (parse_id(user, &c->uid)) {
		c->gid = 0;
		if (!find_user(c, NULL, &name, home))
			c->gid = c->rootfs ? 0 : c->uid;
	} else if (!find_user(c, user, &name, home)) {
		return err_set(e, "-u: no such user: %s", user);
	}
	find_memberships(c, name);
	if (group && *group) {
		if (!parse_id(group, &c->gid) && !find_group(c, group))
			return err_set(e, "-u: no such group: %s", group);
		c->n_groups = 0;
	}
	free(user);
	free(name);
	if (!*home)
		*home = xstrdup("/");
	return 0;
}

void opt_user_self(struct sb_config *c, char **home)
{
	char *name = NULL;
	gid_t list[array_size(c->groups)];
	c->uid = geteuid();
	*home = NULL;
	if (!find_user(c, NULL, &name, home))
		*home = xstrdup("/");
	free(name);
	c->uid = geteuid();
	c->gid = getegid();
	int n = getgroups((int)array_size(list), list);
	c->n_groups = 0;
	for (int i = 0; i < n; i++)
		c->groups[c->n_groups++] = list[i];
}
