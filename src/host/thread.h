/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Threads of this process: detached, small stacks with a guard page, all signals blocked. The
 * function returning ends the thread.
 */
#include "lib/compiler.h"

#define H_STACK_SIZE ((size_t)64 << 10)

/* Stack size 0 means H_STACK_SIZE. -EAGAIN when the host has no room for another thread. */
must_check int h_thread_spawn(void (*fn)(void *arg), void *arg, size_t stack);
/* Blocks every signal in the calling thread (the main one does this before it spawns). */
void h_block_signals(void);
/* Pins the calling thread to one CPU. */
must_check int h_pin_self(unsigned cpu);
