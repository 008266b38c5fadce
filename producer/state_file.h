/* The file from which an interrupted segment continues: the acknowledged prefix, as JSON. */
#ifndef FUNNEL_STATE_FILE_H
#define FUNNEL_STATE_FILE_H

#include "acks.h"
#include "base/err.h"

#define SHIFT_NOT_CHOSEN INT64_MIN

struct saved_state {
	char segment[128], topic[256], cluster[128];
	bool complete;    /* all rows were sent and acknowledged */
	int64_t shift_us; /* of SHIFT_TO_NOW; SHIFT_NOT_CHOSEN: none */
	struct checkpoint checkpoint;
};

/* Atomic: writes and syncs a new file, then renames it over the old one. Creates the folder if it
 * is missing. */
MUST_USE bool state_file_write(const char *path, const struct saved_state *state, struct err *err);

enum state_file_result { STATE_FOUND, STATE_NONE, STATE_UNREADABLE /* err, ERR_OPERATOR */ };
enum state_file_result state_file_read(const char *path, struct saved_state *state,
                                       struct err *err);

#endif
