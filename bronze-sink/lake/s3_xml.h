/* Reads the XML of S3 servers: elements without attributes, and their text. Pure. */
#ifndef FUNNEL_S3_XML_H
#define FUNNEL_S3_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* The content of the next element <name> in *rest, which then begins after that element. False:
 * there is none, or it does not end. */
bool s3_xml_next(struct span *rest, const char *name, struct span *content);
/* The text of the first element <name> in xml, with its entities decoded. False: there is none, it
 * does not fit, or it has bytes that a text cannot have. */
bool s3_xml_text(struct span xml, const char *name, char *out, size_t cap);

#endif
