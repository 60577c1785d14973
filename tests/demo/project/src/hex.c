/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "text.h"

size_t text_hex(const void *p, size_t n, char *out, size_t cap)
{
	const unsigned char *s = p;
	size_t len = 0;
	for (size_t i = 0; i < n && len + 2 < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%02x", s[i]);
	return len;
}
