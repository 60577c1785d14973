/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Terminals. Each is a pseudo terminal pair: the slave side has the line discipline (termios(3),
 * n_tty), the master side is a guest's file (ptmx) or the launcher's terminal (brig do -t).
 *
 *	master write -> ldisc_receive -> input queue -> slave read
 *	slave write  -> output processing -> output ring -> master read
 *	echo goes from ldisc_receive to the output ring
 *
 * Locks: tty->lock (RANK_OBJECT) covers both queues, termios and job-control fields. Signals are
 * collected under it and sent after it (signal_send_pgrp takes the tasks lock).
 */
#include "lib/refcount.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

#define TTY_IN 4096u		/* input queue, characters: N_TTY_BUF_SIZE */
#define TTY_OUT 8192u		/* output ring, bytes */
#define TTY_NCC 19

struct l_termios {		/* struct termios2 of the kernel; TCGETS leaves the speeds out */
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[TTY_NCC];
	uint32_t ispeed, ospeed;
};
static_assert(sizeof(struct l_termios) == 44, "termios2");

struct l_winsize {
	uint16_t row, col, xpixel, ypixel;
};

struct tty {
	refcount_t ref;
	uint32_t index;			/* pts number */
	struct mutex lock;		/* RANK_OBJECT */
	struct devpts *devpts;		/* whose instance, or NULL for the launcher's terminal */
	struct l_termios termios;
	struct l_winsize winsize;
	struct pid *session, *pgrp;	/* owned; controlling session and foreground group */
	uint16_t in[TTY_IN];		/* character | IN_LINE | IN_EOF */
	uint32_t in_tail, in_canon, in_head;	/* free running: read, complete lines, written */
	uint8_t out[TTY_OUT];
	uint32_t out_tail, out_head;	/* free running */
	uint32_t column, canon_column;	/* of the output; where the line being edited began */
	bool literal_next, stopped, packet, exclusive, locked, hungup;
	bool master_open, master_gone, slave_opened;
	uint32_t slaves;		/* open slave files */
	uint8_t packet_status;		/* TIOCPKT_* pending */
	struct waitq read_wq, write_wq;	/* slave side: input there; room in out */
	struct waitq m_read_wq, m_write_wq;	/* master side: output there; room in the input */
	bool host_master;		/* the launcher's socket is the master */
};
#define IN_LINE 0x100u
#define IN_EOF 0x200u

must_check int tty_create(struct tty **out);
struct tty *tty_get(struct tty *t);
void tty_put(struct tty *t);

/* Signals to send once the lock is gone. */
struct tty_signals {
	struct pid *pgrp;		/* owned */
	uint32_t mask;			/* bit per signal number below 32 */
};
void tty_signals_send(struct tty_signals *s);

/* ldisc.c: lock held. Bytes taken (less when the queue is full). */
size_t ldisc_receive(struct tty *t, const uint8_t *p, size_t n, struct tty_signals *sig);
size_t ldisc_write(struct tty *t, const uint8_t *p, size_t n);	/* output processing into out */
size_t ldisc_read(struct tty *t, uint8_t *p, size_t n, bool *eof);
bool ldisc_readable(const struct tty *t);
uint32_t ldisc_room(const struct tty *t);
void ldisc_flush_input(struct tty *t);
/* A change of ICANON: what is queued becomes readable or a line. */
void ldisc_mode_changed(struct tty *t, const struct l_termios *old);
size_t tty_out_take(struct tty *t, uint8_t *p, size_t n);

/* job.c */
/* A background process that reads, writes (TOSTOP) or changes settings: 0, -EIO, -ERESTARTSYS
 * after its group was signalled. No locks held. */
must_check int tty_check_change(struct tty *t, struct task *task, int sig);
/* Takes what it can of p; *dead: the other end is gone. */
typedef size_t tty_push_fn(struct tty *t, const uint8_t *p, size_t n, bool *dead);
/* Writes through `push`; while it takes nothing the caller sleeps on wq. Bytes written, or -errno. */
int64_t tty_write_all(struct file *f, struct uio *u, struct waitq *wq, tty_push_fn *push);
/* O_NOCTTY was not given: a session leader without terminal takes this one. */
void tty_open_ctty(struct tty *t, struct task *task);
/* The session leader exits or calls TIOCNOTTY: hangs up the foreground group. */
void tty_disassociate(struct task *task, bool exiting);
/* The controlling terminal of a task with a reference, or NULL. */
struct tty *tty_of_task(struct task *task);
void tty_hangup(struct tty *t);
/* /proc/PID/stat: device number and foreground group of the controlling terminal; 0 and -1 if none. */
void tty_stat_fields(struct task *task, struct pid_ns *ns, int *tty_nr, int *tpgid);
int64_t tty_job_ioctl(struct tty *t, struct task *task, uint32_t cmd, uint64_t arg, bool master);

/* ioctl.c: both sides. */
int64_t tty_ioctl(struct tty *t, struct task *task, struct file *f, uint32_t cmd, uint64_t arg,
		  bool master);
void tty_set_winsize(struct tty *t, const struct l_winsize *w);

/* host_master.c: the launcher's terminal on a stream socket. */
must_check int tty_host_master(int hfd, unsigned rows, unsigned cols, struct tty **out);
/* All output has been handed to the launcher (before the sandbox ends). */
bool tty_host_drained(void);
/* A file on the slave side, for the first process's standard streams. */
must_check int tty_open_slave(struct tty *t, struct file **out);

/* tty.c: makes f a slave file of t. */
must_check int tty_slave_attach(struct tty *t, struct file *f);

/* fs/devpts */
must_check int devpts_create(const char *data, struct super **out);
/* A new pair, in the instance that this ptmx belongs to (NULL: the first one made). */
must_check int devpts_new(struct inode *ptmx, struct tty **out);
int devpts_slave_open(struct inode *i, struct file *f);
void devpts_forget(struct tty *t);
