/* The group coordinator: members and generations (eager rebalances, strategy range), and committed
 * offsets with their log __consumer_offsets.
 *
 * A client asks with groups_poll what happens to its member. The coordinator expels a member whose
 * process is dead or frozen for the session time-out. */
#ifndef SIM_GROUPS_H
#define SIM_GROUPS_H

#include "sim/cluster.h"
#include "sim/transactions.h"

#define GROUP_ASSIGNED_MAX 32
#define GROUP_SESSION_US   INT64_C(10000000)

struct member_assignment {
	struct {
		char topic[64];
		int32_t partition;
	} at[GROUP_ASSIGNED_MAX];
	size_t count;
};

enum member_event {
	MEMBER_NOTHING,
	MEMBER_REVOKE,   /* a rebalance has begun: give up the partitions, then groups_rejoin */
	MEMBER_EXPELLED, /* the member does not exist any more: the partitions are lost */
	MEMBER_ASSIGN,   /* *assignment is set */
};

void groups_begin(void);

/* ---- members */

/* Joins; id gets the member's new name. process: whose heartbeats keep it. */
void groups_join(const char *group, const char *client_id, int process, uint32_t life,
                 const char *const *topics, size_t topic_count, char id[64]);
/* generation: that of the client's assignment; -1: none yet. */
enum member_event groups_poll(const char *group, const char *id, int32_t *generation,
                              struct member_assignment *assignment);
/* The member has given up its partitions, and joins the next generation. */
void groups_rejoin(const char *group, const char *id);
void groups_leave(const char *group, const char *id);
/* From now on the member sends no heartbeats. */
void groups_silence(const char *group, const char *id);
/* Begins a rebalance, as an operator or a metadata change does. NULL: of all groups. */
void groups_rebalance(const char *group);

/* The members of a process lose their sessions: others get their partitions at once. Returns how
 * many others there are. */
size_t groups_expel(int process, uint32_t life);

/* ---- offsets */

void groups_handle(const struct request *request, struct response *response);
/* The offsets that the coordinator returns; offset -1: none. UNSTABLE_OFFSET_COMMIT: a transaction
 * is pending. */
rd_kafka_resp_err_t groups_offset(const char *group, const char *topic, int32_t partition,
                                  struct sim_offset *offset);
/* The offset in the coordinator's log; -1: none. */
int64_t groups_logged_offset(const char *group, const char *topic, int32_t partition);
/* A marker was written to a log of __consumer_offsets. */
void groups_marked(const struct txn *txn, bool commit);
/* The pending offsets of a producer for the oracle. Returns their number; *group: of these. */
size_t groups_pending(int64_t pid, const struct sim_offset **offsets, const char **group);
/* The coordinator returns the offsets before the last commit, or none. Its log stays right. */
void groups_forget(bool all);
/* An operator moves the offsets back by one commit, or deletes them all. Moves only those whose
 * last counted row shows it. */
void groups_move_offsets(bool all);
/* Removes the offsets of a deleted topic. */
void groups_drop_topic(const char *topic);

#endif
