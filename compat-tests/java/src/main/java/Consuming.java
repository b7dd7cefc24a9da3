import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Every way to consume: who gets what, in which order, and what is committed. */
final class Consuming {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("push_concurrently", true, false, Consuming::concurrently));
        all.add(new Scenario.Named("push_orderly", true, false, Consuming::orderly));
        all.add(new Scenario.Named("push_broadcasting", true, false, Consuming::broadcasting));
        all.add(new Scenario.Named("push_tags", true, false, Consuming::tags));
        all.add(new Scenario.Named("push_long_polling", true, false, Consuming::longPolling));
        all.add(new Scenario.Named("push_two_groups", false, false, Consuming::twoGroups));
        all.add(new Scenario.Named("lite_subscribe", true, false, Consuming::liteSubscribe));
        all.add(new Scenario.Named("lite_assign_seek", true, false, Consuming::liteAssign));
        all.add(new Scenario.Named("pull_plain", true, false, Consuming::pull));
    }

    private static void concurrently(Env env) throws Exception {
        int count = 400;
        String topic = env.topic("t", 4);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        for (int i = 0; i < count / 2; i++) env.send(producer, new Message(topic, Env.utf8("m" + i)), i % 4);
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.subscribe(topic, "*");
        consumer.setConsumeMessageBatchMaxSize(8);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) seen.merge(Env.text(message), 1, Integer::sum);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        for (int i = count / 2; i < count; i++) env.send(producer, new Message(topic, Env.utf8("m" + i)), i % 4);
        env.await("all messages consumed", 30_000, () -> seen.size() == count);
        Thread.sleep(300);
        for (var one : seen.entrySet()) env.same("deliveries of " + one.getKey(), 1, one.getValue());
        consumer.shutdown();
        for (int q = 0; q < 4; q++) env.same("committed in queue " + q, (long) count / 4, env.committed(group, topic, q));
        env.say(count + " messages, half sent before and half after the start, once each; offsets committed at shutdown");
    }

    private static void orderly(Env env) throws Exception {
        int keys = 12;
        int perKey = 40;
        String topic = env.topic("t", 6);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        Map<Integer, AtomicInteger> busy = new ConcurrentHashMap<>();
        Map<String, List<Integer>> order = new ConcurrentHashMap<>();
        Map<Integer, Set<Integer>> queuesOfConsumer = new ConcurrentHashMap<>();
        AtomicInteger seen = new AtomicInteger();
        AtomicReference<String> wrong = new AtomicReference<>();
        for (int c = 0; c < 3; c++) {
            int number = c;
            DefaultMQPushConsumer consumer = env.push(group);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                for (MessageExt message : messages) {
                    AtomicInteger users = busy.computeIfAbsent(message.getQueueId(), q -> new AtomicInteger());
                    if (users.incrementAndGet() != 1) wrong.set("two threads in queue " + message.getQueueId());
                    order.computeIfAbsent(message.getKeys(), k -> Collections.synchronizedList(new ArrayList<>()))
                        .add(Integer.parseInt(Env.text(message)));
                    queuesOfConsumer.computeIfAbsent(number, n -> ConcurrentHashMap.newKeySet()).add(message.getQueueId());
                    seen.incrementAndGet();
                    users.decrementAndGet();
                }
                return ConsumeOrderlyStatus.SUCCESS;
            });
            consumer.start();
        }
        Map<String, Integer> queueOfKey = new HashMap<>();
        for (int i = 0; i < perKey; i++) {
            for (int k = 0; k < keys; k++) {
                Message message = new Message(topic, "", "key" + k, Env.utf8("" + i));
                var result = producer.send(message, (queues, m, arg) -> queues.get((Integer) arg % queues.size()), k);
                Integer before = queueOfKey.put("key" + k, result.getMessageQueue().getQueueId());
                env.check(before == null || before == result.getMessageQueue().getQueueId(), "a key changed its queue");
            }
        }
        env.await("all messages consumed", 90_000, () -> seen.get() >= keys * perKey && order.size() == keys);
        env.check(wrong.get() == null, wrong.get());
        for (var one : order.entrySet()) {
            // A queue that moves between consumers may be read again from its committed offset; order must hold anyway.
            List<Integer> numbers = one.getValue();
            int next = 0;
            for (int number : numbers) {
                env.check(number <= next, "after " + (next - 1) + " came " + number + " of " + one.getKey());
                if (number == next) next++;
            }
            env.same("messages of " + one.getKey(), perKey, next);
        }
        env.say(keys + " keys by selector over 6 queues, 3 consumers: order held, " + seen.get() + " deliveries of "
            + keys * perKey + ", consumers of queues " + queuesOfConsumer);
    }

    private static void broadcasting(Env env) throws Exception {
        int count = 60;
        String topic = env.topic("t", 4);
        String group = env.name("g");
        List<Set<String>> seen = List.of(ConcurrentHashMap.newKeySet(), ConcurrentHashMap.newKeySet());
        List<AtomicInteger> deliveries = List.of(new AtomicInteger(), new AtomicInteger());
        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        for (int c = 0; c < 2; c++) {
            int number = c;
            DefaultMQPushConsumer consumer = env.push(group);
            Env.broadcasting(consumer);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                for (MessageExt message : messages) {
                    seen.get(number).add(Env.text(message));
                    deliveries.get(number).incrementAndGet();
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            consumer.start();
            consumers.add(consumer);
        }
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < count; i++) env.send(producer, new Message(topic, Env.utf8("b" + i)));
        env.await("both consumers have all", 30_000, () -> seen.get(0).size() == count && seen.get(1).size() == count);
        Thread.sleep(300);
        for (AtomicInteger one : deliveries) env.same("deliveries to a consumer", count, one.get());
        consumers.forEach(DefaultMQPushConsumer::shutdown);
        for (int q = 0; q < 4; q++) env.same("offset on the broker of a broadcasting group", -1L, env.committed(group, topic, q));
        env.say("2 consumers of one group got all " + count + " messages each; no offset on the broker");
    }

    private static void tags(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        // "Aa" and "BB" have the same Java hash: the broker passes both and the client sorts them out.
        String[] tags = {"A", "B", "C", "Aa", "BB", null};
        for (int i = 0; i < 60; i++) env.send(producer, new Message(topic, tags[i % 6], Env.utf8(tags[i % 6] + ":" + i)));
        Map<String, Integer> expected = new HashMap<>();
        expected.put("*", 60);
        expected.put("A || B", 20);
        expected.put("BB", 10);
        expected.put("A||Aa || C", 30);
        expected.put("none", 0);
        Map<String, Set<String>> seen = new ConcurrentHashMap<>();
        Map<String, String> groups = new HashMap<>();
        for (String expression : expected.keySet()) {
            seen.put(expression, ConcurrentHashMap.newKeySet());
            String group = env.name("g" + groups.size());
            groups.put(expression, group);
            env.pushInto(group, topic, expression, m -> seen.get(expression).add(Env.text(m)));
        }
        for (var one : expected.entrySet()) {
            env.await(one.getKey() + " to receive " + one.getValue(), 30_000, () -> seen.get(one.getKey()).size() == one.getValue());
        }
        Thread.sleep(500);
        for (var one : expected.entrySet()) {
            env.same("received by " + one.getKey(), one.getValue(), seen.get(one.getKey()).size());
            for (String body : seen.get(one.getKey())) {
                String tag = body.substring(0, body.indexOf(':'));
                boolean wanted = one.getKey().equals("*") || Set.of(one.getKey().split("\\s*\\|\\|\\s*")).contains(tag);
                env.check(wanted, one.getKey() + " received " + body);
            }
        }
        env.say("`*`, `A || B`, a tag whose hash collides with another's, a tag nobody sends: " + expected);
    }

    private static void longPolling(Env env) throws Exception {
        String topic = env.topic("t", 1);
        BlockingQueue<Long> delays = new LinkedBlockingQueue<>();
        env.pushInto(env.name("g"), topic, "*",
            m -> delays.add(System.currentTimeMillis() - Long.parseLong(Env.text(m))));
        DefaultMQProducer producer = env.producer();
        env.send(producer, new Message(topic, Env.utf8("" + System.currentTimeMillis())));
        env.check(delays.poll(30, TimeUnit.SECONDS) != null, "the first message did not come");
        List<Long> measured = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            Thread.sleep(400); // long enough for the consumer to be parked in a pull again
            env.send(producer, new Message(topic, Env.utf8("" + System.currentTimeMillis())));
            Long delay = delays.poll(10, TimeUnit.SECONDS);
            env.check(delay != null, "message " + i + " did not come");
            measured.add(delay);
        }
        for (long delay : measured) env.between("ms from send to an idle consumer, of " + measured, 0, 1000, delay);
        env.say("8 messages to an idle consumer, ms from send to listener: " + measured);
    }

    private static void twoGroups(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        Set<String> first = ConcurrentHashMap.newKeySet();
        Set<String> second = ConcurrentHashMap.newKeySet();
        env.pushInto(env.name("g1"), topic, "*", m -> first.add(Env.text(m)));
        env.pushInto(env.name("g2"), topic, "even", m -> second.add(Env.text(m)));
        for (int i = 0; i < 50; i++) {
            env.send(producer, new Message(topic, i % 2 == 0 ? "even" : "odd", Env.utf8("" + i)));
        }
        env.await("both groups have theirs", 30_000, () -> first.size() == 50 && second.size() == 25);
        env.check(second.stream().allMatch(s -> Integer.parseInt(s) % 2 == 0), "the second group got " + second);
        env.say("two groups with different filters on one topic got 50 and 25 messages");
    }

    private static void liteSubscribe(Env env) throws Exception {
        int count = 120;
        String topic = env.topic("t", 4);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < count; i++) env.send(producer, new Message(topic, i % 3 == 0 ? "x" : "y", Env.utf8("" + i)));
        DefaultLitePullConsumer consumer = env.lite(group, c -> {
            try {
                c.subscribe(topic, "x");
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            c.setAutoCommit(false);
        });
        Set<Integer> seen = new TreeSet<>();
        long end = System.currentTimeMillis() + 30_000;
        while (seen.size() < count / 3 && System.currentTimeMillis() < end) {
            for (MessageExt message : consumer.poll(1000)) {
                env.same("tags", "x", message.getTags());
                env.check(seen.add(Integer.parseInt(Env.text(message))), "delivered twice: " + Env.text(message));
            }
        }
        env.same("messages polled", count / 3, seen.size());
        env.same("assigned queues", 4, consumer.assignment().size());
        consumer.commitSync();
        env.await("offsets committed", 10_000, () -> {
            long sum = 0;
            for (int q = 0; q < 4; q++) sum += Math.max(0, env.committed(group, topic, q));
            // Messages of the other tag behind the last one that matched are not part of a commit.
            return sum > 0 && sum <= count;
        });
        env.say("subscribed with a tag: " + seen.size() + " of " + count + " polled, 4 queues assigned, commit stored");
    }

    private static void liteAssign(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 100; i++) env.send(producer, new Message(topic, Env.utf8("" + i)), i % 2);
        DefaultLitePullConsumer consumer = env.lite(env.name("g"), c -> c.setAutoCommit(true));
        env.same("queues of the topic", 2, consumer.fetchMessageQueues(topic).size());
        MessageQueue queue = consumer.fetchMessageQueues(topic).stream().filter(q -> q.getQueueId() == 1).findFirst().orElseThrow();
        consumer.assign(List.of(queue));
        consumer.seek(queue, 40);
        List<String> got = drain(consumer, "81", 10);
        List<String> expected = new ArrayList<>();
        for (int i = 40; i < 50; i++) expected.add("" + (2 * i + 1));
        env.same("after seek to 40", expected, got);
        consumer.seekToBegin(queue);
        env.same("messages after seekToBegin", 50, drain(consumer, "1", 50).size());
        consumer.seekToEnd(queue);
        Thread.sleep(200);
        env.send(producer, new Message(topic, Env.utf8("last")), 1);
        env.same("after seekToEnd", List.of("last"), drain(consumer, "last", 1));
        try {
            consumer.seek(queue, 1000);
            throw new AssertionError("seek beyond the end was allowed");
        } catch (org.apache.rocketmq.client.exception.MQClientException e) {
            env.check(e.getMessage().contains("min offset = 0, max offset = 51"), "refusal: " + e.getMessage());
        }
        env.say("assigned one queue: seek, seekToBegin and seekToEnd read from there");
    }

    /**
     * The next `count` bodies from `first` on. What comes before it was pulled before the seek: the client may hand that
     * out when a pull ends at the same moment.
     */
    private static List<String> drain(DefaultLitePullConsumer consumer, String first, int count) {
        List<String> got = new ArrayList<>();
        long end = System.currentTimeMillis() + 20_000;
        while (got.size() < count && System.currentTimeMillis() < end) {
            for (MessageExt message : consumer.poll(500)) {
                if (!got.isEmpty() || Env.text(message).equals(first)) got.add(Env.text(message));
            }
        }
        return got;
    }

    private static void pull(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 100; i++) env.send(producer, new Message(topic, i < 50 ? "a" : i % 2 == 0 ? "b" : "c", Env.utf8("" + i)), 0);
        DefaultMQPullConsumer consumer = env.pull(env.name("g"));
        env.same("queues", 2, new HashSet<>(consumer.fetchSubscribeMessageQueues(topic)).size());
        MessageQueue queue = Env.queue(topic, 0);

        PullResult all = consumer.pull(queue, "*", 10, 5);
        env.same("status", PullStatus.FOUND, all.getPullStatus());
        env.same("next", 15L, all.getNextBeginOffset());
        env.same("min", 0L, all.getMinOffset());
        env.same("max", 100L, all.getMaxOffset());
        env.same("first body", "10", Env.text(all.getMsgFoundList().get(0)));
        env.same("number", 5, all.getMsgFoundList().size());

        PullResult some = consumer.pull(queue, "b || c", 0, 3);
        env.same("status with tags", PullStatus.FOUND, some.getPullStatus());
        env.same("first with tags", "50", Env.text(some.getMsgFoundList().get(0)));
        env.same("next with tags", 53L, some.getNextBeginOffset());

        PullResult unmatched = consumer.pull(queue, "nothing", 0, 32);
        env.same("status without a match", PullStatus.NO_MATCHED_MSG, unmatched.getPullStatus());
        env.same("next without a match", 100L, unmatched.getNextBeginOffset());

        PullResult end = consumer.pull(queue, "*", 100, 32);
        env.same("status at the end", PullStatus.NO_NEW_MSG, end.getPullStatus());
        env.same("next at the end", 100L, end.getNextBeginOffset());

        PullResult beyond = consumer.pull(queue, "*", 500, 32);
        env.same("status beyond the end", PullStatus.OFFSET_ILLEGAL, beyond.getPullStatus());
        env.same("next beyond the end", 100L, beyond.getNextBeginOffset());

        PullResult empty = consumer.pull(Env.queue(topic, 1), "*", 0, 32);
        env.same("status of an empty queue", PullStatus.NO_NEW_MSG, empty.getPullStatus());
        env.same("next of an empty queue", 0L, empty.getNextBeginOffset());
        PullResult emptyBeyond = consumer.pull(Env.queue(topic, 1), "*", 7, 32);
        env.same("status beyond an empty queue", PullStatus.OFFSET_ILLEGAL, emptyBeyond.getPullStatus());
        env.same("next beyond an empty queue", 0L, emptyBeyond.getNextBeginOffset());

        PullResult negative = consumer.pull(queue, "*", 0, 1000);
        env.say("1000 asked for, " + negative.getMsgFoundList().size() + " given");
        env.between("messages when 1000 are asked for", 1, 100, negative.getMsgFoundList().size());

        Thread later = new Thread(() -> {
            try {
                Thread.sleep(700);
                producer.send(new Message(topic, "a", Env.utf8("late")), queue);
            } catch (Exception e) {
                e.printStackTrace();
            }
        });
        later.start();
        long begin = System.currentTimeMillis();
        PullResult blocked = consumer.pullBlockIfNotFound(queue, "*", 100, 32);
        long waited = System.currentTimeMillis() - begin;
        env.same("status of a pull that waited", PullStatus.FOUND, blocked.getPullStatus());
        env.same("body of a pull that waited", "late", Env.text(blocked.getMsgFoundList().get(0)));
        env.between("ms that the pull waited", 500, 2500, waited);
        env.say("FOUND, NO_MATCHED_MSG, NO_NEW_MSG and OFFSET_ILLEGAL with their next offsets; a waiting pull after " + waited + " ms");
    }
}
