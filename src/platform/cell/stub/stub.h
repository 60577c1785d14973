/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the cell program: freestanding, text only, general registers only. */
#include "platform/cell/stub/shared.h"

/* entry.S */
extern char stub_handler[], copy_lo[], copy_hi[], zero_lo[], zero_hi[], str_lo[], str_hi[],
	word_lo[], word_hi[], sig_lo[], sig_hi[], sig_fault[];
extern char stub_call[], call_published[], call_exit[], go_on[], call_exit_end[], go_raw[],
	fast_end[];
extern const uint64_t stub_filter[], stub_filter_end[];
int64_t site_stub(uint32_t nr, const uint64_t *a);
int64_t site_anon(uint32_t nr, const uint64_t *a);
int64_t site_priv(uint32_t nr, const uint64_t *a);
int64_t site_clone(const uint64_t *a);
int64_t site_fork(const uint64_t *a);
_Noreturn void site_gate(struct cell_ctx *c, const uint64_t *a);
uint64_t stub_copy(uint64_t to, uint64_t from, uint64_t n);
uint64_t stub_zero(uint64_t to, uint64_t n);
uint64_t stub_str(uint64_t to, uint64_t from, uint64_t n);
int64_t stub_load32(uint64_t addr);
int64_t stub_expect64(uint64_t addr, uint64_t val);
int64_t stub_cmpxchg32(uint64_t addr, uint32_t old, uint32_t new);
_Noreturn void stub_resume(uint64_t uc);
_Noreturn void stub_die(void);

/* stub.c */
struct cell_sig;
void stub_signal(int sig, const struct cell_sig *si, struct cell_uc *uc, struct cell_ctx *c);
_Noreturn void stub_born(struct cell_ctx *c);
_Noreturn void stub_gated(struct cell_ctx *c);
int stub_patched(struct cell_ctx *c);

/* told.c */
int64_t told_answer(const struct cell_ctx *c, uint64_t nr, const uint64_t *arg);

/* boot.c */
_Noreturn void boot_main(uint64_t *sp);
_Noreturn void boot_helper(struct cell_ctx *c);
int64_t boot_sys(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
int64_t boot_spawn(uint64_t flags, uint64_t stack, uint32_t *ctid, struct cell_ctx *c);
_Noreturn void boot_switch(struct cell_ctx *c, uint64_t arg,
			   void (*fn)(struct cell_ctx *c, uint64_t arg));
