/* lake: Parquet files of all that decides a result. This file chooses the command. */
#include <stdio.h>
#include <string.h>

#include "lake_compact.h"
#include "lake_expire.h"
#include "lake_rebuild.h"
#include "lake_register.h"
#include "lake_verify.h"
#include "lake_writer.h"
#include "service/service.h"

static const struct {
	const char *name;
	const struct service *service;
} commands[] = {
	{"write", &lake_write_service},       {"compact", &lake_compact_service},
	{"expire", &lake_expire_service},     {"verify", &lake_verify_service},
	{"register", &lake_register_service}, {"rebuild", &lake_rebuild_service},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

static void print_usage(FILE *out)
{
	fprintf(out, "Usage: lake COMMAND [--setting=value ...]\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].service->summary);
	fprintf(out, "\nSettings of a command: lake COMMAND --help\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		/* A restart in place has the arguments of the service, which begin with the
		 * command. */
		if (strcmp(argv[0], commands[i].name) == 0)
			return service_main(commands[i].service, argc, argv);
		if (strcmp(name, commands[i].name) == 0)
			return service_main(commands[i].service, argc - 1, argv + 1);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (*name)
		fprintf(stderr, "lake: unknown command \"%s\"\n\n", name);
	print_usage(stderr);
	return 64;
}
