/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An error of the launcher: the exit status that it leads to and one line for the user. */
#include <stdarg.h>
#include "lib/compiler.h"

#define EXIT_TIMEOUT 124
#define EXIT_BRIG 125
#define EXIT_NOEXEC 126
#define EXIT_NOENT 127

struct err {
	int status;	/* 0: no error */
	char text[1024];
};

/* Sets the error (status EXIT_BRIG) and returns -1, so that it can end a function. */
int err_set(struct err *e, const char *f, ...) printf_like(2, 3);
/* The same with ": " and the text of the errno value `num` (positive or negative) at the end. */
int err_sys(struct err *e, int num, const char *f, ...) printf_like(3, 4);
/* Prints "brig: text" to standard error and returns the status. */
int err_report(const struct err *e);
/* One line "brig: ..." to standard error. */
void say(const char *f, ...) printf_like(1, 2);
