/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for brig-sentry in the launcher's tests: prints what it was given, then does what the
 * program's name says. It runs behind the same isolation as the real one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/bootspec.h"
#include "proto/control.h"

static char buf[BOOT_MAX_SIZE];
static struct boot_spec s;

static void tell(uint32_t kind, int a, int b, const char *text)
{
	struct ctl_msg m = {.magic = CTL_MAGIC, .kind = kind, .a = a, .b = b};
	m.text_len = (uint32_t)strlen(text);
	memcpy(m.text, text, m.text_len);
	m.c = kind == CTL_EXIT && *text ? 3 : 0;
	send(s.fds.control, &m, sizeof(m), MSG_NOSIGNAL);
}

static void print_spec(void)
{
	printf("uid %u gid %u cwd %s host %s flags %llx\n", s.uid, s.gid, s.cwd, s.hostname,
	       (unsigned long long)s.flags);
	printf("limits memory %llu disk %llu pids %u\n", (unsigned long long)s.limits.memory,
	       (unsigned long long)s.limits.disk, s.limits.pids);
	for (uint32_t i = 0; i < s.n_mounts; i++)
		printf("mount %u %x %s %s\n", s.mounts[i].kind, s.mounts[i].flags,
		       s.mounts[i].target, s.mounts[i].source);
	for (const char *e = NULL; (e = boot_strs_next(&s.envp, e)) != NULL;)
		printf("env %s\n", e);
	for (const char *a = NULL; (a = boot_strs_next(&s.argv, a)) != NULL;)
		printf("arg %s\n", a);
}

/* What the launcher's isolation leaves to us. */
static void print_self(void)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	text[n > 0 ? n : 0] = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0)
			printf("self %s\n", line);
	fd = open("/etc/passwd", O_RDONLY);
	printf("self opens passwd %s\n", fd >= 0 ? "yes" : strerror(errno));
	printf("self pid %d euid %u\n", getpid(), geteuid());
	printf("self socket %s\n", connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)
		       &(struct sockaddr){.sa_family = AF_INET}, 16) == 0 ? "yes" : "no");
	for (int i = 3; i < 1024; i++) {
		struct stat st;
		if (i != fd && fstat(i, &st) == 0)
			printf("fd %d %o\n", i, st.st_mode & S_IFMT);
	}
}

/* Prints what comes until a SIGTERM or a kill order. */
static int serve(void)
{
	struct ctl_msg m;
	printf("ready\n");
	fflush(stdout);
	while (recv(s.fds.control, &m, sizeof(m), 0) == (ssize_t)sizeof(m)) {
		printf("got %u %d %d\n", m.kind, m.a, m.b);
		fflush(stdout);
		if (m.kind == CTL_SIGNAL)
			tell(CTL_ALIVE, 0, 0, "");
		if (m.kind == CTL_KILL)
			return 9;
		if (m.kind == CTL_SIGNAL && m.a == 15)
			return 15;
	}
	return 0;
}

/* The pty's side of the bridge: sends everything back in upper case until a 'q'. */
static void echo_tty(void)
{
	char c = 0;
	while (c != 'q' && read(s.fds.tty, &c, 1) == 1) {
		char up = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
		if (write(s.fds.tty, &up, 1) != 1)
			break;
	}
}

int main(void)
{
	ssize_t n = pread(BOOT_SPEC_HFD, buf, sizeof(buf), 0);
	if (n < 0 || boot_decode(buf, (size_t)n, &s) != 0)
		return 99;
	const char *what = s.program;
	tell(CTL_READY, 0, 0, "");
	if (strcmp(what, "spec") == 0)
		print_spec();
	else if (strcmp(what, "self") == 0)
		print_self();
	else if (strcmp(what, "tty") == 0)
		echo_tty();
	fflush(stdout);
	if (strcmp(what, "crash") == 0)
		__builtin_trap();
	else if (strcmp(what, "hang") == 0)
		pause();
	else if (strcmp(what, "garbage") == 0)
		send(s.fds.control, buf, 100, 0);
	else if (strcmp(what, "noent") == 0)
		tell(CTL_ERROR, ENOENT, CTL_E_NOENT, "no\033such");
	else if (strcmp(what, "noexec") == 0)
		tell(CTL_ERROR, EACCES, CTL_E_NOEXEC, "prog");
	else if (strcmp(what, "serve") == 0)
		tell(CTL_EXIT, serve(), 0, "");
	else if (strcmp(what, "wrote") == 0)
		tell(CTL_EXIT, 0, 0, "/some/where");
	else
		tell(CTL_EXIT, 7 << 8, 0, "");
	return 0;
}
