/* Watches the end of one assigned partition. Reports held records, which an open transaction
 * holds back, in the log, in metrics and in /readyz. stream/partition_end.h decides. */
#ifndef FUNNEL_PARTITION_WATCH_H
#define FUNNEL_PARTITION_WATCH_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#include "service/metrics.h"
#include "stream/partition_end.h"

struct partition_watch {
	struct partition_end end;
	const char *topic; /* borrowed */
	int32_t partition;
	struct metric *held_seconds, *held_records;
};

void partition_watch_init(struct partition_watch *watch, const char *topic, int32_t partition);
/* The partition is not assigned any more: sets its metrics to 0. */
void partition_watch_stop(struct partition_watch *watch);

/* Call several times a second; makes no request. limit_us: report held records after this time.
 * Returns the high watermark of the consumer's last fetch; -1: not known yet. */
int64_t partition_watch_look(struct partition_watch *watch, rd_kafka_t *consumer, int64_t limit_us);

/* Appends a line if held records were reported. If text was empty (len 0), a second line says
 * what to do. Returns the new length, which may exceed cap. */
size_t partition_watch_text(const struct partition_watch *watch, char *text, size_t len,
                            size_t cap);

#endif
