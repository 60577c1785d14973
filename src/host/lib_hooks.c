/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/hooks.h"
#include "host/event.h"
#include "host/file.h"

void hook_futex_wait(uint32_t *word, uint32_t val)
{
	(void)h_futex_wait(word, val, NULL);
}

void hook_futex_wake(uint32_t *word, int count)
{
	(void)h_futex_wake(word, count);
}

void hook_write(int hfd, const void *p, size_t n)
{
	(void)!h_write(hfd, p, n);
}
