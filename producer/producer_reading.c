/* The settings were checked when they were read. So a failure here means that a file has changed
 * since. */
#include "producer_reading.h"

#include <stdint.h>

#include "event/event_values.h"
#include "mapping.h"
#include "options.h"
#include "row_reader.h"
#include "service/log.h"
#include "text_encoding.h"

bool producer_open_format(struct producer *p, struct err *err)
{
	const struct producer_config *config = p->config;

	p->format = row_format_default;
	if (!text_encoding_is_utf8(config->encoding))
		p->format.encoding = config->encoding;
	p->format.columns = config->columns;
	if (!delimiter_read(config->delimiter, &p->format.delimiter, err) ||
	    !null_words_read(config->null_words, &p->null_words, err))
		return false;
	p->form.null_words = &p->null_words;
	if (!config->mapping[0])
		return true;
	p->format.mapping = mapping_new(config->mapping, err);
	return p->format.mapping != NULL;
}

void producer_close_format(struct producer *p)
{
	mapping_free(p->format.mapping);
	p->format.mapping = NULL;
}

void producer_log_left_out(const struct producer *p)
{
	const char *type;
	int64_t rows;

	for (size_t i = 0; p->format.mapping && mapping_skipped(p->format.mapping, i, &type, &rows);
	     i++)
		log_info("rows_left_out", log_str("event_type", type), log_int("rows", rows),
		         log_str("detail", "MAPPING says to skip this type"));
}
