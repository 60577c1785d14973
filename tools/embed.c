/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a file as a C array. usage: embed NAME FILE */
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *f = argc == 3 ? fopen(argv[2], "rb") : NULL;
	int c, n = 0;

	if (!f)
		return 1;
	printf("static const unsigned char %s[] = {", argv[1]);
	while ((c = getc(f)) != EOF)
		printf("%s%d,", n++ % 24 ? "" : "\n\t", c);
	printf("\n};\n");
	return ferror(f) || fclose(f) || fflush(stdout);
}
