/* The schemas of our topics, as the programs register them. */
#ifndef FUNNEL_SCHEMAS_H
#define FUNNEL_SCHEMAS_H

#include <stdbool.h>

/* The schemas' texts as they are registered, byte for byte (generated from schemas/). */
enum schema_kind {
	SCHEMA_BRONZE,
	SCHEMA_LATE,
	SCHEMA_COUNTS,
	SCHEMA_VISIT,
	SCHEMA_PARTIAL,
	SCHEMA_AGGREGATE,
	SCHEMA_RAW,
	SCHEMA_COUNT
};
struct schema_text {
	const char *topic_suffix; /* "bronze_events": the subject is <prefix><suffix>-value */
	const char *record_name;  /* "funnel.BronzeEvent"; for JSON Schema its title */
	const char *text;
	bool is_json_schema;
};
extern const struct schema_text schema_texts[SCHEMA_COUNT];

#endif
