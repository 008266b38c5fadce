/* Errors: a class, which is the action to take, and a message, which is the cause.
 *
 * Fallible functions return bool and take `struct err *` last. Only the outermost loop acts on the
 * class. The functions below it neither exit nor log. */
#ifndef FUNNEL_ERR_H
#define FUNNEL_ERR_H

#include <stdbool.h>

enum err_class {
	ERR_NONE,  /* no error */
	ERR_INPUT, /* the input is invalid: send it to the dead letter and continue */
	ERR_RETRY, /* another system is not available: wait and make the same call again */
	ERR_ABORT, /* the open transaction is lost: send the same batch in a new transaction */
	/* Another instance has moved our offsets: drop the batch, read the offsets again and
	 * continue from there. If that is not possible: exit 75. */
	ERR_CONFLICT,
	/* Another instance has taken over, this client has failed, or the log begins after the
	 * position: exit 75, and the next start decides. */
	ERR_FENCED,
	ERR_OPERATOR, /* numbers would become wrong, so an operator has to act: exit 78 */
	ERR_FATAL,    /* cannot continue: exit non-zero */
	ERR_REFUSED,  /* the work is done, and too much of its input was refused: exit 65 */
};

struct err {
	enum err_class class;
	char message[1024];
};

/* The advice of an ERR_OPERATOR if the log does not fit the state that was computed from it. */
#define ERR_ADVICE_FRESH_SET                                                                      \
	"to continue, process into a fresh set: another TOPIC_PREFIX and another database, then " \
	"switch (deploy/README.md, 'When a service refuses to start')"

#define MUST_USE __attribute__((warn_unused_result))

/* Sets err (may be NULL) and returns false, so that `return err_set(...)` is the error path. */
bool err_set(struct err *err, enum err_class class, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message of err and keeps its class. Returns false. */
bool err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *err_class_name(enum err_class class);

#endif
