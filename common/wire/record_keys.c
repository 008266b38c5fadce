/* Keys are texts that people can read:
 *
 *   1m:all|2019-10-01T00:00:00Z|2019-10-01T00:01:00Z|all
 *
 * A group or session may contain a '|'. It is the last part, or the part before a time, which does
 * not contain a '|'. So two records never have the same key. */
#include "wire/record_keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/timetext.h"

/* A text over its limit is a bug. It ends the process: two records could have the same cut key. */
static char *put(char *at, const char *end, struct span text)
{
	if (text.len >= (size_t)(end - at)) {
		fputs("event=bug reason=record_key_too_long\n", stderr);
		abort();
	}
	if (text.len > 0)
		memcpy(at, text.at, text.len);
	at[text.len] = '\0';
	return at + text.len;
}

static char *put_time(char *at, const char *end, int64_t time_us)
{
	char text[32];
	size_t len = time_format_iso(time_us, text);

	return put(at, end, (struct span){text, len});
}

size_t aggregate_key(struct span rollup, int64_t start_us, int64_t end_us, struct span group,
                     char out[RECORD_KEY_MAX])
{
	const char *end = out + RECORD_KEY_MAX;
	char *at = put(out, end, rollup);

	at = put(at, end, SPAN("|"));
	at = put_time(at, end, start_us);
	at = put(at, end, SPAN("|"));
	at = put_time(at, end, end_us);
	at = put(at, end, SPAN("|"));
	at = put(at, end, group);
	return (size_t)(at - out);
}

size_t visit_key(struct span user_session, int64_t start_us, char out[RECORD_KEY_MAX])
{
	const char *end = out + RECORD_KEY_MAX;
	char *at = put(out, end, user_session);

	at = put(at, end, SPAN("|"));
	at = put_time(at, end, start_us);
	return (size_t)(at - out);
}
