/* A file is read once: its rows are counted by partition, with their greatest offset. Only files
 * with rows after the offset of the chosen counts are read again; these are the newest ones.
 *
 * Limit: if a kind of rows of a partition is missing from some offset on, it looks like a lake that
 * lags. The batches without gap, and their rows, are compared elsewhere (lake_verify.c). */
#include "lake_balance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stream/dead_letter.h"

static const char CREATE_SQL[] =
	"CREATE TABLE counted (part INTEGER, revision BIGINT, bronze BIGINT, dead_letters BIGINT);"
	"CREATE TABLE piece (kind VARCHAR, path VARCHAR, part INTEGER, rows BIGINT,"
	"                    newest BIGINT);"
	"CREATE TABLE again (kind VARCHAR, part INTEGER, rows BIGINT);"
	"CREATE TABLE excused (kind VARCHAR, part INTEGER);"
	"CREATE MACRO header(headers, wanted) AS"
	" decode(list_filter(headers, h -> h.name = wanted)[-1].value)";

bool lake_balance_open(struct duck *duck, struct err *err)
{
	return duck_run(duck, CREATE_SQL, err);
}

/* ---- files */

/* The place in the raw topic of each row of bronze-sink. */
static const char *source_of(enum lake_table table)
{
	switch (table) {
	case LAKE_BRONZE:
		return "SELECT raw_partition AS part, raw_offset AS place FROM read_parquet(%s],"
		       " hive_partitioning = false)";
	case LAKE_DEAD_LETTERS:
		return "SELECT CAST(header(headers, '__connect.errors.partition') AS INTEGER)"
		       " AS part,"
		       " CAST(header(headers, '__connect.errors.offset') AS BIGINT) AS place"
		       " FROM read_parquet(%s], hive_partitioning = false)"
		       " WHERE header(headers, '__connect.errors.connector.name') = 'bronze-sink'"
		       " AND kind IS DISTINCT FROM '" REDRIVE_HEADER_MARKER "'";
	case LAKE_COUNTS:
		return "SELECT CAST(detail ->> 'partition' AS INTEGER),"
		       " CAST(detail ->> 'revision' AS BIGINT),"
		       " CAST(detail ->> 'records_out' AS BIGINT),"
		       " CAST(detail ->> 'dead' AS BIGINT)"
		       " FROM read_parquet(%s], hive_partitioning = false)"
		       " WHERE kind = 'bronze-sink'";
	case LAKE_LATE_EVENTS:
	case LAKE_CONTROLS:
	case LAKE_TABLE_COUNT: break;
	}
	return NULL;
}

static void append_source(struct buffer *sql, enum lake_table table, const char *list)
{
	const char *source = source_of(table), *hole = strstr(source, "%s");

	buffer_append(sql, source, (size_t)(hole - source));
	buffer_text(sql, list);
	buffer_text(sql, hole + 2);
}

static bool run(struct duck *duck, struct buffer *sql, struct err *err)
{
	bool ok;

	buffer_append(sql, "", 1);
	ok = duck_run(duck, sql->at, err);
	buffer_free(sql);
	return ok;
}

bool lake_balance_add(struct duck *duck, enum lake_table table, const char *path, const char *list,
                      struct err *err)
{
	struct buffer sql = {0};

	if (!source_of(table))
		return true;
	if (table == LAKE_COUNTS) {
		buffer_text(&sql, "INSERT INTO counted ");
		append_source(&sql, table, list);
		return run(duck, &sql, err);
	}
	buffer_text(&sql, "INSERT INTO piece SELECT ");
	duck_quote(&sql, lake_table_def(table)->name);
	buffer_text(&sql, ", ");
	duck_quote(&sql, path);
	buffer_text(&sql, ", part, count(*), max(place) FROM (");
	append_source(&sql, table, list);
	buffer_text(&sql, ") GROUP BY part");
	return run(duck, &sql, err);
}

bool lake_balance_add_again(struct duck *duck, enum lake_table table, const char *list,
                            struct err *err)
{
	struct buffer sql = {0};

	buffer_text(&sql, "INSERT INTO again SELECT kind, part, count(*) FROM (");
	append_source(&sql, table, list);
	buffer_text(&sql, ") JOIN goal USING (part) WHERE place <= revision AND kind = ");
	duck_quote(&sql, lake_table_def(table)->name);
	buffer_text(&sql, " GROUP BY ALL");
	return run(duck, &sql, err);
}

