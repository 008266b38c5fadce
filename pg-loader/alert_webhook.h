/* The channel to a webhook: each row of the outbox is posted as JSON until the server has accepted
 * it (a status from 200 to 299). So it gets each opening and closing at least once. A row that is
 * not accepted within a day is given up: logged as an error, counted, and not sent any more. A row
 * that is older than a day when the webhook is first set is left out, and not logged.
 *
 *   POST <ALERT_WEBHOOK_URL>
 *   Content-Type: application/json
 *   Idempotency-Key: <alert_id>            of an opening; <alert_id>-closed of a closing
 *   X-Funnel-Timestamp: <seconds since 1970>
 *   X-Funnel-Signature: sha256=<hex>       with a secret: HMAC-SHA256 of <timestamp>.<body>
 *
 * Redirects are not followed. A refusal or no answer within 10 s is retried after 1 s, then after
 * twice the time, up to 10 minutes, with jitter. Other rows do not wait for it, except the closing
 * of the same alert. */
#ifndef FUNNEL_ALERT_WEBHOOK_H
#define FUNNEL_ALERT_WEBHOOK_H

#include "alert_sender.h"

/* Whether this is a URL of http or https. ERR_INPUT; the message does not quote it. */
MUST_USE bool alert_webhook_url_check(const char *url, struct err *err);
/* Borrows both. secret "": requests are not signed. */
struct alert_channel alert_webhook_channel(const char *url, const char *secret);

#endif
