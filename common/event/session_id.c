/* Only one form of a UUID counts as one, because different keys are different sessions: the same
 * UUID in upper case is another key. A key in any other form cannot have the id of a UUID, except
 * by a collision of MD5. */
#include "event/session_id.h"

#include <md5.h>

#include "event/event_id.h"

/* Of the 36 characters of a UUID, only upper-case letters lack bit 0x20. */
static bool is_lower_case(struct span uuid)
{
	static const size_t words[] = {0, 8, 16, 24, 28};
	uint64_t all = UINT64_MAX, word;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		memcpy(&word, uuid.at + words[i], sizeof(word));
		all &= word;
	}
	return (all & UINT64_C(0x2020202020202020)) == UINT64_C(0x2020202020202020);
}

bool session_id(struct span key, uint8_t id[SESSION_ID_BYTES])
{
	MD5_CTX context;

	if (event_id_parse(key, id) && is_lower_case(key))
		return true;
	MD5Init(&context);
	MD5Update(&context, (const uint8_t *)key.at, key.len);
	MD5Final(id, &context);
	return false;
}
