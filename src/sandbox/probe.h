/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the host gives, found out by trying. */
#include "lib/compiler.h"

enum probe_need {
	PROBE_REQUIRED,		/* brig refuses to start without it */
	PROBE_LAYER,		/* one more wall, or a limit, where it can be had */
	PROBE_SPEED,		/* only faster */
	PROBE_INFO
};

struct probe {
	const char *name;
	enum probe_need need;
	bool ok;
	bool without;		/* switched off by --without */
	const char *enforces;	/* what it is for */
	const char *remedy;	/* one line, when it is not ok */
	char detail[160];
};

#define PROBE_MAX 24

/* Fills p and returns how many. `without` is a mask of enum sb_feature. */
size_t probe_all(struct probe *p, unsigned without);
