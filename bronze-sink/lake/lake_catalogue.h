/* The catalogue says which batches and files the lake has, and where each partition continues. It
 * is the only truth: a file that it does not know does not count.
 *
 * With POSTGRES_DSN it is in PostgreSQL (schema lake: sql/tables/0020_lake.sql), where the files
 * are DuckLake tables too. Without, it is one manifest per partition in the lake. */
#ifndef FUNNEL_LAKE_CATALOGUE_H
#define FUNNEL_LAKE_CATALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "event/clock.h"
#include "lake_file.h"
#include "lake_storage.h"
#include "lake_tables.h"
#include "postgres/postgres.h"
#include "stream/record_mark.h"

/* Where one partition continues. */
struct lake_position {
	const char *topic; /* full name, borrowed */
	int32_t partition;
	int64_t next;                   /* OFFSET_NONE: nothing is stored */
	struct record_mark last;        /* the newest record before next */
	char segment[LAKE_SEGMENT_MAX]; /* open at next; "": none */
	char clock[CLOCK_TEXT_MAX];     /* at next; "": none */
};

struct lake_file {
	enum lake_table table;
	char *path; /* relative to the lake */
	int64_t rows, bytes, footer_bytes;
	/* Statistics of the columns, as JSON:
	 * {"event_time":{"min":"…","max":"…","null_count":0,"bytes":123},…} in DuckLake's texts. */
	char *statistics;
	char sha256[LAKE_SHA256_MAX]; /* of the bytes of the file; "": not known */
};

/* One batch [first, to.next). Without rows it has no files. */
struct lake_commit {
	struct lake_position from, to; /* from.next: OFFSET_NONE, if it is the first batch */
	int64_t first;                 /* from.next, or where the log began */
	int64_t rows[LAKE_TABLE_COUNT];
	const struct lake_file *files; /* stored already */
	size_t file_count;
};

struct lake_catalogue;
/* Borrows all. config: NULL, or config->dsn "": manifests in the storage. */
struct lake_catalogue *lake_catalogue_new(const struct postgres_config *config,
                                          struct lake_storage *storage);
void lake_catalogue_free(struct lake_catalogue *catalogue);
/* Connects and checks that the schema is there; an empty catalogue becomes that of this lake, if
 * the lake is empty too. ERR_OPERATOR: the catalogue belongs to another folder or bucket, or it is
 * empty and the lake has files. */
MUST_USE bool lake_catalogue_open(struct lake_catalogue *catalogue, struct err *err);
/* For lake register: the same without the claim, which it makes when it has registered all files.
 * PostgreSQL only. *claimed: the catalogue is that of this lake already. */
MUST_USE bool lake_catalogue_connect(struct lake_catalogue *catalogue, bool *claimed,
                                     struct err *err);
MUST_USE bool lake_catalogue_claim(struct lake_catalogue *catalogue, struct err *err);

/* Its connection, for questions between two commits; NULL: manifests. */
struct postgres *lake_catalogue_postgres(struct lake_catalogue *catalogue);

/* Fills all but topic and partition. */
MUST_USE bool lake_catalogue_read(struct lake_catalogue *catalogue, struct lake_position *at,
                                  size_t count, struct err *err);
/* Keeps the position where it is until lake_catalogue_let_go; nobody else commits meanwhile. With
 * PostgreSQL. ERR_CONFLICT: it is not at->next any more. */
MUST_USE bool lake_catalogue_hold(struct lake_catalogue *catalogue, const struct lake_position *at,
                                  struct err *err);
void lake_catalogue_let_go(struct lake_catalogue *catalogue);
/* Stores the batches, their files and the new positions, all or nothing: one transaction that takes
 * the lake's lock first, then the positions in the order of topic and partition, then the newest
 * snapshot. ERR_CONFLICT: a position is not `from.next` any more. ERR_RETRY: call again; if the
 * commit has happened after all, that call returns ERR_CONFLICT. */
MUST_USE bool lake_catalogue_commit(struct lake_catalogue *catalogue,
                                    const struct lake_commit *batches, size_t count,
                                    struct err *err);

#endif
