/* Whether a reader is catching up, and so how long its transactions may last. A transaction has
 * costs of its own: markers in each partition, offsets, and one aggregate per changed key. While
 * many records wait, longer transactions divide these costs among more records. Without this, a
 * slow broker would get more and smaller transactions, and become slower still. Pure. */
#ifndef FUNNEL_CATCH_UP_H
#define FUNNEL_CATCH_UP_H

#include <stdbool.h>
#include <stdint.h>

/* With fewer records to read, a reader is near the log end. */
#ifndef CATCH_UP_RECORDS
#define CATCH_UP_RECORDS 5000
#endif
#define CATCH_UP_FACTOR   10
#define COLLECTING_MAX_US INT64_C(1000000)

/* Of one partition. folded: input records of this transaction so far. readable: records in the log
 * after them. True: at this speed, these need more than CATCH_UP_FACTOR times as long as the
 * transaction has lasted. So a longer transaction makes no record of the partition later by more
 * than a tenth of the time that it waits anyway. */
bool catching_up(int64_t folded, int64_t readable);

/* How long a transaction may collect records to divide its costs among more of them:
 * COLLECTING_MAX_US, but at most a quarter of the time after which the brokers abort it. */
int64_t longest_collecting_us(int64_t timeout_us);

/* Longest time from the first uncommitted record to the commit. interval_us: the setting.
 * timeout_us: as above. */
int64_t commit_interval_us(int64_t interval_us, int64_t timeout_us, bool catching_up);

#endif
