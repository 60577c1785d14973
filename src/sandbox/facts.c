/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest is told about the machine: read here, since the Sentry opens no host file. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

#include "sandbox/launch_int.h"

/* The host's /proc/cpuinfo, cut at the limit of the spec; "" when it cannot be read. */
static char *read_cpuinfo(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	size_t cap = BOOT_CPUINFO_MAX, n = 0;
	char *text = calloc(1, cap + 1);

	if (f && text)
		n = fread(text, 1, cap, f);
	if (f)
		fclose(f);
	if (text)
		text[n] = 0;
	return text;
}

void facts_fill(struct boot_spec *s)
{
	struct sysinfo si;

	s->mem_total = sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : 1ull << 30;
	char *text = read_cpuinfo();
	s->cpuinfo = text ? text : "";
}
