/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/opts.h"

#define DEFAULT_PIDS 8192
#define MAX_PIDS 32768
#define MIN_MEMORY (4ull << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char help[] =
	"usage: brig do [options] [--] PROGRAM [ARG...]\n"
	"\n"
	"Runs PROGRAM in a sandbox whose kernel is brig's own. It sees the host's system directories\n"
	"and the current directory, writes to them in memory only, and has no network.\n"
	"\n"
	"  -v, --volume SRC:DST[:ro|rw]  show a file or directory of the host at DST; rw keeps what is\n"
	"                             written (default ro); may be repeated\n"
	"  -w, --workdir DIR          start in DIR of the sandbox\n"
	"  -e, --env NAME[=VALUE]     set a variable, or take it over from here\n"
	"      --env-file FILE        variables from FILE, one NAME=VALUE a line\n"
	"  -u, --user USER[:GROUP]    run as this user (names or numbers)\n"
	"  -t, --tty                  give the program a terminal (default when both standard input\n"
	"                             and output are one)\n"
	"  -i, --interactive          keep standard input open (always so; accepted for habit)\n"
	"      --rootfs DIR           use DIR as the root directory instead of the host's\n"
	"      --hostname NAME        default: brig\n"
	"      --tmpfs DIR[:size=N,mode=OCTAL]  an empty directory in memory\n"
	"  -m, --memory SIZE          limit memory, for example 512m or 2g\n"
	"      --pids-limit N         limit processes and threads (default 8192)\n"
	"      --timeout TIME         end everything after TIME (30, 500ms, 5m) with status 124\n"
	"      --strace[=FILE]        print system calls to FILE (default: standard error)\n"
	"      --debug-log FILE       log what brig does to FILE\n"
	"      --hardened             nothing is answered without the sandbox's kernel; slower\n"
	"      --no-patch             never rewrite the program's text in memory\n"
	"      --without FEATURE,...  do without a feature of the host: " SB_FEATURE_NAMES "\n"
	"  -h, --help\n"
	"\n"
	"Exit status: PROGRAM's; 124 timed out, 125 brig failed, 126 cannot be run, 127 not found,\n"
	"128+N ended by signal N.\n";

enum { O_ENV_FILE = 256, O_ROOTFS, O_HOSTNAME, O_TMPFS, O_PIDS, O_TIMEOUT, O_STRACE, O_DEBUG,
       O_WITHOUT, O_HARDENED, O_NO_PATCH, O_NO_SPIN };

static const struct option options[] = {
	{"volume", required_argument, NULL, 'v'},
	{"workdir", required_argument, NULL, 'w'},
	{"env", required_argument, NULL, 'e'},
	{"env-file", required_argument, NULL, O_ENV_FILE},
	{"user", required_argument, NULL, 'u'},
	{"tty", no_argument, NULL, 't'},
	{"interactive", no_argument, NULL, 'i'},
	{"rootfs", required_argument, NULL, O_ROOTFS},
	{"hostname", required_argument, NULL, O_HOSTNAME},
	{"tmpfs", required_argument, NULL, O_TMPFS},
	{"memory", required_argument, NULL, 'm'},
	{"pids-limit", required_argument, NULL, O_PIDS},
	{"timeout", required_argument, NULL, O_TIMEOUT},
	{"strace", optional_argument, NULL, O_STRACE},
	{"debug-log", required_argument, NULL, O_DEBUG},
	{"without", required_argument, NULL, O_WITHOUT},
	{"hardened", no_argument, NULL, O_HARDENED},
	{"no-patch", no_argument, NULL, O_NO_PATCH},
	{"no-spin", no_argument, NULL, O_NO_SPIN},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* What the command line says that is not yet part of the configuration. */
struct do_args {
	struct sb_config c;
	struct strv env;	/* -e and --env-file, in order */
	const char *user;
	bool help;
};

static int set_hostname(struct sb_config *c, const char *name, struct err *e)
{
	if (!*name || strlen(name) > 64)
		return err_set(e, "--hostname: 1 to 64 characters: %s", name);
	c->hostname = xstrdup(name);
	return 0;
}

static int set_option(struct do_args *a, int opt, char *value, struct err *e)
{
	struct sb_config *c = &a->c;
	switch (opt) {
	case 'v':
		return opt_volume(c, value, e);
	case 'w':
		c->workdir = value;
		return 0;
	case 'e':
		return opt_env(&a->env, value, e);
	case O_ENV_FILE:
		return opt_env_file(&a->env, value, e);
	case 'u':
		a->user = value;
		return 0;
	case 't':
		c->tty = true;
		return 0;
	case 'i':
		return 0;
	case O_ROOTFS:
		c->rootfs = value;
		return 0;
	case O_HOSTNAME:
		return set_hostname(c, value, e);
	case O_TMPFS:
		return opt_tmpfs(c, value, e);
	case 'm':
		return opt_size("-m", value, &c->memory, e);
	case O_PIDS:
		return opt_count("--pids-limit", value, MAX_PIDS, &c->pids, e);
	case O_TIMEOUT:
		return opt_duration("--timeout", value, &c->timeout_ns, e);
	case O_STRACE:
		c->strace = true;
		c->strace_file = value;
		return 0;
	case O_DEBUG:
		c->debug = true;
		c->log_file = value;
		return 0;
	case O_WITHOUT:
		return sb_feature_parse(value, &c->without, e);
	case O_HARDENED:
		c->hardened = true;
		return 0;
	case O_NO_PATCH:
		c->no_patch = true;
		return 0;
	case O_NO_SPIN:
		c->no_spin = true;
		return 0;
	case 'h':
		a->help = true;
		return 0;
	default:
		return err_set(e, "bad option (see brig do --help)");
	}
}

static int parse(int argc, char **argv, struct do_args *a, struct err *e)
{
	int opt;
	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, "+:v:w:e:u:tim:h", options, NULL)) != -1) {
		if (opt == ':')
			return err_set(e, "%s needs a value (see brig do --help)", argv[optind - 1]);
		if (opt == '?')
			return err_set(e, "no such option: %s (see brig do --help)",
				       argv[optind - 1]);
		if (set_option(a, opt, optarg, e))
			return -1;
		if (a->help)
			return 0;
	}
	if (optind >= argc)
		return err_set(e, "no program is given (see brig do --help)");
	if (argv[optind][0] == 0)
		return err_set(e, "the program's name is empty");
	a->c.argv = argv + optind;
	return 0;
}

