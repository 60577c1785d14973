/* SPDX-License-Identifier: Apache-2.0 */
/* guest: timeout=120 */
/* Whoever wins, the event or the signal: nothing is lost and the handler is not late. */
#include "guest.h"
#include <pthread.h>

static volatile int chld, usr;

static void on_chld(int sig)
{
	chld++;
}

static void on_usr(int sig)
{
	usr++;
}

static int p[2];
static volatile int stop;
static pthread_t reader_thread;
static long bytes, interrupted;

static void *reader(void *arg)
{
	char c;
	while (!stop) {
		ssize_t n = read(p[0], &c, 1);
		if (n == 1)
			bytes++;
		else if (n < 0 && errno == EINTR)
			interrupted++;
		else
			break;
	}
	return NULL;
}

static void *waits_any(void *arg)
{
	int st;
	pid_t r = waitpid(-1, &st, 0);
	return (void *)(long)(r > 0 ? 1 : errno == ECHILD ? 2 : 3);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_chld};
	sigaction(SIGCHLD, &sa, NULL);
	int eintr = 0, late = 0;
	for (int i = 0; i < 600; i++) {
		chld = 0;
		pid_t pid = fork();
		if (pid == 0)
			_exit(3);
		int st = 0;
		pid_t r = waitpid(pid, &st, 0);
		if (r < 0)
			eintr++;
		else if (chld != 1)
			late++;
		if (r < 0)
			waitpid(pid, &st, 0);
	}
	printf("interrupted %d late %d\n", eintr, late);
	/* reads against signals: each byte arrives once */
	sa.sa_handler = on_usr;
	sigaction(SIGUSR1, &sa, NULL);
	pipe(p);
	pthread_create(&reader_thread, NULL, reader, NULL);
	long sent = 0;
	for (int i = 0; i < 5000; i++) {
		sent += write(p[1], "x", 1) == 1;
		if (i % 3 == 0)
			pthread_kill(reader_thread, SIGUSR1);
	}
	while (bytes < sent)
		usleep(1000);
	usleep(2000);
	stop = 1;
	close(p[1]);
	pthread_join(reader_thread, NULL);
	printf("sent %ld got %ld handled %d\n", sent, bytes, usr > 0);
	/* two threads wait for one child: one gets it, the other learns that there is none */
	for (int i = 0; i < 200; i++) {
		pthread_t a, b;
		void *ra, *rb;
		int q[2];
		pipe(q);
		pid_t pid = fork();
		if (pid == 0) {
			char c;
			close(q[1]);
			read(q[0], &c, 1);
			_exit(0);
		}
		sa.sa_flags = SA_RESTART;
		sigaction(SIGCHLD, &sa, NULL);
		pthread_create(&a, NULL, waits_any, NULL);
		pthread_create(&b, NULL, waits_any, NULL);
		close(q[0]);
		close(q[1]);
		pthread_join(a, &ra);
		pthread_join(b, &rb);
		CHECK((long)ra + (long)rb == 3);
	}
	/* a killed waiter takes no wake-up with it */
	for (int i = 0; i < 100; i++) {
		int q[2];
		pipe(q);
		pid_t w[2];
		for (int k = 0; k < 2; k++) {
			w[k] = fork();
			if (w[k] == 0) {
				char c;
				_exit(read(q[0], &c, 1) == 1 ? 0 : 1);
			}
		}
		kill(w[0], SIGKILL);
		write(q[1], "x", 1);
		int st;
		waitpid(w[0], &st, 0);
		/* it may have read the byte and died of the signal then */
		write(q[1], "x", 1);
		waitpid(w[1], &st, 0);
		CHECK(st == 0);
		close(q[0]);
		close(q[1]);
	}
	DONE();
}
