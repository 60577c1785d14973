/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

extern char **environ;

static void put(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0700);
	write(fd, text, strlen(text));
	fchmod(fd, mode);
	close(fd);
}

static void try(const char *path, char *const argv[])
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		char *env[] = {(char *)"A=1", NULL};
		execve(path, argv, env);
		printf("execve %s: %s\n", path, strerrorname_np(errno));
		fflush(stdout);
		_exit(99);
	}
	int st;
	waitpid(pid, &st, 0);
	printf("status %x\n", st);
}

#define TRY(path, ...) try(path, (char *[]){(char *)path, ##__VA_ARGS__, NULL})

static int child(int argc, char **argv)
{
	if (strcmp(argv[1], "args") == 0) {
		for (int i = 0; i < argc; i++)
			printf("[%s]", argv[i]);
		for (char **e = environ; *e; e++)
			printf("{%s}", *e);
		printf("\n");
	} else if (strcmp(argv[1], "state") == 0) {
		sigset_t s;
		struct sigaction sa;
		sigprocmask(SIG_BLOCK, NULL, &s);
		printf("blocked %d", sigismember(&s, SIGUSR1));
		sigaction(SIGUSR2, NULL, &sa);
		printf(" ignored %d", sa.sa_handler == SIG_IGN);
		sigaction(SIGTERM, NULL, &sa);
		printf(" default %d", sa.sa_handler == SIG_DFL);
		printf(" cloexec %d kept %d", fcntl(20, F_GETFD), fcntl(21, F_GETFD));
		printf(" umask %o alarm %d\n", umask(0), alarm(0) > 0);
	} else if (strcmp(argv[1], "big") == 0) {
		size_t n = 0;
		for (int i = 0; i < argc; i++)
			n += strlen(argv[i]);
		printf("%d %zu\n", argc, n);
	}
	fflush(stdout);
	return 7;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child(argc, argv);
	const char *self = argv[0];
	TRY(self, (char *)"args", (char *)"two words", (char *)"");
	TRY("absent");
	TRY(".");
	TRY("/proc/self/absent");
	put("noexec", "#!/bin/sh\n", 0600);
	put("empty", "", 0700);
	put("garbage", "\x7f" "ELFgarbage", 0700);
	put("text", "echo hello\n", 0700);
	put("script", "#!/bin/echo  one two \nx", 0700);
	put("sh", "#!/bin/sh\necho \"$0 $# $1 $A\"; exit 3\n", 0700);
	put("chain1", "#!./script x\n", 0700);
	put("chain2", "#!./chain1\n", 0700);
	put("selfish", "#!./selfish\n", 0700);
	put("nointerp", "#!/no/such\n", 0700);
	put("badinterp", "#!./garbage\n", 0700);
	put("blank", "#!   \n", 0700);
	TRY("./noexec");
	TRY("./empty");
	TRY("./garbage");
	TRY("./text");
	TRY("./script", (char *)"arg");
	TRY("./sh", (char *)"arg");
	TRY("./chain2", (char *)"arg");
	TRY("./selfish");
	TRY("./nointerp");
	TRY("./badinterp");
	TRY("./blank");
	TRY("./noexec/x");
	symlink(self, "link");
	TRY("./link", (char *)"args");
	/* what is kept and what is not */
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGTERM, (void (*)(int))child);
	fcntl(1, F_DUPFD_CLOEXEC, 20);
	fcntl(1, F_DUPFD, 21);
	umask(027);
	alarm(1000);
	fflush(stdout);
	if (fork() == 0)
		execv(self, (char *[]){(char *)self, (char *)"state", NULL});
	wait(NULL);
	/* long lists: one string of 128 KiB is too long, many short ones are not */
	char *one = malloc(131073);
	memset(one, 'x', 131072);
	one[131071] = 0;
	TRY(self, (char *)"big", one);
	one[131071] = 'x';
	one[131072] = 0;
	TRY(self, (char *)"big", one);
	char **many = calloc(20003, sizeof(char *));
	many[0] = (char *)self;
	many[1] = (char *)"big";
	for (int i = 2; i < 20002; i++)
		many[i] = (char *)"0123456789";
	try(self, many);
	SHOW(syscall(SYS_execve, self, 8, NULL));
	SHOW(syscall(SYS_execve, 8, NULL, NULL));
	SHOW(syscall(SYS_execve, self, (char *[]){(char *)8, NULL}, NULL));
	/* by descriptor */
	int fd = open(self, O_PATH);
	fflush(stdout);
	if (fork() == 0) {
		char *a[] = {(char *)"by-fd", (char *)"args", NULL}, *e[] = {NULL};
		syscall(SYS_execveat, fd, "", a, e, AT_EMPTY_PATH);
		_exit(98);
	}
	wait(NULL);
	SHOW(syscall(SYS_execveat, fd, "", NULL, NULL, 0));
	SHOW(syscall(SYS_execveat, AT_FDCWD, "link", NULL, NULL, AT_SYMLINK_NOFOLLOW));
	/* an open file that is written cannot run; a running one cannot be written */
	SHOW(open(self, O_WRONLY));
	DONE();
}
