/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/gofer_boot.h"
#include <errno.h>
#include "host/sock.h"
#include "proto/wire.h"

static int send_all(int hfd, const struct wire_w *w, const int *hfds, unsigned n)
{
	if (!wire_fits(w))
		return -EINVAL;
	int64_t rc = h_send_fds(hfd, w->p, w->len, hfds, n, 0);
	return rc < 0 ? (int)rc : 0;
}

int gofer_boot_send(int control_hfd, const struct gofer_boot *boot, uint32_t *has)
{
	uint8_t buf[64];
	struct wire_w w = WIRE_W(buf, sizeof(buf));
	unsigned none;
	int64_t n;
	int rc;

	if (!boot->nchannels || boot->nchannels > GOFER_CHANNELS_MAX ||
	    boot->nroots > GOFER_ROOTS_MAX)
		return -EINVAL;
	wire_put_u32(&w, GOFER_BOOT_MAGIC);
	wire_put_u32(&w, boot->flags);
	wire_put_u32(&w, boot->nchannels);
	wire_put_u32(&w, boot->nroots);
	rc = send_all(control_hfd, &w, boot->channels, boot->nchannels);
	for (unsigned i = 0; !rc && i < boot->nroots; i++) {
		w = WIRE_W(buf, sizeof(buf));
		wire_put_u32(&w, GOFER_BOOT_MAGIC);
		wire_put_u32(&w, boot->roots[i].flags);
		rc = send_all(control_hfd, &w, &boot->roots[i].hfd, 1);
	}
	if (rc)
		return rc;

	n = h_recv_fds(control_hfd, buf, sizeof(buf), NULL, 0, &none, 0);
	if (n <= 0)
		return n ? (int)n : -EPIPE;
	struct wire_r r = WIRE_R(buf, (size_t)n);
	uint32_t magic = wire_get_u32(&r);
	int32_t status = (int32_t)wire_get_u32(&r);
	uint32_t got = wire_get_u32(&r);
	if (!wire_done(&r) || magic != GOFER_BOOT_MAGIC || status > 0 || status < -4095)
		return -EPROTO;
	*has = got;
	return status;
}
