/* SPDX-License-Identifier: Apache-2.0 */
/* The layout against a plain array of pages: random calls, then invariants. */
#include "unit.h"
#include "mm/mm_fake.h"
#include <errno.h>
#include <string.h>

#ifdef __SANITIZE_THREAD__		/* where the sanitizers leave room */
#define KHEAP_BASE 0x4000000000ull
#else
#define KHEAP_BASE 0x200000000000ull
#endif
#define BASE 0x10000000ull
#define PAGES 512u
#define FIXED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

static int8_t model[PAGES];		/* prot, or -1: not mapped */
static uint32_t rnd_state = 12345;

static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 1664525u + 1013904223u;
	return (rnd_state >> 8) % n;
}

static int setup(void **state)
{
	return kheap_init(KHEAP_BASE, 1ul << 30) || fake_task_init();
}

static uint64_t at(unsigned page)
{
	return BASE + page * PAGE_SIZE;
}

static void check_layout(void)
{
	struct mm *mm = fake_task.mm;
	struct vma *v, *p = NULL;
	uint64_t total = 0;
	unsigned n = 0, i, seen = 0;

	mutex_lock(&mm->lock);
	for (v = vma_first_locked(mm); v; p = v, v = vma_next(v), n++) {
		assert_true(v->start < v->end && !(v->start & ~PAGE_MASK) && !(v->end & ~PAGE_MASK));
		if (p) {
			assert_true(p->end <= v->start);
			assert_false(p->end == v->start && p->flags == v->flags);	/* merged */
		}
		total += v->end - v->start;
		for (i = 0; i < PAGES; i++)
			if (at(i) >= v->start && at(i) < v->end) {
				seen++;
				assert_int_equal(model[i], vma_prot(v));
			}
	}
	assert_int_equal(n, mm->vma_count);
	assert_int_equal(total, mm->total_vm);
	assert_true(list_empty(&mm->in_flight));
	mutex_unlock(&mm->lock);
	for (i = 0; i < PAGES; i++)
		seen -= model[i] >= 0;
	assert_int_equal(seen, 0);
}

static bool all_mapped(unsigned from, unsigned n)
{
	unsigned i;

	for (i = from; i < from + n; i++)
		if (model[i] < 0)
			return false;
	return true;
}

static void one_step(void)
{
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
	unsigned from = rnd(PAGES - 32), n = 1 + rnd(31), to = rnd(PAGES - 64), i;
	int prot = prots[rnd(4)];
	int64_t r;

	switch (rnd(5)) {
	case 0:
	case 1:
		r = mm_mmap(&fake_task, at(from), n * PAGE_SIZE, prot, FIXED, NULL, 0);
		assert_int_equal(r, at(from));
		memset(model + from, prot, n);
		break;
	case 2:
		assert_int_equal(mm_munmap(&fake_task, at(from), n * PAGE_SIZE), 0);
		memset(model + from, -1, n);
		break;
	case 3:
		r = mm_mprotect(&fake_task, at(from), n * PAGE_SIZE, prot);
		assert_int_equal(r, all_mapped(from, n) ? 0 : -ENOMEM);
		for (i = from; i < from + n && model[i] >= 0; i++)
			model[i] = (int8_t)prot;
		break;
	default:
		if (from < to + n && to < from + n)
			break;
		r = mm_mremap(&fake_task, at(from), n * PAGE_SIZE, n * PAGE_SIZE,
			      MREMAP_MAYMOVE | MREMAP_FIXED, at(to));
		for (i = from; i < from + n; i++)
			if (model[i] != model[from] || model[i] < 0)
				break;
		if (i < from + n) {
			assert_int_equal(r, -EFAULT);
			break;
		}
		assert_int_equal(r, at(to));
		memset(model + to, model[from], n);
		memset(model + from, -1, n);
	}
}

static void test_random(void **state)
{
	unsigned i;

	memset(model, -1, sizeof(model));
	for (i = 0; i < 20000; i++) {
		one_step();
		if (i % 16 == 0)
			check_layout();
	}
	assert_int_equal(mm_munmap(&fake_task, BASE, PAGES * PAGE_SIZE), 0);
	memset(model, -1, sizeof(model));
	check_layout();
}