/* --- environment ------------------------------------------------------------------------------- */

/* Taken over from the caller's environment; all else has to be named with -e. */
static void inherit_env(struct strv *env)
{
	static const char *const names[] = {"TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "TZ"};
	extern char **environ;
	for (size_t i = 0; i < array_size(names); i++) {
		const char *v = getenv(names[i]);
		if (v)
			strv_setenv(env, xasprintf("%s=%s", names[i], v));
	}
	for (char **p = environ; *p; p++)
		if (strncmp(*p, "LC_", 3) == 0)
			strv_setenv(env, xstrdup(*p));
}

static void build_env(struct do_args *a, const char *home)
{
	struct sb_config *c = &a->c;
	static const char *const own[] = {"PATH", "HOME", "USER", "LOGNAME", "SHELL"};
	bool same_user = !a->user && !c->rootfs;
	inherit_env(&c->env);
	for (size_t i = 0; same_user && i < array_size(own); i++) {
		const char *v = getenv(own[i]);
		if (v)
			strv_setenv(&c->env, xasprintf("%s=%s", own[i], v));
	}
	if (!strv_getenv(&c->env, "PATH"))
		strv_setenv(&c->env, xstrdup("PATH=" DEFAULT_PATH));
	if (!strv_getenv(&c->env, "HOME"))
		strv_setenv(&c->env, xasprintf("HOME=%s", home));
	if (c->tty && !strv_getenv(&c->env, "TERM"))
		strv_setenv(&c->env, xstrdup("TERM=xterm"));
	for (size_t i = 0; i < a->env.n; i++)
		strv_setenv(&c->env, xstrdup(a->env.v[i]));
}

/* Files in memory may take half of the machine, or of what -m allows. */
static uint64_t default_disk(const struct sb_config *c)
{
	struct sysinfo si;
	if (c->memory)
		return c->memory / 2;
	return sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit / 2 : 1ull << 30;
}

static int complete(struct do_args *a, struct err *e)
{
	struct sb_config *c = &a->c;
	char *home = NULL;
	const char *without = getenv("BRIG_WITHOUT");
	if (c->memory && c->memory < MIN_MEMORY)
		return err_set(e, "-m: at least %llum", MIN_MEMORY >> 20);
	if (without && sb_feature_parse(without, &c->without, e))
		return -1;
	if (a->user) {
		if (opt_user(c, a->user, &home, e))
			return -1;
	} else {
		opt_user_self(c, &home);
	}
	c->tty = c->tty || (isatty(0) && isatty(1));
	c->disk = default_disk(c);
	build_env(a, home);
	free(home);
	return 0;
}

int cmd_do(int argc, char **argv)
{
	static struct do_args a;
	struct err e = {0};
	a.c.pids = DEFAULT_PIDS;
	a.c.hostname = xstrdup("brig");
	if (parse(argc, argv, &a, &e))
		return err_report(&e);
	if (a.help) {
		fputs(help, stdout);
		return 0;
	}
	if (complete(&a, &e))
		return err_report(&e);
	return sb_run(&a.c);
}
