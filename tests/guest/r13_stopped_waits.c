/* SPDX-License-Identifier: Apache-2.0 */
/* guest: timeout=120 */
/* Stop and continue a process whose threads wait: no wait ends with EINTR, deadlines hold. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>

static sem_t sem;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static volatile int stop;
static volatile long eintr, early, rounds;

static struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	ts.tv_nsec += ms * 1000000;
	while (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	return ts;
}

static int before(struct timespec a, clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec < a.tv_sec || (now.tv_sec == a.tv_sec && now.tv_nsec < a.tv_nsec);
}

static void *waits(void *arg)
{
	static uint32_t word;
	while (!stop) {
		struct timespec ts = in_ms(CLOCK_REALTIME, 20), mono, rel = {0, 20000000};
		int r;
		switch ((long)arg % 4) {
		case 0:
			r = sem_timedwait(&sem, &ts);
			eintr += r < 0 && errno == EINTR;
			early += before(ts, CLOCK_REALTIME);
			break;
		case 1:
			pthread_mutex_lock(&m);
			r = pthread_cond_timedwait(&c, &m, &ts);
			pthread_mutex_unlock(&m);
			early += r == ETIMEDOUT && before(ts, CLOCK_REALTIME);
			break;
		case 2:
			mono = in_ms(CLOCK_MONOTONIC, 20);
			r = (int)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &rel, NULL, 0);
			eintr += r < 0 && errno == EINTR;
			early += r < 0 && errno == ETIMEDOUT && before(mono, CLOCK_MONOTONIC);
			break;
		default:
			mono = in_ms(CLOCK_MONOTONIC, 20);
			r = nanosleep(&rel, NULL);
			eintr += r < 0;
			early += before(mono, CLOCK_MONOTONIC);
		}
		rounds++;
	}
	return NULL;
}

static int worker(void)
{
	pthread_t t[8];
	for (long i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, waits, (void *)i);
	struct timespec end = in_ms(CLOCK_MONOTONIC, 2500);
	while (before(end, CLOCK_MONOTONIC))
		usleep(50000);
	stop = 1;
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	printf("interrupted %ld early %ld rounds %d\n", eintr, early, rounds > 50);
	fflush(stdout);
	return 0;
}

int main(void)
{
	sem_init(&sem, 0, 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(worker());
	int st, n = 0;
	for (;;) {
		char path[64], b[512];
		usleep(3000);
		kill(pid, SIGSTOP);
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		int fd = open(path, O_RDONLY);
		read(fd, b, sizeof(b));
		close(fd);
		kill(pid, SIGCONT);
		n++;
		if (waitpid(pid, &st, WNOHANG) == pid)
			break;
	}
	printf("%x many stops %d\n", st, n > 100);
	DONE();
}
