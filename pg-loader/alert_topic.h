/* The channel to the topic of alerts: each row of the outbox becomes one record there, exactly
 * once.
 *
 * A transactional producer of its own writes the records; its transactional id is one per topic
 * set. A crash between its commit and the mark in PostgreSQL leaves rows that are sent and not
 * marked. So before its first transaction, a channel reads the topic and leaves out rows whose
 * record is there. The producer is initialised before: that ends the transaction of a sender
 * before this one, so what is read is complete. */
#ifndef FUNNEL_ALERT_TOPIC_H
#define FUNNEL_ALERT_TOPIC_H

#include "alert_sender.h"
#include "kafka/kafka_conf.h"
#include "registry/registry.h"
#include "wire/records_alert.h"

/* Borrows both. To prepare, it registers the schema of alerts. */
struct alert_channel alert_topic_channel(const struct kafka_config *config,
                                         struct registry *registry);

/* A row of the query of this channel. Texts borrow from rows. */
struct alert alert_of_row(const PGresult *rows, int row);

#endif
