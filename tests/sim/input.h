/* The raw events of a schedule: valid rows, repeats, late rows, bad records, controls, records of a
 * foreign producer with transactions. They are appended to the raw topic at their times. */
#ifndef SIM_INPUT_H
#define SIM_INPUT_H

#include <stdbool.h>
#include <stdint.h>

struct partition_log;

struct input_config {
	uint64_t seed;
	uint32_t records;
	int64_t step_us;     /* mean distance of event times */
	int64_t interval_us; /* mean distance of the appends, in virtual time */
};

/* Begins to append to the topic. */
void input_begin(const struct input_config *config, const char *topic);
bool input_is_complete(void);
/* Appends the same number of records once more: to a topic that was created again. */
void input_again(void);

/* A plain record whose schema id nobody knows. */
void input_append_unreadable(struct partition_log *log);

#endif
