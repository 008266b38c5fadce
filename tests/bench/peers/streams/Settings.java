import java.util.Properties;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.LogAndFailExceptionHandler;

/** Settings of both programs on Kafka Streams. */
final class Settings {
    private static final int CACHE_BYTES = 256 << 20;

    /**
     * Windows take events for this time after their end. The tasks that count have one clock for
     * all raw partitions, and these are read unevenly: a fetch of 1 MiB of compressed records has
     * about half a day of event time. With a day, and fetches of 4 MiB, events were dropped.
     */
    static final long GRACE_MS = 7 * 86_400_000L;

    private Settings() {}

    static Properties streams() {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, Peer.GROUP);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, Peer.BROKERS);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Peer.STATE_DIR);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Peer.COMMIT_INTERVAL_MS);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        settings.put(StreamsConfig.METRICS_RECORDING_LEVEL_CONFIG, "INFO");
        settings.put(StreamsConfig.DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG,
            LogAndFailExceptionHandler.class);
        Peer.consumer().forEach((name, value) ->
            settings.putIfAbsent(StreamsConfig.consumerPrefix((String) name), value));
        Peer.producer().forEach((name, value) ->
            settings.put(StreamsConfig.producerPrefix((String) name), value));
        return settings;
    }

    /** Leaves the group, which Streams does not do by default, so that the group can be deleted. */
    static void close(KafkaStreams streams) {
        streams.close(CloseOptions.groupMembershipOperation(
            CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
    }
}
