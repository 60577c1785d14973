/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What was hit and what is dropped at the end: for the launcher's last words. */
#include "sentry/vfs/vfs.h"

/* An overlay whose writes vanish with the sandbox; target lives as long as the process. */
void outcome_add_overlay(struct super *sb, const char *target);
/* CTL_HIT_* of limits that refused something at least once. */
uint32_t outcome_hit(void);
/* Files written to overlays that vanish now; the place of most of them in dir. */
uint64_t outcome_dropped_files(char *dir, size_t cap);
