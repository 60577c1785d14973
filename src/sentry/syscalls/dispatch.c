/* SPDX-License-Identifier: Apache-2.0 */
/* From a number to its handler. What has none is counted and answered ENOSYS, as Linux would. */
#include <assert.h>
#include <errno.h>
#include "lib/log.h"
#include "sentry/syscalls/strace.h"
#include "sentry/syscalls/syscalls.h"

/* Weak, so that a row without a handler is a null pointer. */
#define X(nr, name, sig, status, audit, flags, note)                                               \
	extern __attribute__((weak)) int64_t sys_##name(struct task *t, const struct sysargs *a);
#include "sentry/syscalls/table.def"
#undef X

#define X(nr, name, sig, status, audit, flags, note)                                               \
	[nr] = {#name, sig, sys_##name, SYS_##status, AUD_##audit, flags},
static const struct sys_row table[] = {
#include "sentry/syscalls/table.def"
};
#undef X

static_assert(array_size(table) == NR_LAST, "the last row has the highest number");

static uint64_t enosys[NR_LAST + 1];

const struct sys_row *syscall_row(uint32_t nr)
{
	return nr < NR_LAST && table[nr].name ? &table[nr] : NULL;
}

const char *syscall_name(uint32_t nr)
{
	const struct sys_row *row = syscall_row(nr);

	return row ? row->name : "?";
}

bool syscall_needs_regs(uint32_t nr)
{
	const struct sys_row *row = syscall_row(nr);

	return row && row->flags & SF_REGS;
}

uint64_t syscall_enosys_count(uint32_t nr)
{
	return __atomic_load_n(&enosys[min(nr, (uint32_t)NR_LAST)], __ATOMIC_RELAXED);
}

void syscall_log_enosys(void)
{
	for (uint32_t i = 0; i < NR_LAST; i++)
		if (syscall_enosys_count(i))
			log_info("not implemented: %s (%u), %lu times", syscall_name(i), i,
				 syscall_enosys_count(i));
	if (syscall_enosys_count(NR_LAST))
		log_info("unknown numbers: %lu times", syscall_enosys_count(NR_LAST));
}

static int64_t no_handler(uint32_t nr)
{
	uint32_t i = syscall_row(nr) ? nr : NR_LAST;

	if (__atomic_fetch_add(&enosys[i], 1, __ATOMIC_RELAXED) == 0)
		log_debug("no handler for system call %s (%u)", syscall_name(nr), nr);
	return -ENOSYS;
}

int64_t syscall_dispatch(struct task *t, uint32_t nr, const struct sysargs *a)
{
	const struct sys_row *row = syscall_row(nr);
	int64_t ret;

	if (unlikely(strace_on)) {
		struct strace_line line;

		strace_enter(t, nr, row, a, &line);
		ret = row && row->fn ? row->fn(t, a) : no_handler(nr);
		strace_exit(t, row, a, ret, &line);
		return ret;
	}
	return row && row->fn ? row->fn(t, a) : no_handler(nr);
}
