import com.hazelcast.config.Config;
import com.hazelcast.core.Hazelcast;
import com.hazelcast.core.HazelcastInstance;
import com.hazelcast.function.ToLongFunctionEx;
import com.hazelcast.jet.Job;
import com.hazelcast.jet.aggregate.AggregateOperation;
import com.hazelcast.jet.aggregate.AggregateOperation1;
import com.hazelcast.jet.config.JobConfig;
import com.hazelcast.jet.config.ProcessingGuarantee;
import com.hazelcast.jet.core.JobStatus;
import com.hazelcast.jet.datamodel.KeyedWindowResult;
import com.hazelcast.jet.kafka.KafkaSinks;
import com.hazelcast.jet.kafka.KafkaSources;
import com.hazelcast.jet.pipeline.Pipeline;
import com.hazelcast.jet.pipeline.WindowDefinition;
import java.util.Properties;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The rollup in Hazelcast Jet, on one member inside the process. Its source of Kafka has no end. So
 * windows that the last watermark has not closed are sent as early results.
 */
final class Jet {
    /** As the producer's --disorder 5s. */
    private static final long DISORDER_MS = 5000;

    private Jet() {}

    private static Properties kafka(Properties settings) {
        settings.put("bootstrap.servers", Peer.BROKERS);
        return settings;
    }

    private static Properties consumer() {
        Properties settings = kafka(Peer.consumer());
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("group.id", Peer.GROUP);
        return settings;
    }

    private static Properties producer() {
        Properties settings = kafka(Peer.producer());
        settings.put("key.serializer", ByteArraySerializer.class.getName());
        settings.put("value.serializer", ByteArraySerializer.class.getName());
        return settings;
    }

    private static AggregateOperation1<Event, Counts, Counts> count() {
        return AggregateOperation.withCreate(Counts::new)
            .<Event>andAccumulate((sum, event) -> sum.add(event.type, event.cents))
            .andCombine((sum, other) -> sum.add(other))
            .andExport(sum -> new Counts().add(sum))
            .andFinish(sum -> sum);
    }

    private static Pipeline pipeline() {
        Pipeline pipeline = Pipeline.create();
        String output = Peer.OUTPUT_TOPIC;
        ToLongFunctionEx<Event> time = event -> event.time;

        pipeline.readFrom(KafkaSources.<byte[], byte[], Event>kafka(consumer(),
                record -> record.value() == null ? null : Event.parse(record.value()),
                Peer.RAW_TOPIC))
            .withTimestamps(time, DISORDER_MS)
            .groupingKey(event -> event.category)
            .window(WindowDefinition.tumbling(Counts.WINDOW_MS)
                .setEarlyResultsPeriod(Peer.COMMIT_INTERVAL_MS))
            .aggregate(count())
            .writeTo(KafkaSinks.<KeyedWindowResult<String, Counts>>kafka(producer())
                .<byte[], byte[]>toRecordFn(result -> new ProducerRecord<>(output,
                    Counts.key(result.start(), result.key()), result.result().text()))
                .exactlyOnce(true)
                .build());
        return pipeline;
    }

    private static HazelcastInstance member() {
        Config config = new Config();
        config.getJetConfig().setEnabled(true).setCooperativeThreadCount(1);
        config.getNetworkConfig().getJoin().getAutoDetectionConfig().setEnabled(false);
        config.getNetworkConfig().getJoin().getMulticastConfig().setEnabled(false);
        config.getNetworkConfig().getInterfaces().setEnabled(true).addInterface("127.0.0.1");
        config.setProperty("hazelcast.phone.home.enabled", "false");
        config.setProperty("hazelcast.logging.type", "slf4j");
        config.setProperty("hazelcast.socket.bind.any", "false");
        config.setProperty("hazelcast.shutdownhook.enabled", "false");
        return Hazelcast.newHazelcastInstance(config);
    }

    public static void main(String[] args) throws InterruptedException {
        HazelcastInstance member = member();
        Peer.watch();
        Job job = member.getJet().newJob(pipeline(), new JobConfig().setName(Peer.GROUP)
            .setProcessingGuarantee(ProcessingGuarantee.EXACTLY_ONCE)
            .setSnapshotIntervalMillis(Peer.COMMIT_INTERVAL_MS));
        Peer.awaitRead(Peer.RECORDS);
        // Two periods, so that the early results of the last records are sent. If that is too
        // short, the comparison of the rows fails.
        Thread.sleep(2 * Peer.COMMIT_INTERVAL_MS);
        // With a last snapshot, which commits the results.
        job.suspend();
        while (job.getStatus() != JobStatus.SUSPENDED) {
            Thread.sleep(Peer.POLL_MS);
        }
        Peer.say("done");
        Peer.awaitEnd(member::shutdown);
    }
}
