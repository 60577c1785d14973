/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For guest tests. A test prints what it found, in a way that is the same on every Linux, and
 * exits with 0. It runs natively first, then in brig; output and status must be the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The result of a call by name: "0", a number, or the errno's name. */
#define SHOW(call)                                                                                 \
	do {                                                                                       \
		errno = 0;                                                                         \
		long show_r_ = (long)(call);                                                       \
		if (show_r_ == -1)                                                                 \
			printf("%s = %s\n", #call, strerrorname_np(errno));                        \
		else                                                                               \
			printf("%s = %ld\n", #call, show_r_);                                      \
	} while (0)

/* Only whether it worked: for results that differ from run to run. */
#define SHOW_OK(call)                                                                              \
	do {                                                                                       \
		errno = 0;                                                                         \
		long show_r_ = (long)(call);                                                       \
		printf("%s: %s\n", #call, show_r_ == -1 ? strerrorname_np(errno) : "ok");          \
	} while (0)

/* A condition that must hold; the test goes on and fails at its end. */
static int guest_failures;
#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			printf("%s:%d: failed: %s (errno %d)\n", __FILE__, __LINE__, #x,      \
			       errno);                                                             \
			guest_failures++;                                                          \
		}                                                                                  \
	} while (0)

#define DONE() return guest_failures ? 1 : 0

/* Goes to a fresh directory of /tmp, which is another file system than where the test starts. */
static inline void enter_tmp(char dir[32])
{
	strcpy(dir, "/tmp/brig-test-XXXXXX");
	if (!mkdtemp(dir) || chdir(dir)) {
		printf("no directory in /tmp: %s\n", strerrorname_np(errno));
		exit(1);
	}
}

static inline void die(const char *what)
{
	printf("%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}
