/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shared by launch.c, boot.c and relay.c: one running sandbox as the launcher sees it. */
#include <termios.h>
#include "proto/control.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"
#include "sandbox/spawn.h"
#include "sandbox/view.h"

#define SB_CHANNELS 4u

struct launch {
	const struct sb_config *c;
	struct sb_view view;
	struct cgroup cgroup;
	bool lease;		/* no cgroup holds the memory limit */
	struct spawn gofer, sentry;
	int control;		/* our end, SOCK_SEQPACKET */
	int gofer_control;	/* our end, until booted */
	int channels[SB_CHANNELS], gofer_ends[SB_CHANNELS];	/* until both have theirs */
	int tty_sock;		/* our end of the pty bridge, or -1 */
	int exe_sentry, exe_gofer, exe_cell;
	/* relay */
	bool ready, ended;	/* CTL_READY, CTL_EXIT or CTL_ERROR seen */
	bool timed_out;
	struct ctl_msg last;
	bool is_raw;
	int lent_tty;		/* a terminal among the donated streams, or -1 */
	struct termios saved;
};

/* --- boot.c */
int boot_find_programs(struct launch *l, struct err *e);
int boot_sentry(struct launch *l, struct err *e);	/* makes the channels, too */
int boot_gofer(struct launch *l, struct err *e);
/* Both run and know what they are for. */
int boot_finish(struct launch *l, struct err *e);

/* --- relay.c: runs until the sandbox has ended. The exit status for the shell. */
int relay_run(struct launch *l);
/* Blocks the signals that relay_run takes from a descriptor; before the children are made. */
void relay_block_signals(void);

/* --- tty.c */
struct pump {		/* one direction of the pty bridge */
	int from, to;
	size_t pos, len;
	bool eof;
	char data[4096];
};
void tty_raw(struct launch *l);
void tty_restore(struct launch *l);
void tty_remember(struct launch *l);
void tty_put_back(struct launch *l);
void tty_size(unsigned *rows, unsigned *cols);
/* What to poll for: POLLIN on from, or POLLOUT on to when there is something left to write. */
bool pump_wants_read(const struct pump *p);
bool pump_wants_write(const struct pump *p);
void pump_read(struct pump *p);
void pump_write(struct pump *p);

/* facts.c: mem_total and cpuinfo (allocated, lives as long as the launcher). */
void facts_fill(struct boot_spec *s);
