import java.time.Duration;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/** The rollup in the DSL of Kafka Streams: group by category, one-minute windows, aggregate. */
final class StreamsDsl {
    private StreamsDsl() {}

    static StreamsBuilder topology() {
        StreamsBuilder builder = new StreamsBuilder();
        Serde<byte[]> bytes = Serdes.ByteArray();
        Serde<Counts> counts = Serdes.serdeFrom((topic, c) -> c == null ? null : c.pack(),
            (topic, packed) -> packed == null ? null : Counts.unpack(packed));
        Duration size = Duration.ofMillis(Counts.WINDOW_MS);
        Duration grace = Duration.ofMillis(Settings.GRACE_MS);

        builder.stream(Peer.RAW_TOPIC, Consumed.with(bytes, EventSerde.json())
                .withTimestampExtractor(new EventSerde.EventTime()))
            .groupBy((key, event) -> event.category,
                Grouped.with("by-category", Serdes.String(), EventSerde.packed()))
            .windowedBy(TimeWindows.ofSizeAndGrace(size, grace))
            .aggregate(Counts::new, (category, event, sum) -> sum.add(event.type, event.cents),
                Materialized.<String, Counts>as(
                        Stores.inMemoryWindowStore("counts", size.plus(grace), size, false))
                    .withKeySerde(Serdes.String())
                    .withValueSerde(counts)
                    .withCachingEnabled())
            .toStream()
            .map((window, sum) -> KeyValue.pair(
                Counts.key(window.window().start(), window.key()), sum.text()))
            .to(Peer.OUTPUT_TOPIC, Produced.with(bytes, bytes));
        return builder;
    }

    public static void main(String[] args) throws InterruptedException {
        var settings = Settings.streams();
        KafkaStreams streams = new KafkaStreams(topology().build(settings), settings);
        Peer.watch();
        streams.start();
        Peer.awaitEnd(() -> Settings.close(streams));
    }
}
