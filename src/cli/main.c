/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "sandbox/err.h"

#define BRIG_VERSION "0.1.0"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{"do", cmd_do, "run a program in a sandbox"},
	{"doctor", cmd_doctor, "say what this host gives and what is enforced by what"},
};

static void usage(FILE *f)
{
	fprintf(f, "usage: brig VERB [options]\n\n");
	for (size_t i = 0; i < array_size(verbs); i++)
		fprintf(f, "  %-8s %s\n", verbs[i].name, verbs[i].help);
	fprintf(f, "\n\"brig VERB --help\" says more; so does brig(1).\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_BRIG;
	}
	for (size_t i = 0; i < array_size(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("brig %s\n", BRIG_VERSION);
		return 0;
	}
	say("no such verb: %s (see brig --help)", argv[1]);
	return EXIT_BRIG;
}
