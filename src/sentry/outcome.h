/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What was hit and what is dropped at the end: for the launcher's last words. */
#include "proto/bootspec.h"

void outcome_init(const struct boot_spec *s);
/* CTL_HIT_* of limits that refused something at least once. */
uint32_t outcome_hit(void);
void outcome_note(uint32_t hit);
bool outcome_oom_killed_init(void);
/* Files written to memory layers that vanish now; one of their directories in dir. */
uint64_t outcome_dropped_files(char *dir, size_t cap);
