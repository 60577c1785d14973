/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/task/bpf.h"
#include <errno.h>

static bool jump_ok(const struct sock_filter *f, unsigned i, unsigned n)
{
	if (BPF_OP(f->code) == BPF_JA)
		return f->k < n - i - 1;
	return f->jt < n - i - 1 && f->jf < n - i - 1;
}

static bool alu_ok(const struct sock_filter *f)
{
	switch (BPF_OP(f->code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
	case BPF_NEG:
		return true;
	case BPF_LSH:
	case BPF_RSH:
		return BPF_SRC(f->code) == BPF_X || f->k < 32;
	case BPF_DIV:
	case BPF_MOD:
		return BPF_SRC(f->code) == BPF_X || f->k != 0;
	default:
		return false;
	}
}

static bool insn_ok(const struct sock_filter *f, unsigned i, unsigned n)
{
	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return !(f->k & 3) && f->k < sizeof(struct seccomp_data);
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
		return true;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return f->k < BPF_MEMWORDS;
	default:
		break;
	}
	if (BPF_CLASS(f->code) == BPF_ALU)
		return alu_ok(f);
	if (BPF_CLASS(f->code) != BPF_JMP)
		return false;
	switch (BPF_OP(f->code)) {
	case BPF_JA:
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return jump_ok(f, i, n);
	default:
		return false;
	}
}

/* Jumps go forward only and stay inside; the last instruction returns: so it ends. Scratch words
 * start as zero in bpf_run, so that reading an unwritten one is harmless. */
int bpf_check(const struct sock_filter *f, unsigned n)
{
	if (n == 0 || n > BPF_MAXINSNS)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (!insn_ok(&f[i], i, n))
			return -EINVAL;
	return BPF_CLASS(f[n - 1].code) == BPF_RET ? 0 : -EINVAL;
}

static uint32_t alu(uint16_t code, uint32_t a, uint32_t b, bool *stop)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	case BPF_NEG:
		return -a;
	case BPF_DIV:
		*stop = b == 0;
		return b ? a / b : 0;
	default:
		*stop = b == 0;
		return b ? a % b : 0;
	}
}

static bool test(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default:
		return a & b;
	}
}

uint32_t bpf_run(const struct sock_filter *f, const struct seccomp_data *d)
{
	uint32_t mem[BPF_MEMWORDS] = {0}, a = 0, x = 0;

	for (;; f++) {
		bool stop = false;

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			if (BPF_MODE(f->code) == BPF_ABS)
				__builtin_memcpy(&a, (const uint8_t *)d + f->k, 4);
			else if (BPF_MODE(f->code) == BPF_LEN)
				a = sizeof(*d);
			else
				a = BPF_MODE(f->code) == BPF_IMM ? f->k : mem[f->k];
			break;
		case BPF_LDX:
			if (BPF_MODE(f->code) == BPF_LEN)
				x = sizeof(*d);
			else
				x = BPF_MODE(f->code) == BPF_IMM ? f->k : mem[f->k];
			break;
		case BPF_ST:
			mem[f->k] = a;
			break;
		case BPF_STX:
			mem[f->k] = x;
			break;
		case BPF_ALU:
			a = alu(f->code, a, BPF_SRC(f->code) == BPF_X ? x : f->k, &stop);
			if (stop)
				return SECCOMP_RET_KILL_THREAD;
			break;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA)
				f += f->k;
			else
				f += test(f->code, a, BPF_SRC(f->code) == BPF_X ? x : f->k) ? f->jt : f->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? a : f->k;
		default:
			if (f->code == (BPF_MISC | BPF_TAX))
				x = a;
			else
				a = x;
			break;
		}
	}
}
