/* SPDX-License-Identifier: Apache-2.0 */
/* inotify at the end of a name: link counts, removed files that are still open, replaced ones. */
#include <sys/inotify.h>
#include "guest.h"

static int ifd;

static void events(const char *when)
{
	char buf[4096];
	ssize_t n = read(ifd, buf, sizeof(buf));

	printf("%s:", when);
	for (ssize_t at = 0; at < n;) {
		struct inotify_event *e = (void *)(buf + at);

		printf(" wd%d %x %s", e->wd, e->mask, e->len ? e->name : "-");
		at += (ssize_t)sizeof(*e) + e->len;
	}
	printf("\n");
}

static void make(const char *name)
{
	close(open(name, O_CREAT | O_WRONLY, 0600));
}

static void masks(void)
{
	char path[64], text[1024];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ifd);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	for (char *p = text; (p = strstr(p, "mask:")); p++)
		if (p[-1] == ' ')
			printf("%.*s\n", (int)strcspn(p, " "), p);
	close(fd);
}

int main(void)
{
	char dir[32];
	int fd;

	enter_tmp(dir);
	ifd = inotify_init1(IN_NONBLOCK);
	SHOW(inotify_add_watch(ifd, ".", IN_DELETE | IN_MOVE));
	make("a");
	SHOW(inotify_add_watch(ifd, "a", IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONESHOT));
	masks();
	SHOW(unlink("a"));
	events("one shot");
	make("b");
	SHOW(inotify_add_watch(ifd, "b", IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF));
	SHOW(link("b", "c"));
	events("link");
	SHOW(unlink("c"));
	events("one name less");
	SHOW(unlink("b"));
	events("gone");
	make("d");
	fd = open("d", O_RDONLY);
	SHOW(inotify_add_watch(ifd, "d", IN_ATTRIB | IN_DELETE_SELF | IN_CLOSE));
	SHOW(unlink("d"));
	events("still open");
	close(fd);
	events("closed");
	make("e");
	make("f");
	SHOW(inotify_add_watch(ifd, "f", IN_ATTRIB | IN_DELETE_SELF));
	SHOW(rename("e", "f"));
	events("replaced");
	SHOW(mkdir("g", 0700));
	SHOW(inotify_add_watch(ifd, "g", IN_ATTRIB | IN_DELETE_SELF | IN_ONLYDIR));
	fd = open("g", O_RDONLY);
	SHOW(rmdir("g"));
	events("open directory");
	close(fd);
	events("directory");
	unlink("f");
	if (chdir("/") || rmdir(dir))
		printf("not empty\n");
	DONE();
}
