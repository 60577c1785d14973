/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brig-sentry: reads the boot spec, builds the kernel, loads the first program, gives up what it
 * no longer needs, and then only serves. The main thread ends as the launcher's correspondent; it
 * lives as long as the process, which cells rely on (PR_SET_PDEATHSIG is tied to a thread).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host/file.h"
#include "host/mem.h"
#include "host/proc.h"
#include "host/thread.h"
#include "lib/log.h"
#include "proto/control.h"
#include "sentry/boot.h"
#include "sentry/core/charge.h"
#include "sentry/core/hhandle.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/fs/hostfd/hostfd.h"
#include "sentry/fs/objects.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/types.h"
#include "sentry/isolate.h"
#include "sentry/net/net.h"
#include "sentry/outcome.h"
#include "sentry/syscalls/strace.h"
#include "sentry/task/ns.h"
#include "sentry/time/timer.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/told.h"

#define KHEAP_RESERVE (256ull << 30)	/* address space, not memory */

static struct boot_spec spec;
static struct task *first;

/* The spec lies in a sealed memfd; it is copied, since strings point into it for ever. */
static int read_spec(void)
{
	struct stat st;
	void *p;
	int err = h_fstat(BOOT_SPEC_HFD, &st);

	if (err)
		return err;
	if (st.st_size <= 0 || st.st_size > BOOT_MAX_SIZE)
		return -EINVAL;
	size_t n = (size_t)st.st_size;
	err = h_mmap(&p, NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (err)
		return err;
	int64_t got = h_pread(BOOT_SPEC_HFD, p, n, 0);
	if (got != (int64_t)n)
		return got < 0 ? (int)got : -EIO;
	h_close(BOOT_SPEC_HFD);
	return boot_decode(p, n, &spec);
}

#define STEP(what, call)                                                                           \
	do {                                                                                       \
		int step_err_ = (call);                                                            \
		if (step_err_)                                                                     \
			control_fail(step_err_, CTL_E_BOOT, "the sandbox could not be set up: %s", what); \
	} while (0)

static void start_kernel(void)
{
	const struct pl_boot boot = {
		.cell_hfd = spec.fds.cell, .ncpus = spec.ncpus, .pool_blank = 2,
		.hardened = spec.flags & BOOT_F_HARDENED, .no_patch = spec.flags & BOOT_F_NO_PATCH,
		.no_spin = spec.flags & BOOT_F_NO_SPIN,
		.may_patch = task_may_patch, .gone = task_cell_gone, .idle = space_idle,
		.debug = spec.flags & BOOT_F_DEBUG,
	};
	uint64_t seed;
	uint64_t file_limit = spec.limits.disk ? spec.limits.disk : spec.limits.memory;

	STEP("kernel heap", kheap_init(spec.kheap_addr, KHEAP_RESERVE));
	/* A quarter is for guests' memory and what is not counted: a host that runs out ends us as well. */
	STEP("accounting", charge_init(spec.limits.memory - spec.limits.memory / 4, file_limit));
	STEP("host descriptors", hh_init(gofer_evict));
	STEP("machine facts", host_facts_set(spec.mem_total, spec.ncpus, spec.cpuinfo));
	STEP("sysctl", sysctl_init());
	STEP("cells", pl_init(&boot));
	told_init(pl_told_page());
	memcpy(&seed, spec.seed, sizeof(seed));
	STEP("task tables", task_root_init(seed, spec.limits.pids, spec.hostname));
	STEP("timers", ktimer_start());
	STEP("what is given back", settle_init());
	STEP("file systems", vfs_init());
	STEP("memory files", tmpfs_init());
	STEP("device nodes", fs_types_init());
	STEP("descriptor objects", fs_objects_init());
	STEP("sockets", net_init());
	STEP("host files", gofer_client_init(spec.fds.channels, spec.fds.n_channels));
	if (spec.flags & BOOT_F_HOST_USERNS)
		gofer_map_overflow();
	gofer_map_ids(spec.host_uid, spec.uid, spec.host_gid, spec.gid);
}

/* Standard streams: donated descriptors, the sandbox's own terminal, or nothing. */
static int install_stdio(struct task *t)
{
	static const unsigned modes[] = {O_RDONLY, O_WRONLY, O_WRONLY};
	int err = 0;

	if (spec.flags & BOOT_F_TTY)
		err = tty_host_master(spec.fds.tty, spec.tty_rows, spec.tty_cols, &control_tty);
	for (int i = 0; i < 3 && !err; i++) {
		struct file *f = NULL;
		if (spec.fds.stdio[i] >= 0)
			err = hostfd_create(spec.fds.stdio[i], modes[i], &f);
		else if (control_tty)
			err = tty_open_slave(control_tty, &f);
		else
			continue;
		if (err)
			break;
		int fd = fd_reserve(t, (unsigned)i, false);
		if (fd < 0) {
			file_put(f);
			return fd;
		}
		fd_install(t, fd, f);
	}
	if (!err && control_tty)
		tty_open_ctty(control_tty, t);
	return err;
}

static char **unpack(const struct boot_strs *s)
{
	char **v = kmalloc_array((size_t)s->n + 1, sizeof(*v));
	const char *p = NULL;

	for (uint32_t i = 0; v && i < s->n && (p = boot_strs_next(s, p)); i++) {
		v[i] = kstrdup(p);
		if (!v[i])
			return NULL;
	}
	return v;
}

static const char *env_of(char **envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

/* Whether the first task can see the file: a directory that it may not search is no "permission denied". */
static bool is_there(const char *name)
{
	struct path p;

	if (path_lookup(first, AT_FDCWD, name, LOOKUP_FOLLOW, &p))
		return false;
	path_put(&p);
	return true;
}

/* A name with a slash as it is, else along PATH, as a shell: EACCES if all that was found is not executable. */
static int exec_search(struct exec_args *a, const char *path)
{
	static char name[PATH_MAX_LEN];		/* one thread at boot */
	int err = -ENOENT, seen = 0;

	a->name = spec.program;
	if (strchr(spec.program, '/'))
		return task_exec(first, a);
	while (path) {
		size_t n = strcspn(path, ":");
		if (fmt_n(name, sizeof(name), "%.*s%s%s", (int)n, path, n ? "/" : "./", spec.program) < sizeof(name)) {
			a->name = name;
			err = task_exec(first, a);
			if (!err)
				return 0;
			if (err == -EACCES)
				seen = is_there(name) ? err : seen;
			else if (err != -ENOENT && err != -ENOTDIR)
				return err;
		}
		path = path[n] ? path + n + 1 : NULL;
	}
	return seen ? seen : -ENOENT;
}

static int exec_first(char **argv, char **envp)
{
	struct exec_args a = {.dirfd = AT_FDCWD, .lookup = LOOKUP_FOLLOW, .argv = argv, .envp = envp,
			      .argc = spec.argv.n, .envc = spec.envp.n};
	const char *path = env_of(envp, "PATH");

	return exec_search(&a, path ? path : "/usr/local/bin:/usr/bin:/bin");
}

static void load_first(void)
{
	struct mnt_ns *ns;
	struct init_params p = {
		.uid = spec.uid, .gid = spec.gid, .umask = spec.umask, .ngroups = spec.n_groups,
		.groups = spec.groups, .asroot = spec.flags & BOOT_F_ASROOT,
		.nofile_soft = spec.limits.nofile_soft,
		.nofile_hard = spec.limits.nofile_hard,
	};
	const struct cred boot_cred = {.ref = {1}, .cap_effective = ~0ull, .user_ns = task_root->user_ns};

	STEP("mounts", boot_mounts(&spec, &boot_cred, &ns, &p.root));
	p.mnt = ns;
	int err = path_lookup_at(NULL, &p.root, &p.root, spec.cwd, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p.cwd);
	if (err)
		control_fail(err, CTL_E_BOOT, "the working directory %s does not exist in the sandbox", spec.cwd);
	STEP("first task", task_create_init(&p, &first));
	path_put(&p.root);
	path_put(&p.cwd);
	mnt_ns_put(ns);
	current = first;
	STEP("standard streams", install_stdio(first));
	char **argv = unpack(&spec.argv), **envp = unpack(&spec.envp);
	if (!argv || !envp)
		control_fail(ENOMEM, CTL_E_BOOT, "the arguments do not fit the sandbox's memory");
	err = exec_first(argv, envp);
	if (err)
		control_fail(err, err == -ENOENT || err == -ENOTDIR ? CTL_E_NOENT : CTL_E_NOEXEC, "%s", spec.program);
	for (uint32_t i = 0; i < spec.argv.n; i++)
		kfree(argv[i]);
	for (uint32_t i = 0; i < spec.envp.n; i++)
		kfree(envp[i]);
	kfree(argv);
	kfree(envp);
	current = NULL;
}

static void wait_thread(void *arg)
{
	(void)arg;
	control_send_exit(task_wait_init());
}

int main(void)
{
	int err = read_spec();

	if (err)
		return 125;
	log_open(spec.fds.log, spec.flags & BOOT_F_DEBUG ? LOG_DEBUG : LOG_WARN, "sentry");
	control_open(spec.fds.control);
	STEP("isolation", isolate_early(&spec));
	start_kernel();
	if (spec.flags & BOOT_F_STRACE) {
		strace_open(spec.fds.strace);
		task_no_fast = true;
	}
	load_first();
	STEP("waiting thread", h_thread_spawn(wait_thread, NULL, 0));
	STEP("seccomp filter", isolate_late());
	STEP("first task", task_start(first));
	control_send_ready();
	control_serve();
}
