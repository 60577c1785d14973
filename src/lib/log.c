/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines "who: level: text". Set once at start, before threads; then read-only. */
#include "lib/log.h"
#include "lib/fmt.h"
#include "lib/hooks.h"

#define LINE_MAX_BYTES 1024

enum log_level log_level = LOG_WARN;
int log_hfd = -1;
static const char *log_who = "brig";

void log_open(int hfd, enum log_level level, const char *who)
{
	log_hfd = hfd;
	log_level = level;
	log_who = who;
}

void log_line(enum log_level level, const char *f, ...)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	char line[LINE_MAX_BYTES];
	size_t n, room = sizeof(line) - 1;
	va_list ap;

	if (log_hfd < 0 || level > log_level)
		return;
	n = min(fmt_n(line, room, "%s: %s: ", log_who, names[level & 3]), room - 1);
	va_start(ap, f);
	n += min(fmt_v(line + n, room - n, f, ap), room - n - 1);
	va_end(ap);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';	/* guest bytes must not forge lines or drive a terminal */
	line[n++] = '\n';
	hook_write(log_hfd, line, n);
}
