/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

void text_rot13(char *s)
{
	for (; *s; s++) {
		char base = *s >= 'a' && *s <= 'z' ? 'a' : *s >= 'A' && *s <= 'Z' ? 'A' : 0;
		if (base)
			*s = (char)(base + (*s - base + 13) % 26);
	}
}
