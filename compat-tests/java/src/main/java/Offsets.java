import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Where a group begins, where it goes on, and what the broker tells about a queue's offsets. */
final class Offsets {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("offsets_of_queue", true, false, Offsets::ofQueue));
        all.add(new Scenario.Named("offsets_of_group", true, false, Offsets::ofGroup));
        all.add(new Scenario.Named("offset_survives_consumer_restart", true, false, Offsets::survive));
        all.add(new Scenario.Named("consume_from_first", false, false, env -> from(env, ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET)));
        all.add(new Scenario.Named("consume_from_last", false, false, env -> from(env, ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET)));
        all.add(new Scenario.Named("consume_from_timestamp", false, false, env -> from(env, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP)));
    }

    private static void ofQueue(Env env) throws Exception {
        String topic = env.topic("t", 2);
        MessageQueue queue = Env.queue(topic, 0);
        DefaultMQPullConsumer consumer = env.pull(env.name("g"));
        env.same("min of an empty queue", 0L, consumer.minOffset(queue));
        env.same("max of an empty queue", 0L, consumer.maxOffset(queue));
        env.same("earliest time of an empty queue", -1L, consumer.earliestMsgStoreTime(queue));
        env.same("search in an empty queue", 0L, consumer.searchOffset(queue, System.currentTimeMillis()));
        env.same("max of a queue that does not exist", 0L, consumer.maxOffset(Env.queue(topic, 77)));
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 10; i++) {
            env.send(producer, new Message(topic, Env.utf8("" + i)), 0);
            Thread.sleep(15);
        }
        List<MessageExt> read = env.readQueue(topic, 0);
        env.same("min", 0L, consumer.minOffset(queue));
        env.same("max", 10L, consumer.maxOffset(queue));
        env.same("earliest time", read.get(0).getStoreTimestamp(), consumer.earliestMsgStoreTime(queue));
        for (int i = 0; i < 10; i++) {
            env.same("search for the store time of " + i, (long) i, consumer.searchOffset(queue, read.get(i).getStoreTimestamp()));
        }
        long between = (read.get(4).getStoreTimestamp() + read.get(5).getStoreTimestamp()) / 2;
        long found = consumer.searchOffset(queue, between);
        env.say("search between the store times of 4 and 5 gives " + found);
        env.same("search between 4 and 5", 5L, found);
        env.same("search before the first", 0L, consumer.searchOffset(queue, read.get(0).getStoreTimestamp() - 60_000));
        long after = consumer.searchOffset(queue, read.get(9).getStoreTimestamp() + 60_000);
        env.say("search after the last of 10 gives " + after);
        env.same("search after the last", 10L, after);
        env.say("min, max, earliest time, and search by time at, between, before and after messages");
    }

    private static void ofGroup(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("g");
        MessageQueue queue = Env.queue(topic, 0);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 20; i++) env.send(producer, new Message(topic, Env.utf8("" + i)), 0);
        var missing = env.raw.call(14, null, "consumerGroup", group, "topic", topic, "queueId", "0", "setZeroIfNotFound", "false");
        env.same("offset of a group that committed none", "code 22 remark Not found, do not set to zero, maybe this group boot first",
            Raw.show(missing));
        var zero = env.raw.call(14, null, "consumerGroup", group, "topic", topic, "queueId", "0");
        env.same("the same, from the beginning if nothing is gone", "code 0 offset 0",
            "code " + zero.getCode() + " offset " + zero.getExtFields().get("offset"));
        DefaultMQPullConsumer consumer = env.pull(group);
        consumer.fetchSubscribeMessageQueues(topic);
        consumer.updateConsumeOffset(queue, 7);
        // The broker takes offsets of groups it knows, and a 4.x client introduces its group a second after its start.
        env.await("the broker to take an offset", 10_000, () -> {
            try {
                consumer.getOffsetStore().updateConsumeOffsetToBroker(queue, 7, false);
                return true;
            } catch (org.apache.rocketmq.client.exception.MQBrokerException e) {
                env.same("refusal of an unknown group", "26 Group " + group + " not exist!", e.getResponseCode() + " " + e.getErrorMessage());
                return false;
            }
        });
        env.same("offset on the broker", 7L, env.committed(group, topic, 0));
        env.same("offset by the client", 7L, consumer.fetchConsumeOffset(queue, true));
        env.same("offset of the other queue", -1L, env.committed(group, topic, 1));
        consumer.getOffsetStore().updateConsumeOffsetToBroker(queue, 3, false);
        env.same("offset moved back", 3L, env.committed(group, topic, 0));
        // A pull can carry a commit (sysFlag bit 0).
        var pulled = env.raw.pull(group, topic, 0, 12, "sysFlag", "5", "commitOffset", "12");
        env.same("code of the pull", 0, pulled.getCode());
        env.await("offset committed by a pull", 5_000, () -> env.committed(group, topic, 0) == 12);
        env.say("none, by UPDATE_CONSUMER_OFFSET forth and back, and with a pull");
    }

    private static void survive(Env env) throws Exception {
        String topic = env.topic("t", 4);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        Set<String> first = ConcurrentHashMap.newKeySet();
        Set<String> second = ConcurrentHashMap.newKeySet();
        for (int i = 0; i < 80; i++) env.send(producer, new Message(topic, Env.utf8("a" + i)));
        DefaultMQPushConsumer one = env.pushInto(group, topic, "*", m -> first.add(Env.text(m)));
        env.await("the first consumer to be done", 30_000, () -> first.size() == 80);
        Thread.sleep(200); // a listener that returned has yet to remove its message, or it would not be committed
        one.shutdown();
        for (int i = 0; i < 40; i++) env.send(producer, new Message(topic, Env.utf8("b" + i)));
        env.pushInto(group, topic, "*", m -> second.add(Env.text(m)));
        env.await("the second consumer to be done", 30_000, () -> second.stream().filter(s -> s.startsWith("b")).count() == 40);
        Thread.sleep(300);
        env.same("old messages delivered to the second consumer", 40, second.size());
        env.say("the second consumer of the group got the 40 new messages and none of the 80 old ones");
    }

    private static void from(Env env, ConsumeFromWhere where) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 10; i++) env.send(producer, new Message(topic, Env.utf8("old" + i)));
        long gap = System.currentTimeMillis();
        if (where == ConsumeFromWhere.CONSUME_FROM_TIMESTAMP) {
            Thread.sleep(2100); // the client's timestamp has a resolution of a second
            gap = System.currentTimeMillis() - 1000;
            for (int i = 0; i < 10; i++) env.send(producer, new Message(topic, Env.utf8("new" + i)));
        }
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = env.push(env.name("g"));
        consumer.setConsumeFromWhere(where);
        consumer.setConsumeTimestamp(new SimpleDateFormat("yyyyMMddHHmmss").format(new Date(gap)));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(m -> seen.add(Env.text(m)));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        env.await("the start of consumption", 30_000, () -> {
            env.send(producer, new Message(topic, Env.utf8("probe" + System.nanoTime())));
            Thread.sleep(100);
            return seen.stream().anyMatch(s -> s.startsWith("probe"));
        });
        Thread.sleep(500);
        long old = seen.stream().filter(s -> s.startsWith("old")).count();
        long fresh = seen.stream().filter(s -> s.startsWith("new")).count();
        // The broker answers 0 for a new group while the queue still has its first message in memory, so such a group
        // never asks for "last" or for the time.
        env.same("old messages, " + where, 10L, old);
        env.same("messages behind the timestamp", where == ConsumeFromWhere.CONSUME_FROM_TIMESTAMP ? 10L : 0L, fresh);
        env.say(where + " for a new group on a young topic: " + old + " old messages, " + fresh + " behind the timestamp");
    }
}