/* Places do not overlap and are found again after they were freed. */
static void test_places(void **state)
{
	uint64_t a[256];
	unsigned i;

	for (i = 0; i < 256; i++) {
		int64_t r = mm_mmap(&fake_task, 0, (1 + i % 7) * PAGE_SIZE, i % 2 ? PROT_READ : PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
		assert_true(r > 0);
		a[i] = (uint64_t)r;
		if (i)
			assert_true(a[i] < a[i - 1]);
	}
	for (i = 100; i < 110; i++)
		assert_int_equal(mm_munmap(&fake_task, a[i], (1 + i % 7) * PAGE_SIZE), 0);
	assert_int_equal(mm_mmap(&fake_task, 0, 7 * PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
				 NULL, 0),
			 a[100] + (1 + 100 % 7) * PAGE_SIZE - 7 * PAGE_SIZE);
	assert_int_equal(mm_munmap(&fake_task, a[255], a[0] + PAGE_SIZE - a[255]), 0);
	assert_int_equal(fake_task.mm->total_vm, 0);
}

static void test_errors(void **state)
{
	struct task *t = &fake_task;

	assert_int_equal(mm_mmap(t, 0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0), -EINVAL);
	assert_int_equal(mm_mmap(t, 0, 1ul << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0), -ENOMEM);
	assert_int_equal(mm_mmap(t, 4096, 4096, PROT_READ, FIXED, NULL, 0), -EPERM);
	assert_int_equal(mm_mmap(t, BASE + 1, 4096, PROT_READ, FIXED, NULL, 0), -EINVAL);
	assert_int_equal(mm_munmap(t, BASE + 1, 4096), -EINVAL);
	assert_int_equal(mm_munmap(t, BASE, 0), -EINVAL);
	assert_int_equal(mm_madvise(t, BASE, 4096, 12345), -EINVAL);
	assert_int_equal(mm_madvise(t, BASE, 4096, MADV_DONTNEED), -ENOMEM);
	fake_op_result = -ENOMEM;
	assert_int_equal(mm_mmap(t, BASE, 4096, PROT_READ, FIXED, NULL, 0), -ENOMEM);
	fake_op_result = 0;
	assert_false(mm_range_ok(t->mm, BASE, 1, 0));
	assert_int_equal(mm_mmap(t, BASE, 8192, PROT_READ, FIXED, NULL, 0), BASE);
	assert_int_equal(mm_mmap(t, BASE + 4096, 4096, PROT_READ, FIXED | MAP_FIXED_NOREPLACE, NULL, 0),
			 -EEXIST);
	assert_int_equal(mm_mseal(t, BASE, 4096, 0), 0);
	assert_int_equal(mm_munmap(t, BASE, 4096), -EPERM);
	assert_int_equal(mm_munmap(t, BASE + 4096, 4096), 0);
	assert_true(mm_range_ok(t->mm, BASE, 4096, VMA_READ));
	assert_false(mm_range_ok(t->mm, BASE, 4096, VMA_WRITE));
	assert_false(mm_range_ok(t->mm, BASE, 4097, VMA_READ));
}

static void test_stack(void **state)
{
	struct task *t = &fake_task;
	uint64_t top, low;

	t->proc->rlim[3].cur = 8ul << 20;	/* RLIMIT_STACK */
	assert_int_equal(mm_setup_stack(t, 4096, false, &top), 0);
	assert_int_equal(mm_fault(t, top - (1ul << 20), true), 0);
	assert_true(mm_range_ok(t->mm, top - (1ul << 20), 1ul << 20, VMA_WRITE));
	low = top - (8ul << 20);
	assert_int_equal(mm_fault(t, low - 4096, true), 1 /* SEGV_MAPERR */);
	assert_int_equal(mm_fault(t, low, true), 0);
	t->proc->rlim[3].cur = 64ul << 20;	/* raised after exec (R9) */
	assert_int_equal(mm_fault(t, top - (40ul << 20), true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_places), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_stack),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
