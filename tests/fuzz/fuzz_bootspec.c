/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes must encode to the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bootspec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_spec s;
	size_t n = 0;
	if (boot_decode(data, size, &s) != 0)
		return 0;
	uint8_t *out = malloc(size + 1);
	if (!out || boot_encode(&s, out, size + 1, &n) != 0 || n != size ||
	    memcmp(out, data, size) != 0)
		abort();
	free(out);
	return 0;
}
