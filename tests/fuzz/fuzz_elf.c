/* SPDX-License-Identifier: Apache-2.0 */
/* ELF headers, #! lines and BPF programs as a guest may write them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/task/bpf.h"
#include "sentry/task/elf.h"
#include "sentry/task/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct l_phdr ph[64];
	static struct sock_filter prog[64];
	struct elf_image im = {.ph = ph};
	struct seccomp_data d = {.nr = 1};
	char line[257] = {0}, *interp, *arg;
	size_t n;

	memcpy(line, data, size < 256 ? size : 256);
	if (size > 2 && script_parse(line, size < 256 ? size : 256, &interp, &arg) == 0 && !*interp)
		abort();
	n = size / sizeof(prog[0]);
	memcpy(prog, data, (n < 64 ? n : 64) * sizeof(prog[0]));
	if (bpf_check(prog, (unsigned)(n < 64 ? n : 64)) == 0)
		(void)bpf_run(prog, &d);
	if (size < sizeof(im.eh))
		return 0;
	memcpy(&im.eh, data, sizeof(im.eh));
	if (elf_check_header(&im.eh) || im.eh.phnum > 64)
		return 0;
	n = size - sizeof(im.eh);
	memcpy(ph, data + sizeof(im.eh), n < sizeof(ph) ? n : sizeof(ph));
	if (elf_check_phdrs(&im, 1ull << 46) == 0 && (im.hi > 1ull << 46 || im.lo >= im.hi))
		abort();
	return 0;
}
