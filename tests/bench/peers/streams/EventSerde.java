import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.TimestampExtractor;

/** Forms of an event: JSON in the raw topic, nine bytes on the way to the task of its category. */
final class EventSerde {
    private EventSerde() {}

    static Serde<Event> json() {
        return Serdes.serdeFrom((topic, event) -> {
            throw new SerializationException("the raw topic is only read");
        }, (topic, bytes) -> {
            try {
                return bytes == null ? null : Event.parse(bytes);
            } catch (IOException e) {
                throw new SerializationException(e);
            }
        });
    }

    /** Type and price. The time is that of the record, the category is its key. */
    static Serde<Event> packed() {
        return Serdes.serdeFrom(
            (topic, event) -> ByteBuffer.allocate(1 + Long.BYTES).put(event.type)
                .putLong(event.cents).array(),
            (topic, bytes) -> {
                ByteBuffer at = ByteBuffer.wrap(bytes);
                Event event = new Event();
                event.type = at.get();
                event.cents = at.getLong();
                return event;
            });
    }

    /** The producer's control records have no value; Streams skips a record without a time. */
    static final class EventTime implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return record.value() instanceof Event event ? event.time : -1;
        }
    }
}
