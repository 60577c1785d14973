/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For guests that own their cell: they know the stub's layout and attack it in children, since most
 * attempts end the process that makes them. What counts is checked from outside (run): the
 * sandbox's kernel lives, others go on working, the host was asked nothing outside the lists.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "platform/cell/stub/layout.h"

static uint64_t rng_state = 88172645463325252ull;

static inline uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

static inline double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* How long this program is to attack; the runner sets it. */
static inline double attack_seconds(void)
{
	const char *s = getenv("HOSTILE_SECONDS");
	return s ? atof(s) : 3;
}

/* Runs fn(arg) in children, a batch at a time; whoever has not ended in `ms` is killed. */
struct batch {
	pid_t pids[64];
	int n;
};

static inline void batch_end(struct batch *b, int ms)
{
	double end = now_s() + ms / 1000.0;
	for (int left = b->n; left > 0;) {
		for (int i = 0; i < b->n; i++)
			if (b->pids[i] && waitpid(b->pids[i], NULL, WNOHANG) == b->pids[i]) {
				b->pids[i] = 0;
				left--;
			}
		if (left && now_s() > end)
			break;
		if (left)
			usleep(500);
	}
	/* all of them before any wait: one may be the tracer of another's thread */
	for (int i = 0; i < b->n; i++)
		if (b->pids[i])
			kill(b->pids[i], SIGKILL);
	for (int i = 0; i < b->n; i++)
		while (b->pids[i] && waitpid(b->pids[i], NULL, WNOHANG) == 0)
			if (waitpid(-1, NULL, WNOHANG | __WALL) <= 0)	/* a thread that had us trace it */
				usleep(500);
	b->n = 0;
}

static inline void in_child(struct batch *b, int ms, void (*fn)(uint64_t), uint64_t arg)
{
	if (b->n == 16)
		batch_end(b, ms);
	pid_t pid = fork();
	if (pid == 0) {
		rng_state ^= (arg + 1) * 0x9e3779b97f4a7c15ull;
		fn(arg);
		_exit(0);
	}
	if (pid > 0)
		b->pids[b->n++] = pid;
}

/* A call by the instruction at an address of the stub; it returns only if the code there does. */
static inline long call_at(uint64_t ip, long nr, const uint64_t a[6])
{
	long r;
	register uint64_t r10 __asm__("r10") = a[3];
	register uint64_t r8 __asm__("r8") = a[4];
	register uint64_t r9 __asm__("r9") = a[5];
	__asm__ volatile("call *%[ip]"
			 : "=a"(r)
			 : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9),
			   [ip] "b"(ip - 2)
			 : "rcx", "r11", "memory");
	return r;
}

static const uint64_t stub_sites[] = {IP_STUB, IP_SIGRET, IP_ANON, IP_PRIV, IP_CLONE, IP_FORK,
				      IP_PDS, IP_FORK1, IP_MAD, IP_GATE, IP_DIE, IP_NATIVE};
#define N_SITES (sizeof(stub_sites) / sizeof(stub_sites[0]))
