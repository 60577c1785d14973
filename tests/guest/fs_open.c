/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

static int try(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags, mode);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static void made(const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0)
		printf("%s: mode %o size %ld\n", path, st.st_mode, (long)st.st_size);
}

int main(void)
{
	umask(022);
	SHOW(try("a", O_RDONLY, 0));
	SHOW(try("a", O_CREAT | O_WRONLY, 0666));
	made("a");
	SHOW(try("a", O_CREAT | O_EXCL | O_WRONLY, 0666));
	SHOW(try("a", O_RDWR | O_CREAT, 0));
	SHOW(try("a/", O_RDONLY, 0));
	SHOW(try("a/b", O_RDONLY, 0));
	SHOW(try("a", O_RDONLY | O_DIRECTORY, 0));
	SHOW(try("new/", O_CREAT | O_WRONLY, 0666));
	SHOW(try("", O_RDONLY, 0));
	SHOW(try(".", O_RDONLY, 0));
	SHOW(try(".", O_RDWR, 0));
	SHOW(try(".", O_WRONLY | O_CREAT, 0666));
	SHOW(try(".", O_RDONLY | O_CREAT | O_EXCL, 0666));
	SHOW(symlink("a", "to_a"));
	SHOW(symlink("loop2", "loop1"));
	SHOW(symlink("loop1", "loop2"));
	SHOW(symlink("nothing", "dangling"));
	SHOW(try("to_a", O_RDONLY, 0));
	SHOW(try("to_a", O_RDONLY | O_NOFOLLOW, 0));
	SHOW(try("to_a", O_PATH | O_NOFOLLOW, 0));
	SHOW(try("loop1", O_RDONLY, 0));
	SHOW(try("dangling", O_RDONLY, 0));
	SHOW(try("dangling", O_WRONLY | O_CREAT | O_EXCL, 0666));
	SHOW(try("dangling", O_WRONLY | O_CREAT, 0640));
	made("nothing");
	SHOW(try("suid", O_WRONLY | O_CREAT, 06755));
	made("suid");

	int fd = open("a", O_WRONLY | O_APPEND);
	SHOW(write(fd, "12345", 5));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(write(fd, "678", 3));
	made("a");
	SHOW(pwrite(fd, "9", 1, 0));
	made("a");
	char c;
	SHOW(read(fd, &c, 1));
	SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND));
	SHOW(fcntl(fd, F_SETFL, 0));
	SHOW(pwrite(fd, "9", 1, 0));
	close(fd);
	made("a");
	SHOW(try("a", O_WRONLY | O_TRUNC, 0));
	made("a");

	fd = open("a", O_PATH);
	SHOW(read(fd, &c, 1));
	SHOW(fchmod(fd, 0600));
	SHOW(fcntl(fd, F_GETFL) == (O_PATH | O_LARGEFILE) || (fcntl(fd, F_GETFL) & O_PATH) != 0);
	struct stat st;
	SHOW(fstat(fd, &st));
	SHOW(ftruncate(fd, 5));
	close(fd);

	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd >= 0) {
		SHOW(write(fd, "tmp", 3));
		SHOW(fstat(fd, &st));
		SHOW(st.st_nlink);
		char proc[64];
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		SHOW(linkat(AT_FDCWD, proc, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
		made("linked");
	} else {
		printf("O_TMPFILE: %s\n", strerrorname_np(errno));
	}
	SHOW(open("a", O_RDONLY | O_DIRECTORY | O_CREAT, 0600));
	SHOW(openat(12345, "a", O_RDONLY));
	SHOW(openat(12345, "/", O_RDONLY | O_PATH) >= 0);
	SHOW(open((char *)1, O_RDONLY));
	SHOW(creat("created", 0604));
	made("created");
	DONE();
}
