#include "service/config_pair.h"

bool config_is_set(const char *value)
{
	return value && *value;
}

bool config_pair_check(const char *name, const char *value, const char *other_name,
                       const char *other, struct err *err)
{
	bool first = config_is_set(value);

	return first == config_is_set(other) ||
	       err_set(err, ERR_INPUT, "%s is set, but %s is not: expected both",
	               first ? name : other_name, first ? other_name : name);
}
