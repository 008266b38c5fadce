/* Numbers are big-endian. The length of a text has two bytes; from value version 4 on it is a
 * varint of length + 1. The tagged fields at the end of version 4 are not read. */
#include "wire/group_offsets.h"

struct in {
	const unsigned char *at;
	size_t left;
	bool bad;
};

static uint64_t take_number(struct in *in, size_t bytes)
{
	uint64_t number = 0;

	if (in->left < bytes) {
		in->bad = true;
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		number = number << 8 | in->at[i];
	in->at += bytes;
	in->left -= bytes;
	return number;
}

static uint64_t take_varint(struct in *in)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 35 && !in->bad; shift += 7) {
		uint64_t byte = take_number(in, 1);

		number |= (byte & 0x7f) << shift;
		if (byte < 0x80)
			return number;
	}
	in->bad = true;
	return 0;
}

static struct span take_bytes(struct in *in, uint64_t len)
{
	struct span text = {(const char *)in->at, (size_t)len};

	if (len > in->left) {
		in->bad = true;
		return (struct span){0};
	}
	in->at += len;
	in->left -= len;
	return text;
}

static struct span take_text(struct in *in)
{
	return take_bytes(in, take_number(in, 2));
}

static struct span take_compact_text(struct in *in)
{
	uint64_t len = take_varint(in);

	in->bad |= len == 0; /* null is not allowed here */
	return take_bytes(in, in->bad ? 0 : len - 1);
}

bool group_offset_read(struct span key, struct span value, struct group_offset *out)
{
	struct in in = {(const unsigned char *)key.at, key.at ? key.len : 0, false};
	uint64_t version = take_number(&in, 2);

	if (version > 1)
		return false;
	out->group = take_text(&in);
	out->topic = take_text(&in);
	out->partition = (int32_t)take_number(&in, 4);
	out->offset = -1;
	out->metadata = (struct span){0};
	if (in.bad || !value.at)
		return !in.bad;
	in = (struct in){(const unsigned char *)value.at, value.len, false};
	version = take_number(&in, 2);
	out->offset = (int64_t)take_number(&in, 8);
	if (version >= 3)
		take_number(&in, 4); /* leader epoch */
	out->metadata = version >= 4 ? take_compact_text(&in) : take_text(&in);
	return !in.bad && version <= 4;
}

int32_t group_offsets_partition(struct span group, int32_t partition_count)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < group.len; i++)
		hash = hash * 31 + (unsigned char)group.at[i];
	if (hash == 0x80000000u) /* whose negative is itself */
		return 0;
	if (hash > 0x80000000u)
		hash = -hash;
	return (int32_t)(hash % (uint32_t)partition_count);
}
