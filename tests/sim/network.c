/* A request that is late keeps its bytes, and is handled at its time, whatever its client does
 * meanwhile. So it can be handled after the same request that the client has sent again. */
#include "sim/network.h"

#include <stdio.h>

#include "sim/choice.h"
#include "sim/process.h"
#include "sim/rd_client.h"
#include "sim/story.h"

#define LATENCY_US   300
#define STEP_US      400
#define NO_ANSWER_US 20000

enum request_fault {
	FAULT_NONE,
	FAULT_LOST,
	FAULT_ANSWER_LOST,
	FAULT_LATE,     /* handled later; the client gets no answer */
	FAULT_DOUBLE,   /* handled now, and once more later; the client gets no answer */
	FAULT_OUTLIVES, /* handled later; the call times out meanwhile */
	FAULT_COUNT
};
enum crash_moment { CRASH_NOT, CRASH_BEFORE, CRASH_AFTER, CRASH_LATE, CRASH_COUNT };

static void travel(int actor)
{
	process_sleep(LATENCY_US + (int64_t)choose(CHOICE_LATENCY, actor, 32) * STEP_US);
}

static void crash(const char *what, const char *when)
{
	char why[96];

	snprintf(why, sizeof(why), "crash %s %s", when, what);
	process_kill(process_current(), why);
}

static void handle_late(void *context)
{
	struct request *request = context;
	struct response response;
	char text[256];

	if (cluster_is_down())
		return;
	cluster_handle(request, &response);
	request_describe(request, text, sizeof(text));
	story("late request arrives: %s of %s: %s", text, request->transactional_id,
	      rd_kafka_err2name(response.code));
}

/* Milliseconds to two minutes. */
static int64_t delay_us(int actor)
{
	uint32_t choice = choose(CHOICE_LATENCY, actor, 64);

	return INT64_C(1000) << (choice / 4);
}

static void send_late(const struct request *request, int64_t us)
{
	int before = sim_enter();

	timer_at(sim_now_us() + us, handle_late, request_copy(request));
	sim_leave(before);
}

static void handle(const struct request *request, struct response *response)
{
	int before = sim_enter();

	cluster_handle(request_copy(request), response);
	sim_leave(before);
}

static rd_kafka_resp_err_t error_instead(const struct request *request, uint32_t choice)
{
	if (request->kind == REQUEST_PRODUCE)
		return choice == 1 ? RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
		                   : RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
	if (request->kind == REQUEST_TXN_OFFSET_COMMIT)
		return choice == 1 ? RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS
		                   : RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
	return choice == 1 ? RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS
	                   : RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

static rd_kafka_resp_err_t missing_right(enum request_kind kind)
{
	switch (kind) {
	case REQUEST_PRODUCE:
	case REQUEST_ADD_PARTITIONS: return RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	case REQUEST_ADD_OFFSETS:
	case REQUEST_TXN_OFFSET_COMMIT: return RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
	case REQUEST_INIT_PRODUCER_ID:
	case REQUEST_END_TXN: break;
	}
	return RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

/* The process stops here for seconds. Others may take over meanwhile. */
static void freeze(int actor, const char *what)
{
	uint32_t seconds = choose(CHOICE_FREEZE, actor, 40);

	if (!seconds)
		return;
	story("frozen at %s", what);
	process_freeze(process_current(), (int64_t)seconds * 1000000);
	process_sleep((int64_t)seconds * 1000000);
}

bool network_read(const char *what)
{
	int actor = process_current()->actor;
	uint32_t fault = choose(CHOICE_REQUEST, actor, FAULT_COUNT);

	if (choose(CHOICE_CRASH, actor, CRASH_COUNT))
		crash(what, "at");
	travel(actor);
	if (fault)
		story("no answer to %s", what);
	if (!fault && !cluster_is_down())
		return true;
	process_sleep(NO_ANSWER_US);
	return false;
}

static const char *fault_text(enum request_fault fault)
{
	switch (fault) {
	case FAULT_NONE: return "answered";
	case FAULT_LOST: return "the request is lost";
	case FAULT_ANSWER_LOST: return "the answer is lost";
	case FAULT_LATE: return "the request is late, the client gets no answer";
	case FAULT_OUTLIVES: return "the request is late, and its call times out";
	case FAULT_DOUBLE: return "the request is handled, and once more later";
	case FAULT_COUNT: break;
	}
	return "?";
}

/* Returns whether the client gets the answer. */
static bool carry(const struct request *request, struct response *response,
                  enum request_fault fault, int actor)
{
	uint32_t error = choose(CHOICE_ANSWER_ERROR, actor, 4);
	char text[512];

	if (fault != FAULT_NONE || story_is_shown())
		request_describe(request, text, sizeof(text));
	if (error && error < 3)
		response->code = error_instead(request, error);
	else if (rd_right_is_missing(request_name(request->kind)))
		response->code = missing_right(request->kind);
	else if (fault == FAULT_NONE || fault == FAULT_ANSWER_LOST || fault == FAULT_DOUBLE ||
	         (fault == FAULT_OUTLIVES && request->kind == REQUEST_PRODUCE))
		handle(request, response);
	/* The broker fails after it has handled the request. The client gives up the transaction. */
	if (error == 3 && !response->code && request->kind != REQUEST_PRODUCE &&
	    request->kind != REQUEST_INIT_PRODUCER_ID)
		response->code = RD_KAFKA_RESP_ERR_UNKNOWN;
	response->outlives = fault == FAULT_OUTLIVES;
	if (fault == FAULT_LATE || fault == FAULT_DOUBLE || fault == FAULT_OUTLIVES)
		send_late(request, delay_us(actor));
	if (fault != FAULT_NONE || story_is_shown())
		story("%s: %s%s%s", text, fault_text(fault), fault ? "" : " ",
		      fault ? "" : rd_kafka_err2name(response->code));
	return fault == FAULT_NONE;
}

bool network_write(const struct request *request, struct response *response)
{
	int actor = process_current()->actor;
	enum request_fault fault = (enum request_fault)choose(CHOICE_REQUEST, actor, FAULT_COUNT);
	enum crash_moment moment = (enum crash_moment)choose(CHOICE_CRASH, actor, CRASH_COUNT);
	const char *name = request_name(request->kind);
	bool answered;

	travel(actor);
	freeze(actor, name);
	if (moment == CRASH_BEFORE)
		crash(name, "before");
	if (moment == CRASH_LATE) {
		send_late(request, delay_us(actor));
		crash(name, "after it has sent (and it arrives late)");
	}
	*response = (struct response){.code = RD_KAFKA_RESP_ERR_NO_ERROR};
	if (cluster_is_down()) {
		process_sleep(NO_ANSWER_US);
		return false;
	}
	answered = carry(request, response, fault, actor);
	if (moment == CRASH_AFTER)
		crash(name, "after");
	travel(actor);
	if (!answered)
		process_sleep(NO_ANSWER_US);
	return answered;
}
