/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

int main(int argc, char **argv)
{
	struct stat st;

	printf("%d %s\n", argc, argv[0]);
	SHOW(open("absent", O_RDONLY));
	SHOW(stat(argv[0], &st));
	SHOW(close(77));
	CHECK(getpid() > 0);
	CHECK(sizeof(void *) == 8);
	DONE();
}
