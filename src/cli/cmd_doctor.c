/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "sandbox/probe.h"
#include "sandbox/sandbox.h"

static const char help[] =
	"usage: brig doctor [--json] [--without FEATURE,...]\n"
	"\n"
	"Says what this host gives, what is enforced by what, and how to get what is missing.\n"
	"Features: " SB_FEATURE_NAMES "\n"
	"Exit status: 0 brig can run here, 1 something required is missing.\n";

static const char *const need_name[] = {
	[PROBE_REQUIRED] = "required", [PROBE_LAYER] = "layer", [PROBE_SPEED] = "speed",
	[PROBE_INFO] = "info",
};

static const char *state_name(const struct probe *p)
{
	if (p->without)
		return "off";
	return p->ok ? "ok" : "missing";
}

static int print_json(const struct probe *p, size_t n, bool usable)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		const bool ok = p[i].ok && !p[i].without;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s*}",
			"name", p[i].name, "kind", need_name[p[i].need], "state", state_name(&p[i]),
			"available", ok, "detail", p[i].detail, "enforces", p[i].enforces,
			"remedy", ok || p[i].without ? NULL : p[i].remedy));
	}
	json_t *top = json_pack("{s:b, s:o}", "usable", usable, "checks", list);
	int rc = !top || json_dumpf(top, stdout, JSON_INDENT(1)) != 0;
	json_decref(top);
	putchar('\n');
	return rc;
}

static void print_text(const struct probe *p, size_t n, bool usable)
{
	for (size_t i = 0; i < n; i++) {
		printf("%-8s %-16s %-9s %s\n", state_name(&p[i]), p[i].name, need_name[p[i].need],
		       p[i].detail);
		printf("         for: %s\n", p[i].enforces);
		if (!p[i].ok && !p[i].without && p[i].need != PROBE_INFO)
			printf("         remedy: %s\n", p[i].remedy);
	}
	printf("\n%s\n", usable ? "brig can run here."
				: "brig cannot run here: something required is missing.");
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"without", required_argument, NULL, 'w'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	static struct probe p[PROBE_MAX];
	struct err e = {0};
	unsigned without = 0;
	bool as_json = false, usable = true;
	int opt;
	const char *env = getenv("BRIG_WITHOUT");
	if (env && sb_feature_parse(env, &without, &e))
		return err_report(&e);
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (opt == '?')
			return EXIT_BRIG;
		if (opt == 'j')
			as_json = true;
		else if (sb_feature_parse(optarg, &without, &e))
			return err_report(&e);
	}
	if (optind < argc) {
		fputs(help, stderr);
		return EXIT_BRIG;
	}
	size_t n = probe_all(p, without);
	for (size_t i = 0; i < n; i++)
		usable = usable && (p[i].ok || p[i].need != PROBE_REQUIRED);
	if (as_json) {
		if (print_json(p, n, usable))
			return EXIT_BRIG;
	} else {
		print_text(p, n, usable);
	}
	return usable ? 0 : 1;
}
