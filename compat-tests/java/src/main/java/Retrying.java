import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that come later: delay levels, retries after a failed consumption, and the dead-letter queue. */
final class Retrying {
    /** How early a delayed message may come: the schedule counts from the store time, the test from before the send. */
    private static final long EARLY_MS = 20;
    private static final long LATE_MS = 4_000;

    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("delay_levels", true, false, Retrying::delayLevels));
        all.add(new Scenario.Named("retry_default_delay", false, false, Retrying::defaultDelay));
        all.add(new Scenario.Named("retry_to_dlq", true, false, Retrying::toDeadLetters));
        all.add(new Scenario.Named("retry_orderly_to_dlq", false, false, Retrying::orderlyToDeadLetters));
        all.add(new Scenario.Named("retry_batch_part", false, false, Retrying::ackIndex));
    }

    private record Delivery(MessageExt message, long atMs) {}

    private static void delayLevels(Env env) throws Exception {
        String topic = env.topic("t", 2);
        Map<String, Delivery> seen = new ConcurrentHashMap<>();
        env.pushInto(env.name("g"), topic, "d", m -> seen.putIfAbsent(Env.text(m), new Delivery(m, System.currentTimeMillis())));
        DefaultMQProducer producer = env.producer();
        int[] levels = {1, 3, 2, 0, 1};
        long[] delays = {1000, 10_000, 5000, 0, 1000};
        long[] sentAt = new long[levels.length];
        SendResult[] results = new SendResult[levels.length];
        for (int i = 0; i < levels.length; i++) {
            Message message = new Message(topic, "d", "key" + i, Env.utf8("delayed " + i));
            message.setDelayTimeLevel(levels[i]);
            message.putUserProperty("own", "kept");
            sentAt[i] = System.currentTimeMillis();
            results[i] = env.send(producer, message, 1);
        }
        env.await("all delayed messages delivered", 25_000, () -> seen.size() == levels.length);
        List<Long> late = new ArrayList<>();
        for (int i = 0; i < levels.length; i++) {
            Delivery delivery = seen.get("delayed " + i);
            MessageExt message = delivery.message;
            long after = delivery.atMs - sentAt[i];
            env.between("ms until a message of level " + levels[i] + " came", delays[i] - EARLY_MS, delays[i] + LATE_MS, after);
            late.add(after - delays[i]);
            env.same("topic", topic, message.getTopic());
            env.same("queue", 1, message.getQueueId());
            env.same("tags", "d", message.getTags());
            env.same("keys", "key" + i, message.getKeys());
            env.same("own property", "kept", message.getUserProperty("own"));
            env.same("msgId", results[i].getMsgId(), message.getMsgId());
            env.same("DELAY", "" + levels[i], message.getProperty("DELAY"));
            env.same("reconsumeTimes", 0, message.getReconsumeTimes());
            if (levels[i] > 0) {
                env.same("REAL_TOPIC", topic, message.getProperty("REAL_TOPIC"));
                env.same("REAL_QID", "1", message.getProperty("REAL_QID"));
            }
        }
        env.say("levels 1, 2 and 3 in queue, ms late: " + late);
    }

    private static void defaultDelay(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        List<Delivery> seen = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            seen.add(new Delivery(messages.get(0), System.currentTimeMillis()));
            return seen.size() == 1 ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        env.adoptRetryTopic(consumer);
        env.send(env.producer(), new Message(topic, Env.utf8("again")));
        env.await("a second delivery", 30_000, () -> seen.size() == 2);
        env.same("reconsumeTimes", 1, seen.get(1).message.getReconsumeTimes());
        env.same("body", "again", Env.text(seen.get(1).message));
        env.same("topic shown to the listener", topic, seen.get(1).message.getTopic());
        env.between("ms until the first retry", 10_000 - EARLY_MS, 10_000 + LATE_MS, seen.get(1).atMs - seen.get(0).atMs);
        env.say("the first retry came after " + (seen.get(1).atMs - seen.get(0).atMs) + " ms");
    }

    private static void toDeadLetters(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        List<Delivery> seen = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.setMaxReconsumeTimes(2);
        consumer.subscribe(topic, "tag");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            for (MessageExt message : messages) seen.add(new Delivery(message, System.currentTimeMillis()));
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        env.adoptRetryTopic(consumer);
        Message message = new Message(topic, "tag", "the key", Env.utf8("never accepted"));
        message.putUserProperty("own", "kept");
        SendResult result = env.send(env.producer(), message);
        env.await("three deliveries", 30_000, () -> seen.size() == 3);
        for (int i = 0; i < 3; i++) {
            MessageExt one = seen.get(i).message;
            env.same("reconsumeTimes of delivery " + i, i, one.getReconsumeTimes());
            env.same("topic shown to the listener", topic, one.getTopic());
            env.same("body", "never accepted", Env.text(one));
            env.same("own property", "kept", one.getUserProperty("own"));
            env.same("msgId shown to the listener", result.getMsgId(), one.getMsgId());
            if (i > 0) {
                env.between("ms between deliveries " + (i - 1) + " and " + i, 1000 - EARLY_MS, 1000 + LATE_MS,
                    seen.get(i).atMs - seen.get(i - 1).atMs);
                env.same("RETRY_TOPIC", topic, one.getProperty("RETRY_TOPIC"));
                env.same("ORIGIN_MESSAGE_ID", result.getOffsetMsgId(), one.getProperty("ORIGIN_MESSAGE_ID"));
            }
        }
        MessageExt dead = deadLetter(env, group);
        env.same("body of the dead letter", "never accepted", Env.text(dead));
        env.same("reconsumeTimes of the dead letter", 3, dead.getReconsumeTimes());
        env.same("RETRY_TOPIC of the dead letter", topic, dead.getProperty("RETRY_TOPIC"));
        env.same("ORIGIN_MESSAGE_ID of the dead letter", result.getOffsetMsgId(), dead.getProperty("ORIGIN_MESSAGE_ID"));
        env.same("tags of the dead letter", "tag", dead.getTags());
        env.same("keys of the dead letter", "the key", dead.getKeys());
        env.same("own property of the dead letter", "kept", dead.getUserProperty("own"));
        env.same("UNIQ_KEY of the dead letter", result.getMsgId(), dead.getProperty("UNIQ_KEY"));
        env.same("deliveries after the dead letter", 3, seen.size());
        env.say("deliveries with reconsumeTimes 0, 1, 2, then a dead letter; properties: " + dead.getProperties().keySet());
    }

    private static MessageExt deadLetter(Env env, String group) throws Exception {
        String dead = "%DLQ%" + group;
        env.awaitRoute(dead);
        env.configure(dead, 1, Env.READ | Env.WRITE); // the broker creates it without read permission
        var reader = env.pull(env.name("dead"));
        env.await("a dead letter", 20_000, () -> reader.maxOffset(Env.queue(dead, 0)) == 1);
        return env.readQueue(reader, dead, 0).get(0);
    }

    private static void orderlyToDeadLetters(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.setMaxReconsumeTimes(2);
        consumer.setSuspendCurrentQueueTimeMillis(200);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            MessageExt message = messages.get(0);
            seen.add(Env.text(message) + "/" + message.getReconsumeTimes());
            return Env.text(message).equals("bad") ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        env.adoptRetryTopic(consumer);
        DefaultMQProducer producer = env.producer();
        for (String body : List.of("first", "bad", "next")) env.send(producer, new Message(topic, Env.utf8(body)));
        env.await("the message behind the bad one", 60_000, () -> seen.contains("next/0"));
        env.same("deliveries", List.of("first/0", "bad/0", "bad/1", "bad/2", "next/0"), List.copyOf(seen));
        MessageExt dead = deadLetter(env, group);
        env.same("body of the dead letter", "bad", Env.text(dead));
        env.same("RETRY_TOPIC of the dead letter", topic, dead.getProperty("RETRY_TOPIC"));
        env.say("a message that is refused holds its queue for two retries, then becomes a dead letter with reconsumeTimes "
            + dead.getReconsumeTimes());
    }

    /** A batch of which only a part is accepted: the rest comes again, the accepted part does not. */
    private static void ackIndex(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        Map<String, Integer> deliveries = new ConcurrentHashMap<>();
        AtomicReference<List<String>> refused = new AtomicReference<>();
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 8; i++) env.send(producer, new Message(topic, Env.utf8("p" + i)));
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.setConsumeMessageBatchMaxSize(8);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) deliveries.merge(Env.text(message), 1, Integer::sum);
            if (messages.size() > 1 && messages.get(0).getReconsumeTimes() == 0 && refused.get() == null) {
                context.setAckIndex(0);
                context.setDelayLevelWhenNextConsume(1);
                List<String> rest = new ArrayList<>();
                messages.subList(1, messages.size()).forEach(m -> rest.add(Env.text(m)));
                refused.set(rest);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        env.adoptRetryTopic(consumer);
        env.await("the refused part delivered again", 30_000, () -> refused.get() != null
            && refused.get().stream().allMatch(b -> deliveries.get(b) == 2) && deliveries.size() == 8);
        for (var one : deliveries.entrySet()) {
            env.same("deliveries of " + one.getKey(), refused.get().contains(one.getKey()) ? 2 : 1, one.getValue());
        }
        consumer.shutdown();
        env.same("committed", 8L, env.committed(group, topic, 0));
        env.say(refused.get().size() + " of a batch of messages refused by ackIndex came a second time, the others did not");
    }
}
