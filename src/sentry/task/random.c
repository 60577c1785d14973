/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness for layouts and AT_RANDOM: xoshiro256**, seeded from the boot spec's host entropy. It
 * is not for keys: getrandom(2) reads the host's generator. */
#include "sentry/task/task_i.h"

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t task_random(void)
{
	uint64_t *s = task_root->rng, r, t;

	mutex_lock(&task_root->pidmap_lock);
	r = rotl(s[1] * 5, 7) * 9;
	t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	mutex_unlock(&task_root->pidmap_lock);
	return r;
}
