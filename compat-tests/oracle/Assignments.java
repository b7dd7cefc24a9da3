import java.io.PrintStream;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.apache.rocketmq.broker.processor.QueryAssignmentProcessor;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Prints crates/broker/tests/data/assignments-5.5.0.json: which queues RocketMQ's broker assigns to which client, to pull
 * from and to pop from.
 * <pre>java -cp CLASSES:LIB/* Assignments > crates/broker/tests/data/assignments-5.5.0.json</pre>
 */
public final class Assignments {
    public static void main(String[] args) throws Exception {
        Field field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        // The constructor wants a whole broker; what is asked of it uses nothing of that.
        QueryAssignmentProcessor processor = (QueryAssignmentProcessor)
            ((sun.misc.Unsafe) field.get(null)).allocateInstance(QueryAssignmentProcessor.class);
        Random random = new Random(5_5_0);
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        List<String> cases = new ArrayList<>();
        for (AllocateMessageQueueStrategy strategy : List.of(new AllocateMessageQueueAveragely(), new AllocateMessageQueueAveragelyByCircle())) {
            for (int n = 0; n < 120; n++) {
                int brokers = 1 + random.nextInt(3);
                List<MessageQueue> queues = new ArrayList<>();
                for (int b = 0; b < brokers; b++) {
                    int count = random.nextInt(7);
                    for (int q = 0; q < count; q++) queues.add(new MessageQueue("T", "broker-" + (char) ('a' + b), q));
                }
                List<String> clients = new ArrayList<>();
                int members = 1 + random.nextInt(9);
                for (int c = 0; c < members; c++) clients.add("10.0.0." + (1 + random.nextInt(30)) + "@" + random.nextInt(1000));
                if (n % 10 == 0) clients.add(clients.get(0)); // two connections of one client
                if (n % 7 == 0) clients.addAll(List.of("\uffee@1", "\ud83d\ude00@1")); // Java compares UTF-16
                Collections.shuffle(queues, random);
                Collections.shuffle(clients, random);
                Integer share = n % 2 == 0 ? null : Integer.valueOf(random.nextInt(8) - 1);
                cases.add(one(processor, strategy, queues, clients, share));
            }
        }
        out.println("[\n" + String.join(",\n", cases) + "\n]");
    }

    private static String one(QueryAssignmentProcessor processor, AllocateMessageQueueStrategy strategy, List<MessageQueue> queues,
        List<String> clients, Integer share) {
        List<MessageQueue> sorted = new ArrayList<>(queues);
        List<String> members = new ArrayList<>(clients);
        Collections.sort(sorted);
        Collections.sort(members);
        Set<String> asked = new LinkedHashSet<>(members);
        asked.add("stranger");
        asked.add("");
        List<String> answers = new ArrayList<>();
        for (String client : asked) {
            String answer;
            try {
                List<MessageQueue> allocated = share == null ? strategy.allocate("G", client, sorted, members)
                    : processor.allocate4Pop(strategy, "G", client, sorted, members, share);
                answer = texts(allocated);
            } catch (IllegalArgumentException e) {
                answer = "null";
            }
            answers.add(quoted(client) + ":" + answer);
        }
        List<String> names = new ArrayList<>();
        clients.forEach(c -> names.add(quoted(c)));
        return "{\"strategy\":\"" + strategy.getName() + "\",\"share\":" + share + ",\"queues\":" + texts(queues) + ",\"clients\":["
            + String.join(",", names) + "],\"assigned\":{" + String.join(",", answers) + "}}";
    }

    private static String texts(List<MessageQueue> queues) {
        List<String> texts = new ArrayList<>();
        queues.forEach(q -> texts.add(quoted(q.getBrokerName() + ":" + q.getQueueId())));
        return "[" + String.join(",", texts) + "]";
    }

    private static String quoted(String text) {
        return "\"" + text + "\"";
    }
}
