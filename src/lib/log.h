/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log lines to one inherited descriptor (set by log_open; -1 drops everything). Levels above the
 * chosen one cost a compare. Lines are written with a single write(2), at most 1 KiB.
 */
#include "lib/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
extern enum log_level log_level;
extern int log_hfd;	/* -1 when closed */
void log_open(int hfd, enum log_level level, const char *who);
void log_line(enum log_level level, const char *f, ...) printf_like(2, 3);
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)                                                                              \
	do {                                                                                       \
		if (log_level >= LOG_INFO)                                                         \
			log_line(LOG_INFO, __VA_ARGS__);                                           \
	} while (0)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (unlikely(log_level >= LOG_DEBUG))                                              \
			log_line(LOG_DEBUG, __VA_ARGS__);                                          \
	} while (0)
