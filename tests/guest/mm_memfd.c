/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#define PG 4096ul
#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
	char b[64] = "";
	int fd = memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	SHOW(fd >= 0);
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, F_GET_SEALS));
	SHOW(write(fd, "hello", 5));
	struct stat st;
	fstat(fd, &st);
	printf("mode %o size %ld nlink %ld\n", st.st_mode, (long)st.st_size, (long)st.st_nlink);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	SHOW(readlink(path, b, sizeof(b) - 1));
	printf("%s\n", b);
	int ro = open(path, O_RDONLY);
	SHOW(ro >= 0);
	SHOW(write(ro, "x", 1));
	SHOW(ftruncate(fd, 2 * PG));
	char *m = mmap(NULL, 2 * PG, RW, MAP_SHARED, fd, 0);
	printf("%s\n", m);
	strcpy(m + PG, "mapped");
	SHOW(pread(ro, b, 6, PG));
	printf("%.6s\n", b);
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	SHOW(ftruncate(fd, PG));
	SHOW(ftruncate(fd, 3 * PG));
	SHOW(pwrite(fd, "x", 1, 3 * PG));
	SHOW(pwrite(fd, "xyz", 3, 2 * PG - 1));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	SHOW(munmap(m, 2 * PG));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	SHOW(fcntl(fd, F_GET_SEALS));
	SHOW(write(fd, "x", 1));
	SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PG));
	SHOW((long)mmap(NULL, PG, RW, MAP_SHARED, fd, 0));
	m = mmap(NULL, PG, PROT_READ, MAP_SHARED, fd, 0);
	SHOW(m != MAP_FAILED);
	SHOW(mprotect(m, PG, RW));
	char *p = mmap(NULL, PG, RW, MAP_PRIVATE, fd, 0);
	SHOW(p != MAP_FAILED);
	p[0] = 'J';
	printf("%.5s %.5s\n", p, m);
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	SHOW(fcntl(ro, F_ADD_SEALS, F_SEAL_GROW));
	/* a future write seal leaves what is mapped */
	int f2 = memfd_create("two", MFD_ALLOW_SEALING);
	ftruncate(f2, PG);
	m = mmap(NULL, PG, RW, MAP_SHARED, f2, 0);
	SHOW(fcntl(f2, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	strcpy(m, "still");
	SHOW(write(f2, "x", 1));
	SHOW((long)mmap(NULL, PG, RW, MAP_SHARED, f2, 0));
	SHOW(pread(f2, b, 5, 0));
	printf("%.5s\n", b);
	int f3 = memfd_create("no sealing", 0);
	SHOW(fcntl(f3, F_GET_SEALS));
	SHOW(fcntl(f3, F_ADD_SEALS, F_SEAL_GROW));
	SHOW(memfd_create("x", 0x8000));
	memset(b, 'n', sizeof(b));
	char *longname = calloc(1, 300);
	memset(longname, 'n', 249);
	SHOW(memfd_create(longname, 0) >= 0);
	longname[249] = 'n';
	SHOW(memfd_create(longname, 0));
	SHOW(memfd_create((char *)7, 0));
	SHOW(fcntl(0, F_GET_SEALS) < 0);
	/* holes and preallocation */
	SHOW(fallocate(f3, 0, 0, 100000));
	fstat(f3, &st);
	printf("%ld\n", (long)st.st_size);
	SHOW(fallocate(f3, FALLOC_FL_KEEP_SIZE, 0, 200000));
	fstat(f3, &st);
	printf("%ld\n", (long)st.st_size);
	/* what is allocated behind the end goes with a truncation, also to the size it has */
	struct stat sb;
	SHOW(ftruncate(f3, 100000));
	fstat(f3, &sb);
	printf("%ld %ld\n", (long)sb.st_size, (long)sb.st_blocks);
	SHOW(fallocate(f3, 0, -1, 5));
	SHOW(fallocate(f3, 0, 0, 0));
	SHOW(fallocate(f3, FALLOC_FL_PUNCH_HOLE, 0, 5));
	memset(b, 'a', sizeof(b));
	pwrite(f3, b, 64, 0);
	SHOW(fallocate(f3, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 20));
	pread(f3, b, 64, 0);
	printf("%d %d %d %d\n", b[9], b[10], b[29], b[30]);
	/* another process sees it through the descriptor */
	fflush(stdout);
	if (fork() == 0) {
		char *c = mmap(NULL, PG, RW, MAP_SHARED, f3, 0);
		strcpy(c, "from the child");
		_exit(0);
	}
	wait(NULL);
	pread(f3, b, 14, 0);
	printf("%.14s\n", b);
	DONE();
}
