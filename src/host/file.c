/* SPDX-License-Identifier: Apache-2.0 */
#include "host/file.h"
#include <errno.h>

int h_write_all(int hfd, const void *p, size_t n)
{
	const char *at = p;

	while (n) {
		int64_t rc = h_write(hfd, at, n);

		if (rc == -EINTR)
			continue;
		if (rc < 0)
			return (int)rc;
		at += rc;
		n -= (size_t)rc;
	}
	return 0;
}

int h_read_all(int hfd, void *p, size_t n)
{
	char *at = p;

	while (n) {
		int64_t rc = h_read(hfd, at, n);

		if (rc == -EINTR)
			continue;
		if (rc < 0)
			return (int)rc;
		if (rc == 0)
			return -EIO;
		at += rc;
		n -= (size_t)rc;
	}
	return 0;
}
