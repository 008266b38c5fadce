#define _GNU_SOURCE
#include "sim/pg_poison.h"

#include <string.h>

bool pg_is_poison(enum target target, struct span tuple, const char *word)
{
	size_t len = strlen(word), always = strlen(PG_POISON_ALWAYS);
	const char *end = tuple.at + tuple.len, *at = memmem(tuple.at, tuple.len, word, len);

	if (!at)
		return false;
	at += len;
	return target != TARGET_DEAD_LETTERS ||
	       ((size_t)(end - at) >= always && memcmp(at, PG_POISON_ALWAYS, always) == 0);
}
