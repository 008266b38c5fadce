/* The settings of the producer, and what they mean after they were checked. */
#ifndef FUNNEL_OPTIONS_H
#define FUNNEL_OPTIONS_H

#include "base/err.h"
#include "base/span.h"
#include "fakestore.h"
#include "generator.h"
#include "kafka/kafka_conf.h"
#include "registry/registry.h"
#include "selection.h"
#include "service/config.h"
#include "service/service.h"

struct producer_config {
	struct service_config service;
	struct kafka_config kafka;
	const char *source, *input, *output, *tee, *state_file, *speed, *start_time, *framing,
		*shape;
	struct registry_config registry;
	const char *duplicates, *malformed, *late, *missing_sessions;
	int64_t events, seed, rate, limit, duration_us, disorder_us, timeout_us;
	bool dry_run, resume, restart, checkouts;
	/* fakestore, and lists of sources */
	const char *url, *sources, *only;
	int64_t poll_every_us, poll_timeout_us, poll_max_bytes, poll_failures_max, polls,
		fakestore_user_id;
	/* reading_options */
	const char *delimiter, *encoding, *columns, *mapping, *null_words;
	/* order_options */
	const char *order, *sort_dir;
	int64_t sort_memory_bytes;
	/* selection and schedule */
	const char *month, *from, *to, *loop;
	int64_t rows_per_day, every_us, dedup_horizon_us;
	bool shift_to_now, replay;
	/* check_options */
	const char *fail_above;
};
extern const struct config_option *const producer_tables[];

struct producer_plan {
	bool synthetic;
	struct generator_config generator;
	bool live;
	struct fakestore_config fakestore;
	int64_t speed_milli;    /* 0: as fast as possible */
	int64_t fail_above_ppm; /* -1: not checked */
	struct selection_config selection;
};
/* ERR_INPUT: settings contradict each other, or a text cannot be parsed. */
MUST_USE bool producer_plan_read(const struct producer_config *config, struct producer_plan *plan,
                                 struct err *err);

/* One of ASCII, or "tab"; "" is '\0'. ERR_INPUT: another text. */
MUST_USE bool delimiter_read(const char *text, char *delimiter, struct err *err);

/* "0.01" to parts per million. From 0 to 1, up to six decimals. */
bool share_parse(struct span text, int64_t *ppm);

#endif
