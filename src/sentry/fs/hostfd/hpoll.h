/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Readiness of host descriptors: one thread waits in a host epoll and wakes wait queues. The
 * thread starts with the first registration, so a sandbox without host descriptors has none.
 */
#include "sentry/core/hhandle.h"
#include "sentry/core/wait.h"

/* The queue stays valid until hpoll_del has returned. -EPERM: never blocks (a regular file). */
must_check int hpoll_add(hh_t h, struct waitq *wq, uint32_t *slot);
/* Wakes the whole queue once any of `events` (EPOLL*) holds; to be called again after each wake-up
 * by who still waits. */
void hpoll_arm(uint32_t slot, uint32_t events);
void hpoll_del(uint32_t slot);
