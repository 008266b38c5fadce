import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** The measures of one window and category. */
final class Counts implements Serializable {
    private static final long serialVersionUID = 1;
    static final int SIZE = 5 * Long.BYTES;
    static final long WINDOW_MS = 60_000;

    long views;
    long carts;
    long removes;
    long purchases;
    long cents;

    Counts add(byte type, long price) {
        switch (type) {
            case Event.VIEW -> views++;
            case Event.CART -> carts++;
            case Event.REMOVE -> removes++;
            default -> {
                purchases++;
                cents += price;
            }
        }
        return this;
    }

    Counts add(Counts other) {
        views += other.views;
        carts += other.carts;
        removes += other.removes;
        purchases += other.purchases;
        cents += other.cents;
        return this;
    }

    byte[] pack() {
        return ByteBuffer.allocate(SIZE).putLong(views).putLong(carts).putLong(removes)
            .putLong(purchases).putLong(cents).array();
    }

    static Counts unpack(byte[] bytes) {
        ByteBuffer at = ByteBuffer.wrap(bytes);
        Counts counts = new Counts();
        counts.views = at.getLong();
        counts.carts = at.getLong();
        counts.removes = at.getLong();
        counts.purchases = at.getLong();
        counts.cents = at.getLong();
        return counts;
    }

    /** Key of the output topic: start of the window in milliseconds, a bar, the category. */
    static byte[] key(long window, String category) {
        return (window + "|" + category).getBytes(StandardCharsets.UTF_8);
    }

    /** Value of the output topic: the measures with bars between them, the revenue in cents. */
    byte[] text() {
        return (views + "|" + carts + "|" + removes + "|" + purchases + "|" + cents)
            .getBytes(StandardCharsets.UTF_8);
    }
}
