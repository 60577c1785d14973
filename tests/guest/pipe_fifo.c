/* SPDX-License-Identifier: Apache-2.0 */
/* fifo(7): opens wait for each other, O_NONBLOCK, end of file and reopening. */
#include <poll.h>
#include "guest.h"

int main(void)
{
	char buf[16];
	int r, w, rw, st;

	setvbuf(stdout, NULL, _IONBF, 0);
	SHOW(mkfifo("f", 0600));
	SHOW(open("f", O_WRONLY | O_NONBLOCK));
	r = open("f", O_RDONLY | O_NONBLOCK);
	CHECK(r >= 0);
	SHOW(read(r, buf, sizeof(buf)));
	struct pollfd p = {r, POLLIN, 0};
	SHOW(poll(&p, 1, 0));
	w = open("f", O_WRONLY | O_NONBLOCK);
	CHECK(w >= 0);
	SHOW(read(r, buf, sizeof(buf)));
	SHOW(write(w, "abc", 3));
	close(w);
	SHOW(read(r, buf, sizeof(buf)));
	SHOW(read(r, buf, sizeof(buf)));
	SHOW(poll(&p, 1, 0));
	printf("%x\n", p.revents);
	close(r);
	rw = open("f", O_RDWR);
	CHECK(rw >= 0);
	SHOW(write(rw, "xy", 2));
	SHOW(read(rw, buf, sizeof(buf)));
	close(rw);
	if (fork() == 0) {
		usleep(30000);
		w = open("f", O_WRONLY);
		write(w, "child", 5);
		_exit(0);
	}
	r = open("f", O_RDONLY);
	SHOW(read(r, buf, sizeof(buf)));
	SHOW(read(r, buf, sizeof(buf)));
	wait(&st);
	close(r);
	if (fork() == 0) {
		usleep(30000);
		r = open("f", O_RDONLY);
		_exit(read(r, buf, sizeof(buf)) == 6 ? 0 : 1);
	}
	w = open("f", O_WRONLY);
	SHOW(write(w, "parent", 6));
	close(w);
	wait(&st);
	printf("%d\n", WEXITSTATUS(st));
	struct stat sb;
	SHOW(stat("f", &sb));
	printf("%o %ld\n", sb.st_mode, (long)sb.st_size);
	DONE();
}
