import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * One of everything that a store keeps, for a directory that goes from one make of broker to another.
 * <pre>
 * HandBack H:P(namesrv) H:P(broker) STORE LEDGER NAME LONG_LEVEL
 * </pre>
 * Does what stdin says. `show FILE` writes what the broker shows of its store ({@code Verify}) and answers
 * {@code @SHOWN}. `load` begins to send messages with keys and tags, ordered ones, batches, large and compressed
 * bodies, delayed ones of one second and of level LONG_LEVEL, and half messages that nobody decides; groups consume in both models, one refuses each message once, one refuses until its messages are dead. It
 * answers {@code @GO} when each kind was acknowledged. `stop` answers {@code @SENT n failed m} when the clients have
 * stopped and nothing short waits any more. The ledger gets a line per acknowledged message: kind, topic, queue,
 * queue offset, its own key, SHA-256 of the body.
 */
public final class HandBack {
    private static final String KEYED = "HandBackKeyed";
    private static final String ORDERED = "HandBackOrdered";
    private static final String DELAYED = "HandBackDelayed";
    private static final String BATCHED = "HandBackBatched";
    private static final String LARGE = "HandBackLarge";
    private static final String REFUSED = "HandBackRefused";
    private static final String HALF = "HandBackHalf";
    private static final Map<String, Integer> TOPICS =
        Map.of(KEYED, 4, ORDERED, 2, DELAYED, 2, BATCHED, 2, LARGE, 1, REFUSED, 1, HALF, 1);

    private static final AtomicBoolean STOP = new AtomicBoolean();
    private static final AtomicLong ACKNOWLEDGED = new AtomicLong();
    private static final AtomicLong FAILED = new AtomicLong();
    private static final Map<String, Integer> KINDS = new ConcurrentHashMap<>();

    private static final List<Thread> THREADS = new ArrayList<>();
    private static final List<DefaultMQPushConsumer> CONSUMERS = new ArrayList<>();

    private static String namesrv;
    private static String broker;
    private static int longLevel;
    private static String name;
    private static BufferedWriter ledger;

    public static void main(String[] args) {
        try {
            run(args);
        } catch (Throwable e) {
            e.printStackTrace();
            Runtime.getRuntime().halt(1); // client threads that linger must not keep the process
        }
    }

