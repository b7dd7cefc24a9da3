import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** Queues that one consumer at a time may read, and the order that follows from it. */
final class Ordering {
    private static final int QUEUES = 4;

    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("order_killed", false, false, Ordering::killed));
        all.add(new Scenario.Named("order_join_leave", false, false, Ordering::joinLeave));
        all.add(new Scenario.Named("order_locks", true, false, Ordering::locks));
        all.add(new Scenario.Named("order_topic", true, false, Ordering::orderTopic));
        all.add(new Scenario.Named("order_restart", false, true, Ordering::restart));
    }

    /** LOCK_BATCH_MQ and UNLOCK_BATCH_MQ by hand: who gets which queues. */
    private static void locks(Env env) throws Exception {
        String topic = env.topic("t", 3);
        String group = env.name("g");
        env.same("free queues", "[0, 1]", lock(env, group, topic, "one", 0, 1));
        env.same("two of them are another's", "[2]", lock(env, group, topic, "two", 0, 1, 2));
        env.same("one's own again", "[0, 1]", lock(env, group, topic, "one", 0, 1));
        env.same("another group's", "[0]", lock(env, env.name("other"), topic, "two", 0));
        unlock(env, group, topic, "two", 0);
        env.same("what another gave back is not free", "[]", lock(env, group, topic, "two", 0));
        unlock(env, group, topic, "one", 0);
        env.same("what its owner gave back is free", "[0]", lock(env, group, topic, "two", 0));
        env.same("no queue", "[]", lock(env, group, topic, "two"));
        env.same("a queue that does not exist", "[77]", lock(env, group, topic, "two", 77));
        unlock(env, env.name("nobody"), topic, "one", 0);
    }

    private static String lock(Env env, String group, String topic, String client, int... queues) throws Exception {
        RemotingCommand answer = env.raw.call(41, body(group, topic, client, queues));
        env.same("code of a lock", 0, answer.getCode());
        String text = new String(answer.getBody(), java.nio.charset.StandardCharsets.UTF_8);
        List<Integer> granted = new ArrayList<>();
        var ids = java.util.regex.Pattern.compile("\"queueId\":(\\d+)").matcher(text);
        while (ids.find()) granted.add(Integer.parseInt(ids.group(1)));
        env.check(text.contains("lockOKMQSet"), text);
        granted.sort(null);
        return granted.toString();
    }

    private static void unlock(Env env, String group, String topic, String client, int... queues) throws Exception {
        RemotingCommand answer = env.raw.call(42, body(group, topic, client, queues));
        env.same("answer of an unlock", "code 0 remark null", Raw.show(answer));
    }

    private static byte[] body(String group, String topic, String client, int... queues) {
        List<String> set = new ArrayList<>();
        for (int queue : queues) set.add("{\"brokerName\":\"" + Env.BROKER_NAME + "\",\"queueId\":" + queue + ",\"topic\":\"" + topic + "\"}");
        return Env.utf8("{\"clientId\":\"" + client + "\",\"consumerGroup\":\"" + group + "\",\"mqSet\":[" + String.join(",", set) + "]}");
    }

    /** A topic whose messages must never move to another broker: the number of its queues is told by the name server. */
    private static void orderTopic(Env env) throws Exception {
        String topic = env.name("t");
        TopicConfig config = new TopicConfig(topic);
        config.setReadQueueNums(4);
        config.setWriteQueueNums(4);
        config.setPerm(Env.READ | Env.WRITE);
        config.setOrder(true);
        Env.admin(env.namesrv).createAndUpdateTopicConfig(env.broker, config);
        env.awaitRoute(topic);
        Env.admin(env.namesrv).createOrUpdateOrderConf(topic, Env.BROKER_NAME + ":2", false);
        Raw names = new Raw(env.namesrv);
        String off = new String(names.call(105, null, "topic", topic).getBody(), java.nio.charset.StandardCharsets.UTF_8);
        env.check(!off.contains("orderTopicConf"), "told although orderMessageEnable is false: " + off);
        env.same("answer of an update", "code 0 remark null", Raw.show(names.call(318, Env.utf8("orderMessageEnable=true"))));
        var route = names.call(105, null, "topic", topic);
        String text = new String(route.getBody(), java.nio.charset.StandardCharsets.UTF_8);
        env.check(text.contains("\"orderTopicConf\":\"" + Env.BROKER_NAME + ":2\""), text);
        DefaultMQProducer producer = env.producer();
        env.same("queues that a producer sends to", 2, producer.fetchPublishMessageQueues(topic).size());
        for (int i = 0; i < 6; i++) env.send(producer, new Message(topic, Env.utf8("n" + i)));
        env.same("messages", 6, env.readQueue(topic, 0).size() + env.readQueue(topic, 1).size());
        var kept = env.raw.call(351, null, "topic", topic);
        env.check(new String(kept.getBody(), java.nio.charset.StandardCharsets.UTF_8).contains("\"order\":true"), "the broker has forgotten the order");
    }

    private static void joinLeave(Env env) throws Exception {
        String topic = env.topic("t", QUEUES);
        String group = env.name("g");
        Ledger ledger = new Ledger(env);
        DefaultMQPushConsumer first = orderly(env, group, topic, ledger);
        env.await("the first consumer to own all queues", 30_000, () -> Rebalancing.owned(first, topic).size() == QUEUES);
        Traffic traffic = new Traffic(env, topic);
        env.await("traffic", 30_000, () -> ledger.deliveries.get() > 100);
        DefaultMQPushConsumer second = orderly(env, group, topic, ledger);
        env.await("two queues each", 60_000, () -> Rebalancing.owned(first, topic).size() == 2 && Rebalancing.owned(second, topic).size() == 2);
        int before = ledger.deliveries.get();
        env.await("more traffic", 30_000, () -> ledger.deliveries.get() > before + 100);
        first.shutdown();
        env.await("all queues again", 60_000, () -> Rebalancing.owned(second, topic).size() == QUEUES);
        ledger.expect(traffic.stop());
        env.say(ledger.toString());
    }

    /** The death of a consumer: its locks live on until it can consume no more, then others take over. */
    private static void killed(Env env) throws Exception {
        String topic = env.topic("t", QUEUES);
        String group = env.name("g");
        Ledger ledger = new Ledger(env);
        DefaultMQPushConsumer first = orderly(env, group, topic, ledger);
        Process child = Rebalancing.child(env, "Ordering$Child", group, topic, line -> {
            String[] words = line.split(" ");
            ledger.deliver(Integer.parseInt(words[0]), words[1]);
        });
        env.await("two queues each", 60_000, () -> Rebalancing.owned(first, topic).size() == 2);
        Traffic traffic = new Traffic(env, topic);
        env.await("the child to consume", 60_000, () -> ledger.queues.size() == QUEUES && ledger.deliveries.get() > 200);
        child.destroyForcibly().waitFor(); // SIGKILL: it gives no lock back
        long died = System.currentTimeMillis();
        Thread.sleep(1000); // what it had printed is read by now
        ledger.freeze();
        env.await("the other to go on with all queues", 100_000, () -> ledger.advanced() == QUEUES);
        long taken = System.currentTimeMillis() - died;
        ledger.expect(traffic.stop());
        env.say("queues taken over " + taken + " ms after the kill; " + ledger);
    }

    private static void restart(Env env) throws Exception {
        String topic = env.topic("t", QUEUES);
        Ledger ledger = new Ledger(env);
        orderly(env, env.name("g"), topic, ledger);
        Traffic traffic = new Traffic(env, topic);
        env.await("traffic", 30_000, () -> ledger.queues.size() == QUEUES && ledger.deliveries.get() > 100);
        env.restartBroker();
        env.await("a route after the restart", 45_000, () -> new Raw(env.namesrv).call(105, null, "topic", topic).getCode() == 0);
        ledger.freeze();
        env.await("consumption of all queues after the restart", 100_000, () -> ledger.advanced() == QUEUES);
        ledger.expect(traffic.stop());
        env.say(ledger.toString());
    }

    private static DefaultMQPushConsumer orderly(Env env, String group, String topic, Ledger ledger) throws Exception {
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            messages.forEach(m -> ledger.deliver(m.getQueueId(), Env.text(m)));
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    /** What came from each queue, in the order in which it came first. */
    private static final class Ledger {
        final Map<Integer, List<Integer>> queues = new ConcurrentHashMap<>();
        final AtomicInteger deliveries = new AtomicInteger();
        private final Env env;
        private Map<Integer, Integer> frozen;

        Ledger(Env env) {
            this.env = env;
        }

        synchronized void deliver(int queue, String text) {
            deliveries.incrementAndGet();
            List<Integer> firsts = queues.computeIfAbsent(queue, q -> new ArrayList<>());
            int number = Integer.parseInt(text);
            if (!firsts.contains(number)) firsts.add(number);
        }

        synchronized void freeze() {
            frozen = sizes();
        }

        synchronized long advanced() {
            return sizes().entrySet().stream().filter(e -> e.getValue() > frozen.getOrDefault(e.getKey(), 0) + 3).count();
        }

        private Map<Integer, Integer> sizes() {
            Map<Integer, Integer> sizes = new TreeMap<>();
            queues.forEach((queue, firsts) -> sizes.put(queue, firsts.size()));
            return sizes;
        }

        /** Each queue's messages 0, 1, … came first in that order, and all of them came. */
        void expect(int perQueue) throws Exception {
            env.await("every message consumed", 60_000, () -> {
                synchronized (this) {
                    return sizes().size() == QUEUES && sizes().values().stream().allMatch(n -> n >= perQueue);
                }
            });
            synchronized (this) {
                for (var queue : queues.entrySet()) {
                    for (int i = 0; i < queue.getValue().size(); i++) env.same("message " + i + " of queue " + queue.getKey(), i, queue.getValue().get(i));
                }
            }
        }

        @Override
        public synchronized String toString() {
            return sizes() + " messages of each queue, first deliveries in order, " + deliveries + " deliveries in all";
        }
    }

    /** Numbers to each queue, each one sent until it is acknowledged before the next. */
    private static final class Traffic {
        private final AtomicBoolean stop = new AtomicBoolean();
        private final Thread thread;
        private volatile int rounds;

        Traffic(Env env, String topic) throws Exception {
            DefaultMQProducer producer = env.producer(p -> p.setSendMsgTimeout(3000));
            thread = new Thread(() -> {
                for (; !stop.get(); rounds++) {
                    for (int queue = 0; queue < QUEUES; queue++) {
                        while (true) {
                            try {
                                env.send(producer, new Message(topic, Env.utf8("" + rounds)), queue);
                                break;
                            } catch (Exception e) {
                                try {
                                    Thread.sleep(100);
                                } catch (InterruptedException interrupted) {
                                    return;
                                }
                            }
                        }
                    }
                    try {
                        Thread.sleep(10);
                    } catch (InterruptedException e) {
                        return;
                    }
                }
            });
            thread.start();
            env.onClose(() -> {
                stop.set(true);
                thread.interrupt();
            });
        }

        int stop() throws InterruptedException {
            stop.set(true);
            thread.join();
            return rounds;
        }
    }

    /** A consumer in a process of its own that prints what it consumed. */
    public static final class Child {
        public static void main(String[] args) throws Exception {
            DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(args[1]);
            consumer.setNamesrvAddr(args[0]);
            consumer.setInstanceName("child");
            consumer.subscribe(args[2], "*");
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                messages.forEach(m -> System.out.println("@ " + m.getQueueId() + " " + Env.text(m)));
                System.out.flush();
                return ConsumeOrderlyStatus.SUCCESS;
            });
            consumer.start();
            Thread.sleep(Long.MAX_VALUE);
        }
    }
}
