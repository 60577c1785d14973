/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/syscalls/strace.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "host/file.h"
#include "sentry/syscalls/strace_int.h"
#include "sentry/task/task.h"

#define LINE_LIMIT 8192

bool strace_on;
static int strace_hfd = -1;

void strace_open(int hfd)
{
	strace_hfd = hfd;
	strace_on = hfd >= 0;
}

static void line_write(struct buf *b)
{
	buf_addc(b, '\n');
	if (b->p)
		(void)!h_write_all(strace_hfd, b->p, b->len);
	buf_fini(b);
}

static void line_begin(struct task *t, struct buf *b)
{
	*b = (struct buf){.limit = LINE_LIMIT};
	buf_fmt(b, "[%5d] ", task_pid_nr(t, task_pid_ns(t)));
}

void strace_note(struct task *t, const char *f, ...)
{
	char text[256];
	struct buf b;
	va_list ap;

	if (!strace_on)
		return;
	line_begin(t, &b);
	va_start(ap, f);
	fmt_v(text, sizeof(text), f, ap);
	va_end(ap);
	buf_fmt(&b, "%s", text);
	line_write(&b);
}

/* Letters whose value only exists when the call has returned. */
static bool is_output(char c)
{
	return c && strchr("BVGOPJER", c);
}

static void put_arg(struct task *t, struct buf *b, char c, const struct sysargs *a, unsigned i,
		    int64_t ret)
{
	uint64_t v = a->a[i], next = i < 5 ? a->a[i + 1] : 0;

	if (strace_named(b, c, v) || strace_memory(t, b, c, v, next, ret))
		return;
	switch (c) {
	case 'd':
	case 'f':
	case 'i':
		buf_fmt(b, "%d", (int)v);
		break;
	case 'u':
	case 'U':
		if ((uint32_t)v == ~0u)
			buf_fmt(b, "-1");
		else
			buf_fmt(b, "%u", (uint32_t)v);
		break;
	case 'l':
		buf_fmt(b, "%ld", (int64_t)v);
		break;
	case 'z':
	case 'Z':
		buf_fmt(b, "%lu", v);
		break;
	case 'F':
		if ((int)v == AT_FDCWD)
			buf_fmt(b, "AT_FDCWD");
		else
			buf_fmt(b, "%d", (int)v);
		break;
	case 'm':
		buf_fmt(b, "%s%o", v & 07777 ? "0" : "", (uint32_t)v);
		break;
	default:
		if (v == 0 && c != 'x')
			buf_fmt(b, "NULL");
		else
			buf_fmt(b, v ? "0x%lx" : "%lx", v);
	}
}

static void put_args(struct task *t, struct strace_line *line, const struct sysargs *a, int64_t ret,
		     bool after)
{
	for (; *line->next_sig && *line->next_sig != ':' && line->next_arg < 6;
	     line->next_sig++, line->next_arg++) {
		if (!after && is_output(*line->next_sig))
			return;
		if (line->next_arg)
			buf_fmt(&line->b, ", ");
		put_arg(t, &line->b, *line->next_sig, a, line->next_arg, ret);
	}
}

void strace_enter(struct task *t, uint32_t nr, const struct sys_row *row, const struct sysargs *a,
		  struct strace_line *line)
{
	line_begin(t, &line->b);
	line->next_arg = 0;
	line->next_sig = row ? row->sig : "xxxxxx";
	if (row)
		buf_fmt(&line->b, "%s(", row->name);
	else
		buf_fmt(&line->b, "syscall_0x%x(", nr);
	put_args(t, line, a, 0, false);
	if (row && row->flags & SF_NORET) {
		buf_fmt(&line->b, ") = ?");
		line_write(&line->b);
		line->next_sig = NULL;
	}
}

static const char *restart_name(int64_t err)
{
	switch (err) {
	case ERESTARTSYS:
		return "ERESTARTSYS (To be restarted if SA_RESTART is set)";
	case ERESTARTNOINTR:
		return "ERESTARTNOINTR (To be restarted)";
	case ERESTARTNOHAND:
		return "ERESTARTNOHAND (To be restarted if no handler)";
	default:
		return "ERESTART_RESTARTBLOCK (Interrupted by signal)";
	}
}

static void put_result(struct buf *b, const struct sys_row *row, int64_t ret)
{
	const char *base = row ? strchr(row->sig, ':') : NULL;

	if (ret < 0 && ret >= -4095) {
		const char *name = strerrorname_np((int)-ret);

		if (-ret >= ERESTARTSYS)
			buf_fmt(b, "? %s", restart_name(-ret));
		else if (name)
			buf_fmt(b, "-1 %s (%s)", name, strerrordesc_np((int)-ret));
		else
			buf_fmt(b, "-1 (errno %d)", (int)-ret);
	} else if (base && base[1] == 'x') {
		buf_fmt(b, ret ? "0x%lx" : "%lx", ret);
	} else if (base) {
		buf_fmt(b, "0%lo", ret);
	} else {
		buf_fmt(b, "%ld", ret);
	}
}

void strace_exit(struct task *t, const struct sys_row *row, const struct sysargs *a, int64_t ret,
		 struct strace_line *line)
{
	if (!line->next_sig)
		return;
	put_args(t, line, a, ret, true);
	if (line->b.len < 40)
		buf_fmt(&line->b, ")%*s = ", (int)(39 - line->b.len), "");
	else
		buf_fmt(&line->b, ") = ");
	put_result(&line->b, row, ret);
	line_write(&line->b);
}
