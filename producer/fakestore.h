/* A source that asks a shop for its products at an interval (FakeStore API: GET /products), and
 * gives one view per product and poll.
 *
 * event_time is the time of the poll in seconds since 1970, user_session is fakestore:<that time>,
 * user_id is a setting, and brand and category_id are empty. The title is an extra field. A poll
 * that fails is logged with its reason, counted and left out; the next one comes at its time. After
 * `failures_max` failures in a row the process is not ready. */
#ifndef FUNNEL_FAKESTORE_H
#define FUNNEL_FAKESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "row.h"

struct fakestore_config {
	const char *url;
	int64_t every_us;     /* from one poll to the next */
	int64_t timeout_us;   /* of a poll, with all its tries */
	int64_t max_bytes;    /* of an answer */
	int64_t polls;        /* the source ends after them; 0: it does not end */
	int64_t failures_max; /* in a row */
	int64_t user_id;
};

struct fakestore;
/* Borrows the URL. ERR_INPUT: it is invalid. */
struct fakestore *fakestore_new(const struct fakestore_config *config, struct err *err);
void fakestore_free(struct fakestore *store);

/* Does a part of the work that is due, for at most about 20 ms. True: there is no row yet, but one
 * may come. */
bool fakestore_waits(struct fakestore *store);

enum fakestore_result {
	FAKESTORE_ROW,
	FAKESTORE_END,
	FAKESTORE_FAILED /* err: no poll has succeeded, or the process stops */
};
/* The next row, without position; source_file is the URL without its secrets. Waits for it if
 * fakestore_waits. The row borrows until the next call of either function. */
enum fakestore_result fakestore_next(struct fakestore *store, struct row *row, struct err *err);

#endif
