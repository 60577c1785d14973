/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our vDSO, seen from the Sentry. The image (vdso/vdso.c) and its page of data lie in the file
 * of the site tables, which every cell has mapped read-only; a cell whose clocks have an offset
 * gets another page in place of the common one, by an ordered call.
 */
#include "platform/cell/cell_int.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include "host/file.h"
#include "platform/cell/vdso/data.h"
#include "vdso_image.gen.h"

static_assert(sizeof(vdso_image) <= CELL_GUEST_VDSO_SIZE, "layout.h");
static_assert(CELL_GUEST_VDSO == CELL_VVAR + PL_VVAR_SIZE, "the image looks for its data there");

static struct vdso_data *common;

/* Where a function lies in the host's image; it is the one that we have ourselves. 0: nowhere. */
static uint64_t host_symbol(const char *base, const char *name)
{
	const Elf64_Ehdr *eh = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + eh->e_phoff);
	const Elf64_Dyn *dyn = NULL;
	const Elf64_Sym *sym = NULL;
	const char *str = NULL;

	for (unsigned i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(base + ph[i].p_offset);
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_SYMTAB)
			sym = (const void *)(base + dyn->d_un.d_ptr);
		if (dyn->d_tag == DT_STRTAB)
			str = base + dyn->d_un.d_ptr;
	}
	/* the names follow the symbols in every kernel's image */
	for (; sym && str && (const char *)(sym + 1) <= str; sym++)
		if (sym->st_shndx != SHN_UNDEF && !strcmp(str + sym->st_name, name))
			return sym->st_value;
	return 0;
}

void vdso_init(void *vvar)
{
	common = vvar;
	memcpy((char *)vvar + (SITES_VDSO - SITES_VVAR), vdso_image, sizeof(vdso_image));
}

void vdso_found(uint64_t host)
{
	const char *own = (const char *)getauxval(AT_SYSINFO_EHDR);
	static const char *const names[] = {"__vdso_clock_gettime", "__vdso_gettimeofday",
					    "__vdso_time", "__vdso_clock_getres", "__vdso_getcpu"};
	uint64_t *to[] = {&common->clock_gettime, &common->gettimeofday, &common->time,
			  &common->clock_getres, &common->getcpu};

	if (!host || !own)
		return;
	for (unsigned i = 0; i < array_size(names); i++) {
		uint64_t at = host_symbol(own, names[i]);

		*to[i] = at ? host + at : 0;
	}
}

uint64_t pl_vdso(size_t *size)
{
	*size = CELL_GUEST_VDSO_SIZE;
	return pl.vdso ? CELL_GUEST_VDSO : 0;
}

size_t pl_vdso_read(void *dst, uint64_t addr, size_t n)
{
	uint64_t off = addr - CELL_GUEST_VDSO;

	if (!pl.vdso || addr < CELL_GUEST_VDSO || off >= CELL_GUEST_VDSO_SIZE)
		return 0;
	n = min(n, (size_t)(CELL_GUEST_VDSO_SIZE - off));
	memcpy(dst, (const char *)common + (SITES_VDSO - SITES_VVAR) + off, n);
	return n;
}

static void split(int64_t ns, int64_t *sec, int64_t *nsec)
{
	*sec = ns / 1000000000;
	*nsec = ns % 1000000000;
	if (*nsec < 0) {
		*nsec += 1000000000;
		--*sec;
	}
}

/* A page of data with other offsets, in a file of its own. */
static int vvar_file(int64_t mono_ns, int64_t boot_ns)
{
	struct vdso_data d = *common;
	int64_t n;
	int fd, r;

	split(mono_ns, &d.mono_sec, &d.mono_nsec);
	split(boot_ns, &d.boot_sec, &d.boot_nsec);
	fd = h_memfd_create("vvar", MFD_CLOEXEC);
	if (fd < 0)
		return fd;
	r = h_ftruncate(fd, PL_VVAR_SIZE);
	n = r ? r : h_pwrite(fd, &d, sizeof(d), 0);
	if (n == sizeof(d))
		return fd;
	h_close(fd);
	return n < 0 ? (int)n : -EIO;
}

int pl_set_clocks(pl_thread_t id, int64_t mono_ns, int64_t boot_ns)
{
	struct pl_thr *t = thr_of(id);
	struct pl_order o = {.ip = IP_PRIV, .nr = SYS_mmap, .nargs = 6};
	struct cell_op *op;
	uint16_t num;
	int r;

	if (!t)
		return -ESRCH;
	if (!pl.vdso || (t->s->mono_ns == mono_ns && t->s->boot_ns == boot_ns))
		return 0;
	o.hfd = vvar_file(mono_ns, boot_ns);
	if (o.hfd < 0)
		return o.hfd;
	num = lent_get(t->s);
	r = num ? 0 : -EAGAIN;
	if (!r) {
		t->s->own_vdso = true;
		set_op(t, 0, COP_PRIV, SYS_mmap, CELL_VVAR, PL_VVAR_SIZE, PROT_READ);
		op = op_slot(t, 0);
		op->a[3] = MAP_SHARED | MAP_FIXED;
		op->a[4] = o.lent = num;
		memcpy(o.a, (uint64_t[]){CELL_VVAR, PL_VVAR_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, num, 0},
		       sizeof(o.a));
		order_add(t, &o);
		set_op(t, 1, COP_STUB, SYS_close, num, 0, 0);
		r = stub_run(t, 2);
		lent_put(t->s, num);
		r = r < 0 ? r : r == 2 ? 0 : -ENOMEM;
	}
	h_close(o.hfd);
	if (!r) {
		t->s->mono_ns = mono_ns;
		t->s->boot_ns = boot_ns;
	}
	return r;
}

bool pl_called_by_host_vdso(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	return t && !t->patched && t->regs.rip >= CELL_VDSO;
}
