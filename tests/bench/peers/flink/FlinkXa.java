import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Timestamp;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.jdbc.JdbcExactlyOnceOptions;
import org.apache.flink.connector.jdbc.JdbcExecutionOptions;
import org.apache.flink.connector.jdbc.core.datastream.sink.JdbcSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.postgresql.xa.PGXADataSource;

/**
 * Loads the raw topic into a table with Flink's JDBC sink, exactly once by XA transactions: a
 * transaction is prepared with each checkpoint and committed after it. After a crash, the program
 * continues from the newest checkpoint in STATE_DIR.
 */
final class FlinkXa {
    private static final String INSERT = "INSERT INTO " + Peer.OUTPUT_TOPIC + " (event_time,"
        + " event_type, product_id, category_code, brand, price, user_id, user_session,"
        + " raw_partition, raw_offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

    private FlinkXa() {}

    /** The newest checkpoint that is complete. */
    private static Optional<Path> checkpoint() throws IOException {
        try (Stream<Path> files = Files.walk(Path.of(Peer.STATE_DIR))) {
            return files.filter(file -> file.endsWith("_metadata"))
                .max(Comparator.comparing(file -> file.toFile().lastModified()))
                .map(Path::getParent);
        }
    }

    private static Configuration settings() throws IOException {
        Configuration settings = new Configuration();
        settings.setString("execution.checkpointing.interval", Peer.COMMIT_INTERVAL_MS + " ms");
        settings.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
        settings.setString("execution.checkpointing.dir", "file://" + Peer.STATE_DIR);
        settings.setString("execution.checkpointing.externalized-checkpoint-retention",
            "RETAIN_ON_CANCELLATION");
        settings.setString("state.backend.type", "hashmap");
        settings.setString("parallelism.default", "1");
        settings.setString("pipeline.object-reuse", "true");
        checkpoint().ifPresent(path -> {
            System.out.println("restores " + path);
            settings.setString("execution.state-recovery.path", "file://" + path);
        });
        return settings;
    }

    private static final class Rows implements KafkaRecordDeserializationSchema<EventRow> {
        private static final long serialVersionUID = 1;

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<EventRow> out)
            throws IOException {
            if (record.value() != null) { // else a control record of the producer
                EventRow row = EventRow.parse(record.value());
                row.partition = record.partition();
                row.offset = record.offset();
                out.collect(row);
            }
        }

        @Override
        public TypeInformation<EventRow> getProducedType() {
            return TypeInformation.of(EventRow.class);
        }
    }

    private static KafkaSource<EventRow> source() {
        return KafkaSource.<EventRow>builder()
            .setTopics(Peer.RAW_TOPIC)
            .setGroupId(Peer.GROUP)
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setDeserializer(new Rows())
            .setProperties(Peer.consumer())
            .build();
    }

    private static JdbcSink<EventRow> sink() {
        String url = Peer.setting("JDBC_URL");
        String user = Peer.setting("JDBC_USER");
        String password = Peer.setting("JDBC_PASSWORD");
        return JdbcSink.<EventRow>builder()
            .withQueryStatement(INSERT, (statement, row) -> {
                statement.setTimestamp(1, new Timestamp(row.time));
                statement.setString(2, row.type);
                statement.setLong(3, row.product);
                statement.setString(4, row.category);
                statement.setString(5, row.brand);
                statement.setBigDecimal(6, row.price);
                statement.setLong(7, row.user);
                statement.setString(8, row.session);
                statement.setInt(9, row.partition);
                statement.setLong(10, row.offset);
            })
            .withExecutionOptions(JdbcExecutionOptions.builder()
                .withBatchSize(5000).withBatchIntervalMs(0).withMaxRetries(0).build())
            .buildExactlyOnce(JdbcExactlyOnceOptions.builder().withTransactionPerConnection(true)
                .build(), () -> {
                    PGXADataSource database = new PGXADataSource();
                    database.setUrl(url);
                    database.setUser(user);
                    database.setPassword(password);
                    return database;
                });
    }

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment flink =
            StreamExecutionEnvironment.getExecutionEnvironment(settings());
        flink.fromSource(source(), WatermarkStrategy.noWatermarks(), "raw").sinkTo(sink());
        // Until SIGTERM. After a restore, the job does not end at the end of a bounded source.
        flink.execute();
    }
}
