/* Errors are values on the caller's stack. A message that does not fit is cut. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

bool err_set(struct err *err, enum err_class class, const char *format, ...)
{
	va_list args;

	if (!err)
		return false;
	err->class = class;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return false;
}

bool err_prefix(struct err *err, const char *format, ...)
{
	char context[256], old[sizeof(err->message)];
	va_list args;

	if (!err)
		return false;
	va_start(args, format);
	vsnprintf(context, sizeof(context), format, args);
	va_end(args);
	snprintf(old, sizeof(old), "%s", err->message);
	snprintf(err->message, sizeof(err->message), "%s: %.*s", context,
	         (int)(sizeof(old) - sizeof(context) - 2), old);
	return false;
}

const char *err_class_name(enum err_class class)
{
	switch (class) {
	case ERR_NONE: return "none";
	case ERR_INPUT: return "input";
	case ERR_RETRY: return "retry";
	case ERR_ABORT: return "abort";
	case ERR_CONFLICT: return "conflict";
	case ERR_FENCED: return "fenced";
	case ERR_OPERATOR: return "operator";
	case ERR_FATAL: return "fatal";
	case ERR_REFUSED: return "refused";
	}
	return "unknown";
}
