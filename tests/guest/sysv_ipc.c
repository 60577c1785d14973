/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory, semaphores and message queues. */
#include "guest.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/mman.h>
#include <sys/shm.h>

static void shm(void)
{
	int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600), st;
	struct shmid_ds ds;
	char *p, *q;

	CHECK(id >= 0);
	p = shmat(id, NULL, 0);
	CHECK(p != (void *)-1);
	strcpy(p, "hello");
	if (fork() == 0) {
		q = shmat(id, NULL, 0);
		printf("child %s %s\n", p, q);
		strcpy(q, "from child");
		exit(0);
	}
	wait(&st);
	printf("%s\n", p);
	SHOW(shmctl(id, IPC_STAT, &ds));
	printf("size %zu nattch %lu mode %o\n", ds.shm_segsz, ds.shm_nattch, ds.shm_perm.mode);
	char *room = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(munmap(room, 1 << 20) == 0);
	q = shmat(id, room + 4096 * 64 + 5, SHM_RND);
	printf("at %ld\n", (long)(q - room));
	SHOW(shmdt(p + 4096));
	SHOW(shmdt(q));
	SHOW(shmctl(id, IPC_RMID, NULL));
	printf("still there: %s\n", p);
	SHOW(shmdt(p));
	SHOW(shmctl(id, IPC_STAT, &ds));
	SHOW(shmat(id, NULL, 0) == (void *)-1 ? -1 : 0);
	SHOW(shmget(0x1234567, 100, 0));
	id = shmget(0x1234567, 100, IPC_CREAT | 0600);
	SHOW(shmget(0x1234567, 100, IPC_CREAT | IPC_EXCL | 0600));
	SHOW(shmget(0x1234567, 5000, 0600));
	CHECK(shmget(0x1234567, 100, 0600) == id);
	SHOW(shmctl(id, IPC_RMID, NULL));
	SHOW(shmget(IPC_PRIVATE, 0, IPC_CREAT));
}

static void sem(void)
{
	int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600), st;
	struct sembuf dec = {0, -1, 0}, inc = {0, 1, 0}, undo = {1, 5, SEM_UNDO}, now = {0, -1, IPC_NOWAIT};
	struct sembuf zero = {2, 0, 0}, far = {7, 1, 0};
	struct timespec ts = {0, 20000000};
	unsigned short all[3] = {1, 2, 3};

	CHECK(id >= 0);
	SHOW(semop(id, &now, 1));
	SHOW(semtimedop(id, &dec, 1, &ts));
	SHOW(semop(id, &far, 1));
	if (fork() == 0) {
		semop(id, &undo, 1);
		printf("in child %d\n", semctl(id, 1, GETVAL));
		semop(id, &dec, 1);
		exit(3);
	}
	usleep(30000);
	SHOW(semctl(id, 0, GETNCNT));
	SHOW(semop(id, &inc, 1));
	wait(&st);
	printf("status %d\n", WEXITSTATUS(st));
	SHOW(semctl(id, 1, GETVAL));
	SHOW(semctl(id, 0, SETALL, all));
	SHOW(semctl(id, 2, GETVAL));
	SHOW(semctl(id, 0, SETVAL, -1));
	SHOW(semctl(id, 0, SETVAL, 40000));
	if (fork() == 0) {
		int r = semop(id, &zero, 1);
		printf("removed: %s\n", r ? strerrorname_np(errno) : "0");
		exit(0);
	}
	usleep(30000);
	st = semctl(id, 0, IPC_RMID);
	wait(NULL);
	printf("rmid %d\n", st);
	SHOW(semop(id, &inc, 1));
}

static void msg(void)
{
	struct {
		long type;
		char text[100];
	} m = {1, "one"};
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600), st;
	struct msqid_ds ds;

	SHOW(msgsnd(id, &m, 4, 0));
	m.type = 3;
	strcpy(m.text, "three");
	SHOW(msgsnd(id, &m, 6, 0));
	m.type = 2;
	strcpy(m.text, "two");
	SHOW(msgsnd(id, &m, 4, 0));
	SHOW(msgctl(id, IPC_STAT, &ds));
	printf("%lu messages\n", ds.msg_qnum);
	SHOW(msgrcv(id, &m, 100, 3, 0));
	printf("%ld %s\n", m.type, m.text);
	SHOW(msgrcv(id, &m, 2, 0, 0));
	SHOW(msgrcv(id, &m, 2, 0, MSG_NOERROR));
	SHOW(msgrcv(id, &m, 100, -5, 0));
	printf("%ld %s\n", m.type, m.text);
	SHOW(msgrcv(id, &m, 100, 0, IPC_NOWAIT));
	m.type = 0;
	SHOW(msgsnd(id, &m, 4, 0));
	if (fork() == 0) {
		ssize_t r = msgrcv(id, &m, 100, 9, 0);
		printf("child got %zd %s\n", r, m.text);
		exit(0);
	}
	usleep(20000);
	m.type = 9;
	strcpy(m.text, "nine");
	CHECK(msgsnd(id, &m, 5, 0) == 0);
	wait(&st);
	SHOW(msgctl(id, IPC_RMID, NULL));
	SHOW(msgsnd(id, &m, 5, 0));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	shm();
	sem();
	msg();
	DONE();
}
