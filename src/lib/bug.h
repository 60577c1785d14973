/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Assertions. BUG_ON is for impossible internal state, is on in every build, and stops this
 * sandbox with a log line. It is never placed on a condition that a guest can reach.
 * DEBUG_ASSERT is for checks too costly for release; it vanishes unless BRIG_DEBUG is set.
 */
__attribute__((noreturn, cold)) void bug_at(const char *file, int line, const char *what);

#define BUG_ON(x)                                                                                  \
	do {                                                                                       \
		if (__builtin_expect(!!(x), 0))                                                    \
			bug_at(__FILE__, __LINE__, #x);                                            \
	} while (0)

#ifdef BRIG_DEBUG
#define DEBUG_ASSERT(x) BUG_ON(!(x))
#else
#define DEBUG_ASSERT(x) ((void)sizeof(!(x)))
#endif
