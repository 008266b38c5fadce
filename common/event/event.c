/* Look-ups that all parts of the pipeline share: names of events and fields, the key of a session,
 * the levels of a category. */
#include "event/event.h"

#include "event/event_fields.h"

const char *const event_field_names[EVENT_FIELD_COUNT] = {
#define EVENT_FIELD_NAME(id, name, form) name,
	EVENT_FIELD_TABLE(EVENT_FIELD_NAME)
#undef EVENT_FIELD_NAME
};

const char *event_type_name(enum event_type type)
{
	switch (type) {
	case EVENT_VIEW: return "view";
	case EVENT_CART: return "cart";
	case EVENT_REMOVE_FROM_CART: return "remove_from_cart";
	case EVENT_CHECKOUT: return "checkout";
	case EVENT_PURCHASE: return "purchase";
	case EVENT_TYPE_COUNT: break;
	}
	return "unknown";
}

bool event_type_parse(struct span text, enum event_type *type)
{
	for (int i = 0; i < EVENT_TYPE_COUNT; i++) {
		if (span_is(text, event_type_name((enum event_type)i))) {
			*type = (enum event_type)i;
			return true;
		}
	}
	return false;
}

struct span event_session_key(const struct event *event, char buffer[32])
{
	char digits[20]; /* an int64_t has at most 19, without its sign */
	size_t count = 0, len = 5;
	bool is_pseudonym = event->user_id < 0;
	uint64_t rest = is_pseudonym ? 0 - (uint64_t)event->user_id : (uint64_t)event->user_id;

	if (event->user_session.at)
		return event->user_session;
	do
		digits[count++] = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	memcpy(buffer, "user:", 5);
	if (is_pseudonym)
		buffer[len++] = '-';
	while (count > 0)
		buffer[len++] = digits[--count];
	buffer[len] = '\0';
	return (struct span){buffer, len};
}

struct span event_category_level(struct span category_code, int level)
{
	const char *at = category_code.at, *end, *dot;

	if (!at || level < 1)
		return SPAN_NULL;
	end = at + category_code.len;
	dot = memchr(at, '.', category_code.len);
	for (; level > 1; level--) {
		if (!dot)
			return SPAN_NULL;
		at = dot + 1;
		dot = memchr(at, '.', (size_t)(end - at));
	}
	if (!dot)
		dot = end;
	return dot == at ? SPAN_NULL : (struct span){at, (size_t)(dot - at)};
}