bool lake_balance_excuse(struct duck *duck, enum lake_table table, const char *partition,
                         struct err *err)
{
	struct buffer sql = {0};

	buffer_text(&sql, "INSERT INTO excused VALUES (");
	duck_quote(&sql, lake_table_def(table)->name);
	buffer_text(&sql, ", CAST(");
	duck_quote(&sql, partition);
	buffer_text(&sql, " AS INTEGER))");
	return run(duck, &sql, err);
}

/* ---- the comparison */

/* goal: one row per kind and partition; revision null: nothing to compare yet. */
static const char GOAL_SQL[] =
	"CREATE TABLE goal AS WITH claim AS ("
	"    UNPIVOT counted ON bronze, dead_letters INTO NAME kind VALUE wanted"
	"), newest AS ("
	"    SELECT kind, part, max(revision) AS revision, max_by(wanted, revision) AS wanted"
	"    FROM claim GROUP BY ALL"
	"), total AS ("
	"    SELECT kind, part, sum(rows) AS rows, max(newest) AS last FROM piece GROUP BY ALL"
	"), reached AS ("
	"    SELECT kind, part, max(c.revision) AS revision, max_by(c.wanted, c.revision) AS wanted"
	"    FROM claim c JOIN total t USING (kind, part) WHERE c.revision <= t.last GROUP BY ALL)"
	" SELECT kind, part, n.revision AS newest_revision, n.wanted AS newest_wanted,"
	"        coalesce(t.rows, 0) AS rows,"
	"        coalesce(t.rows, 0) = n.wanted AND coalesce(t.last, -1) <= n.revision AS is_equal,"
	"        CASE WHEN is_equal THEN n.revision ELSE r.revision END AS revision,"
	"        CASE WHEN is_equal THEN n.wanted ELSE r.wanted END AS wanted"
	" FROM newest n LEFT JOIN total t USING (kind, part)"
	" LEFT JOIN reached r USING (kind, part)";

bool lake_balance_choose(struct duck *duck, duckdb_result *again, struct err *err)
{
	return duck_run(duck, GOAL_SQL, err) &&
	       duck_query(duck,
	                  "SELECT DISTINCT kind, path FROM piece JOIN goal USING (kind, part)"
	                  " WHERE newest > revision ORDER BY ALL",
	                  again, err);
}

static const char COMPARE_SQL[] =
	"WITH before AS ("
	"    SELECT kind, part, sum(p.rows) AS rows FROM piece p JOIN goal USING (kind, part)"
	"    WHERE newest <= revision GROUP BY ALL"
	"), partly AS (SELECT kind, part, sum(rows) AS rows FROM again GROUP BY ALL"
	"), found AS ("
	"    SELECT g.*, coalesce(b.rows, 0) + coalesce(a.rows, 0) AS found,"
	"           if(kind = 'bronze', 'events', 'dead letters') AS what,"
	"           CASE WHEN (kind, part) IN (SELECT (kind, part) FROM excused) THEN wanted"
	"                WHEN kind = 'bronze' THEN %" PRId64 " ELSE 0 END AS may_lack"
	"    FROM goal g LEFT JOIN before b USING (kind, part)"
	"    LEFT JOIN partly a USING (kind, part))"
	" SELECT 'raw partition ' || part,"
	"        CASE WHEN found > wanted OR found + may_lack < wanted THEN"
	"            format('bronze-sink has counted {} {} up to raw offset {}, and the lake has"
	" {}{}', wanted, what, revision, found,"
	"                   if(may_lack > 0, '; at most ' || may_lack || ' may be missing', ''))"
	"        END,"
	"        CASE WHEN revision IS NULL OR newest_revision > revision THEN"
	"            format('bronze-sink has counted {} {} up to raw offset {}; the lake has {} in"
	" all, and was compared up to {}', newest_wanted, what, newest_revision, rows,"
	"                   coalesce('raw offset ' || revision, 'no offset')) END"
	" FROM found ORDER BY part, kind";

bool lake_balance_compare(struct duck *duck, int64_t expired, duckdb_result *found, struct err *err)
{
	char sql[sizeof(COMPARE_SQL) + 32];

	snprintf(sql, sizeof(sql), COMPARE_SQL, expired);
	return duck_query(duck, sql, found, err);
}
