/* SPDX-License-Identifier: Apache-2.0 */
/* Four processes append large records to one file: none is torn. */
#include "guest.h"

#define RECORD 200000
#define EACH 10

static void run(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_APPEND, 0644);
	char *b = malloc(RECORD);
	for (int k = 0; k < 4; k++)
		if (fork() == 0) {
			memset(b, 'a' + k, RECORD);
			for (int i = 0; i < EACH; i++)
				if (write(fd, b, RECORD) != RECORD)
					_exit(1);
			_exit(0);
		}
	int st, bad = 0;
	while (wait(&st) > 0)
		bad += st != 0;
	struct stat s;
	fstat(fd, &s);
	printf("size %ld bad %d\n", (long)s.st_size, bad);
	int torn = 0, count[4] = {0};
	lseek(fd, 0, SEEK_SET);
	for (int i = 0; i < 4 * EACH; i++) {
		if (read(fd, b, RECORD) != RECORD)
			break;
		for (int k = 1; k < RECORD; k++)
			torn += b[k] != b[0];
		count[(b[0] - 'a') & 3]++;
	}
	printf("torn %d counts %d %d %d %d\n", torn, count[0], count[1], count[2], count[3]);
	close(fd);
	unlink(path);
	free(b);
}

int main(void)
{
	run("here");
	char tmp[32];
	enter_tmp(tmp);
	run("other");
	unlink("other");
	rmdir(tmp);
	DONE();
}
