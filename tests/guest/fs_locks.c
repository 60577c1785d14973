/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <sys/file.h>

static void show_lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	int r = fcntl(fd, cmd, &fl);
	printf("cmd %d type %d [%ld+%ld]: %s", cmd, type, (long)start, (long)len,
	       r ? strerrorname_np(errno) : "ok");
	if (r == 0 && (cmd == F_GETLK || cmd == F_OFD_GETLK))
		printf(" type %d whence %d [%ld+%ld] pid %s", fl.l_type, fl.l_whence, (long)fl.l_start,
		       (long)fl.l_len,
		       fl.l_pid == getppid() ? "parent" : fl.l_pid == -1 ? "-1" : "other");
	printf("\n");
}

static void child(void)
{
	int fd = open("f", O_RDWR);
	show_lock(fd, F_GETLK, F_WRLCK, 0, 0);
	show_lock(fd, F_GETLK, F_RDLCK, 20, 10);
	show_lock(fd, F_GETLK, F_WRLCK, 22, 1);
	show_lock(fd, F_SETLK, F_WRLCK, 5, 10);
	show_lock(fd, F_SETLK, F_WRLCK, 10, 5);
	show_lock(fd, F_SETLK, F_RDLCK, 20, 10);
	show_lock(fd, F_SETLK, F_WRLCK, 100, 0);
	show_lock(fd, F_GETLK, F_UNLCK, 0, 0);
	SHOW(flock(fd, LOCK_EX | LOCK_NB));
	SHOW(flock(fd, LOCK_SH | LOCK_NB));
	show_lock(fd, F_OFD_SETLK, F_WRLCK, 0, 1);
	fflush(stdout);
	_exit(0);
}

static void in_child(void (*fn)(void))
{
	fflush(stdout);
	if (fork() == 0)
		fn();
	wait(NULL);
}

static void waiting_child(void)
{
	int fd = open("f", O_RDWR);
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
	printf("waited: %d\n", fcntl(fd, F_SETLKW, &fl));
	fflush(stdout);
	_exit(0);
}

int main(void)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644), fd2 = open("f", O_RDWR);
	show_lock(fd, F_SETLK, F_WRLCK, 0, 10);
	show_lock(fd, F_SETLK, F_RDLCK, 20, 5);
	show_lock(fd, F_SETLK, F_RDLCK, 25, 5);
	SHOW(flock(fd, LOCK_SH));
	in_child(child);
	SHOW(flock(fd, LOCK_EX));
	SHOW(flock(fd2, LOCK_SH | LOCK_NB));
	in_child(child);
	SHOW(flock(fd, LOCK_UN));
	SHOW(flock(fd2, LOCK_SH | LOCK_NB));
	show_lock(fd, F_SETLK, F_UNLCK, 3, 4);
	in_child(child);
	/* own locks never conflict; closing any descriptor drops them all */
	show_lock(fd, F_SETLK, F_WRLCK, 0, 0);
	close(fd2);
	in_child(child);
	fd2 = open("f", O_RDONLY);
	show_lock(fd2, F_SETLK, F_WRLCK, 0, 1);
	show_lock(fd2, F_SETLK, F_RDLCK, 0, 1);
	show_lock(fd, F_SETLK, 77, 0, 1);
	show_lock(fd, F_SETLK, F_RDLCK, -1, 1);
	show_lock(fd, F_SETLK, F_RDLCK, 10, -5);
	show_lock(fd, F_SETLK, F_RDLCK, 3, -5);
	SHOW(flock(fd, 77));
	SHOW(flock(99, LOCK_EX));
	close(fd2);
	/* description locks */
	fd2 = open("f", O_RDWR);
	show_lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10);
	show_lock(fd2, F_OFD_SETLK, F_WRLCK, 5, 10);
	show_lock(fd2, F_OFD_GETLK, F_WRLCK, 5, 10);
	show_lock(fd2, F_SETLK, F_WRLCK, 5, 10);
	close(fd2);
	show_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0);
	/* a waiter goes on when the lock is dropped */
	show_lock(fd, F_SETLK, F_WRLCK, 0, 10);
	fflush(stdout);
	if (fork() == 0)
		waiting_child();
	usleep(50000);
	show_lock(fd, F_SETLK, F_UNLCK, 0, 10);	/* this line is kept until the child has said its own */
	wait(NULL);
	fflush(stdout);
	/* a dead holder's locks are gone */
	if (fork() == 0) {
		show_lock(fd, F_SETLK, F_WRLCK, 0, 10);
		flock(open("f", O_RDWR), LOCK_EX);
		fflush(stdout);
		raise(SIGKILL);
	}
	wait(NULL);
	show_lock(fd, F_SETLK, F_WRLCK, 0, 10);
	fd2 = open("f", O_RDWR);
	SHOW(flock(fd2, LOCK_EX | LOCK_NB));
	DONE();
}
