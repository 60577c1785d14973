/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What uname(2) and /proc/version say. */
#define UTS_SYSNAME "Linux"
#define UTS_RELEASE "6.18.0-brig"
#define UTS_VERSION "#1 SMP PREEMPT_DYNAMIC brig"
#define UTS_MACHINE "x86_64"
