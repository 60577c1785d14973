/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>

static uint32_t *w, w2;
static volatile int woken;

static long futex(uint32_t *a, int op, uint32_t v, const void *t, uint32_t *b, uint32_t v3)
{
	return syscall(SYS_futex, a, op, v, t, b, v3);
}

static int op_flags;

static void *waiter(void *arg)
{
	long mask = (long)arg;
	if (mask)
		futex(w, FUTEX_WAIT_BITSET | op_flags, 0, NULL, NULL, (uint32_t)mask);
	else
		futex(w, FUTEX_WAIT | op_flags, 0, NULL, NULL, 0);
	__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void settle(void)
{
	usleep(30000);
}

static void run(int flags)
{
	struct timespec ts = {0, 1000000}, bad = {0, -1}, past = {1, 0}, neg = {-1, 0};
	pthread_t t[6];
	op_flags = flags;
	*w = 0;
	w2 = 0;
	SHOW(futex(w, FUTEX_WAIT | flags, 1, NULL, NULL, 0));
	SHOW(futex(w, FUTEX_WAIT | flags, 0, &ts, NULL, 0));
	SHOW(futex(w, FUTEX_WAIT | flags, 0, &bad, NULL, 0));
	SHOW(futex(w, FUTEX_WAIT | flags, 0, &neg, NULL, 0));
	SHOW(futex(w, FUTEX_WAIT_BITSET | flags, 0, &past, NULL, ~0u));
	SHOW(futex(w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME | flags, 0, &past, NULL, ~0u));
	SHOW(futex(w, FUTEX_WAIT_BITSET | flags, 0, &ts, NULL, 0));
	SHOW(futex(w, FUTEX_WAKE_BITSET | flags, 1, NULL, NULL, 0));
	SHOW(futex((uint32_t *)((char *)w + 1), FUTEX_WAIT | flags, 0, &ts, NULL, 0));
	SHOW(futex((uint32_t *)8, FUTEX_WAIT | flags, 0, &ts, NULL, 0));
	SHOW(futex(w, FUTEX_WAKE | flags, 10, NULL, NULL, 0));
	SHOW(futex(w, 77 | flags, 10, NULL, NULL, 0));
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, waiter, NULL);
	pthread_create(&t[4], NULL, waiter, (void *)2L);
	pthread_create(&t[5], NULL, waiter, (void *)4L);
	settle();
	SHOW(futex(w, FUTEX_WAKE_BITSET | flags, 10, NULL, NULL, 4));
	settle();
	/* plain waiters have all bits set */
	printf("woken %d\n", woken);
	pthread_join(t[5], NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		pthread_create(&t[i], NULL, waiter, NULL);
	}
	settle();
	/* a private requeue by number, the rest stays */
	SHOW(futex(w, FUTEX_CMP_REQUEUE | flags, 1, (void *)2L, &w2, 5));
	SHOW(futex(w, FUTEX_CMP_REQUEUE | flags, 1, (void *)2L, &w2, 0));
	settle();
	printf("woken %d\n", woken);
	SHOW(futex(w, FUTEX_REQUEUE | flags, 0, (void *)1L, &w2, 0));
	SHOW(futex(&w2, FUTEX_WAKE | flags, 100, NULL, NULL, 0));
	SHOW(futex(w, FUTEX_WAKE | flags, 100, NULL, NULL, 0));
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	printf("woken %d\n", woken);
	/* WAKE_OP: w2 += 5, wake at w2 too if it was > 0 */
	w2 = 1;
	pthread_create(&t[0], NULL, waiter, NULL);
	settle();
	SHOW(futex(w, FUTEX_WAKE_OP | flags, 1, (void *)1L, &w2,
		   FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_GT, 0)));
	printf("%u\n", w2);
	SHOW(futex(w, FUTEX_WAKE_OP | flags, 1, (void *)1L, &w2,
		   FUTEX_OP(FUTEX_OP_ANDN, 2, FUTEX_OP_CMP_EQ, 6)));
	printf("%u\n", w2);
	SHOW(futex(w, FUTEX_WAKE_OP | flags, 1, (void *)1L, (uint32_t *)8, 0));
	pthread_join(t[0], NULL);
	woken = 0;
}

int main(void)
{
	static uint32_t plain;
	w = &plain;
	run(FUTEX_PRIVATE_FLAG);
	run(0);
	w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	run(0);
	/* between processes */
	*w = 0;
	if (fork() == 0) {
		futex(w, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(*w == 1 ? 0 : 1);
	}
	settle();
	*w = 1;
	SHOW(futex(w, FUTEX_WAKE, 1, NULL, NULL, 0));
	int st;
	wait(&st);
	printf("%d\n", st);
	/* through two mappings of one file */
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	ftruncate(fd, 8192);
	uint32_t *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
	w = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	w += 1024;
	pthread_t t;
	op_flags = 0;
	pthread_create(&t, NULL, waiter, NULL);
	settle();
	SHOW(futex(a, FUTEX_WAKE, 1, NULL, NULL, 0));
	pthread_join(t, NULL);
	DONE();
}
