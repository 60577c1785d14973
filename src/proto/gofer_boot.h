/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The launcher's side of starting a Gofer. */
#include "lib/compiler.h"
#include "proto/gofer.h"

struct gofer_boot_root {
	int hfd;		/* O_PATH; borrowed */
	uint32_t flags;		/* GOFER_ROOT_* */
};

struct gofer_boot {
	uint32_t flags;		/* GOFER_BOOT_* */
	unsigned nchannels, nroots;
	const int *channels;	/* the Gofer's ends; borrowed */
	const struct gofer_boot_root *roots;
};

/* Sends the boot messages and waits for the answer. *has gets GOFER_HAS_*. 0 or -errno; -EPROTO
 * when what came back is no answer, -EPIPE when the Gofer died first. */
must_check int gofer_boot_send(int control_hfd, const struct gofer_boot *boot, uint32_t *has);
