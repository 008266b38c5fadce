/* Commits of a consumer. The loader copies its offsets to the group for dashboards, and nothing
 * reads them: they are not kept. */
#include "sim/rd_client.h"

rd_kafka_resp_err_t rd_kafka_commit(rd_kafka_t *client,
                                    const rd_kafka_topic_partition_list_t *offsets, int async)
{
	(void)client, (void)offsets, (void)async;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}
