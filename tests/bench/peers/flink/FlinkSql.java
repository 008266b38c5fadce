import java.util.concurrent.ExecutionException;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * The rollup in Flink SQL, on a cluster inside the process. The job reads the raw topic up to the
 * end that it has at the start, so it ends by itself, with a last checkpoint.
 */
final class FlinkSql {
    /** As the producer's --disorder 5s. */
    private static final String DISORDER = "5";

    private FlinkSql() {}

    private static Configuration settings() {
        Configuration settings = new Configuration();
        settings.setString("execution.checkpointing.interval", Peer.COMMIT_INTERVAL_MS + " ms");
        settings.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
        settings.setString("execution.checkpointing.dir", "file://" + Peer.STATE_DIR);
        settings.setString("state.backend.type", "hashmap");
        settings.setString("parallelism.default", "1");
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("table.local-time-zone", "UTC");
        settings.setString("table.exec.mini-batch.enabled", "true");
        settings.setString("table.exec.mini-batch.allow-latency", "1 s");
        settings.setString("table.exec.mini-batch.size", "20000");
        settings.setString("table.optimizer.agg-phase-strategy", "TWO_PHASE");
        settings.setString("taskmanager.memory.managed.size", "128m");
        settings.setString("taskmanager.memory.network.min", "64m");
        settings.setString("taskmanager.memory.network.max", "64m");
        return settings;
    }

    private static String with(String... pairs) {
        StringBuilder text = new StringBuilder(" WITH ('connector' = 'kafka',"
            + " 'properties.bootstrap.servers' = '" + Peer.BROKERS + "'");
        for (int i = 0; i < pairs.length; i += 2) {
            text.append(", '").append(pairs[i]).append("' = '").append(pairs[i + 1]).append("'");
        }
        return text.append(")").toString();
    }

    private static String source() {
        StringBuilder consumer = new StringBuilder();
        Peer.consumer().forEach((name, value) -> {
            if (!name.equals("bootstrap.servers") && !name.equals("auto.offset.reset")) {
                consumer.append(", 'properties.").append(name).append("' = '").append(value)
                    .append("'");
            }
        });
        String with = with("topic", Peer.RAW_TOPIC, "properties.group.id", Peer.GROUP,
            "scan.startup.mode", "earliest-offset", "scan.bounded.mode", "latest-offset",
            "format", "json", "json.timestamp-format.standard", "SQL",
            "json.fail-on-missing-field", "false",
            "properties.register.consumer.metrics", "false");
        return "CREATE TABLE events (event_time STRING, event_type STRING, category_code STRING,"
            + " price DECIMAL(20, 2), moment AS TO_TIMESTAMP(SUBSTRING(event_time, 1, 19)),"
            + " WATERMARK FOR moment AS moment - INTERVAL '" + DISORDER + "' SECOND)"
            + with.substring(0, with.length() - 1) + consumer + ")";
    }

    private static String sink() {
        StringBuilder producer = new StringBuilder();
        Peer.producer().forEach((name, value) ->
            producer.append(", 'properties.").append(name).append("' = '").append(value)
                .append("'"));
        String with = with("topic", Peer.OUTPUT_TOPIC, "key.format", "raw", "key.fields", "k",
            "value.format", "raw", "value.fields-include", "EXCEPT_KEY",
            "sink.delivery-guarantee", "exactly-once",
            "sink.transactional-id-prefix", Peer.GROUP);
        return "CREATE TABLE output (k STRING, v STRING)"
            + with.substring(0, with.length() - 1) + producer + ")";
    }

    private static String query() {
        return "INSERT INTO output SELECT"
            + " CONCAT(CAST(1000 * UNIX_TIMESTAMP(CAST(window_start AS STRING)) AS STRING), '|',"
            + "   category),"
            + " CONCAT_WS('|', CAST(n_view AS STRING), CAST(n_cart AS STRING),"
            + "   CAST(n_remove AS STRING), CAST(n_purchase AS STRING),"
            + "   CAST(CAST(revenue * 100 AS BIGINT) AS STRING))"
            + " FROM (SELECT window_start, category,"
            + "   COUNT(*) FILTER (WHERE event_type = 'view') AS n_view,"
            + "   COUNT(*) FILTER (WHERE event_type = 'cart') AS n_cart,"
            + "   COUNT(*) FILTER (WHERE event_type = 'remove_from_cart') AS n_remove,"
            + "   COUNT(*) FILTER (WHERE event_type = 'purchase') AS n_purchase,"
            + "   COALESCE(SUM(price) FILTER (WHERE event_type = 'purchase'), 0) AS revenue"
            + "  FROM TABLE(TUMBLE(TABLE rows_of_events, DESCRIPTOR(moment),"
            + "   INTERVAL '1' MINUTE))"
            + "  GROUP BY window_start, window_end, category)";
    }

    public static void main(String[] args) throws InterruptedException, ExecutionException {
        StreamTableEnvironment tables = StreamTableEnvironment.create(
            StreamExecutionEnvironment.getExecutionEnvironment(settings()));
        Peer.watch();
        tables.executeSql(source());
        tables.executeSql("CREATE TEMPORARY VIEW rows_of_events AS"
            + " SELECT moment, event_type, price,"
            + " COALESCE(category_code, 'unknown') AS category FROM events");
        tables.executeSql(sink());
        if (System.getenv("EXPLAIN") != null) {
            System.out.println(tables.explainSql(query()));
        }
        tables.executeSql(query()).await();
        Peer.say("done");
        Peer.awaitEnd(() -> {});
    }
}
