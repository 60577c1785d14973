/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Raw host system calls: the result is the kernel's own, -errno on failure; errno is untouched.
 * Private to host/ and platform/.
 */
#include <stdint.h>
#include <sys/syscall.h>

static inline int64_t h_sys6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
			     uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	int64_t ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define H_ARG(x) ((uint64_t)(x))
#define h_sys0(nr) h_sys6(nr, 0, 0, 0, 0, 0, 0)
#define h_sys1(nr, a) h_sys6(nr, H_ARG(a), 0, 0, 0, 0, 0)
#define h_sys2(nr, a, b) h_sys6(nr, H_ARG(a), H_ARG(b), 0, 0, 0, 0)
#define h_sys3(nr, a, b, c) h_sys6(nr, H_ARG(a), H_ARG(b), H_ARG(c), 0, 0, 0)
#define h_sys4(nr, a, b, c, d) h_sys6(nr, H_ARG(a), H_ARG(b), H_ARG(c), H_ARG(d), 0, 0)
#define h_sys5(nr, a, b, c, d, e)                                                                  \
	h_sys6(nr, H_ARG(a), H_ARG(b), H_ARG(c), H_ARG(d), H_ARG(e), 0)
#define h_sys6x(nr, a, b, c, d, e, f)                                                              \
	h_sys6(nr, H_ARG(a), H_ARG(b), H_ARG(c), H_ARG(d), H_ARG(e), H_ARG(f))
