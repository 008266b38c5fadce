/* The schemas of our topics, as the programs register them. The texts are generated from
 * schemas/. */
#ifndef FUNNEL_SCHEMAS_H
#define FUNNEL_SCHEMAS_H

#include <stdbool.h>

enum schema_kind {
	SCHEMA_BRONZE,
	SCHEMA_LATE,
	SCHEMA_COUNTS,
	SCHEMA_VISIT,
	SCHEMA_PARTIAL,
	SCHEMA_AGGREGATE,
	SCHEMA_CART,
	SCHEMA_ALERT,
	SCHEMA_RAW,
	SCHEMA_COUNT
};
struct schema_text {
	const char *topic_suffix; /* "bronze_events": the subject is <prefix><suffix>-value */
	const char *record_name;  /* "funnel.BronzeEvent"; for JSON Schema its title */
	const char *text;         /* as registered, byte for byte */
	bool is_json_schema;
};
extern const struct schema_text schema_texts[SCHEMA_COUNT];

#endif
