/* librdkafka may be a shared library, so its version is read at run time. */
#include "service/version.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

void version_print(const char *program)
{
	printf("%s %s", program, program_version);
	if (program_commit[0])
		printf(" (%s)", program_commit);
	printf(", librdkafka %s\n", rd_kafka_version_str());
}
