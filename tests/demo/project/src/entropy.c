/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "text.h"

double text_entropy(const void *p, size_t n)
{
	size_t count[256] = {0};
	const unsigned char *s = p;
	double h = 0;
	for (size_t i = 0; i < n; i++)
		count[s[i]]++;
	for (int i = 0; i < 256; i++)
		if (count[i])
			h -= (double)count[i] / n * log2((double)count[i] / n);
	return h;
}
