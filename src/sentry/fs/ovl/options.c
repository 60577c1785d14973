/* SPDX-License-Identifier: Apache-2.0 */
/* Mount options (fs/overlayfs/params.c). What is not built is refused, its "off" is accepted. */
#include <errno.h>
#include <string.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/ovl/ovl.h"
#include "sentry/vfs/mount.h"

static const char *const words[] = {
	"index=off", "nfs_export=off", "metacopy=off", "verity=off", "redirect_dir=off",
	"redirect_dir=nofollow", "xino=off", "xino=auto", "xino=on", "uuid=on", "uuid=off",
	"uuid=null", "uuid=auto", "fsync=auto", "default_permissions", "rw", "ro",
};

/* To the next comma that is not escaped; the option without its escapes of commas. */
static const char *next_option(const char *s, char *buf, size_t cap)
{
	size_t n = 0;

	while (*s && *s != ',') {
		if (s[0] == '\\' && s[1] == ',')
			s++;
		if (n + 1 < cap)
			buf[n++] = *s;
		s++;
	}
	buf[n] = 0;
	return *s ? s + 1 : s;
}

static int set_text(char **field, const char *v)
{
	if (!*v)
		return -EINVAL;
	kfree(*field);
	*field = kstrdup(v);
	return *field ? 0 : -ENOMEM;
}

/* lowerdir+: one more layer, colons in it are its own. */
static int add_lower(char **field, const char *v)
{
	size_t have = *field ? strlen(*field) : 0, n = strlen(v);
	char *text = n && n < PATH_MAX_LEN ? kmalloc(have + n + n + 2) : NULL, *p = text;

	if (!text)
		return n && n < PATH_MAX_LEN ? -ENOMEM : -EINVAL;
	if (have) {
		memcpy(p, *field, have);
		p += have;
		*p++ = ':';
	}
	for (; *v; v++) {
		if (*v == ':' || *v == '\\')
			*p++ = '\\';
		*p++ = *v;
	}
	kfree(*field);
	*field = text;
	return 0;
}

static int one_option(struct ovl_config *c, const char *o)
{
	if (!*o)
		return 0;
	if (strncmp(o, "lowerdir=", 9) == 0)
		return set_text(&c->lower, o + 9);
	if (strncmp(o, "lowerdir+=", 10) == 0)
		return add_lower(&c->lower, o + 10);
	if (strncmp(o, "upperdir=", 9) == 0)
		return set_text(&c->upper, o + 9);
	if (strncmp(o, "workdir=", 8) == 0)
		return set_text(&c->work, o + 8);
	if (strcmp(o, "userxattr") == 0) {
		c->userxattr = true;
		return 0;
	}
	if (strcmp(o, "volatile") == 0 || strcmp(o, "fsync=volatile") == 0) {
		c->is_volatile = true;
		return 0;
	}
	for (size_t i = 0; i < array_size(words); i++) {
		if (strcmp(o, words[i]) == 0)
			return 0;
	}
	return -EINVAL;
}

int ovl_parse(const char *data, struct ovl_config *c)
{
	char *one = kmalloc(PATH_MAX_LEN);
	int r = one ? 0 : -ENOMEM;

	while (!r && data && *data) {
		data = next_option(data, one, PATH_MAX_LEN);
		r = one_option(c, one);
	}
	kfree(one);
	if (!r && (!c->lower || (c->upper && !c->work)))
		r = -EINVAL;
	return r;
}

void ovl_config_fini(struct ovl_config *c)
{
	kfree(steal(c->lower));
	kfree(steal(c->upper));
	kfree(steal(c->work));
}

const char *ovl_next_layer(const char *s, char *buf, size_t cap)
{
	size_t n = 0;

	if (!s || !*s)
		return NULL;
	while (*s && *s != ':') {
		if (*s == '\\' && s[1])
			s++;
		if (n + 1 < cap)
			buf[n++] = *s;
		s++;
	}
	buf[n] = 0;
	return *s ? s + 1 : s;
}
