/* Errors: a class, which says what to do, and a message, which says why.
 *
 * Fallible functions return bool and take `struct err *` last. The class is the
 * action, and only the outermost loop acts on it: nothing below it exits or logs. */
#ifndef FUNNEL_ERR_H
#define FUNNEL_ERR_H

#include <stdbool.h>

enum err_class {
	ERR_NONE,   /* no error */
	ERR_INPUT,  /* this input is bad: dead-letter it and go on */
	ERR_RETRY,  /* the world is not ready: back off and make the same call again */
	ERR_ABORT,  /* the open transaction is lost: send the same batch again in another */
	/* Another instance has moved our offsets: drop the batch, read the offsets again and
	 * continue from there. Where that is not possible: exit 75, as for ERR_ABORT. */
	ERR_CONFLICT,
	ERR_FENCED, /* this client is finished (another instance took over, or its state is fatal): touch nothing, exit 75 */
	ERR_OPERATOR, /* going on would make numbers wrong: explain, exit 78 */
	ERR_FATAL,    /* cannot go on: exit non-zero */
};

struct err {
	enum err_class class;
	char message[1024];
};

/* What an ERR_OPERATOR advises where the log no longer fits what was computed from it. */
#define ERR_ADVICE_FRESH_SET                                                                      \
	"to continue, process into a fresh set: another TOPIC_PREFIX and another database, then " \
	"switch (deploy/README.md, 'When a service refuses to start')"

#define MUST_USE __attribute__((warn_unused_result))

/* Fills err (which may be NULL) and returns false, so that failing is one line. */
bool err_set(struct err *err, enum err_class class, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message already in err; keeps its class; returns false. */
bool err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *err_class_name(enum err_class class);

#endif
