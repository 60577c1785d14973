/* SPDX-License-Identifier: Apache-2.0 */
/* One request of arbitrary bytes to the Gofer's server, over an empty read-only directory. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gofer/gofer_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct channel ch;
	static int started;
	unsigned used, open_fds;

	if (!started) {
		char dir[] = "/tmp/brig-fuzz-XXXXXX";

		if (!mkdtemp(dir) || handles_init(1, 4096, 200) ||
		    handle_add_root(0, open(dir, O_PATH), 0) || chdir("/proc/self/fd"))
			abort();
		started = 1;
	}
	if (size > sizeof(ch.in))
		return 0;
	memcpy(ch.in, data, size);
	(void)!gofer_handle(&ch, size, -1);
	reply_sent(&ch.rep, false);
	handles_count(&used, &open_fds);
	if (used != 1 || open_fds != 1)
		abort();
	return 0;
}
