/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "sentry/fs/pseudo/pseudo.h"

must_check int sysfs_create(struct super **out);
