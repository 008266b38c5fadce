import java.io.IOException;
import java.util.Map;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Raw events as structs. The JSON of the raw topic has no schema, and the sink needs one; Connect's
 * own converter would want the schema in every record.
 */
public final class RawEvents implements Converter {
    private static final Schema SCHEMA = SchemaBuilder.struct().name("event")
        .field("event_time", Timestamp.SCHEMA)
        .field("event_type", Schema.STRING_SCHEMA)
        .field("product_id", Schema.INT64_SCHEMA)
        .field("category_code", Schema.OPTIONAL_STRING_SCHEMA)
        .field("brand", Schema.OPTIONAL_STRING_SCHEMA)
        .field("price", Decimal.builder(2).optional().build())
        .field("user_id", Schema.INT64_SCHEMA)
        .field("user_session", Schema.OPTIONAL_STRING_SCHEMA)
        .build();

    @Override
    public void configure(Map<String, ?> settings, boolean isKey) {
        // It has no settings.
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        throw new DataException("the raw topic is only read");
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] json) {
        if (json == null) { // a control record of the producer
            return SchemaAndValue.NULL;
        }
        try {
            EventRow row = EventRow.parse(json);
            return new SchemaAndValue(SCHEMA, new Struct(SCHEMA)
                .put("event_time", new java.util.Date(row.time))
                .put("event_type", row.type)
                .put("product_id", row.product)
                .put("category_code", row.category)
                .put("brand", row.brand)
                .put("price", row.price)
                .put("user_id", row.user)
                .put("user_session", row.session));
        } catch (IOException e) {
            throw new DataException(e);
        }
    }
}
