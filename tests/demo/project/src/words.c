/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "text.h"

size_t text_words(const char *s)
{
	size_t n = 0;
	int inside = 0;
	for (; *s; s++) {
		int now = !isspace((unsigned char)*s);
		n += now && !inside;
		inside = now;
	}
	return n;
}
