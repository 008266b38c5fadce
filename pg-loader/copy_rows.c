#include "copy_rows.h"

#include "base/buffer.h"
#include "copy_binary.h"
#include "event_row.h"

/* Rows are sent in pieces of this size. The client library keeps a buffer for the largest one. */
#define PIECE_BYTES 65536

struct span copy_row_bytes(const struct load_batch *batch, const struct load_row *row)
{
	return (struct span){batch->rows.bytes[row->target].at + row->at, row->len};
}

static bool begin(struct postgres *pg, const char *copy, struct err *err)
{
	return postgres_copy_begin(pg, copy, err) &&
	       postgres_copy_put(pg, copy_header, sizeof(copy_header), err);
}

static bool put_trailer(struct postgres *pg, struct err *err)
{
	return postgres_copy_put(pg, copy_trailer, sizeof(copy_trailer), err);
}

/* Gathers rows in pieces. staged: events in the form of the staging table. */
static bool put_rows(struct postgres *pg, const struct load_batch *batch, const uint32_t *rows,
                     uint32_t count, bool staged, struct buffer *piece, struct err *err)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct load_row *row = &batch->rows.at[rows[i]];
		const struct load_source *record = &batch->sources[row->source];
		struct span bytes = copy_row_bytes(batch, row);

		if (staged)
			event_row_stage(piece, bytes, record->partition, record->offset);
		else
			buffer_append(piece, bytes.at, bytes.len);
		if (piece->len < PIECE_BYTES && i + 1 < count)
			continue;
		if (!postgres_copy_put(pg, piece->at, piece->len, err))
			return false;
		piece->len = 0;
	}
	return true;
}

static bool copy_pieces(struct postgres *pg, const char *copy, const struct load_batch *batch,
                        const uint32_t *rows, uint32_t count, bool staged, struct err *err)
{
	struct buffer piece = {0};
	bool ok = begin(pg, copy, err) && put_rows(pg, batch, rows, count, staged, &piece, err) &&
	          put_trailer(pg, err);

	buffer_free(&piece);
	return ok;
}

bool copy_rows(struct postgres *pg, const char *copy, const struct load_batch *batch,
               const uint32_t *rows, uint32_t count, struct err *err)
{
	return copy_pieces(pg, copy, batch, rows, count, false, err);
}

bool copy_staged_events(struct postgres *pg, const char *copy, const struct load_batch *batch,
                        const uint32_t *rows, uint32_t count, struct err *err)
{
	return copy_pieces(pg, copy, batch, rows, count, true, err);
}

bool copy_bytes(struct postgres *pg, const char *copy, struct span bytes, struct err *err)
{
	return begin(pg, copy, err) && postgres_copy_put(pg, bytes.at, bytes.len, err) &&
	       put_trailer(pg, err) && postgres_copy_end(pg, err);
}
