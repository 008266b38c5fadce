/* The wire format of the schema registry:
 *
 *   byte  0   1   2   3   4   5 ...
 *         00 [schema id, BE ] body
 *
 * Only this form is supported. A first byte of 1 announces a 16-byte GUID, which not every registry
 * issues: such a value is FRAME_UNKNOWN_MAGIC, and not FRAME_TOO_SHORT. */
#include "wire/frame.h"

enum frame_kind frame_parse(struct span value, int32_t *schema_id, struct span *body)
{
	uint32_t id = 0;

	if (!value.at || value.len == 0)
		return FRAME_TOO_SHORT;
	if (value.at[0] != 0)
		return FRAME_UNKNOWN_MAGIC;
	if (value.len < FRAME_BYTES)
		return FRAME_TOO_SHORT;
	for (int i = 1; i < FRAME_BYTES; i++)
		id = id << 8 | (unsigned char)value.at[i];
	*schema_id = (int32_t)id;
	*body = (struct span){value.at + FRAME_BYTES, value.len - FRAME_BYTES};
	return FRAME_ID;
}
