#include "tail_flow.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct tail_counts {
	char *key; /* service, topic and partition */
	int32_t partition;
	bool is_sink;
	struct tail_sums sums;
};

void tail_flow_init(struct tail_flow *flow, int source_count)
{
	*flow = (struct tail_flow){
		.source_count = source_count > TAIL_SOURCES_MAX ? TAIL_SOURCES_MAX : source_count,
	};
	flow->sources = xzalloc(TAIL_SOURCES_MAX, sizeof(*flow->sources));
}

void tail_flow_free(struct tail_flow *flow)
{
	for (size_t i = 0; i < flow->counts_count; i++)
		free(flow->counts[i].key);
	free(flow->sources);
	free(flow->counts);
	*flow = (struct tail_flow){0};
}

void tail_flow_partial(struct tail_flow *flow, const struct partial *partial)
{
	struct tail_source *source;

	if (partial->source_partition >= flow->source_count || partial->watermark_us == INT64_MIN)
		return;
	source = &flow->sources[partial->source_partition];
	if (source->seen && partial->watermark_us < source->watermark_us)
		return;
	*source = (struct tail_source){partial->watermark_us, true, partial->idle};
}

static struct tail_counts *find_counts(struct tail_flow *flow, const struct counts_record *record)
{
	size_t service = record->service.len, len = service + 1 + record->topic.len;
	char *key = xzalloc(1, len + 1);
	struct tail_counts *found = NULL;

	memcpy(key, record->service.at, service);
	key[service] = '|';
	memcpy(key + service + 1, record->topic.at, record->topic.len);
	for (size_t i = 0; i < flow->counts_count && !found; i++)
		if (flow->counts[i].partition == record->partition &&
		    strcmp(flow->counts[i].key, key) == 0)
			found = &flow->counts[i];
	if (found || flow->counts_count == TAIL_COUNTS_MAX) {
		free(key);
		return found;
	}
	GROW(flow->counts, flow->counts_count, flow->counts_capacity);
	found = &flow->counts[flow->counts_count++];
	*found = (struct tail_counts){.key = key,
	                              .partition = record->partition,
	                              .is_sink = span_is(record->service, "bronze-sink")};
	return found;
}

/* The topic is compacted and has one partition: the last record of a key is the newest. */
void tail_flow_counts(struct tail_flow *flow, const struct counts_record *record,
                      int64_t unknown_dead)
{
	struct tail_counts *counts = find_counts(flow, record);
	int64_t dead = unknown_dead;

	if (!counts)
		return;
	for (int i = 0; i < REASON_COUNT; i++)
		dead += record->counts.dead[i];
	counts->sums = (struct tail_sums){record->counts.records_in, record->counts.records_out,
	                                  record->counts.duplicates, dead, record->counts.late};
}

struct tail_sums tail_flow_sums(const struct tail_flow *flow)
{
	struct tail_sums sum = {0};

	for (size_t i = 0; i < flow->counts_count; i++) {
		const struct tail_sums *sums = &flow->counts[i].sums;

		sum.late += sums->late;
		if (!flow->counts[i].is_sink)
			continue;
		sum.records_in += sums->records_in;
		sum.records_out += sums->records_out;
		sum.duplicates += sums->duplicates;
		sum.dead += sums->dead;
	}
	return sum;
}

void tail_flow_sample(struct tail_flow *flow, int64_t now_us)
{
	if (flow->sample_count == TAIL_SAMPLES) {
		memmove(flow->samples, flow->samples + 1,
		        (TAIL_SAMPLES - 1) * sizeof(*flow->samples));
		flow->sample_count--;
	}
	flow->samples[flow->sample_count++] =
		(struct tail_sample){now_us, tail_flow_sums(flow).records_out};
}

int64_t tail_flow_rate(const struct tail_flow *flow)
{
	const struct tail_sample *first = flow->samples, *last = first;

	if (flow->sample_count < 2)
		return -1;
	last += flow->sample_count - 1;
	if (last->time_us <= first->time_us || last->events < first->events)
		return -1;
	return (int64_t)((double)(last->events - first->events) * 1e6 /
	                 (double)(last->time_us - first->time_us));
}

int64_t tail_flow_watermark(const struct tail_flow *flow, int *seen)
{
	int64_t lowest = INT64_MAX, highest = INT64_MIN;

	*seen = 0;
	for (int i = 0; i < flow->source_count; i++) {
		const struct tail_source *source = &flow->sources[i];

		if (!source->seen)
			continue;
		++*seen;
		if (source->watermark_us > highest)
			highest = source->watermark_us;
		if (!source->idle && source->watermark_us < lowest)
			lowest = source->watermark_us;
	}
	return lowest == INT64_MAX ? highest : lowest;
}
