#include "base/base64.h"

#include <stdint.h>

void base64_append(struct buffer *out, struct span bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < bytes.len; i += 3) {
		uint32_t three = 0;
		char four[4];

		for (size_t k = 0; k < 3; k++)
			three = three << 8 |
			        (i + k < bytes.len ? (unsigned char)bytes.at[i + k] : 0);
		for (int k = 0; k < 4; k++)
			four[k] = digits[three >> (18 - 6 * k) & 63];
		if (i + 2 >= bytes.len)
			four[3] = '=';
		if (i + 1 >= bytes.len)
			four[2] = '=';
		buffer_append(out, four, sizeof(four));
	}
}
