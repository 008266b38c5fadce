#include "base/utf8.h"

#include <stdint.h>

/* The length of the well-formed character at p (The Unicode Standard, table 3-7); 0: p does not
 * begin with one. */
static size_t utf8_character(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (len > left || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

size_t utf8_valid_length(struct span text)
{
	const unsigned char *p = (const unsigned char *)text.at;
	size_t i = 0;

	while (i < text.len) {
		uint64_t eight;
		size_t step;

		if (text.len - i >= 8 &&
		    (memcpy(&eight, p + i, 8), (eight & UINT64_C(0x8080808080808080)) == 0)) {
			i += 8;
			continue;
		}
		step = utf8_character(p + i, text.len - i);
		if (step == 0)
			break;
		i += step;
	}
	return i;
}