    private static void run(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        namesrv = args[0];
        broker = args[1];
        ledger = Files.newBufferedWriter(Path.of(args[3]));
        name = args[4];
        longLevel = Integer.parseInt(args[5]);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            if (line.startsWith("show ")) {
                String manifest = Verify.manifest(new String[] {broker, args[2]});
                Files.writeString(Path.of(line.substring(5)), manifest);
                out.println("@SHOWN");
            } else if (line.equals("load")) {
                load();
                out.println("@GO");
            } else if (line.equals("stop")) {
                stop();
                out.println("@SENT " + ACKNOWLEDGED + " failed " + FAILED);
            } else {
                throw new IllegalArgumentException(line);
            }
        }
        Runtime.getRuntime().halt(0);
    }

    private static void load() throws Exception {
        createTopics();
        CONSUMERS.add(consumer("hand_back_clustering", KEYED, false));
        CONSUMERS.add(consumer("hand_back_tag", KEYED, false));
        CONSUMERS.add(consumer("hand_back_broadcasting", KEYED, false));
        CONSUMERS.add(consumer("hand_back_retry", REFUSED, true));
        CONSUMERS.add(consumer("hand_back_dead", REFUSED, true));
        CONSUMERS.get(1).subscribe(KEYED, "t1 || t2");
        Env.broadcasting(CONSUMERS.get(2));
        CONSUMERS.get(4).setMaxReconsumeTimes(0);
        for (DefaultMQPushConsumer consumer : CONSUMERS) consumer.start();

        DefaultMQProducer producer = new DefaultMQProducer("hand_back");
        start(producer, "p");
        TransactionMQProducer undecided = undecided();
        repeat(8, n -> {
            Message message = new Message(KEYED, "t" + n % 4, "all " + name + "-" + n, body(n, 50 + (int) (n % 700)));
            record("keyed", message, producer.send(message));
        });
        repeat(20, n -> {
            Message message = new Message(ORDERED, "", name + "-o" + n, body(n, 100));
            record("ordered", message, producer.send(message, new MessageQueue(ORDERED, Env.BROKER_NAME, (int) (n % 2))));
            Message refused = new Message(REFUSED, "", name + "-r" + n, body(n, 100));
            if (n % 4 == 0) record("refused", refused, producer.send(refused));
        });
        repeat(60, n -> {
            Message message = new Message(DELAYED, "", name + "-d" + n, body(n, 100));
            message.setDelayTimeLevel(n % 2 == 0 ? 1 : longLevel);
            record("delayed", message, producer.send(message));
            List<Message> batch = new ArrayList<>();
            for (int i = 0; i < 5; i++) batch.add(new Message(BATCHED, "b", name + "-b" + n + "-" + i, body(n * 5 + i, 30)));
            SendResult result = producer.send(batch);
            String[] offsets = result.getOffsetMsgId().split(",");
            if (offsets.length != batch.size()) throw new AssertionError(result.toString());
            for (int i = 0; i < batch.size(); i++) line("batched", batch.get(i), result, result.getQueueOffset() + i);
        });
        repeat(150, n -> {
            // Half of the large bodies cannot be compressed.
            Message message = new Message(LARGE, "", name + "-l" + n, n % 2 == 0 ? noise(n, 40_000) : body(n, 60_000));
            record("large", message, producer.send(message));
            Message half = new Message(HALF, "half", name + "-h" + n, body(n, 100));
            record("half", half, undecided.sendMessageInTransaction(half, null));
        });
        for (long begin = System.nanoTime(); KINDS.size() < 7; Thread.sleep(5)) {
            if (System.nanoTime() - begin > 60_000_000_000L) throw new AssertionError("acknowledged so far: " + KINDS);
        }
    }

    private static void stop() throws Exception {
        STOP.set(true);
        for (Thread thread : THREADS) thread.join();
        // Delays of one second end, and the messages refused once are consumed.
        Thread.sleep(2500);
        for (DefaultMQPushConsumer consumer : CONSUMERS) consumer.shutdown();
    }

    private static void createTopics() throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("hand-back-admin");
        admin.start();
        for (var topic : TOPICS.entrySet()) {
            TopicConfig config = new TopicConfig(topic.getKey());
            config.setReadQueueNums(topic.getValue());
            config.setWriteQueueNums(topic.getValue());
            config.setPerm(6);
            admin.createAndUpdateTopicConfig(broker, config);
        }
        admin.shutdown();
        Raw names = new Raw(namesrv);
        for (String topic : TOPICS.keySet()) {
            while (names.call(105, null, "topic", topic).getCode() != 0) Thread.sleep(50);
        }
    }

    private static void start(DefaultMQProducer producer, String instance) throws Exception {
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName(instance + "-" + name);
        producer.setSendMsgTimeout(3000);
        producer.setRetryTimesWhenSendFailed(0); // a retry could store a message twice under one ledger line
        producer.start();
    }

    private static TransactionMQProducer undecided() throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer("hand_back_tx");
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return LocalTransactionState.UNKNOW;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                return LocalTransactionState.UNKNOW;
            }
        });
        start(producer, "tx");
        return producer;
    }

    private static DefaultMQPushConsumer consumer(String group, String topic, boolean refuse) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(group + "-" + name);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setHeartbeatBrokerInterval(1000);
        consumer.setPersistConsumerOffsetInterval(1000);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(2);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            return refuse && messages.get(0).getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }

    private interface Body {
        void run(long n) throws Exception;
    }

    private static void repeat(int everyMs, Body body) {
        Thread thread = new Thread(() -> {
            for (long n = 0; !STOP.get(); n++) {
                try {
                    body.run(n);
                    Thread.sleep(everyMs);
                } catch (InterruptedException e) {
                    return;
                } catch (Exception e) {
                    FAILED.incrementAndGet();
                    try {
                        Thread.sleep(100);
                    } catch (InterruptedException interrupted) {
                        return;
                    }
                }
            }
        });
        thread.setDaemon(true);
        thread.start();
        THREADS.add(thread);
    }

    private static void record(String kind, Message message, SendResult result) throws Exception {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            FAILED.incrementAndGet();
            return;
        }
        line(kind, message, result, result.getQueueOffset());
    }

    private static void line(String kind, Message message, SendResult result, long offset) throws Exception {
        String sum = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(message.getBody()));
        String[] keys = message.getKeys().split(" "); // 4.9 gives all messages of a batch the unique key of the batch
        String line = kind + " " + message.getTopic() + " " + result.getMessageQueue().getQueueId() + " " + offset + " "
            + keys[keys.length - 1] + " " + sum + "\n";
        synchronized (ledger) {
            ledger.write(line);
            ledger.flush(); // the runner reads it when this process is gone
        }
        ACKNOWLEDGED.incrementAndGet();
        KINDS.merge(kind, 1, Integer::sum);
    }

    private static byte[] body(long n, int length) {
        StringBuilder text = new StringBuilder(name + " message " + n + " ");
        while (text.length() < length) text.append(Long.toHexString(n * 0x9E3779B97F4A7C15L + text.length()));
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] noise(long seed, int length) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }
}
