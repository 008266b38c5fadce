/* Shared by the fuzz targets: the entry that libFuzzer calls, a check that ends the run, and a
 * reader that cuts an input into small values. The result of an input must not depend on earlier
 * inputs. */
#ifndef FUNNEL_FUZZ_H
#define FUNNEL_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_check(condition)                                                            \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, \
			        #condition);                                             \
			abort();                                                         \
		}                                                                        \
	} while (0)

/* A reader returns zeros and empty spans after the end of the input. */
struct fuzz_reader {
	const char *at;
	size_t left;
};

static inline struct span fuzz_take(struct fuzz_reader *in, size_t len)
{
	struct span bytes = {in->at, len < in->left ? len : in->left};

	in->at += bytes.len;
	in->left -= bytes.len;
	return bytes;
}

static inline uint8_t fuzz_byte(struct fuzz_reader *in)
{
	struct span one = fuzz_take(in, 1);

	return one.len ? (uint8_t)*one.at : 0;
}

static inline int64_t fuzz_int64(struct fuzz_reader *in)
{
	struct span bytes = fuzz_take(in, sizeof(int64_t));
	int64_t value = 0;

	memcpy(&value, bytes.at, bytes.len);
	return value;
}

/* Reads a length of one byte, then that number of bytes. */
static inline struct span fuzz_text(struct fuzz_reader *in)
{
	return fuzz_take(in, fuzz_byte(in));
}

#endif
