/* The codec of Alert. Fields are in the order of schemas/alerts.avsc. Numbers are texts, as they
 * come from PostgreSQL's numeric: a double would not be exact, and a decimal has one scale. */
#include "wire/records_alert.h"

#include "wire/avro_io.h"
#include "wire/frame.h"

#define ALERT_FIELDS 17

static size_t text_bytes(const struct alert *alert)
{
	return alert->alert_id.len + alert->state.len + alert->rule.len + alert->metric.len +
	       alert->subject.len + alert->compared_with.len + alert->direction.len +
	       alert->bound.len + alert->limit_value.len + alert->value.len +
	       alert->value_before.len + alert->volume.len + alert->closed_value.len +
	       alert->closed_by.len;
}

void alert_encode(struct buffer *out, int32_t schema_id, const struct alert *alert)
{
	char *at;

	buffer_reserve(out,
	               FRAME_BYTES + 2 * ALERT_FIELDS * AVRO_LONG_MAX_BYTES + text_bytes(alert));
	at = avro_put_frame(out->at + out->len, schema_id);
	at = avro_put_text(at, alert->alert_id);
	at = avro_put_text(at, alert->state);
	at = avro_put_text(at, alert->rule);
	at = avro_put_text(at, alert->metric);
	at = avro_put_optional_text(at, alert->subject);
	at = avro_put_text(at, alert->compared_with);
	at = avro_put_text(at, alert->direction);
	at = avro_put_text(at, alert->bound);
	at = avro_put_text(at, alert->limit_value);
	at = avro_put_text(at, alert->value);
	at = avro_put_optional_text(at, alert->value_before);
	at = avro_put_optional_text(at, alert->volume);
	at = avro_put_long(at, alert->met_since_us);
	at = avro_put_long(at, alert->opened_at_us);
	at = avro_put_optional_long(at, alert->is_closed, alert->closed_at_us);
	at = avro_put_optional_text(at, alert->closed_value);
	at = avro_put_optional_text(at, alert->closed_by);
	out->len = (size_t)(at - out->at);
}

bool alert_decode(struct span body, struct alert *alert, const char **why)
{
	struct avro_in in = avro_in_of(body);

	alert->alert_id = avro_take_text(&in, AVRO_TEXT_MAX, "alert_id");
	alert->state = avro_take_text(&in, AVRO_TEXT_MAX, "state");
	alert->rule = avro_take_text(&in, AVRO_TEXT_MAX, "rule");
	alert->metric = avro_take_text(&in, AVRO_TEXT_MAX, "metric");
	alert->subject = avro_take_optional_text(&in, AVRO_TEXT_MAX, "subject");
	alert->compared_with = avro_take_text(&in, AVRO_TEXT_MAX, "compared_with");
	alert->direction = avro_take_text(&in, AVRO_TEXT_MAX, "direction");
	alert->bound = avro_take_text(&in, AVRO_TEXT_MAX, "bound");
	alert->limit_value = avro_take_text(&in, AVRO_TEXT_MAX, "limit_value");
	alert->value = avro_take_text(&in, AVRO_TEXT_MAX, "value");
	alert->value_before = avro_take_optional_text(&in, AVRO_TEXT_MAX, "value_before");
	alert->volume = avro_take_optional_text(&in, AVRO_TEXT_MAX, "volume");
	alert->met_since_us = avro_take_time_us(&in, "met_since");
	alert->opened_at_us = avro_take_time_us(&in, "opened_at");
	alert->is_closed = avro_take_present(&in, "closed_at");
	alert->closed_at_us = alert->is_closed ? avro_take_time_us(&in, "closed_at") : 0;
	alert->closed_value = avro_take_optional_text(&in, AVRO_TEXT_MAX, "closed_value");
	alert->closed_by = avro_take_optional_text(&in, AVRO_TEXT_MAX, "closed_by");
	return avro_in_finish(&in, why);
}
