/* Decodes the frames of records: turns the value of a record into a body of the schema of this
 * program. */
#ifndef FUNNEL_TAIL_DECODE_H
#define FUNNEL_TAIL_DECODE_H

#include "base/err.h"
#include "registry/registry.h"
#include "stream/record.h"
#include "wire/topics.h"

struct tail_decode;

/* Borrows topic_prefix and the texts of config. NULL: invalid URLs. */
struct tail_decode *tail_decode_new(const struct registry_config *config, const char *topic_prefix,
                                    struct err *err);
void tail_decode_free(struct tail_decode *decode);

/* Sets body, refused and detail of the record; they are valid until the next call. ERR_RETRY: the
 * registry does not answer; the message names SCHEMA_REGISTRY_URL. */
MUST_USE bool tail_decode_record(struct tail_decode *decode, enum topic_id topic,
                                 struct input_record *record, struct err *err);

#endif
