/* SPDX-License-Identifier: Apache-2.0 */
/* Values behind guest pointers. Nothing here may fail a call: what cannot be read is an address. */
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include "abi/stat.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/strace_int.h"

#define STRING_SHOWN 64
#define VECTOR_SHOWN 8

static void put_addr(struct buf *b, uint64_t v)
{
	if (v)
		buf_fmt(b, "0x%lx", v);
	else
		buf_fmt(b, "NULL");
}

static void put_quoted(struct buf *b, const char *p, size_t n)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '\n')
			buf_fmt(b, "\\n");
		else if (c == '\t')
			buf_fmt(b, "\\t");
		else if (c == '\r')
			buf_fmt(b, "\\r");
		else if (c == '"' || c == '\\')
			buf_fmt(b, "\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			buf_fmt(b, i + 1 < n && p[i + 1] >= '0' && p[i + 1] <= '7' ? "\\%03o" : "\\%o",
				c);
		else
			buf_addc(b, (char)c);
	}
	buf_addc(b, '"');
}

void strace_string(struct task *t, struct buf *b, uint64_t v)
{
	char text[256];
	int64_t n;

	if (!v) {
		buf_fmt(b, "NULL");
		return;
	}
	n = copy_in_str(t, text, UADDR(v), sizeof(text));
	if (n >= 0) {
		put_quoted(b, text, (size_t)n);
		return;
	}
	n = copy_in_partial(t, text, UADDR(v), sizeof(text) - 1);
	if (n == (int64_t)sizeof(text) - 1 && !memchr(text, 0, (size_t)n)) {
		put_quoted(b, text, (size_t)n);
		buf_fmt(b, "...");
	} else {
		put_addr(b, v);
	}
}

static void put_bytes(struct task *t, struct buf *b, uint64_t v, uint64_t n)
{
	char text[STRING_SHOWN] = {0};
	size_t shown = (size_t)min(n, (uint64_t)sizeof(text));

	if (!v || (shown && copy_in(t, text, UADDR(v), shown))) {
		put_addr(b, v);
		return;
	}
	put_quoted(b, text, shown);
	if (n > shown)
		buf_fmt(b, "...");
}

static void put_strings(struct task *t, struct buf *b, uint64_t v)
{
	uint64_t p;

	if (!v) {
		buf_fmt(b, "NULL");
		return;
	}
	buf_addc(b, '[');
	for (int i = 0;; i++) {
		if (copy_in(t, &p, UADDR(v + (uint64_t)i * 8), 8) || !p)
			break;
		if (i)
			buf_fmt(b, ", ");
		if (i == VECTOR_SHOWN) {
			buf_fmt(b, "...");
			break;
		}
		strace_string(t, b, p);
	}
	buf_addc(b, ']');
}

/* For 'V' only as much as the call filled in. */
static void put_iovec(struct task *t, struct buf *b, uint64_t v, uint64_t count, uint64_t filled)
{
	uint64_t iov[2];

	buf_addc(b, '[');
	for (uint64_t i = 0; i < (uint32_t)count; i++) {
		if (i)
			buf_fmt(b, ", ");
		if (i == VECTOR_SHOWN || copy_in(t, iov, UADDR(v + i * 16), sizeof(iov))) {
			buf_fmt(b, "...");
			break;
		}
		buf_fmt(b, "{iov_base=");
		put_bytes(t, b, iov[0], min(iov[1], filled));
		buf_fmt(b, ", iov_len=%lu}", iov[1]);
		filled -= min(iov[1], filled);
	}
	buf_addc(b, ']');
}

