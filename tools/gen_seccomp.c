/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns a declarative list of host calls into a BPF program, at build time:
 *
 *	gen_seccomp NAME LIST > HEADER
 *
 * LIST has one rule a line: a call and conditions that must all hold,
 *
 *	name [argN==VALUE] [argN&MASK==VALUE] ...
 *
 * Several lines of one name are alternatives. "enosys NAME" has a call answered with ENOSYS, for
 * what libc tries first. A value is a number or a name that the list defines
 * before with "define NAME NUMBER", or that is built in below. Everything else is refused: TRAP,
 * which ends the process with SIGSYS unless it has a handler that says which call it was.
 */
#include <asm/ioctls.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

struct value {
	char name[48];
	unsigned long long v;
};

#define V(x) {#x, (unsigned long long)(x)}
static struct value values[256] = {
	V(PROT_READ), V(PROT_WRITE), V(PROT_EXEC), V(MAP_SHARED), V(MAP_PRIVATE), V(MAP_ANONYMOUS),
	V(MAP_FIXED), V(F_GETFL), V(F_SETFL), V(F_GETFD), V(F_SETFD), V(F_DUPFD), V(F_DUPFD_CLOEXEC),
	V(F_ADD_SEALS), V(F_GET_SEALS), V(F_GETPIPE_SZ), V(F_OFD_SETLK), V(F_OFD_SETLKW),
	V(F_OFD_GETLK), V(AT_EMPTY_PATH), V(PR_SET_NAME), V(TCGETS), V(TIOCGWINSZ), V(FIONREAD),
	V(TIOCOUTQ), V(TCSETS), V(TCSETSW), V(TCSETSF), V(TCFLSH),
	V(SECCOMP_IOCTL_NOTIF_RECV), V(SECCOMP_IOCTL_NOTIF_SEND), V(SECCOMP_IOCTL_NOTIF_ADDFD),
	V(SECCOMP_IOCTL_NOTIF_ID_VALID), V(SECCOMP_IOCTL_NOTIF_SET_FLAGS), V(RLIMIT_NOFILE),
	V(RLIMIT_DATA), V(PRIO_PROCESS), V(SOL_SOCKET), V(SO_PEERCRED), V(CLONE_VM), V(CLONE_THREAD),
	V(CLONE_SIGHAND), V(SIG_BLOCK), V(SIG_SETMASK), V(MFD_CLOEXEC), V(O_CLOEXEC), V(SHUT_WR), V(AF_UNIX),
	V(MSG_DONTWAIT), V(MSG_NOSIGNAL), V(MADV_DONTNEED), V(MADV_REMOVE),
};

static const char *list_path;
static int line_no;

_Noreturn static void die(const char *what, const char *detail)
{
	fprintf(stderr, "%s:%d: %s %s\n", list_path, line_no, what, detail);
	exit(1);
}

static size_t n_values(void)
{
	size_t n = 0;
	while (n < sizeof(values) / sizeof(values[0]) && values[n].name[0])
		n++;
	return n;
}

static unsigned long long parse_value(const char *text)
{
	char *end;
	if (isdigit((unsigned char)text[0])) {
		unsigned long long v = strtoull(text, &end, 0);
		if (*end)
			die("not a number:", text);
		return v;
	}
	for (size_t i = 0; i < n_values(); i++)
		if (strcmp(values[i].name, text) == 0)
			return values[i].v;
	die("no such value:", text);
}

static void define(char *name, const char *value)
{
	size_t n = n_values();
	if (!name || !value || n + 1 >= sizeof(values) / sizeof(values[0]) ||
	    strlen(name) >= sizeof(values[0].name))
		die("bad definition", name ? name : "");
	values[n].v = parse_value(value);
	strcpy(values[n].name, name);
}

/* argN==VALUE or argN&MASK==VALUE */
static struct scmp_arg_cmp parse_condition(char *text)
{
	unsigned arg;
	int used = 0;
	if (sscanf(text, "arg%u%n", &arg, &used) != 1 || arg > 5)
		die("bad condition:", text);
	char *p = text + used, *eq = strstr(p, "==");
	if (!eq)
		die("bad condition:", text);
	*eq = 0;
	unsigned long long v = parse_value(eq + 2);
	if (*p == '&')
		return SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, parse_value(p + 1), v);
	/* 32-bit arguments may carry anything above: the kernel looks at the low half only. */
	return SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, 0xffffffffull, v);
}

static void add_rule(scmp_filter_ctx ctx, const char *name, char **save)
{
	struct scmp_arg_cmp conditions[6];
	unsigned n = 0;
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR || nr < 0)
		die("no such call:", name);
	for (char *t; (t = strtok_r(NULL, " \t", save)) != NULL;) {
		if (*t == '#')
			break;
		if (n == 6)
			die("too many conditions:", name);
		conditions[n++] = parse_condition(t);
	}
	int rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, n, conditions);
	if (rc && rc != -EEXIST)
		die("rule refused:", strerror(-rc));
}

static void read_list(scmp_filter_ctx ctx, FILE *f)
{
	char line[512], *save;
	while (fgets(line, sizeof(line), f)) {
		line_no++;
		line[strcspn(line, "\n")] = 0;
		char *name = strtok_r(line, " \t", &save);
		if (!name || *name == '#')
			continue;
		if (strcmp(name, "enosys") == 0) {
			name = strtok_r(NULL, " \t", &save);
			if (!name || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
						      seccomp_syscall_resolve_name(name), 0))
				die("rule refused:", name ? name : "");
		} else if (strcmp(name, "define") == 0) {
			name = strtok_r(NULL, " \t", &save);
			define(name, strtok_r(NULL, " \t", &save));
		} else {
			add_rule(ctx, name, &save);
		}
	}
}

static void print_program(scmp_filter_ctx ctx, const char *name)
{
	FILE *tmp = tmpfile();
	struct sock_filter insn;
	unsigned n = 0;
	if (!tmp || seccomp_export_bpf(ctx, fileno(tmp)) != 0)
		die("cannot export", name);
	rewind(tmp);
	printf("/* Generated by tools/gen_seccomp from %s. */\n", list_path);
	printf("static const struct sock_filter %s[] = {\n", name);
	while (fread(&insn, sizeof(insn), 1, tmp) == 1) {
		printf("\t{0x%02x, %u, %u, 0x%08x},\n", insn.code, insn.jt, insn.jf, insn.k);
		n++;
	}
	printf("};\n");
	if (n == 0 || n > 4096)
		die("program is empty or too long:", name);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: gen_seccomp NAME LIST\n");
		return 2;
	}
	list_path = argv[2];
	FILE *f = fopen(list_path, "r");
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	if (!f || !ctx)
		die("cannot open", list_path);
	/* Another architecture's calls (int 0x80) end the process. */
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	read_list(ctx, f);
	fclose(f);
	print_program(ctx, argv[1]);
	seccomp_release(ctx);
	return 0;
}
