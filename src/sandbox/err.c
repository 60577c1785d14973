/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_set(struct err *e, const char *f, ...)
{
	va_list ap;
	va_start(ap, f);
	e->status = EXIT_BRIG;
	vsnprintf(e->text, sizeof(e->text), f, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *e, int num, const char *f, ...)
{
	va_list ap;
	va_start(ap, f);
	e->status = EXIT_BRIG;
	int n = vsnprintf(e->text, sizeof(e->text), f, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", strerror(abs(num)));
	return -1;
}

int err_report(const struct err *e)
{
	say("%s", e->text);
	return e->status;
}

void say(const char *f, ...)
{
	char line[1200];
	va_list ap;
	va_start(ap, f);
	int n = snprintf(line, sizeof(line), "brig: ");
	vsnprintf(line + n, sizeof(line) - (size_t)n - 1, f, ap);
	va_end(ap);
	size_t len = strlen(line);
	line[len++] = '\n';
	fwrite(line, 1, len, stderr);
}
