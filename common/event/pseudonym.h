/* The pseudonym of a user or session, as mart.pseudonym() in PostgreSQL makes it with the same
 * salt. */
#ifndef FUNNEL_PSEUDONYM_H
#define FUNNEL_PSEUDONYM_H

#include "base/span.h"

#define PSEUDONYM_MAX 21 /* with the NUL */

/* kind: "user" or "session". Who knows the salt can find out who is who by trying ids. */
void pseudonym(const char *salt, const char *kind, struct span id, char out[PSEUDONYM_MAX]);

#endif
