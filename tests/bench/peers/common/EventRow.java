import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.Serializable;
import java.math.BigDecimal;

/** All fields of a raw event, as a row of a table. Values are not validated. */
final class EventRow implements Serializable {
    private static final JsonFactory JSON = new JsonFactory();
    private static final long serialVersionUID = 1;

    /** Milliseconds since 1970. */
    long time;
    String type;
    long product;
    String category;
    String brand;
    BigDecimal price;
    long user;
    String session;
    /** Where the raw record is; set by the reader. */
    int partition;
    long offset;

    static EventRow parse(byte[] json) throws IOException {
        EventRow row = new EventRow();
        try (JsonParser parser = JSON.createParser(json)) {
            parser.nextToken();
            for (String name; (name = parser.nextFieldName()) != null;) {
                if (parser.nextToken() != JsonToken.VALUE_NULL) {
                    row.set(name, parser);
                }
            }
        }
        return row;
    }

    private void set(String name, JsonParser parser) throws IOException {
        switch (name) {
            case "event_time" -> time = Event.time(parser);
            case "event_type" -> type = parser.getText();
            case "product_id" -> product = parser.getLongValue();
            case "category_code" -> category = parser.getText();
            case "brand" -> brand = parser.getText();
            case "price" -> price = parser.getDecimalValue().setScale(2);
            case "user_id" -> user = parser.getLongValue();
            case "user_session" -> session = parser.getText();
            default -> parser.skipChildren();
        }
    }
}
