/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks for /system/x over and over until the host has told it, by one of several ways, that it has
 * changed that; then says what it finds. messages stdin|data|size|name|signal, in a writable directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	signals++;
}

/* The host's message number n has arrived. */
static int has_come(const char *way, int n)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};
	char c, name[32];
	struct stat st;

	if (!strcmp(way, "stdin"))
		return poll(&p, 1, 0) == 1 && read(0, &c, 1) == 1;
	if (!strcmp(way, "signal"))
		return signals >= n;
	if (!strcmp(way, "size"))
		return !stat("size", &st) && st.st_size >= n;
	if (!strcmp(way, "data")) {
		static int fd = -1;
		if (fd < 0)
			fd = open("data", O_RDONLY);
		return pread(fd, &c, 1, n - 1) == 1;
	}
	snprintf(name, sizeof(name), "name%d", n);
	return !access(name, F_OK);
}

int main(int argc, char **argv)
{
	char buf[16];

	signal(SIGUSR1, on_signal);
	if (write(1, "r", 1) != 1)
		return 1;
	for (int n = 1; n <= 20; n++) {
		do {
			for (int i = 0; i < 200; i++)
				(void)!readlink("/system/x", buf, sizeof(buf));
		} while (!has_come(argv[1], n));
		int there = readlink("/system/x", buf, sizeof(buf)) == -1 && errno == EINVAL;
		int fd = open("/system/x", O_RDONLY);
		if (write(1, there != (fd >= 0) ? "?" : there ? "1" : "0", 1) != 1)
			return 1;
		if (fd >= 0)
			close(fd);
	}
	return 0;
}
