/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* cmocka with its prerequisites, and a check that a piece of code stops the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs fn(arg) in a child: true when a signal (BUG_ON's trap, a bounds trap) or a sanitizer
 * ended it. */
static inline int stops(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), 2);
		fn(arg);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status != 0;
}
