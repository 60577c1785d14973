/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

uint64_t text_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;
	while (*s)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3ull;
	return h;
}
