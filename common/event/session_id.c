/* Only one form of a UUID counts as one, because different keys are different sessions: the same
 * UUID in upper case is another key. A key in any other form cannot have the id of a UUID, except
 * by a collision of MD5. */
#include "event/session_id.h"

#include <md5.h>

#include "event/event_id.h"

static bool has_upper_case(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] >= 'A' && text.at[i] <= 'Z')
			return true;
	return false;
}

void session_id(struct span key, uint8_t id[SESSION_ID_BYTES])
{
	MD5_CTX context;

	if (event_id_parse(key, id) && !has_upper_case(key))
		return;
	MD5Init(&context);
	MD5Update(&context, (const uint8_t *)key.at, key.len);
	MD5Final(id, &context);
}
