import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQBrokerException;
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
 * Five kinds of traffic at once, produced and consumed while the broker is killed again and again, and the audit of
 * every delivery afterwards ({@link MixedAudit}).
 * <pre>
 * MixedWorkload H:P(namesrv) H:P(broker)
 * </pre>
 * On stdin: {@code ack?} answers {@code @ACK n}, {@code seen?} answers {@code @SEEN n}; {@code killed FROM TO DIR} tells
 * between which times (ms) the broker died and where its offset files as it left them are; {@code stop} ends
 * production, waits for what is still due, prints the audit and {@code @AUDIT passed} or {@code @AUDIT failed}.
 */
public final class MixedWorkload {
    static final int QUEUES = 4;
    /** Milliseconds of the first levels of the default messageDelayLevel. */
    static final long[] DELAY_MS = {0, 1000, 5000, 10_000};
    /** A message of the retried kind is given back this often before it is consumed. */
    private static final int GIVEN_BACK = 2;
    private static final long DRAIN_LIMIT_MS = 180_000;
    private static final long SETTLE_MS = 12_000;

    enum Kind {
        NORMAL, DELAY, TRANSACTION, ORDER, RETRY;

        String topic() {
            return "Mixed" + name();
        }

        String group() {
            return "mixed_" + name();
        }
    }

    enum Outcome { ACKNOWLEDGED, REFUSED, UNKNOWN }

    /** One call of send. */
    record Attempt(String msgId, long beganMs, Outcome outcome) {}

    /** One call of a listener; {@code order} counts all of them as they begin. */
    record Delivery(long order, long beganMs, long endedMs, boolean consumed, String by, String msgId, String topic, int queue,
        long offset, long storedMs, int reconsumeTimes) {}

    /** A message as its producer means it, in all its attempts. */
    static final class Entry {
        final Kind kind;
        final String id;
        final int queue;
        final long number;
        final List<Attempt> attempts = Collections.synchronizedList(new ArrayList<>());
        final List<Delivery> deliveries = Collections.synchronizedList(new ArrayList<>());
        /** How often the transaction was answered with commit, and when first. */
        final AtomicLong commits = new AtomicLong();
        volatile long committedMs = Long.MAX_VALUE;
        volatile int checks;

        Entry(Kind kind, String id, int queue, long number) {
            this.kind = kind;
            this.id = id;
            this.queue = queue;
            this.number = number;
        }

        boolean acknowledged() {
            synchronized (attempts) {
                return attempts.stream().anyMatch(a -> a.outcome == Outcome.ACKNOWLEDGED);
            }
        }

        boolean consumed() {
            synchronized (deliveries) {
                return deliveries.stream().anyMatch(Delivery::consumed);
            }
        }

        /** Whether it has to be delivered. */
        boolean owed() {
            return acknowledged() && (kind != Kind.TRANSACTION || decision(number) != LocalTransactionState.ROLLBACK_MESSAGE);
        }
    }

    private static PrintStream out;

    private final String namesrv;
    private final Map<String, Entry> entries = new ConcurrentHashMap<>();
    private final List<MixedAudit.Kill> kills = new ArrayList<>();
    private final AtomicLong acknowledged = new AtomicLong();
    private final AtomicLong delivered = new AtomicLong();
    private final AtomicLong order = new AtomicLong();
    private final Set<String> suspended = ConcurrentHashMap.newKeySet();
    private final List<Thread> producing = new ArrayList<>();
    private final MixedAudit.Owners owners = new MixedAudit.Owners();
    private final Map<String, DefaultMQPushConsumer> consumers = new ConcurrentHashMap<>();
    private volatile boolean stop;

    private MixedWorkload(String namesrv) {
        this.namesrv = namesrv;
    }

    public static void main(String[] args) throws Exception {
        out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        boolean ok = new MixedWorkload(args[0]).run(args[1]);
        out.flush();
        Runtime.getRuntime().halt(ok ? 0 : 1);
    }

