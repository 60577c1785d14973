/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Signal structures as the kernel lays them out (not libc's). */
#include <assert.h>
#include <stdint.h>

#define L_NSIG 64
typedef uint64_t l_sigset;	/* bit signo - 1 */
#define SIGBIT(s) (1ull << ((s) - 1))

struct l_sigaction {
	uint64_t handler, flags, restorer;
	l_sigset mask;
};

struct l_sigaltstack {
	uint64_t sp;
	int32_t flags;
	uint32_t pad;
	uint64_t size;
};

struct l_siginfo {
	int32_t signo, err, code, pad0;
	union {
		struct {
			int32_t pid;
			uint32_t uid;
			uint64_t value;
		} rt;			/* kill (no value), sigqueue, mqueue */
		struct {
			int32_t tid, overrun;
			uint64_t value;
			int32_t private_;
		} timer;
		struct {
			int32_t pid;
			uint32_t uid;
			int32_t status, pad;
			int64_t utime, stime;
		} chld;
		struct {
			uint64_t addr;
			int16_t lsb;
			uint64_t lower, upper;
		} fault;
		struct {
			int64_t band;
			int32_t fd;
		} poll;
		struct {
			uint64_t call_addr;
			int32_t syscall;
			uint32_t arch;
		} sys;
		uint8_t raw[112];
	};
};
static_assert(sizeof(struct l_siginfo) == 128, "siginfo");
