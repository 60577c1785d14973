/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is written into the stack of a thread that has been joined. */
#include "guest.h"
#include <pthread.h>

static void *use(void *arg)
{
	volatile char b[1024];
	memset((char *)b, 1, sizeof(b));
	return arg;
}

int main(void)
{
	size_t size = 65536;
	long bad = 0;
	for (int i = 0; i < 1500; i++) {
		char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		pthread_attr_t a;
		pthread_t t;
		void *r;
		pthread_attr_init(&a);
		pthread_attr_setstack(&a, stack, size);
		CHECK(pthread_create(&t, &a, use, (void *)(long)i) == 0);
		CHECK(pthread_join(t, &r) == 0 && (long)r == i);
		if (i % 3 == 0) {
			/* mapped over at once */
			CHECK(mmap(stack, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == stack);
		} else {
			memset(stack, 0x5a, size);
		}
		if (i % 16 == 0)
			usleep(500);
		for (size_t k = 0; k < size; k++)
			bad += stack[k] != (i % 3 == 0 ? 0 : 0x5a);
		munmap(stack, size);
	}
	printf("bad %ld\n", bad);
	DONE();
}
