import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.exception.RemotingException;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * What one scenario works with: addresses, names that no other run uses, clients that are shut down at its end, and
 * checks. Every client has an instance name of its own, so no two scenarios share a connection.
 */
final class Env implements AutoCloseable {
    static final String BROKER_NAME = System.getProperty("compat.brokerName", "broker-a");
    /** Flags of TopicConfig.perm. */
    static final int READ = 4;
    static final int WRITE = 2;

    private static final AtomicInteger INSTANCES = new AtomicInteger();
    private static DefaultMQAdminExt admin;

    final String namesrv;
    final String broker;
    final String run;
    final String scenario;
    final Raw raw;
    private final boolean restartable;
    private final List<String> said = Collections.synchronizedList(new ArrayList<>());
    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    private final Map<String, Integer> queues = new ConcurrentHashMap<>();

    Env(String namesrv, String broker, String run, String scenario, boolean restartable) {
        this.namesrv = namesrv;
        this.broker = broker;
        this.run = run;
        this.scenario = scenario;
        this.restartable = restartable;
        this.raw = new Raw(broker);
    }

    // --- names -------------------------------------------------------------------------------------------------

    /** A name of this run and scenario, not yet known to any server. */
    String name(String hint) {
        return scenario + "_" + hint + "_" + run;
    }

    /** Creates a readable and writable topic and waits until the name server routes it. */
    String topic(String hint, int queueNums) throws Exception {
        return topic(hint, queueNums, READ | WRITE);
    }

    String topic(String hint, int queueNums, int perm) throws Exception {
        String topic = name(hint);
        configure(topic, queueNums, perm);
        awaitRoute(topic);
        return topic;
    }

    /** Creates or changes a topic on the broker (UPDATE_AND_CREATE_TOPIC). */
    void configure(String topic, int queueNums, int perm) throws Exception {
        TopicConfig config = new TopicConfig(topic);
        config.setReadQueueNums(queueNums);
        config.setWriteQueueNums(queueNums);
        config.setPerm(perm);
        for (int attempt = 1; ; attempt++) {
            try {
                admin(namesrv).createAndUpdateTopicConfig(broker, config);
                break;
            } catch (RemotingException e) { // a cold JVM on a loaded machine may take longer than the client waits
                if (attempt == 4) throw e;
            }
        }
        queues.put(topic, queueNums);
    }

    void awaitRoute(String topic) throws Exception {
        Raw names = new Raw(namesrv);
        await("the route of " + topic, 10_000, () -> names.call(105, null, "topic", topic).getCode() == 0);
    }

    static synchronized DefaultMQAdminExt admin(String namesrv) throws Exception {
        if (admin == null) {
            DefaultMQAdminExt started = new DefaultMQAdminExt();
            started.setNamesrvAddr(namesrv);
            started.setInstanceName("admin-" + System.nanoTime());
            started.start();
            admin = started;
        }
        return admin;
    }

    private String instance() {
        return "i" + ProcessHandle.current().pid() + "-" + INSTANCES.incrementAndGet() + "-" + run;
    }

    // --- clients -----------------------------------------------------------------------------------------------

    DefaultMQProducer producer() throws Exception {
        return producer(p -> {});
    }

    DefaultMQProducer producer(Consumer<DefaultMQProducer> setup) throws Exception {
        DefaultMQProducer producer = newProducer(null);
        setup.accept(producer);
        producer.start();
        onClose(producer::shutdown);
        return producer;
    }

    /** The algorithm is read from a system property while the producer is constructed, in 4.9 as in 5.x. */
    DefaultMQProducer compressingProducer(String algorithm) throws Exception {
        DefaultMQProducer producer = newProducer(algorithm);
        producer.start();
        onClose(producer::shutdown);
        return producer;
    }

    private DefaultMQProducer newProducer(String algorithm) {
        synchronized (Env.class) {
            if (algorithm != null) System.setProperty("rocketmq.message.compressType", algorithm);
            try {
                DefaultMQProducer producer = new DefaultMQProducer("P_" + name("g"));
                producer.setNamesrvAddr(namesrv);
                producer.setInstanceName(instance());
                producer.setSendMsgTimeout(10_000);
                producer.setRetryTimesWhenSendFailed(0);
                producer.setRetryTimesWhenSendAsyncFailed(0);
                return producer;
            } finally {
                System.clearProperty("rocketmq.message.compressType");
            }
        }
    }

