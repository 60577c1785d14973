/* SPDX-License-Identifier: Apache-2.0 */
/* printf without stdio: no locale, no allocation, no floating point. */
#include "lib/fmt.h"
#include <string.h>
#include "lib/bug.h"

struct out {
	char *p;
	size_t cap, n;
};

struct spec {
	bool left, zero, plus;
	int width, prec;	/* prec -1: none */
	char len;		/* 0, 'l', 'L' (ll), 'z', 'h', 'H' (hh) */
};

static void put(struct out *o, char c)
{
	if (o->n < o->cap)
		o->p[o->n] = c;
	o->n++;
}

static void put_n(struct out *o, char c, int n)
{
	for (; n > 0; n--)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *t, size_t n)
{
	int pad = s->width > (int)n ? s->width - (int)n : 0;

	if (!s->left)
		put_n(o, ' ', pad);
	for (size_t i = 0; i < n; i++)
		put(o, t[i]);
	if (s->left)
		put_n(o, ' ', pad);
}

static void put_num(struct out *o, const struct spec *s, uint64_t v, unsigned base, bool upper,
		    const char *sign)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char tmp[24];
	int n = 0, signs = (int)strlen(sign), zeros, pad;

	for (; v || (n == 0 && s->prec != 0); v /= base)
		tmp[n++] = digits[v % base];
	zeros = s->prec > n ? s->prec - n : 0;
	pad = s->width - n - zeros - signs;
	if (s->zero && !s->left && s->prec < 0 && pad > 0) {
		zeros = pad;
		pad = 0;
	}
	if (!s->left)
		put_n(o, ' ', pad);
	for (int i = 0; i < signs; i++)
		put(o, sign[i]);
	put_n(o, '0', zeros);
	while (n > 0)
		put(o, tmp[--n]);
	if (s->left)
		put_n(o, ' ', pad);
}

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){.prec = -1};
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '+')
			s->plus = true;
		else
			break;
	}
	if (*f == '*') {
		s->width = va_arg(*ap, int);
		if (s->width < 0)
			s->left = true, s->width = -s->width;
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		s->width = s->width * 10 + (*f - '0');
	if (*f == '.') {
		s->prec = 0;
		if (*++f == '*') {
			s->prec = va_arg(*ap, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++)
			s->prec = s->prec * 10 + (*f - '0');
	}
	for (; *f == 'l' || *f == 'z' || *f == 'h'; f++) {
		if (*f == 'l' && s->len == 'l')
			s->len = 'L';
		else if (*f == 'h' && s->len == 'h')
			s->len = 'H';
		else
			s->len = *f;
	}
	return f;
}

static int64_t arg_signed(const struct spec *s, va_list *ap)
{
	switch (s->len) {
	case 'l':
	case 'L':
	case 'z':
		return va_arg(*ap, int64_t);
	case 'h':
		return (short)va_arg(*ap, int);
	case 'H':
		return (signed char)va_arg(*ap, int);
	default:
		return va_arg(*ap, int);
	}
}

static uint64_t arg_unsigned(const struct spec *s, va_list *ap)
{
	switch (s->len) {
	case 'l':
	case 'L':
	case 'z':
		return va_arg(*ap, uint64_t);
	case 'h':
		return (unsigned short)va_arg(*ap, unsigned);
	case 'H':
		return (unsigned char)va_arg(*ap, unsigned);
	default:
		return va_arg(*ap, unsigned);
	}
}

static void put_signed(struct out *o, const struct spec *s, int64_t v)
{
	uint64_t mag = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	put_num(o, s, mag, 10, false, v < 0 ? "-" : s->plus ? "+" : "");
}

static void convert(struct out *o, const struct spec *s, char c, va_list *ap)
{
	const char *t;
	char ch;

	switch (c) {
	case 'd':
	case 'i':
		put_signed(o, s, arg_signed(s, ap));
		break;
	case 'u':
		put_num(o, s, arg_unsigned(s, ap), 10, false, "");
		break;
	case 'x':
	case 'X':
		put_num(o, s, arg_unsigned(s, ap), 16, c == 'X', "");
		break;
	case 'o':
		put_num(o, s, arg_unsigned(s, ap), 8, false, "");
		break;
	case 'p':
		put_num(o, s, (uint64_t)(uintptr_t)va_arg(*ap, void *), 16, false, "0x");
		break;
	case 'c':
		ch = (char)va_arg(*ap, int);
		put_text(o, s, &ch, 1);
		break;
	case 's':
		t = va_arg(*ap, const char *);
		if (!t)
			t = "(null)";
		put_text(o, s, t, s->prec >= 0 ? strnlen(t, (size_t)s->prec) : strlen(t));
		break;
	case '%':
		put(o, '%');
		break;
	default:
		DEBUG_ASSERT(!"unknown conversion");
		put(o, '%');
		put(o, c);
	}
}

size_t fmt_v(char *dst, size_t cap, const char *f, va_list ap0)
{
	struct out o = {dst, cap, 0};
	struct spec s;
	va_list ap;

	va_copy(ap, ap0);
	for (; *f; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_spec(f + 1, &s, &ap);
		if (!*f)
			break;
		convert(&o, &s, *f, &ap);
	}
	va_end(ap);
	if (cap)
		dst[min(o.n, cap - 1)] = '\0';
	return o.n;
}

size_t fmt_n(char *dst, size_t cap, const char *f, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, f);
	n = fmt_v(dst, cap, f, ap);
	va_end(ap);
	return n;
}