static void put_sockaddr(struct task *t, struct buf *b, uint64_t v, uint64_t len)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		char bytes[128];
	} u = {.bytes = {0}};
	const uint8_t *p;

	len = min((uint64_t)(uint32_t)len, (uint64_t)sizeof(u.bytes) - 1);
	if (!v || len < 2 || copy_in(t, &u, UADDR(v), (size_t)len)) {
		put_addr(b, v);
		return;
	}
	switch (u.sa.sa_family) {
	case AF_UNIX:
		buf_fmt(b, "{sa_family=AF_UNIX, sun_path=%s", len > 2 && !u.un.sun_path[0] ? "@" : "");
		if (len > 2 && !u.un.sun_path[0])
			put_quoted(b, u.un.sun_path + 1, len - 3);
		else
			put_quoted(b, u.un.sun_path, strnlen(u.un.sun_path, len - 2));
		buf_addc(b, '}');
		break;
	case AF_INET:
		p = (const uint8_t *)&u.in.sin_addr;
		buf_fmt(b, "{sa_family=AF_INET, sin_port=htons(%u), sin_addr=%u.%u.%u.%u}",
			ntohs(u.in.sin_port), p[0], p[1], p[2], p[3]);
		break;
	case AF_INET6:
		buf_fmt(b, "{sa_family=AF_INET6, sin6_port=htons(%u), sin6_addr=",
			ntohs(u.in6.sin6_port));
		for (int i = 0; i < 8; i++)
			buf_fmt(b, "%s%x", i ? ":" : "", ntohs(u.in6.sin6_addr.s6_addr16[i]));
		buf_addc(b, '}');
		break;
	default:
		buf_fmt(b, "{sa_family=%u, ...}", u.sa.sa_family);
	}
}

static bool put_words(struct task *t, struct buf *b, char letter, uint64_t v)
{
	struct l_stat st;
	uint64_t w[2];
	int pair[2];
	uint32_t u;

	switch (letter) {
	case 't':
	case 'T':
	case 'O':
		if (copy_in(t, w, UADDR(v), sizeof(w)))
			return false;
		buf_fmt(b, "{%ld, %ld}", (int64_t)w[0], (int64_t)w[1]);
		return true;
	case 'R':
		if (copy_in(t, w, UADDR(v), sizeof(w)))
			return false;
		buf_fmt(b, "{rlim_cur=%ld, rlim_max=%ld}", (int64_t)w[0], (int64_t)w[1]);
		return true;
	case 'P':
		if (copy_in(t, pair, UADDR(v), sizeof(pair)))
			return false;
		buf_fmt(b, "[%d, %d]", pair[0], pair[1]);
		return true;
	case 'g':
	case 'G':
		if (copy_in(t, w, UADDR(v), 8))
			return false;
		buf_fmt(b, "[0x%lx]", w[0]);
		return true;
	case 'E':
		if (copy_in(t, &u, UADDR(v), sizeof(u)))
			return false;
		buf_fmt(b, "[0x%x]", u);
		return true;
	case 'J':
		if (copy_in(t, &st, UADDR(v), sizeof(st)))
			return false;
		buf_fmt(b, "{st_mode=0%o, st_size=%ld, ...}", st.mode, st.size);
		return true;
	default:
		return false;
	}
}

bool strace_memory(struct task *t, struct buf *b, char letter, uint64_t v, uint64_t next,
		   int64_t ret)
{
	bool failed = ret < 0 && ret >= -4095;

	switch (letter) {
	case 's':
		strace_string(t, b, v);
		return true;
	case 'k':
		put_strings(t, b, v);
		return true;
	case 'b':
		put_bytes(t, b, v, next);
		return true;
	case 'B':
		if (failed)
			put_addr(b, v);
		else
			put_bytes(t, b, v, (uint64_t)ret);
		return true;
	case 'v':
		put_iovec(t, b, v, next, UINT64_MAX);
		return true;
	case 'V':
		if (failed)
			put_addr(b, v);
		else
			put_iovec(t, b, v, next, (uint64_t)ret);
		return true;
	case 'N':
		put_sockaddr(t, b, v, next);
		return true;
	default:
		break;
	}
	if (!strchr("tTORPgGEJ", letter))
		return false;
	if (!v || (failed && strchr("ORPGEJ", letter)) || !put_words(t, b, letter, v))
		put_addr(b, v);
	return true;
}
