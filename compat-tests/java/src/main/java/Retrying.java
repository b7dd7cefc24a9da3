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
        all.add(new Scenario.Named("send_back", true, false, Retrying::sendBack));
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

    /** CONSUMER_SEND_MSG_BACK by hand: what is stored where, and what is refused. */
    private static void sendBack(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        subscriptionGroup(env, group, 3, 2);
        Message message = new Message(topic, "tag", "key", Env.utf8("x"));
        message.putUserProperty("own", "kept");
        SendResult sent = env.send(env.producer(), message);
        String at = "" + org.apache.rocketmq.common.message.MessageDecoder.decodeMessageId(sent.getOffsetMsgId()).getOffset();
        String retry = "%RETRY%" + group;

        env.same("given back", "code 0 remark null", giveBack(env, at, group, "delayLevel", "1"));
        env.awaitRoute(retry);
        env.check(new String(env.raw.call(351, null, "topic", retry).getBody()).contains("\"writeQueueNums\":3"), "queues of the retry topic");
        MessageExt again = retried(env, retry, 1);
        env.same("what is stored for the retry", "reconsumeTimes 1 tags tag keys key {DELAY=1, KEYS=key, ORIGIN_MESSAGE_ID=" + sent.getOffsetMsgId()
            + ", REAL_QID=" + again.getQueueId() + ", REAL_TOPIC=" + retry + ", RETRY_TOPIC=" + topic + ", TAGS=tag, WAIT=false, own=kept}", show(again));

        // The retry itself is given back: the first message's id and topic stay.
        String second = "" + again.getCommitLogOffset();
        env.same("given back again", "code 0 remark null", giveBack(env, second, group, "delayLevel", "1", "maxReconsumeTimes", "16"));
        MessageExt third = retried(env, retry, 2);
        env.same("what is stored for the second retry", "reconsumeTimes 2 tags tag keys key {DELAY=1, KEYS=key, ORIGIN_MESSAGE_ID=" + sent.getOffsetMsgId()
            + ", REAL_QID=" + third.getQueueId() + ", REAL_TOPIC=" + retry + ", RETRY_TOPIC=" + topic + ", TAGS=tag, WAIT=false, own=kept}", show(third));

        // Consumed as often as the group allows, as the request allows, or told never to try again: a dead letter.
        String last = "" + third.getCommitLogOffset();
        env.same("as often as the group allows", "code 0 remark null", giveBack(env, last, group));
        env.same("as often as the request allows", "code 0 remark null", giveBack(env, at, group, "maxReconsumeTimes", "0"));
        env.same("never again", "code 0 remark null", giveBack(env, at, group, "delayLevel", "-1"));
        String dead = "%DLQ%" + group;
        env.awaitRoute(dead);
        env.check(new String(env.raw.call(351, null, "topic", dead).getBody()).contains("\"perm\":6"), "permission of the dead letters");
        env.configure(dead, 1, Env.READ | Env.WRITE);
        List<MessageExt> letters = env.readQueue(dead, 0);
        List<Integer> times = new ArrayList<>();
        letters.forEach(m -> times.add(m.getReconsumeTimes()));
        env.same("reconsumeTimes of the dead letters", List.of(3, 1, 1), times);
        env.same("level of one", "0", letters.get(1).getProperty("DELAY"));
        env.same("level of the one never to be tried", "0", letters.get(2).getProperty("DELAY"));

        String inside = giveBack(env, "" + (Long.parseLong(at) + 7), group);
        env.check(inside.startsWith("code 1 "), "an offset where nothing begins: " + inside);
        env.same("an offset behind the log", "code 1 remark look message by offset failed, 99999999999", giveBack(env, "99999999999", group));
        subscriptionGroup(env, env.name("none"), 0, 2);
        env.same("a group without retry queues", "code 0 remark null", giveBack(env, at, env.name("none")));
        env.same("its retry topic", 17, env.raw.pull(group, "%RETRY%" + env.name("none"), 0, 0).getCode());
    }

    private static void subscriptionGroup(Env env, String group, int retryQueues, int retryMaxTimes) throws Exception {
        String json = "{\"groupName\":\"" + group + "\",\"consumeEnable\":true,\"consumeFromMinEnable\":true,\"consumeBroadcastEnable\":true,"
            + "\"retryQueueNums\":" + retryQueues + ",\"retryMaxTimes\":" + retryMaxTimes + ",\"brokerId\":0,\"whichBrokerWhenConsumeSlowly\":1,"
            + "\"notifyConsumerIdsChangedEnable\":true}";
        env.same("update of the group", 0, env.raw.call(200, Env.utf8(json)).getCode());
    }

    private static String giveBack(Env env, String offset, String group, String... more) throws Exception {
        List<String> fields = new ArrayList<>(List.of("offset", offset, "group", group, "delayLevel", "0", "originMsgId", "", "originTopic", "", "unitMode", "false"));
        Collections.addAll(fields, more); // a later one wins
        return Raw.show(env.raw.call(36, null, fields.toArray(new String[0])));
    }

    /** The n-th message of a retry topic with three queues, once it is due. */
    private static MessageExt retried(Env env, String retry, int n) throws Exception {
        var reader = env.pull(env.name("r" + n));
        List<MessageExt> all = new ArrayList<>();
        env.await("retry " + n, 20_000, () -> {
            all.clear();
            for (int queue = 0; queue < 3; queue++) all.addAll(env.readQueue(reader, retry, queue));
            return all.size() == n;
        });
        return all.stream().filter(m -> m.getReconsumeTimes() == n).findFirst().orElseThrow();
    }

    /** The properties that do not differ from run to run or from client to client. */
    private static String show(MessageExt message) {
        var properties = new java.util.TreeMap<>(message.getProperties());
        properties.keySet().removeAll(List.of("UNIQ_KEY", "CLUSTER", "MSG_REGION", "TRACE_ON", "MIN_OFFSET", "MAX_OFFSET"));
        return "reconsumeTimes " + message.getReconsumeTimes() + " tags " + message.getTags() + " keys " + message.getKeys() + " " + properties;
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
