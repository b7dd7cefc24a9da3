import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * The producer of transactions that pass from broker to broker, for the runner.
 * <pre>
 * HandOver H:P(namesrv) H:P(broker)
 * </pre>
 * Commands on stdin: {@code leave NAME N} sends N transactions that are committed (c), rolled back (r) and undecided (p);
 * {@code decide REGEX} lets checks settle the undecided ones that match, even numbers by a commit; {@code asked} and
 * {@code visible} print which messages were asked about and can be consumed, and how often.
 */
public final class HandOver {
    private static final String TOPIC = "HandOver";
    private static final Map<String, Integer> ASKED = new ConcurrentHashMap<>();
    private static volatile Pattern decided = Pattern.compile("nothing");

    public static void main(String[] args) {
        try {
            run(args[0], args[1]);
            Runtime.getRuntime().halt(0);
        } catch (Throwable e) {
            e.printStackTrace();
            Runtime.getRuntime().halt(1); // client threads that linger must not keep the process
        }
    }

    private static void run(String namesrv, String broker) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(namesrv);
        admin.start();
        TopicConfig config = new TopicConfig(TOPIC);
        config.setReadQueueNums(1);
        config.setWriteQueueNums(1);
        config.setPerm(6);
        admin.createAndUpdateTopicConfig(broker, config);
        Raw names = new Raw(namesrv);
        while (names.call(105, null, "topic", TOPIC).getCode() != 0) Thread.sleep(50);
        TransactionMQProducer producer = new TransactionMQProducer("hand_over");
        producer.setNamesrvAddr(namesrv);
        producer.setSendMsgTimeout(10_000);
        producer.setRetryTimesWhenSendFailed(0);
        producer.setHeartbeatBrokerInterval(1000);
        producer.setTransactionListener(new Deciding());
        producer.start();
        producer.send(new Message("TBW102", "hello".getBytes(StandardCharsets.UTF_8))); // heartbeats begin with a send
        out.println("@READY");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "leave" -> {
                    for (int i = 0; i < Integer.parseInt(words[2]); i++) {
                        for (String kind : new String[] {"c", "r", "p"}) {
                            Message message = new Message(TOPIC, kind, (kind + words[1] + i).getBytes(StandardCharsets.UTF_8));
                            SendStatus status = producer.sendMessageInTransaction(message, null).getSendStatus();
                            if (status != SendStatus.SEND_OK) throw new IllegalStateException("half message: " + status);
                        }
                    }
                    out.println("@LEFT");
                }
                case "decide" -> {
                    decided = Pattern.compile(words[1]);
                    out.println("@DECIDING");
                }
                case "asked" -> out.println("@ASKED " + show(ASKED));
                case "visible" -> out.println("@VISIBLE " + show(visible(new Raw(broker))));
                default -> throw new IllegalArgumentException(line);
            }
        }
    }

    private static String show(Map<String, Integer> counts) {
        StringBuilder text = new StringBuilder();
        new TreeMap<>(counts).forEach((body, times) -> text.append(body).append(' ').append(times).append(' '));
        return text.toString();
    }

    private static Map<String, Integer> visible(Raw raw) throws Exception {
        Map<String, Integer> bodies = new TreeMap<>();
        long end = Long.parseLong(raw.call(30, null, "topic", TOPIC, "queueId", "0").getExtFields().get("offset"));
        for (long offset = 0; offset < end; ) {
            var pulled = raw.pull("hand_over_reader", TOPIC, 0, offset);
            if (pulled.getCode() != 0) throw new IllegalStateException(Raw.show(pulled));
            for (MessageExt message : MessageDecoder.decodes(ByteBuffer.wrap(pulled.getBody()))) bodies.merge(text(message), 1, Integer::sum);
            offset = Long.parseLong(pulled.getExtFields().get("nextBeginOffset"));
        }
        return bodies;
    }

    private static String text(Message message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    private static final class Deciding implements TransactionListener {
        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            return switch (text(message).charAt(0)) {
                case 'c' -> LocalTransactionState.COMMIT_MESSAGE;
                case 'r' -> LocalTransactionState.ROLLBACK_MESSAGE;
                default -> LocalTransactionState.UNKNOW;
            };
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            String body = text(message);
            ASKED.merge(body, 1, Integer::sum);
            if (!decided.matcher(body).matches()) return LocalTransactionState.UNKNOW;
            boolean even = (body.charAt(body.length() - 1) - '0') % 2 == 0;
            return even ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
        }
    }
}
