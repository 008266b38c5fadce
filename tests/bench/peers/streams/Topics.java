import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * Prepares a run: deletes all topics and groups with a prefix, except one topic. Creates topics.
 *
 * <pre>Topics BROKERS PREFIX KEPT_TOPIC PARTITIONS [TOPIC...]</pre>
 */
final class Topics {
    private Topics() {}

    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", args[0]))) {
            deleteGroups(admin, args[1]);
            deleteTopics(admin, args[1], args[2]);
            List<NewTopic> topics = new ArrayList<>();
            for (int i = 4; i < args.length; i++) {
                topics.add(new NewTopic(args[i], Integer.parseInt(args[3]), (short) 1));
            }
            admin.createTopics(topics).all().get();
        }
    }

    private static void deleteGroups(Admin admin, String prefix) throws Exception {
        List<String> groups = new ArrayList<>();
        for (GroupListing group : admin.listGroups().all().get()) {
            if (group.groupId().startsWith(prefix)) {
                groups.add(group.groupId());
            }
        }
        admin.deleteConsumerGroups(groups).all().get();
    }

    private static void deleteTopics(Admin admin, String prefix, String kept) throws Exception {
        Set<String> topics = admin.listTopics().names().get();
        topics.removeIf(name -> !name.startsWith(prefix) || name.equals(kept));
        admin.deleteTopics(topics).all().get();
        while (true) {
            Set<String> left = admin.listTopics().names().get();
            left.retainAll(topics);
            if (left.isEmpty()) {
                return;
            }
            Thread.sleep(100);
        }
    }
}