    /** A push consumer that is configured but not started. */
    DefaultMQPushConsumer push(String group) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(8);
        // After a rebalance the client raises its subscription's version and tells the broker only if no other thread
        // is in the middle of a heartbeat; the broker refuses its pulls until the next one.
        consumer.setHeartbeatBrokerInterval(1000);
        onClose(consumer::shutdown);
        return consumer;
    }

    /** Starts a push consumer that hands each message to `sink` and acknowledges it. */
    DefaultMQPushConsumer pushInto(String group, String topic, String tags, Consumer<MessageExt> sink) throws Exception {
        DefaultMQPushConsumer consumer = push(group);
        consumer.subscribe(topic, tags);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(sink);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    DefaultLitePullConsumer lite(String group, Consumer<DefaultLitePullConsumer> setup) throws Exception {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setHeartbeatBrokerInterval(1000);
        setup.accept(consumer);
        consumer.start();
        onClose(consumer::shutdown);
        return consumer;
    }

    DefaultMQPullConsumer pull(String group) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(instance());
        consumer.start();
        onClose(consumer::shutdown);
        return consumer;
    }

    /**
     * The broker creates a group's retry topic when it first hears of the group, that is after the client looked for it;
     * the client would find it at its next poll of the name server and its next rebalance, up to 50 s later.
     */
    void adoptRetryTopic(DefaultMQPushConsumer consumer) throws Exception {
        String retry = "%RETRY%" + consumer.getConsumerGroup();
        awaitRoute(retry);
        var client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory();
        client.updateTopicRouteInfoFromNameServer(retry);
        client.rebalanceImmediately();
    }

    /** MessageModel is in another package since 5.0, so it is set by its name. */
    static void broadcasting(DefaultMQPushConsumer consumer) throws Exception {
        for (var method : DefaultMQPushConsumer.class.getMethods()) {
            if (method.getName().equals("setMessageModel")) {
                for (Object model : method.getParameterTypes()[0].getEnumConstants()) {
                    if (model.toString().equals("BROADCASTING")) method.invoke(consumer, model);
                }
                return;
            }
        }
        throw new IllegalStateException("no setMessageModel");
    }

    // --- frequent steps ----------------------------------------------------------------------------------------

    /** Sends and requires SEND_OK. */
    SendResult send(DefaultMQProducer producer, Message message) throws Exception {
        SendResult result = producer.send(message);
        same("status of a send", SendStatus.SEND_OK, result.getSendStatus());
        return result;
    }

    SendResult send(DefaultMQProducer producer, Message message, int queueId) throws Exception {
        SendResult result = producer.send(message, queue(message.getTopic(), queueId));
        same("status of a send", SendStatus.SEND_OK, result.getSendStatus());
        same("queue of a send", queueId, result.getMessageQueue().getQueueId());
        return result;
    }

    static MessageQueue queue(String topic, int queueId) {
        return new MessageQueue(topic, BROKER_NAME, queueId);
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(MessageExt message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    /** Every message of one queue from its minimum to its maximum offset, requiring dense offsets. */
    List<MessageExt> readQueue(String topic, int queueId) throws Exception {
        DefaultMQPullConsumer reader = pull(name("reader" + INSTANCES.incrementAndGet()));
        return readQueue(reader, topic, queueId);
    }

    List<MessageExt> readQueue(DefaultMQPullConsumer reader, String topic, int queueId) throws Exception {
        MessageQueue queue = queue(topic, queueId);
        long next = reader.minOffset(queue);
        long max = reader.maxOffset(queue);
        List<MessageExt> all = new ArrayList<>();
        while (next < max) {
            PullResult result = reader.pull(queue, "*", next, 32);
            same("pull of " + topic + " " + queueId + " at " + next, PullStatus.FOUND, result.getPullStatus());
            for (MessageExt message : result.getMsgFoundList()) {
                same("queue offset in " + topic + " " + queueId, next, message.getQueueOffset());
                same("queue id of a message", queueId, message.getQueueId());
                next++;
                all.add(message);
            }
            same("next offset of a pull", next, result.getNextBeginOffset());
        }
        return all;
    }

    /** All messages of all queues of a topic that this scenario created, by queue. */
    Map<Integer, List<MessageExt>> readTopic(String topic) throws Exception {
        DefaultMQPullConsumer reader = pull(name("reader" + INSTANCES.incrementAndGet()));
        Map<Integer, List<MessageExt>> all = new TreeMap<>();
        for (int i = 0; i < queues.get(topic); i++) all.put(i, readQueue(reader, topic, i));
        return all;
    }

    /** The committed offset of a group on the broker, -1 when it has none. */
    long committed(String group, String topic, int queueId) throws Exception {
        var answer = raw.call(14, null, "consumerGroup", group, "topic", topic, "queueId", "" + queueId,
            "setZeroIfNotFound", "false");
        return answer.getCode() == 0 ? Long.parseLong(answer.getExtFields().get("offset")) : -1;
    }

    /** Asks the runner to stop the broker with SIGTERM and start it again, and waits for the answer. */
    void restartBroker() throws Exception {
        if (!restartable) throw new Scenario.Skipped("the broker cannot be restarted in this run");
        Scenarios.restartBroker();
    }

    // --- checks ------------------------------------------------------------------------------------------------

    /** A line that is printed with the outcome: what was checked and which figures were seen. */
    void say(String what) {
        said.add(what);
    }

    List<String> said() {
        return List.copyOf(said);
    }

    void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    void same(String what, Object expected, Object actual) {
        if (expected instanceof Integer i && actual instanceof Long) expected = (long) i;
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + shorten(expected) + ", got " + shorten(actual));
        }
    }

    static String shorten(Object value) {
        String text = String.valueOf(value);
        return text.length() <= 600 ? text : text.substring(0, 600) + "… (" + text.length() + " characters)";
    }

    void between(String what, long low, long high, long actual) {
        if (actual < low || actual > high) {
            throw new AssertionError(what + ": expected " + low + ".." + high + ", got " + actual);
        }
    }

    void await(String what, long limitMs, Callable<Boolean> holds) throws Exception {
        long end = System.nanoTime() + limitMs * 1_000_000;
        while (!holds.call()) {
            if (System.nanoTime() > end) throw new AssertionError("not within " + limitMs + " ms: " + what);
            Thread.sleep(20);
        }
    }

    static String address(Object socketAddress) {
        InetSocketAddress address = (InetSocketAddress) socketAddress;
        return address.getAddress().getHostAddress() + ":" + address.getPort();
    }

    // --- end ---------------------------------------------------------------------------------------------------

    void onClose(AutoCloseable closeable) {
        synchronized (open) {
            open.push(closeable);
        }
    }

    @Override
    public void close() {
        while (true) {
            AutoCloseable next;
            synchronized (open) {
                next = open.poll();
            }
            if (next == null) return;
            try {
                next.close();
            } catch (Exception e) {
                say("closing: " + e);
            }
        }
    }
}
