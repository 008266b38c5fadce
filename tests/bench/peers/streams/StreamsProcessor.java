import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.AutoOffsetReset;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The rollup by hand, on the Processor API. A task of a raw partition sends each event to the task
 * of its category, in nine bytes. That task counts in a map of objects and writes every change
 * through to a window store; the store's cache makes one record of its changelog per key and commit
 * of them. Changed counts are sent once a second.
 */
final class StreamsProcessor {
    private static final String BETWEEN = Peer.GROUP + "-by-category";
    private static final Duration EMIT_INTERVAL = Duration.ofMillis(Peer.COMMIT_INTERVAL_MS);

    private StreamsProcessor() {}

    /** The key of what it sends is the category. */
    private static final class ByCategory implements Processor<byte[], Event, String, Event> {
        private ProcessorContext<String, Event> context;

        @Override
        public void init(ProcessorContext<String, Event> context) {
            this.context = context;
        }

        @Override
        public void process(Record<byte[], Event> record) {
            context.forward(new Record<>(record.value().category, record.value(),
                record.value().time));
        }
    }

    /** Events whose counts were sent, of all tasks. */
    private static final AtomicLong SENT = new AtomicLong();

    private static final class Count implements Processor<String, Event, byte[], byte[]> {
        private record Key(long window, String category) {}

        private final Map<Key, Counts> open = new HashMap<>();
        private final Set<Key> changed = new HashSet<>();
        private ProcessorContext<byte[], byte[]> context;
        private WindowStore<String, byte[]> store;
        private long clock;
        private long unsent;

        /** After a crash, it is not known which of the stored counts were sent; all are sent. */
        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            store = context.getStateStore("counts");
            try (KeyValueIterator<Windowed<String>, byte[]> all = store.all()) {
                while (all.hasNext()) {
                    KeyValue<Windowed<String>, byte[]> entry = all.next();
                    Key key = new Key(entry.key.window().start(), entry.key.key());
                    open.put(key, Counts.unpack(entry.value));
                    changed.add(key);
                    clock = Math.max(clock, key.window);
                }
            }
            context.schedule(EMIT_INTERVAL, PunctuationType.WALL_CLOCK_TIME, now -> emit());
        }

        @Override
        public void process(Record<String, Event> record) {
            long window = record.timestamp() - record.timestamp() % Counts.WINDOW_MS;
            if (window < clock - Settings.GRACE_MS) {
                throw new IllegalStateException("an event is later than the grace");
            }
            Key key = new Key(window, record.key());
            Counts counts = open.computeIfAbsent(key, absent -> new Counts());
            counts.add(record.value().type, record.value().cents);
            store.put(key.category, counts.pack(), window);
            changed.add(key);
            unsent++;
            clock = Math.max(clock, window);
        }

        private void emit() {
            for (Key key : changed) {
                context.forward(new Record<>(Counts.key(key.window, key.category),
                    open.get(key).text(), key.window));
            }
            changed.clear();
            SENT.addAndGet(unsent);
            unsent = 0;
            // The store drops these by its retention.
            open.keySet().removeIf(key -> key.window < clock - Settings.GRACE_MS);
        }
    }

    static Topology topology() {
        Topology topology = new Topology();
        Serde<byte[]> bytes = Serdes.ByteArray();
        Serde<String> text = Serdes.String();
        Duration size = Duration.ofMillis(Counts.WINDOW_MS);
        Duration retention = size.plusMillis(Settings.GRACE_MS);

        topology.addSource(AutoOffsetReset.earliest(), "raw", new EventSerde.EventTime(),
            bytes.deserializer(), EventSerde.json().deserializer(), Peer.RAW_TOPIC);
        topology.addProcessor("parse", ByCategory::new, "raw");
        topology.addSink("by-category", BETWEEN, text.serializer(),
            EventSerde.packed().serializer(), "parse");
        topology.addSource("events", text.deserializer(), EventSerde.packed().deserializer(),
            BETWEEN);
        topology.addProcessor("count", Count::new, "events");
        topology.addStateStore(Stores.windowStoreBuilder(
            Stores.inMemoryWindowStore("counts", retention, size, false), text, bytes)
            .withCachingEnabled(), "count");
        topology.addSink("output", Peer.OUTPUT_TOPIC, bytes.serializer(), bytes.serializer(),
            "count");
        return topology;
    }

    private static double commits(KafkaStreams streams) {
        return streams.metrics().entrySet().stream()
            .filter(metric -> metric.getKey().name().equals("commit-total")
                && metric.getKey().group().equals("stream-thread-metrics"))
            .mapToDouble(metric -> (Double) metric.getValue().metricValue()).sum();
    }

    public static void main(String[] args) throws InterruptedException {
        KafkaStreams streams = new KafkaStreams(topology(), Settings.streams());
        Peer.watch();
        streams.start();
        while (SENT.get() < Peer.EVENTS) {
            Thread.sleep(Peer.POLL_MS);
        }
        // The timer makes a commit necessary once a second, so there is always a next one.
        double commits = commits(streams);
        while (commits(streams) == commits) {
            Thread.sleep(Peer.POLL_MS);
        }
        Peer.say("done");
        Peer.awaitEnd(() -> Settings.close(streams));
    }
}
