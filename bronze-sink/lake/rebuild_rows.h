/* The rows of a lake as records of Kafka, in the order of their offsets. */
#ifndef FUNNEL_REBUILD_ROWS_H
#define FUNNEL_REBUILD_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "duck.h"
#include "rebuild_files.h"
#include "stream/outbox.h"
#include "wire/records_bronze.h"

/* One row. Texts borrow from the rows until the next call. */
struct rebuild_row {
	int64_t offset, time_ms; /* of the record in its old topic */
	bool is_event; /* bronze has the event; otherwise key and value are as they came */
	struct bronze_event bronze;
	struct span key, value;
	struct span kind; /* of counts: the service; dead letters: the reason */
	struct header *headers;
	size_t header_count;
};

/* The rows of one window: a result of the engine, read chunk by chunk. */
struct rebuild_rows;
struct rebuild_rows *rebuild_rows_new(struct duck *duck);
void rebuild_rows_free(struct rebuild_rows *rows);

/* Reads a window of bronze (events and controls) or of dead letters. */
MUST_USE bool rebuild_rows_open(struct rebuild_rows *rows, struct rebuild_files *files,
                                struct lake_storage *storage, const struct rebuild_window *window,
                                struct err *err);
/* Reads the newest counts of each key that bronze-sink wrote, of all partitions and offsets. */
MUST_USE bool rebuild_rows_open_counts(struct rebuild_rows *rows, struct rebuild_files *files,
                                       struct lake_storage *storage, struct err *err);
/* *end: there are no more rows. ERR_OPERATOR: a value cannot be of an event. */
MUST_USE bool rebuild_rows_next(struct rebuild_rows *rows, struct rebuild_row *row, bool *end,
                                struct err *err);

#endif
