import java.lang.management.ManagementFactory;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import javax.management.MBeanServer;
import javax.management.ObjectName;

/**
 * What the programs of all peers do in the same way. They take their settings from the environment.
 * They print the CPU time of the process when it has read the first record of the raw topic and
 * half of its records, and "done" when all results are committed. Then they wait for SIGTERM.
 */
final class Peer {
    static final String BROKERS = setting("KAFKA_BROKERS");
    static final String RAW_TOPIC = setting("RAW_TOPIC");
    static final String OUTPUT_TOPIC = setting("OUTPUT_TOPIC");
    static final String GROUP = setting("GROUP");
    static final String STATE_DIR = setting("STATE_DIR");
    /** Number of records in the raw topic. */
    static final long RECORDS = Long.parseLong(setting("RECORDS"));
    /** Of these, the events; the others are control records of the producer, without a value. */
    static final long EVENTS = Long.parseLong(setting("EVENTS"));
    /** As funnel-aggregator commits while many records wait. */
    static final int COMMIT_INTERVAL_MS = 1000;
    static final int POLL_MS = 20;

    private Peer() {}

    static String setting(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            System.err.println("missing setting " + name);
            System.exit(64);
        }
        return value;
    }

    static double cpuSeconds() {
        var os = (com.sun.management.OperatingSystemMXBean)
            ManagementFactory.getOperatingSystemMXBean();
        return os.getProcessCpuTime() / 1e9;
    }

    static void say(String what) {
        System.out.printf("%s %.2f%n", what, cpuSeconds());
        System.out.flush();
    }

    /** Sum over all consumers of the process, by the metrics that Kafka's client always has. */
    static long recordsRead(MBeanServer server) {
        long sum = 0;
        try {
            ObjectName consumers = new ObjectName("kafka.consumer:"
                + "type=consumer-fetch-manager-metrics,client-id=*,topic=" + RAW_TOPIC);
            for (ObjectName consumer : server.queryNames(consumers, null)) {
                Object value = server.getAttribute(consumer, "records-consumed-total");
                sum += ((Double) value).longValue();
            }
        } catch (javax.management.JMException e) {
            return 0; // a consumer that has just been closed or opened
        }
        return sum;
    }

    /** Waits until the process has read this number of records. */
    static void awaitRead(long records) throws InterruptedException {
        MBeanServer server = ManagementFactory.getPlatformMBeanServer();
        while (recordsRead(server) < records) {
            Thread.sleep(POLL_MS);
        }
    }

    /** Prints the CPU time at the first record, at half of the records and at all of them. */
    static void watch() {
        Thread watcher = new Thread(() -> {
            try {
                awaitRead(1);
                say("first");
                awaitRead(RECORDS / 2);
                say("half");
                awaitRead(RECORDS);
                say("read");
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }, "peer-watch");
        watcher.setDaemon(true);
        watcher.start();
    }

    /** Waits for SIGTERM, and runs what closes the program. */
    static void awaitEnd(AutoCloseable close) throws InterruptedException {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch closed = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            asked.countDown();
            try {
                closed.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        asked.await();
        try {
            close.close();
        } catch (Exception e) {
            e.printStackTrace();
        }
        closed.countDown();
    }

    /** Settings of consumers. */
    static Properties consumer() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", BROKERS);
        settings.put("isolation.level", "read_committed");
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", "10000");
        settings.put("max.partition.fetch.bytes", "1048576");
        settings.put("check.crcs", "true");
        return settings;
    }

    /** Settings of producers: large compressed batches, as ours. */
    static Properties producer() {
        Properties settings = new Properties();
        settings.put("compression.type", "lz4");
        settings.put("linger.ms", "100");
        settings.put("batch.size", "524288");
        settings.put("buffer.memory", "134217728");
        settings.put("max.request.size", "4194304");
        settings.put("transaction.timeout.ms", "60000");
        return settings;
    }
}
