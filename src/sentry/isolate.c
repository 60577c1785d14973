/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/isolate.h"

#include <errno.h>
#include <signal.h>
#include <ucontext.h>

#include "host/file.h"
#include "host/proc.h"
#include "lib/log.h"
#include "sentry_filter.h"

extern const char __executable_start[], etext[];

/* What on the stack looks like return addresses, relative to the start of the program. */
static void log_trail(const uint64_t *sp)
{
	uint64_t base = (uint64_t)(uintptr_t)__executable_start, size = (uint64_t)(etext - __executable_start);
	uint64_t at[8] = {0};
	unsigned n = 0;

	/* up to the end of the page: what lies behind it may be no stack */
	for (; n < array_size(at); sp++) {
		if (*sp - base < size)
			at[n++] = *sp - base;
		if ((uint64_t)(uintptr_t)sp % 4096 == 4088)
			break;
	}
	log_error("trail: %lx %lx %lx %lx %lx %lx %lx %lx", at[0], at[1], at[2], at[3], at[4], at[5],
		  at[6], at[7]);
}

/*
 * A crash, or a call that the filter refused (SIGSYS): the place, relative to the start of the
 * program, and how it came there; then the end. Whoever owns this process gains nothing by it.
 */
static void on_crash(int sig, siginfo_t *si, void *uc_)
{
	const ucontext_t *uc = uc_;
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	uint64_t base = (uint64_t)(uintptr_t)__executable_start;

	if (sig == SIGSYS)
		log_error("host call %d refused at +0x%lx", si->si_syscall, rip - base);
	else
		log_error("signal %d at +0x%lx, address 0x%lx, stack 0x%lx", sig, rip - base,
			  (uint64_t)(uintptr_t)si->si_addr,
			  (uint64_t)uc->uc_mcontext.gregs[REG_RSP]);
	if (sig != SIGSYS && uc->uc_mcontext.gregs[REG_RSP] % 8 == 0)
		log_trail((const uint64_t *)(uintptr_t)uc->uc_mcontext.gregs[REG_RSP]);
	h_exit(128 + sig);
}

static int catch_crashes(void)
{
	static const int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
	struct sigaction sa = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_RESETHAND};

	for (size_t i = 0; i < array_size(sigs); i++)
		if (sigaction(sigs[i], &sa, NULL) != 0)
			return -errno;
	return 0;
}

static bool is_named(const struct boot_fds *f, int hfd)
{
	const int32_t one[] = {f->control,  f->cell,	 f->log,      f->strace,   f->tty,
			       f->stdio[0], f->stdio[1], f->stdio[2], f->empty_dir};

	for (size_t i = 0; i < array_size(one); i++)
		if (one[i] == hfd)
			return true;
	for (uint32_t i = 0; i < f->n_channels; i++)
		if (f->channels[i] == hfd)
			return true;
	return false;
}

int isolate_early(const struct boot_spec *s)
{
	int rc;

	for (int hfd = 3; hfd < 64; hfd++)
		if (!is_named(&s->fds, hfd))
			(void)h_close(hfd);
	if (h_close_range(64, ~0u, 0))	/* old kernel, or an outer profile that does not know it */
		for (int hfd = 64; hfd < 65536; hfd++)
			(void)h_close(hfd);
	rc = catch_crashes();
	if (!rc)
		rc = h_no_cores();
	if (!rc)
		rc = h_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (!rc)
		rc = h_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return rc;
}

int isolate_late(void)
{
	const struct sock_fprog prog = {array_size(sentry_filter),
					(struct sock_filter *)(uintptr_t)sentry_filter};
	int rc = h_seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);

	return rc > 0 ? -EBUSY : rc;	/* the thread that could not be synchronised */
}