    private boolean run(String broker) throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("mixed-admin");
        admin.start();
        for (Kind kind : Kind.values()) {
            TopicConfig config = new TopicConfig(kind.topic());
            config.setReadQueueNums(QUEUES);
            config.setWriteQueueNums(QUEUES);
            config.setPerm(6);
            admin.createAndUpdateTopicConfig(broker, config);
        }
        for (Kind kind : Kind.values()) {
            for (int i = 0; i < 2; i++) consume(kind, kind.group() + "-" + i);
        }
        watchOwners();
        produce(Kind.NORMAL, 0, 100);
        produce(Kind.NORMAL, 1, 100);
        produce(Kind.DELAY, 0, 40);
        produce(Kind.RETRY, 0, 20);
        for (int queue = 0; queue < QUEUES; queue++) produce(Kind.ORDER, queue, 25);
        produceTransactions(40);
        out.println("@GO");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null && !line.equals("stop"); ) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "ack?" -> out.println("@ACK " + acknowledged.get());
                case "seen?" -> out.println("@SEEN " + delivered.get());
                case "killed" -> kills.add(MixedAudit.Kill.read(Long.parseLong(words[1]), Long.parseLong(words[2]), words[3]));
                default -> throw new IllegalArgumentException(line);
            }
        }
        stop = true;
        for (Thread thread : producing) thread.join();
        drain();
        boolean ok = new MixedAudit(entries.values(), kills, MixedAudit.schedule(new Raw(broker)), owners, out).passed();
        out.println("@AUDIT " + (ok ? "passed" : "failed"));
        return ok;
    }

    /** Waits until everything owed has come, or nothing has come for long; then for duplicates that come still later. */
    private void drain() throws InterruptedException {
        long seen = -1;
        long since = System.currentTimeMillis();
        while (System.currentTimeMillis() - since < DRAIN_LIMIT_MS) {
            if (entries.values().stream().allMatch(e -> !e.owed() || e.consumed())) break;
            if (delivered.get() != seen) {
                seen = delivered.get();
                since = System.currentTimeMillis();
            }
            Thread.sleep(500);
        }
        Thread.sleep(SETTLE_MS);
    }

    // --- producing ---------------------------------------------------------------------------------------------

    private <P extends DefaultMQProducer> P started(P producer, String name) throws Exception {
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName(name);
        producer.setSendMsgTimeout(3000);
        producer.setRetryTimesWhenSendFailed(0); // each attempt is to be known
        producer.start();
        return producer;
    }

    private void produce(Kind kind, int lane, int perSecond) throws Exception {
        String name = kind.name() + lane;
        DefaultMQProducer producer = started(new DefaultMQProducer("mixed_p_" + name), "p-" + name);
        loop(name, perSecond, number -> {
            Entry entry = entry(kind, lane, number);
            // A queue's order holds only if its producer sends nothing else before this message is acknowledged.
            int attempts = kind == Kind.ORDER ? Integer.MAX_VALUE : 3;
            for (int i = 0; i < attempts && !attempt(entry, () -> send(producer, entry)); i++) {
                if (stop && i > 20) return;
                Thread.sleep(50);
            }
        });
    }

    private SendResult send(DefaultMQProducer producer, Entry entry, Message message) throws Exception {
        if (entry.kind != Kind.ORDER) return producer.send(message);
        return producer.send(message, new MessageQueue(message.getTopic(), Env.BROKER_NAME, entry.queue));
    }

    private Sending send(DefaultMQProducer producer, Entry entry) {
        Message message = message(entry);
        return new Sending(message, () -> send(producer, entry, message));
    }

    private void produceTransactions(int perSecond) throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer("mixed_p_TRANSACTION");
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object entry) {
                return answer((Entry) entry, false);
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                return answer(entries.get(message.getKeys()), true);
            }
        });
        started(producer, "p-TRANSACTION");
        loop("TRANSACTION", perSecond, number -> {
            Entry entry = entry(Kind.TRANSACTION, 0, number);
            Message message = message(entry);
            attempt(entry, () -> new Sending(message, () -> producer.sendMessageInTransaction(message, entry)));
        });
    }

    /** What becomes of a transaction in the end; every fourth leaves its producer undecided at first. */
    static LocalTransactionState decision(long number) {
        return number % 4 == 0 || number % 8 == 1 ? LocalTransactionState.ROLLBACK_MESSAGE : LocalTransactionState.COMMIT_MESSAGE;
    }

    private static LocalTransactionState answer(Entry entry, boolean check) {
        if (check) entry.checks++;
        boolean undecided = entry.number % 4 == 1 && (!check || entry.number % 3 == 0 && entry.checks == 1);
        if (undecided) return LocalTransactionState.UNKNOW;
        LocalTransactionState decision = decision(entry.number);
        if (decision == LocalTransactionState.COMMIT_MESSAGE) {
            entry.commits.incrementAndGet();
            entry.committedMs = Math.min(entry.committedMs, System.currentTimeMillis());
        }
        return decision;
    }

    private Entry entry(Kind kind, int lane, long number) {
        Entry entry = new Entry(kind, kind.name() + "-" + lane + "-" + number, lane, number);
        entries.put(entry.id, entry);
        return entry;
    }

    private static Message message(Entry entry) {
        byte[] body = (entry.id + " " + "x".repeat((int) (entry.number * 31 % 700))).getBytes(StandardCharsets.UTF_8);
        Message message = new Message(entry.kind.topic(), "t", entry.id, body);
        if (entry.kind == Kind.DELAY) message.setDelayTimeLevel(delayLevel(entry));
        return message;
    }

    static int delayLevel(Entry entry) {
        return 1 + (int) (entry.number % 3);
    }

    private interface Call {
        SendResult run() throws Exception;
    }

    private record Sending(Message message, Call call) {}

    private boolean attempt(Entry entry, Supplier<Sending> make) {
        Sending sending = make.get();
        long began = System.currentTimeMillis();
        Outcome outcome;
        try {
            // Another status than SEND_OK tells that the message is stored, but not how safely.
            outcome = sending.call.run().getSendStatus() == SendStatus.SEND_OK ? Outcome.ACKNOWLEDGED : Outcome.UNKNOWN;
        } catch (Exception e) {
            boolean refused = e instanceof MQBrokerException || e.getCause() instanceof MQBrokerException;
            outcome = refused ? Outcome.REFUSED : Outcome.UNKNOWN;
        }
        entry.attempts.add(new Attempt(sending.message.getProperty("UNIQ_KEY"), began, outcome));
        if (outcome == Outcome.ACKNOWLEDGED) acknowledged.incrementAndGet();
        return outcome == Outcome.ACKNOWLEDGED;
    }

    private interface Step {
        void run(long number) throws Exception;
    }

    private void loop(String name, int perSecond, Step step) {
        Thread thread = new Thread(() -> {
            long next = System.nanoTime();
            for (long number = 0; !stop; number++) {
                try {
                    step.run(number);
                    next = Math.max(next + 1_000_000_000L / perSecond, System.nanoTime() - 100_000_000);
                    long wait = next - System.nanoTime();
                    if (wait > 0) Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            }
        }, name);
        thread.setUncaughtExceptionHandler((t, e) -> {
            e.printStackTrace();
            Runtime.getRuntime().halt(3); // traffic that silently ends would be taken for traffic that is fine
        });
        thread.start();
        producing.add(thread);
    }

    // --- consuming ---------------------------------------------------------------------------------------------

    private void consume(Kind kind, String name) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(kind.group());
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(name);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        consumer.setHeartbeatBrokerInterval(1000);
        consumer.subscribe(kind.topic(), "*");
        if (kind == Kind.ORDER) {
            consumer.setSuspendCurrentQueueTimeMillis(100);
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                boolean consumed = true;
                for (MessageExt message : messages) consumed &= deliver(name, message);
                return consumed ? ConsumeOrderlyStatus.SUCCESS : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                context.setDelayLevelWhenNextConsume(1);
                boolean consumed = true;
                for (MessageExt message : messages) consumed &= deliver(name, message);
                return consumed ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS : ConsumeConcurrentlyStatus.RECONSUME_LATER;
            });
        }
        consumer.start();
        consumers.put(name, consumer);
    }

    /** Notes for ever which consumer begins to read which queue: the client makes a new object each time. */
    private void watchOwners() {
        Map<String, Object> before = new HashMap<>();
        Thread watch = new Thread(() -> {
            while (true) {
                consumers.forEach((name, consumer) -> {
                    var owned = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable();
                    owned.forEach((queue, read) -> {
                        if (before.put(name + " " + queue, read) != read) {
                            owners.began(name, queue.getTopic(), queue.getQueueId(), System.currentTimeMillis());
                        }
                    });
                });
                try {
                    Thread.sleep(20);
                } catch (InterruptedException e) {
                    return;
                }
            }
        }, "owners");
        watch.setDaemon(true);
        watch.start();
    }

    private boolean deliver(String by, MessageExt message) {
        long number = order.getAndIncrement();
        long began = System.currentTimeMillis();
        String id = new String(message.getBody(), StandardCharsets.UTF_8).split(" ", 2)[0];
        Entry entry = entries.get(id);
        if (entry == null) throw new IllegalStateException("nobody has sent " + id);
        boolean consumed = switch (entry.kind) {
            case RETRY -> message.getReconsumeTimes() >= GIVEN_BACK;
            case ORDER -> entry.number % 50 != 0 || !suspended.add(id);
            default -> true;
        };
        // The client restores the topic of a retried message before it calls the listener.
        String topic = entry.kind == Kind.RETRY && message.getReconsumeTimes() > 0 && message.getProperty("RETRY_TOPIC") != null
            ? "%RETRY%" + entry.kind.group() : message.getTopic();
        entry.deliveries.add(new Delivery(number, began, System.currentTimeMillis(), consumed, by, message.getProperty("UNIQ_KEY"), topic,
            message.getQueueId(), message.getQueueOffset(), message.getStoreTimestamp(), message.getReconsumeTimes()));
        delivered.incrementAndGet();
        return consumed;
    }
}
