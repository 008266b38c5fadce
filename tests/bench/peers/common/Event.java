import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.Serializable;
import java.time.LocalDate;

/**
 * The fields of a raw event that the rollup needs. The values are not validated as bronze-sink
 * does; an event that cannot be parsed ends the program.
 */
final class Event implements Serializable {
    private static final JsonFactory JSON = new JsonFactory();
    private static final long serialVersionUID = 1;

    static final byte VIEW = 0;
    static final byte CART = 1;
    static final byte REMOVE = 2;
    static final byte PURCHASE = 3;

    /** Milliseconds since 1970. */
    long time;
    String category = "unknown";
    byte type;
    long cents;

    static Event parse(byte[] json) throws IOException {
        Event event = new Event();
        try (JsonParser parser = JSON.createParser(json)) {
            parser.nextToken();
            for (String name; (name = parser.nextFieldName()) != null;) {
                JsonToken token = parser.nextToken();
                switch (name) {
                    case "event_time" -> event.time = time(parser);
                    case "event_type" -> event.type = type(parser.getText());
                    case "price" -> event.cents = cents(parser, token);
                    case "category_code" -> {
                        if (token != JsonToken.VALUE_NULL) {
                            event.category = parser.getText();
                        }
                    }
                    default -> parser.skipChildren();
                }
            }
        }
        return event;
    }

    static byte type(String text) {
        return switch (text) {
            case "view" -> VIEW;
            case "cart" -> CART;
            case "remove_from_cart" -> REMOVE;
            case "purchase" -> PURCHASE;
            default -> throw new IllegalArgumentException("invalid event_type \"" + text + '"');
        };
    }

    /** "2019-10-01 00:00:22 UTC" without a formatter, which would take most of the time. */
    static long time(JsonParser parser) throws IOException {
        char[] text = parser.getTextCharacters();
        int at = parser.getTextOffset();
        int length = parser.getTextLength();
        if (length != 23) {
            throw new IOException("invalid event_time \"" + parser.getText() + '"');
        }
        long day = epochDay(digits(text, at, 4), digits(text, at + 5, 2), digits(text, at + 8, 2));
        return ((day * 24 + digits(text, at + 11, 2)) * 60 + digits(text, at + 14, 2)) * 60_000L
            + digits(text, at + 17, 2) * 1000L;
    }

    /** LocalDate.of is cheap: it has no formatter and the object does not leave this function. */
    private static long epochDay(int year, int month, int day) {
        return LocalDate.of(year, month, day).toEpochDay();
    }

    private static int digits(char[] text, int at, int count) {
        int value = 0;
        for (int i = at; i < at + count; i++) {
            value = value * 10 + text[i] - '0';
        }
        return value;
    }

    /** The price in cents, without rounding. */
    private static long cents(JsonParser parser, JsonToken token) throws IOException {
        if (token == JsonToken.VALUE_NULL) {
            return 0;
        }
        char[] text = parser.getTextCharacters();
        int at = parser.getTextOffset();
        int end = at + parser.getTextLength();
        long value = 0;
        int decimals = -1;
        for (; at < end; at++) {
            if (text[at] == '.' && decimals < 0) {
                decimals = 0;
            } else if (text[at] >= '0' && text[at] <= '9' && decimals < 2) {
                value = value * 10 + text[at] - '0';
                decimals += decimals >= 0 ? 1 : 0;
            } else {
                throw new IOException("invalid price \"" + parser.getText() + '"');
            }
        }
        return decimals < 1 ? value * 100 : decimals == 1 ? value * 10 : value;
    }
}
