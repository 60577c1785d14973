/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

uint32_t text_crc32(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint32_t crc = 0xffffffffu;
	while (n--) {
		crc ^= *s++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}
