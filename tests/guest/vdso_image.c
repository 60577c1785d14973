/* SPDX-License-Identifier: Apache-2.0 */
/* The vDSO as programs and tools see it: an ELF image whose functions answer like the calls. */
#include "guest.h"
#include <elf.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/time.h>

static const char *base, *end;
static const Elf64_Sym *syms;
static const char *strs;
static const uint16_t *versions;
static unsigned nsyms;

static void parse(void)
{
	const Elf64_Ehdr *eh = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + eh->e_phoff);
	const Elf64_Dyn *d = NULL;
	unsigned seen = 0;
	CHECK(!memcmp(eh->e_ident, ELFMAG, SELFMAG) && eh->e_type == ET_DYN);
	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_DYNAMIC)
			d = (const void *)(base + ph[i].p_offset);
		seen |= ph[i].p_type == PT_LOAD ? 1 : ph[i].p_type == PT_DYNAMIC ? 2 :
			ph[i].p_type == PT_GNU_EH_FRAME ? 4 : ph[i].p_type == PT_NOTE ? 8 : 0;
	}
	printf("segments %x\n", seen);
	for (; d && d->d_tag; d++) {
		const void *p = base + d->d_un.d_ptr;
		if (d->d_tag == DT_SYMTAB)
			syms = p;
		if (d->d_tag == DT_STRTAB)
			strs = p;
		if (d->d_tag == DT_VERSYM)
			versions = p;
		if (d->d_tag == DT_HASH)
			nsyms = ((const uint32_t *)p)[1];
	}
	for (d = (const void *)(base + ph[1].p_offset); d->d_tag; d++)
		if (d->d_tag == DT_SONAME)
			printf("soname %s\n", strs + d->d_un.d_val);
}

static void *find(const char *name)
{
	for (unsigned i = 0; i < nsyms; i++) {
		if (strcmp(strs + syms[i].st_name, name) || syms[i].st_shndx == SHN_UNDEF)
			continue;
		CHECK((versions[i] & 0x7fff) == 2);
		return (void *)(base + syms[i].st_value);
	}
	return NULL;
}

static void in_maps(void)
{
	char line[256], before[256] = "";
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long lo, hi, at;
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "[vdso]")) {
			sscanf(line, "%lx-%lx", &lo, &hi);
			end = (char *)hi;
			CHECK(lo == (unsigned long)base && strstr(line, "r-xp"));
			sscanf(before, "%*x-%lx", &at);
			CHECK(at == lo && strstr(before, "[vvar"));
		}
		strcpy(before, line);
	}
	fclose(f);
	CHECK(end != NULL);
}

static sigjmp_buf env;
static void *fault_ip;

static void on_segv(int sig, siginfo_t *si, void *v)
{
	ucontext_t *uc = v;
	fault_ip = (void *)uc->uc_mcontext.gregs[REG_RIP];
	siglongjmp(env, 1);
}

static void bad_pointer(int (*f)(clockid_t, struct timespec *))
{
	signal(SIGSEGV, SIG_DFL);
	struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	if (!sigsetjmp(env, 1)) {
		f(CLOCK_MONOTONIC, (void *)64);
		printf("no fault\n");
	} else {
		printf("fault inside %d\n", (char *)fault_ip >= base && (char *)fault_ip < end);
	}
	SHOW(f(CLOCK_PROCESS_CPUTIME_ID, (void *)64));
}

static int bad_ips, hits;

static void on_alarm(int sig, siginfo_t *si, void *v)
{
	ucontext_t *uc = v;
	uint64_t ip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	hits++;
	/* the program, or the image */
	bad_ips += ip >= 0x7ff000000000 && !((char *)ip >= base && (char *)ip < end);
	bad_ips += ip < 0x200000;
}

static void under_signals(int (*f)(clockid_t, struct timespec *))
{
	struct sigaction sa = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
	struct itimerval it = {{0, 100}, {0, 100}}, off = {0};
	struct timespec a, b = {0};
	int back = 0, failed = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	for (int i = 0; hits < 500 && i < 100000000; i++) {
		failed += f(CLOCK_MONOTONIC, &a) != 0;
		back += a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
		b = a;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	printf("hits %d bad %d back %d failed %d\n", hits >= 500, bad_ips, back, failed);
}

int main(void)
{
	static const char *const names[] = {"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time",
					    "__vdso_clock_getres", "__vdso_getcpu", "clock_gettime",
					    "gettimeofday", "time", "clock_getres", "getcpu"};
	base = (const char *)getauxval(AT_SYSINFO_EHDR);
	CHECK(base != NULL);
	if (!base)
		return 1;
	parse();
	in_maps();
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		printf("%s %d\n", names[i], find(names[i]) != NULL);
	int (*gettime)(clockid_t, struct timespec *) = find("__vdso_clock_gettime");
	int (*getres)(clockid_t, struct timespec *) = find("__vdso_clock_getres");
	int (*tod)(struct timeval *, struct timezone *) = find("__vdso_gettimeofday");
	time_t (*tim)(time_t *) = find("__vdso_time");
	long (*cpu)(unsigned *, unsigned *, void *) = find("__vdso_getcpu");
	for (int c = -1; c < 14; c++) {
		struct timespec a = {0}, b = {0}, r = {0}, s = {0};
		int x = gettime(c, &a);
		int y = (int)syscall(SYS_clock_gettime, c, &b);
		int64_t d = (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec;
		printf("clock %d: %d %d near %d", c, x, y, d > -20000000 && d < 500000000);
		x = getres(c, &r);
		y = (int)syscall(SYS_clock_getres, c, &s);
		printf(" res %d %d same %d\n", x, y, !memcmp(&r, &s, sizeof(r)));
	}
	SHOW(getres(CLOCK_MONOTONIC, NULL));
	struct timeval tv;
	struct timezone tz = {77, 77};
	SHOW(tod(&tv, &tz));
	printf("zone %d %d\n", tz.tz_minuteswest, tz.tz_dsttime);
	SHOW(tod(NULL, &tz));
	SHOW(tod(NULL, NULL));
	time_t t;
	CHECK(llabs(tim(&t) - tv.tv_sec) <= 1 && llabs(t - tv.tv_sec) <= 1);
	CHECK(llabs(tim(NULL) - tv.tv_sec) <= 1);
	cpu_set_t set;
	unsigned c = ~0u, n = ~0u;
	sched_getaffinity(0, sizeof(set), &set);
	SHOW(cpu(&c, &n, NULL));
	CHECK(CPU_ISSET(c, &set) && n < 64);
	SHOW(cpu(NULL, NULL, NULL));
	bad_pointer(gettime);
	under_signals(gettime);
	DONE();
}
