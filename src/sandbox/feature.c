/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sandbox/sandbox.h"

static const struct {
	const char *name;
	unsigned bit;
} features[] = {
	{"landlock", SB_LANDLOCK}, {"userns", SB_USERNS},   {"cgroup", SB_CGROUP},
	{"fsgsbase", SB_FSGSBASE}, {"openat2", SB_OPENAT2}, {"clone3", SB_CLONE3},
	{"notif-sync", SB_NOTIF_SYNC},
};

unsigned sb_feature_bit(const char *name)
{
	for (size_t i = 0; i < array_size(features); i++)
		if (strcmp(features[i].name, name) == 0)
			return features[i].bit;
	return 0;
}

int sb_feature_parse(const char *list, unsigned *mask, struct err *e)
{
	while (*list) {
		char name[32];
		size_t n = strcspn(list, ",");
		if (n >= sizeof(name))
			return err_set(e, "no such feature: %s (there are: %s)", list,
				       SB_FEATURE_NAMES);
		memcpy(name, list, n);
		name[n] = 0;
		unsigned bit = sb_feature_bit(name);
		if (n && !bit)
			return err_set(e, "no such feature: %s (there are: %s)", name,
				       SB_FEATURE_NAMES);
		*mask |= bit;
		list += n + (list[n] == ',');
	}
	return 0;
}
