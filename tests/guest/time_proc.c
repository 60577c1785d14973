/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/timers lists POSIX timers, the newest first. */
#include "guest.h"

int main(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
	timer_t t;
	char l[256];
	FILE *f = fopen("/proc/self/timers", "r");
	if (!f)
		die("/proc/self/timers");
	printf("none %d\n", fgets(l, sizeof(l), f) == NULL);
	fclose(f);
	CHECK(!timer_create(CLOCK_REALTIME, &e, &t));
	e.sigev_notify = SIGEV_NONE;
	CHECK(!timer_create(CLOCK_MONOTONIC, &e, &t));
	CHECK(!timer_create(CLOCK_PROCESS_CPUTIME_ID, NULL, &t));
	CHECK(!timer_create(CLOCK_THREAD_CPUTIME_ID, NULL, &t));
	f = fopen("/proc/self/timers", "r");
	while (fgets(l, sizeof(l), f)) {
		char *dot = strrchr(l, '.');
		if (dot)
			strcpy(dot, atoi(dot + 1) == getpid() ? ".self\n" : ".other\n");
		printf("%s", l);
	}
	fclose(f);
	DONE();
}
