/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static int bad;

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			printf("failed: %s\n", #x);                                                \
			bad++;                                                                     \
		}                                                                                  \
	} while (0)

int main(void)
{
	char hex[16], rot[] = "Hello", *v[] = {"pear", "apple", "fig"};
	char *texts[] = {"one two", "", " three  four five ", "six"};
	size_t counts[4];
	CHECK(text_crc32("123456789", 9) == 0xcbf43926u);
	CHECK(text_hash("") == 0xcbf29ce484222325ull);
	CHECK(text_words(" a  bc d ") == 3);
	CHECK(fabs(text_entropy("aabb", 4) - 1.0) < 1e-9);
	CHECK(text_levenshtein("kitten", "sitting") == 3);
	text_rot13(rot);
	CHECK(strcmp(rot, "Uryyb") == 0);
	CHECK(text_hex("\x01\xff", 2, hex, sizeof(hex)) == 4 && strcmp(hex, "01ff") == 0);
	text_sort(v, 3);
	CHECK(strcmp(v[0], "apple") == 0 && strcmp(v[2], "pear") == 0);
	CHECK(text_words_parallel(texts, 4, counts) == 0);
	CHECK(counts[0] == 2 && counts[1] == 0 && counts[2] == 3 && counts[3] == 1);
	printf("%s\n", bad ? "FAILED" : "all checks passed");
	return bad != 0;
}
