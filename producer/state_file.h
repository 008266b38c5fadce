/* The file that lets an interrupted segment go on: the acknowledged prefix, as JSON. */
#ifndef FUNNEL_STATE_FILE_H
#define FUNNEL_STATE_FILE_H

#include "acks.h"
#include "base/err.h"

struct saved_state {
	char segment[128], topic[256], cluster[128];
	bool complete; /* nothing is left to send */
	struct checkpoint checkpoint;
};

/* Whole or not at all: a new file, synced, renamed over the old one. Makes the folder where it is missing. */
MUST_USE bool state_file_write(const char *path, const struct saved_state *state, struct err *err);

enum state_file_verdict { STATE_FOUND, STATE_NONE, STATE_UNREADABLE /* err, ERR_OPERATOR */ };
enum state_file_verdict state_file_read(const char *path, struct saved_state *state,
                                        struct err *err);

#endif
