/* funnel-tail: the live funnel in a terminal, or the decoded records of a topic.
 *
 * It runs in the foreground and is not a daemon. It has no health, no metrics and no instance. A
 * second signal ends it with the terminal restored, and it prints an error as one plain line. So it
 * does not run in service_main(), but shares the settings, exit codes and stop request of the
 * services. */
#include <stdio.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/hash.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/service.h"
#include "tail_config.h"
#include "tail_live.h"
#include "tail_records.h"
#include "tail_signals.h"
#include "tail_terminal.h"

static bool run(const struct tail_config *config, struct err *err)
{
	struct tail_request request;

	if (!*config->topic)
		return tail_config_check_live(config, err) && tail_live_run(config, err);
	return tail_config_request(config, wallclock_us(), &request, err) &&
	       tail_records_run(config, &request, err);
}

int main(int argc, char **argv)
{
	struct tail_config config = {0};
	struct err err = {.class = ERR_NONE};

	switch (tail_config_load(argc, argv, &config)) {
	case CONFIG_OK: break;
	case CONFIG_HELP_SHOWN: return 0;
	case CONFIG_BAD: return service_exit_code(ERR_INPUT, true);
	}
	tail_signals_init(tail_terminal_close);
	log_init("funnel-tail", "terminal", log_level_of(config.log_level), false);
	(void)!getrandom(&hash_key, sizeof(hash_key), 0); /* without a key the tables still work */
	if (run(&config, &err))
		return 0;
	fprintf(stderr, "funnel-tail: %s\n", err.message);
	return service_exit_code(err.class, true);
}
