/* SPDX-License-Identifier: Apache-2.0 */
/* syslog(2), as dmesg calls it. */
#include "guest.h"
#include <sys/klog.h>

int main(void)
{
	char b[8192];
	int n = klogctl(10, NULL, 0);
	printf("size %d\n", n > 4096 || errno == EPERM);
	n = klogctl(3, b, sizeof(b));
	printf("all %d\n", n >= 0 || errno == EPERM);
	SHOW(klogctl(3, NULL, 10));
	SHOW(klogctl(3, b, -1));
	SHOW(klogctl(3, b, 0));
	SHOW(klogctl(3, (char *)8, 100));
	SHOW(klogctl(8, NULL, 9));
	SHOW(klogctl(8, NULL, 0));
	SHOW(klogctl(99, NULL, 0));
	SHOW(klogctl(0, NULL, 0));
	SHOW(klogctl(1, NULL, 0));
	DONE();
}
