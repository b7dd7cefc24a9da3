import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import io.netty.channel.ChannelHandlerContext;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.netty.NettyRequestProcessor;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What administrators ask of running consumers through the broker, and resets of offsets. */
final class ClientCalls {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("reset_offset_online", true, false, env -> resetOnline(env, false)));
        all.add(new Scenario.Named("reset_offset_orderly", false, false, env -> resetOnline(env, true)));
        all.add(new Scenario.Named("reset_offset_offline", true, false, ClientCalls::resetOffline));
        all.add(new Scenario.Named("reset_offset_by_clients", false, true, ClientCalls::resetByClients));
        all.add(new Scenario.Named("calls_running_info", true, false, ClientCalls::runningInfo));
        all.add(new Scenario.Named("calls_consume_directly", true, false, ClientCalls::consumeDirectly));
        all.add(new Scenario.Named("calls_consumer_status", true, false, ClientCalls::consumerStatus));
        all.add(new Scenario.Named("calls_refused", true, false, ClientCalls::refused));
        all.add(new Scenario.Named("offsets_correction", true, false, ClientCalls::correction));
    }

    /** A consumer that counts deliveries by body, concurrently or in order. */
    private static DefaultMQPushConsumer counting(Env env, String group, String topic, boolean orderly, Map<String, Integer> seen) throws Exception {
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.subscribe(topic, "*");
        if (orderly) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                messages.forEach(m -> seen.merge(Env.text(m), 1, Integer::sum));
                return ConsumeOrderlyStatus.SUCCESS;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                messages.forEach(m -> seen.merge(Env.text(m), 1, Integer::sum));
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        }
        consumer.start();
        return consumer;
    }

    private static String clientId(DefaultMQPushConsumer consumer) {
        return consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
    }

    // --- resets ------------------------------------------------------------------------------------------------

    private static void resetOnline(Env env, boolean orderly) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 10; i++) env.send(producer, new Message(topic, Env.utf8("old" + i)), i % 2);
        Thread.sleep(50);
        long middle = System.currentTimeMillis();
        Thread.sleep(50);
        for (int i = 0; i < 10; i++) env.send(producer, new Message(topic, Env.utf8("new" + i)), i % 2);
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = counting(env, group, topic, orderly, seen);
        env.await("20 messages", 30_000, () -> seen.size() == 20);
        Thread.sleep(300); // a listener that returned has yet to remove its message
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        env.await("offsets on the broker", 10_000, () -> env.committed(group, topic, 0) == 10 && env.committed(group, topic, 1) == 10);
        Map<MessageQueue, Long> table = Env.admin(env.namesrv).resetOffsetByTimestamp(topic, group, middle, true);
        env.same("what the broker answers", new TreeMap<>(Map.of(Env.queue(topic, 0), 5L, Env.queue(topic, 1), 5L)), new TreeMap<>(table));
        env.same("offset of the group right away", "5 5", env.committed(group, topic, 0) + " " + env.committed(group, topic, 1));
        // Java's broker does not wake a pull that waits; a message does.
        for (int i = 0; i < 2; i++) env.send(producer, new Message(topic, Env.utf8("after" + i)), i);
        // A client that is told so drops the queue, and takes it up again 10 s later, or at its next rebalance.
        env.await("the newer 10 again", 60_000, () -> {
            for (int i = 0; i < 10; i++) if (seen.get("new" + i) < 2) return false;
            return seen.containsKey("after0") && seen.containsKey("after1");
        });
        for (int i = 0; i < 10; i++) env.same("deliveries of an older message", 1, seen.get("old" + i));
        Thread.sleep(300);
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        env.await("the offset after all", 10_000, () -> env.committed(group, topic, 0) == 11 && env.committed(group, topic, 1) == 11);
        env.say("10 of 20 messages again after a reset by time under a running consumer, none of the older ones");
    }

    private static void resetOffline(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("g");
        DefaultMQAdminExt admin = Env.admin(env.namesrv);
        DefaultMQProducer producer = env.producer();
        List<Long> times = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            env.send(producer, new Message(topic, Env.utf8("m" + i)), 0);
            Thread.sleep(15);
        }
        env.readQueue(topic, 0).forEach(m -> times.add(m.getStoreTimestamp()));
        env.same("a topic that is not there", "17 Topic " + topic + "x does not exist", broken(() -> env.raw.call(222, null,
            "topic", topic + "x", "group", group, "timestamp", "0", "isForce", "true")));
        env.same("a group that is not there", "26 Group " + group + "x does not exist", broken(() -> env.raw.call(222, null,
            "topic", topic, "group", group + "x", "timestamp", "0", "isForce", "true")));
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = counting(env, group, topic, false, seen);
        env.await("10 messages", 30_000, () -> seen.size() == 10);
        Thread.sleep(300);
        consumer.shutdown();
        env.await("the offset on the broker", 10_000, () -> env.committed(group, topic, 0) == 10);
        admin.resetOffsetNew(group, topic, times.get(4));
        env.same("offset by time", 4L, env.committed(group, topic, 0));
        // A consumer that is still to learn of the reset must not undo it.
        env.same("a commit from before", "code 0 remark Offset has been previously reset", Raw.show(commit(env, group, topic, 0, 10)));
        env.same("offset by time, after that", 4L, env.committed(group, topic, 0));
        RemotingCommand pull = env.raw.pull(group, topic, 0, 10, "sysFlag", "5", "commitOffset", "10");
        env.same("the next pull", "code 21 remark OFFSET_RESET", Raw.show(pull));
        env.same("where it is sent", "4 0 10", pull.getExtFields().get("nextBeginOffset") + " " + pull.getExtFields().get("minOffset") + " "
            + pull.getExtFields().get("maxOffset"));
        env.same("the pull after it", "code 0 remark FOUND", Raw.show(env.raw.pull(group, topic, 0, 4)));
        env.same("a commit from after", "code 0 remark null", Raw.show(commit(env, group, topic, 0, 7)));
        env.same("offset by it", 7L, env.committed(group, topic, 0));
        env.same("one queue to an offset", "code 0 remark null", Raw.show(env.raw.call(222, null,
            "topic", topic, "group", group, "timestamp", "0", "isForce", "true", "queueId", "0", "offset", "2")));
        env.same("its offset", 2L, env.committed(group, topic, 0));
        env.same("an offset beyond the end", "1 Target offset 12 not in consume queue range [0-10]", broken(() -> env.raw.call(222, null,
            "topic", topic, "group", group, "timestamp", "0", "isForce", "true", "queueId", "0", "offset", "12")));
        env.same("its offset still", 2L, env.committed(group, topic, 0));
        env.same("one queue by time", "code 0 remark null", Raw.show(env.raw.call(222, null,
            "topic", topic, "group", group, "timestamp", "" + times.get(6), "isForce", "true", "queueId", "0", "offset", "-1")));
        env.same("its offset by time", 6L, env.committed(group, topic, 0));
        admin.resetOffsetByTimestamp(topic, group, -1, true);
        env.same("to the end", "10 0", env.committed(group, topic, 0) + " " + env.committed(group, topic, 1));
        admin.resetOffsetByTimestamp(topic, group, times.get(7), true);
        Map<String, Integer> again = new ConcurrentHashMap<>();
        counting(env, group, topic, false, again);
        env.await("the rest", 60_000, () -> again.size() >= 3);
        Thread.sleep(300);
        env.same("consumed after the reset", "[m7, m8, m9]", new java.util.TreeSet<>(again.keySet()).toString());
        env.say("by time, to the end, one queue to an offset and by time; commits and pulls until the consumer knows; refusals");
    }

    private static RemotingCommand commit(Env env, String group, String topic, int queueId, long offset) throws Exception {
        return env.raw.call(15, null, "consumerGroup", group, "topic", topic, "queueId", "" + queueId, "commitOffset", "" + offset);
    }

    private interface Asking {
        RemotingCommand ask() throws Exception;
    }

    private static String broken(Asking asking) throws Exception {
        RemotingCommand answer = asking.ask();
        return answer.getCode() + " " + answer.getRemark();
    }

    /** With useServerSideResetOffset=false the broker tells the online consumers, as 4.x brokers do. */
    private static void resetByClients(Env env) throws Exception {
        DefaultMQAdminExt admin = Env.admin(env.namesrv);
        java.util.Properties off = new java.util.Properties();
        off.setProperty("useServerSideResetOffset", "false");
        admin.updateBrokerConfig(env.broker, off);
        env.onClose(() -> {
            java.util.Properties on = new java.util.Properties();
            on.setProperty("useServerSideResetOffset", "true");
            admin.updateBrokerConfig(env.broker, on);
        });
        String topic = env.topic("t", 2);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 7; i++) env.send(producer, new Message(topic, Env.utf8("m" + i)), i / 6);
        // The official consumer drops its queues for 10 s when it is told; what is built by hand is asked meanwhile.
        String official = env.name("official");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = counting(env, official, topic, false, seen);
        env.await("7 messages", 30_000, () -> seen.size() == 7);
        env.await("offsets of both queues", 15_000, () -> {
            consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
            return env.committed(official, topic, 0) == 6 && env.committed(official, topic, 1) == 1;
        });
        env.same("what the broker answers", new TreeMap<>(Map.of(Env.queue(topic, 0), 0L, Env.queue(topic, 1), 0L)),
            new TreeMap<>(admin.resetOffsetByTimestamp(topic, official, 0, true)));
        String[] reset = {"topic", topic, "group", group, "timestamp", "0", "isForce", "false"};
        env.same("a topic that is not there", "17 [reset-offset] reset offset failed, no topic in this broker. topic=" + topic + "x", broken(
            () -> env.raw.call(222, null, "topic", topic + "x", "group", group, "timestamp", "0", "isForce", "true")));
        env.same("a group without offsets", "1 THe consumer group <" + group + "> not exist", broken(() -> env.raw.call(222, null, reset)));
        List<RemotingCommand> told = new CopyOnWriteArrayList<>();
        NettyRemotingClient member = member(env, group, group + "-1", topic, 0, Map.of(220, request -> {
            told.add(request);
            return null;
        }));
        commit(env, group, topic, 0, 4);
        commit(env, group, topic, 1, 0);
        env.same("by time", "code 0 remark not set any response code", Raw.show(env.raw.call(222, null, reset)));
        env.await("the consumer to be told", 5_000, () -> told.size() == 1);
        env.same("its fields", new TreeMap<>(Map.of("topic", topic, "group", group, "timestamp", "0", "isForce", "false")), fields(told.get(0), "queueId"));
        env.check(new String(told.get(0).getBody(), "UTF-8").startsWith("{\"offsetTable\":{{"), "its body: " + new String(told.get(0).getBody(), "UTF-8"));
        env.same("offset on the broker until the consumer commits", 4L, env.committed(group, topic, 0));
        RemotingCommand inC = RemotingCommand.createRequestCommand(222, null);
        inC.setLanguage(org.apache.rocketmq.remoting.protocol.LanguageCode.CPP);
        HashMap<String, String> ext = new HashMap<>();
        for (int i = 0; i < reset.length; i += 2) ext.put(reset[i], reset[i + 1]);
        ext.put("timestamp", "-1");
        inC.setExtFields(ext);
        env.same("to the end without force, in C", "code 0 remark not set any response code", Raw.show(member.invokeSync(env.broker, inC, 5_000)));
        env.await("the consumer to be told again", 5_000, () -> told.size() == 2);
        String body = new String(told.get(1).getBody(), "UTF-8");
        env.check(body.startsWith("{\"offsetTable\":[{") && body.contains("\"offset\":4"), "body in C, not forward without force: " + body);
        member.shutdown();
        env.await("the group to be offline", 5_000, () -> broken(() -> env.raw.call(222, null, reset))
            .equals("206 Consumer not online, so can not reset offset, Group: " + group + " Topic: " + topic + " Timestamp: 0"));
        member(env, group, group + "-2", topic, 27, Map.of());
        env.same("a consumer that is too old", "1 the client does not support this feature. version=V3_0_6", broken(() -> env.raw.call(222, null, reset)));
        env.await("all messages again", 45_000, () -> seen.values().stream().allMatch(n -> n == 2));
        env.say("online consumers are told, in Java's form and in C's, and the official one consumes again; offline, unknown, too old");
    }

    private static Map<String, String> fields(RemotingCommand command, String... without) {
        Map<String, String> fields = new TreeMap<>(command.getExtFields());
        for (String key : without) fields.remove(key);
        return fields;
    }

    // --- calls -------------------------------------------------------------------------------------------------

    private static void runningInfo(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQAdminExt admin = Env.admin(env.namesrv);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 10; i++) env.send(producer, new Message(topic, Env.utf8("m" + i)), i % 2);
        for (boolean orderly : new boolean[] {false, true}) {
            String group = env.name(orderly ? "ordered" : "g");
            Map<String, Integer> seen = new ConcurrentHashMap<>();
            DefaultMQPushConsumer consumer = counting(env, group, topic, orderly, seen);
            env.await("10 messages", 30_000, () -> seen.size() == 10);
            var plain = admin.getConsumerRunningInfo(group, clientId(consumer), false);
            env.check(plain.getJstack() == null || plain.getJstack().isEmpty(), "stacks that nobody asked for");
            var info = admin.getConsumerRunningInfo(group, clientId(consumer), true);
            env.same("consumes in order", "" + orderly, info.getProperties().get("PROP_CONSUMEORDERLY").toString());
            env.check(info.getJstack().contains("ConsumeMessageThread_"), "stacks: " + Env.shorten(info.getJstack()));
            var queues = new java.util.TreeSet<Integer>();
            for (var entry : info.getMqTable().entrySet()) {
                if (!entry.getKey().getTopic().equals(topic)) continue;
                queues.add(entry.getKey().getQueueId());
                env.check(!orderly || entry.getValue().isLocked(), "a queue that is consumed in order is locked");
            }
            env.same("queues", "[0, 1]", queues.toString());
            env.check(info.getSubscriptionSet().stream().anyMatch(s -> s.getTopic().equals(topic)), "subscriptions " + info.getSubscriptionSet());
        }
        env.say("of a concurrent and an orderly consumer, with and without stacks");
    }

    private static void consumeDirectly(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQAdminExt admin = Env.admin(env.namesrv);
        DefaultMQProducer producer = env.producer();
        Map<String, String> ids = new HashMap<>();
        for (String what : List.of("good", "later", "fails")) {
            ids.put(what, env.send(producer, new Message(topic, Env.utf8(what)), 0).getOffsetMsgId());
        }
        for (boolean orderly : new boolean[] {false, true}) {
            String group = env.name(orderly ? "ordered" : "g");
            DefaultMQPushConsumer consumer = env.push(group);
            consumer.setConsumeFromWhere(org.apache.rocketmq.common.consumer.ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
            consumer.subscribe(topic, "none of these");
            AtomicInteger deliveries = new AtomicInteger();
            if (orderly) {
                consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                    deliveries.incrementAndGet();
                    switch (Env.text(messages.get(0))) {
                        case "good": return ConsumeOrderlyStatus.SUCCESS;
                        case "later": return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                        default: throw new IllegalStateException("as told");
                    }
                });
            } else {
                consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                    deliveries.incrementAndGet();
                    switch (Env.text(messages.get(0))) {
                        case "good": return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                        case "later": return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                        default: throw new IllegalStateException("as told");
                    }
                });
            }
            consumer.start();
            String client = clientId(consumer);
            env.await("the broker to know the consumer", 10_000, () -> env.raw.call(38, null, "consumerGroup", group).getCode() == 0);
            for (var expected : Map.of("good", "CR_SUCCESS", "later", "CR_LATER", "fails", "CR_THROW_EXCEPTION").entrySet()) {
                var result = admin.consumeMessageDirectly(group, client, topic, ids.get(expected.getKey()));
                String outcome = orderly && expected.getKey().equals("later") ? "CR_LATER" : expected.getValue();
                env.same("outcome of " + expected.getKey() + ", in order " + orderly, outcome, result.getConsumeResult().toString());
                env.same("in order", orderly, result.isOrder());
            }
            env.same("deliveries", 3, deliveries.get());
            try {
                admin.consumeMessageDirectly(group, "nobody", topic, ids.get("good"));
                env.check(false, "a client that is not there consumed");
            } catch (MQClientException e) {
                env.same("a client that is not there", "1 The Consumer <" + group + "> <nobody> not online", e.getResponseCode() + " " + e.getErrorMessage());
            }
        }
        env.say("success, later and an exception, by a concurrent and an orderly consumer; a client that is not there");
    }

    private static void consumerStatus(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("g");
        DefaultMQAdminExt admin = Env.admin(env.namesrv);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 10; i++) env.send(producer, new Message(topic, Env.utf8("m" + i)), i % 2);
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer first = counting(env, group, topic, false, seen);
        env.await("10 messages", 30_000, () -> seen.size() == 10);
        env.await("the offsets of one consumer", 10_000, () -> {
            Map<String, Map<MessageQueue, Long>> status = admin.getConsumeStatus(topic, group, "");
            return status.equals(Map.of(clientId(first), Map.of(Env.queue(topic, 0), 5L, Env.queue(topic, 1), 5L)));
        });
        DefaultMQPushConsumer second = counting(env, group, topic, false, seen);
        env.await("the offsets of two consumers", 30_000, () -> {
            Map<String, Map<MessageQueue, Long>> status = admin.getConsumeStatus(topic, group, "");
            return status.keySet().equals(Set.of(clientId(first), clientId(second)));
        });
        env.same("only the second", Set.of(clientId(second)), admin.getConsumeStatus(topic, group, clientId(second)).keySet());
        env.same("nobody", Map.of(), admin.getConsumeStatus(topic, group, "nobody"));
        env.say("of one consumer, of two, of one of two, of none");
    }

    private interface Answering {
        RemotingCommand answer(RemotingCommand request);
    }

    /** A consumer built by hand, of `version` unless that is 0, that answers what the broker asks with `answers`. */
    private static NettyRemotingClient member(Env env, String group, String clientId, String topic, int version, Map<Integer, Answering> answers) throws Exception {
        NettyRemotingClient client = new NettyRemotingClient(new NettyClientConfig());
        for (var entry : answers.entrySet()) {
            client.registerProcessor(entry.getKey(), new NettyRequestProcessor() {
                @Override
                public RemotingCommand processRequest(ChannelHandlerContext context, RemotingCommand request) {
                    return entry.getValue().answer(request);
                }

                @Override
                public boolean rejectRequest() {
                    return false;
                }
            }, Executors.newSingleThreadExecutor());
        }
        client.start();
        env.onClose(() -> new Thread(client::shutdown).start()); // it waits for its threads for seconds
        RemotingCommand heartbeat = RemotingCommand.createRequestCommand(34, null);
        if (version != 0) heartbeat.setVersion(version);
        heartbeat.setBody(Env.utf8("{\"clientID\":\"" + clientId + "\",\"producerDataSet\":[],\"consumerDataSet\":[{\"groupName\":\"" + group
            + "\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\",\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\","
            + "\"subscriptionDataSet\":[{\"topic\":\"" + topic + "\",\"subString\":\"*\",\"subVersion\":1}],\"unitMode\":false}]}"));
        env.same("heartbeat", 0, client.invokeSync(env.broker, heartbeat, 5_000).getCode());
        return client;
    }

    private static void refused(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        String id = env.send(env.producer(), new Message(topic, Env.utf8("m")), 0).getOffsetMsgId();
        env.same("of a group that is not online", "1 The Consumer <" + group + "> <c> not online", broken(
            () -> env.raw.call(307, null, "consumerGroup", group, "clientId", "c")));
        env.same("offsets of a group that is not online", 1, env.raw.call(223, null, "topic", topic, "group", group).getCode());
        Map<String, String> asked = new ConcurrentHashMap<>();
        NettyRemotingClient old = member(env, group, "old", topic, 27, Map.of());
        NettyRemotingClient telling = member(env, group, "telling", topic, 0, Map.of(307, request -> {
            asked.putAll(request.getExtFields());
            RemotingCommand answer = RemotingCommand.createResponseCommand(0, "by the client");
            answer.setBody(Env.utf8("whatever it is"));
            return answer;
        }, 309, request -> {
            asked.putAll(request.getExtFields());
            asked.put("body", request.getBody() == null ? "none" : "" + request.getBody().length);
            return RemotingCommand.createResponseCommand(1, "refused by the client");
        }, 221, request -> RemotingCommand.createResponseCommand(1, "not told")));
        member(env, group, "silent", topic, 0, Map.of(307, request -> null));
        env.same("an old client", "1 The Consumer <old> Version <V3_0_6> too low to finish, please upgrade it to V3_1_8_SNAPSHOT", broken(
            () -> env.raw.call(307, null, "consumerGroup", group, "clientId", "old")));
        env.same("offsets of an old client", "1 the client does not support this feature. version=V3_0_6", broken(
            () -> env.raw.call(223, null, "topic", topic, "group", group)));
        RemotingCommand told = env.raw.call(307, null, "consumerGroup", group, "clientId", "telling", "jstackEnable", "true", "more", "fields");
        env.same("what the client answers", "code 0 remark by the client body whatever it is", Raw.show(told) + " body " + new String(told.getBody(), "UTF-8"));
        env.same("what it was asked", new TreeMap<>(Map.of("consumerGroup", group, "clientId", "telling", "jstackEnable", "true", "more", "fields")),
            new TreeMap<>(asked));
        asked.clear();
        env.same("a message that it refuses", "1 refused by the client", broken(
            () -> env.raw.call(309, null, "consumerGroup", group, "clientId", "telling", "msgId", id, "topic", topic)));
        env.same("what comes with a message", Env.BROKER_NAME + " 0 0", asked.get("brokerName") + " " + asked.get("topicSysFlag") + " " + asked.get("groupSysFlag"));
        env.check(Integer.parseInt(asked.get("body")) > 90, "the record: " + asked.get("body"));
        env.same("a message that is not there", 1, env.raw.call(309, null, "consumerGroup", group, "clientId", "telling",
            "msgId", id.substring(0, 16) + "00000FFFFFFFFFFF").getCode());
        env.same("a malformed id", 1, env.raw.call(309, null, "consumerGroup", group, "clientId", "telling", "msgId", "nonsense").getCode());
        NettyRemotingClient patient = new NettyRemotingClient(new NettyClientConfig());
        patient.start();
        env.onClose(() -> new Thread(patient::shutdown).start());
        RemotingCommand question = RemotingCommand.createRequestCommand(307, null);
        question.setExtFields(new HashMap<>(Map.of("consumerGroup", group, "clientId", "silent")));
        RemotingCommand silence = patient.invokeSync(env.broker, question, 20_000);
        env.same("a client that does not answer", 207, silence.getCode());
        String remark = "consumer <" + group + "> <silent> Timeout: org.apache.rocketmq.remoting.exception.RemotingTimeoutException:"
            + " wait response on the channel <*> timeout, 10000(ms)";
        env.same("its remark", remark, silence.getRemark().replaceAll("</127\\.0\\.0\\.1:\\d+>", "<*>").replaceAll("\\(ms\\).*", "(ms)"));
        old.shutdown();
        env.await("the old client to be gone", 5_000, () -> broken(() -> env.raw.call(307, null, "consumerGroup", group, "clientId", "old"))
            .equals("1 The Consumer <" + group + "> <old> not online"));
        RemotingCommand status = env.raw.call(223, null, "topic", topic, "group", group, "clientAddr", "telling");
        env.same("offsets of a client that does not tell them", "code 0 remark not set any response code {\"consumerTable\":{},\"messageQueueTable\":{}}",
            Raw.show(status) + " " + new String(status.getBody(), "UTF-8"));
        telling.shutdown();
        env.say("offline, too old, refused by the client, unanswered for 10 s, gone; a message that is not there; malformed ids");
    }

    private static void correction(Env env) throws Exception {
        String topic = env.topic("t", 3);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 30; i++) env.send(producer, new Message(topic, Env.utf8("m" + i)), i % 3);
        String[] groups = {env.name("a"), env.name("b"), env.name("c")};
        long[][] offsets = {{3, 5, 7}, {4, 2, 9}, {1, 6, 8}};
        for (int g = 0; g < 3; g++) {
            member(env, groups[g], groups[g], topic, 0, Map.of());
            for (int q = 0; q < 3; q++) env.same("commit", 0, commit(env, groups[g], topic, q, offsets[g][q]).getCode());
        }
        env.same("compared with a group that is nowhere", "{0:1,1:2,2:7}", body(env.raw.call(308, null, "topic", topic, "compareGroup", env.name("x"))));
        env.same("compared with the first", "{0:1,1:2,2:7}", body(env.raw.call(308, null, "topic", topic, "compareGroup", groups[0])));
        env.same("without the last", "{0:3,1:2,2:7}", body(env.raw.call(308, null, "topic", topic, "compareGroup", groups[1], "filterGroups", groups[2])));
        env.same("a topic that is not there", "{}", body(env.raw.call(308, null, "topic", topic + "x", "compareGroup", groups[0])));
        env.say("the least of all groups, of all but one, of none");
    }

    private static String body(RemotingCommand answer) throws Exception {
        String text = new String(answer.getBody(), "UTF-8");
        return text.replace("{\"correctionOffsets\":", "").replaceFirst("\\}$", "");
    }
}
