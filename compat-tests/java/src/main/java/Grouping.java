import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import io.netty.channel.ChannelHandlerContext;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.netty.NettyRequestProcessor;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Consumer groups: their configuration, their members, what they subscribe to, and how far they are behind. */
final class Grouping {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("group_config", true, false, Grouping::config));
        all.add(new Scenario.Named("group_disabled", true, false, Grouping::disabled));
        all.add(new Scenario.Named("group_forbidden", true, false, Grouping::forbidden));
        all.add(new Scenario.Named("group_notifications", true, false, Grouping::notifications));
        all.add(new Scenario.Named("group_subscriptions", true, false, Grouping::subscriptions));
        all.add(new Scenario.Named("group_changes_topic", false, false, Grouping::changesTopic));
        all.add(new Scenario.Named("group_client_ids", true, false, Grouping::clientIds));
        all.add(new Scenario.Named("group_lag", true, false, Grouping::lag));
        all.add(new Scenario.Named("group_time_span", true, false, Grouping::timeSpan));
        all.add(new Scenario.Named("group_clone_offsets", true, false, Grouping::cloneOffsets));
    }

    // --- built by hand -----------------------------------------------------------------------------------------

    /** A client on a connection of its own that counts what it is told of its groups. */
    private static final class Member {
        final NettyRemotingClient client = new NettyRemotingClient(new NettyClientConfig());
        final List<String> told = new CopyOnWriteArrayList<>();
        private final Env env;
        private final String clientId;

        Member(Env env, String clientId) {
            this.env = env;
            this.clientId = clientId;
            client.registerProcessor(40, new NettyRequestProcessor() {
                @Override
                public RemotingCommand processRequest(ChannelHandlerContext context, RemotingCommand request) {
                    told.add(request.getExtFields().get("consumerGroup"));
                    return null;
                }

                @Override
                public boolean rejectRequest() {
                    return false;
                }
            }, Executors.newSingleThreadExecutor());
            client.start();
            env.onClose(this::leave);
        }

        /** A heartbeat; each topic may have a version behind a colon. */
        void beat(String group, String model, String... topics) throws Exception {
            List<String> subscriptions = new ArrayList<>();
            for (String topic : topics) {
                String[] parts = topic.split(":");
                subscriptions.add("{\"topic\":\"" + parts[0] + "\",\"subString\":\"*\",\"subVersion\":" + (parts.length > 1 ? parts[1] : "1") + "}");
            }
            RemotingCommand heartbeat = RemotingCommand.createRequestCommand(34, null);
            heartbeat.setBody(Env.utf8("{\"clientID\":\"" + clientId + "\",\"producerDataSet\":[],\"consumerDataSet\":[{\"groupName\":\"" + group
                + "\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"" + model + "\",\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\","
                + "\"subscriptionDataSet\":[" + String.join(",", subscriptions) + "],\"unitMode\":false}]}"));
            env.same("heartbeat", 0, client.invokeSync(env.broker, heartbeat, 5_000).getCode());
        }

        void leave() {
            new Thread(client::shutdown).start(); // it waits for its threads for seconds; its connection is closed at once
        }
    }

    /** A pull that relies on the heartbeats of its group. */
    private static String pull(Env env, String group, String topic, String... more) throws Exception {
        List<String> fields = new ArrayList<>(List.of("sysFlag", "0"));
        fields.addAll(List.of(more));
        RemotingCommand answer = env.raw.pull(group, topic, 0, 0, fields.toArray(new String[0]));
        String forbidden = answer.getExtFields() == null ? null : answer.getExtFields().get("forbiddenType");
        return answer.getCode() + " " + answer.getRemark() + (forbidden == null ? "" : " " + forbidden);
    }

    private static void update(Env env, String json) throws Exception {
        env.same("a change of the group", "code 0 remark null", Raw.show(env.raw.call(200, Env.utf8(json))));
    }

    private static final String FAQ = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";

    // --- configuration -----------------------------------------------------------------------------------------

    private static void config(Env env) throws Exception {
        String group = env.name("g");
        String settings = "{\"attributes\":{},\"brokerId\":3,\"consumeBroadcastEnable\":false,\"consumeEnable\":true,\"consumeFromMinEnable\":false,"
            + "\"consumeMessageOrderly\":true,\"consumeTimeoutMinute\":7,\"groupName\":\"" + group + "\",\"groupRetryPolicy\":{\"customizedRetryPolicy\":"
            + "{\"next\":[1000,2000]},\"type\":\"CUSTOMIZED\"},\"groupSysFlag\":1,\"notifyConsumerIdsChangedEnable\":false,\"retryMaxTimes\":5,"
            + "\"retryQueueNums\":3,\"whichBrokerWhenConsumeSlowly\":2}";
        update(env, settings);
        String shown = new String(env.raw.call(352, null, "group", group).getBody(), "UTF-8");
        env.same("the group as it was set", settings, shown);
        new Member(env, "a").beat(group, "CLUSTERING", env.topic("t", 1));
        env.awaitRoute("%RETRY%" + group);
        String retry = new String(env.raw.call(351, null, "topic", "%RETRY%" + group).getBody(), "UTF-8");
        env.check(retry.contains("\"readQueueNums\":3") && retry.contains("\"writeQueueNums\":3"), "queues of the retry topic: " + retry);
        update(env, "{\"groupName\":\"" + group + "\"}");
        shown = new String(env.raw.call(352, null, "group", group).getBody(), "UTF-8");
        env.check(shown.contains("\"retryMaxTimes\":16") && shown.contains("\"whichBrokerWhenConsumeSlowly\":1"), "the rest has defaults: " + shown);
        env.same("an illegal name", 29, env.raw.call(200, Env.utf8("{\"groupName\":\"bad group!\"}")).getCode());
        env.same("removing it", 0, env.raw.call(207, null, "groupName", group, "cleanOffset", "true").getCode());
        env.say("every setting is kept; the retry topic has the group's queues");
    }

    private static void disabled(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        env.send(env.producer(), new Message(topic, Env.utf8("m")), 0);
        Member member = new Member(env, "a");
        member.beat(group, "CLUSTERING", topic);
        env.same("at first", "0 FOUND", pull(env, group, topic));
        update(env, "{\"groupName\":\"" + group + "\",\"consumeEnable\":false}");
        env.same("consumeEnable=false", "16 subscription group no permission, " + group + " 2", pull(env, group, topic));
        env.same("with a subscription of its own", "code 16 remark subscription group no permission, " + group, Raw.show(env.raw.pull(group, topic, 0, 0)));
        update(env, "{\"groupName\":\"" + group + "\",\"consumeBroadcastEnable\":false}");
        env.same("clustering where broadcasting is off", "0 FOUND", pull(env, group, topic));
        member.beat(group, "BROADCASTING", topic);
        env.same("broadcasting where it is off", "16 the consumer group[" + group + "] can not consume by broadcast way 4", pull(env, group, topic));
        update(env, "{\"groupName\":\"" + group + "\"}");
        env.same("at last", "0 FOUND", pull(env, group, topic));

        String another = env.name("pushed");
        update(env, "{\"groupName\":\"" + another + "\",\"consumeEnable\":false}");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        env.pushInto(another, topic, "*", m -> seen.merge(Env.text(m), 1, Integer::sum));
        Thread.sleep(1_500);
        env.same("messages for a group that may not consume", 0, seen.size());
        update(env, "{\"groupName\":\"" + another + "\"}");
        env.await("the message once it may", 15_000, () -> seen.size() == 1);
        env.say("consumeEnable and consumeBroadcastEnable, off and on, for pulls and for a running consumer");
    }

    private static String readable(Env env, String group, String topic, String... value) throws Exception {
        List<String> fields = new ArrayList<>(List.of("group", group, "topic", topic));
        for (String one : value) fields.addAll(List.of("readable", one));
        RemotingCommand answer = env.raw.call(353, null, fields.toArray(new String[0]));
        return answer.getCode() + " [" + answer.getRemark() + "] " + new String(answer.getBody(), "UTF-8");
    }

    private static void forbidden(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        env.send(env.producer(), new Message(topic, Env.utf8("m")), 0);
        new Member(env, "a").beat(group, "CLUSTERING", topic);
        String state = "0 [] {\"group\":\"" + group + "\",\"readable\":%s,\"topic\":\"" + topic + "\"}";
        env.same("at first", String.format(state, true), readable(env, group, topic));
        env.same("forbidden", String.format(state, false), readable(env, group, topic, "false"));
        env.same("asked", String.format(state, false), readable(env, group, topic));
        env.same("a pull", "16 the consumer group[" + group + "] is forbidden for topic[" + topic + "] 5", pull(env, group, topic));
        env.same("a pull with a subscription of its own", 0, env.raw.pull(group, topic, 0, 0).getCode());
        env.same("allowed", String.format(state, true), readable(env, group, topic, "true"));
        env.same("a pull", "0 FOUND", pull(env, group, topic));
        env.say("forbidden, asked, allowed again");
    }

    // --- members -----------------------------------------------------------------------------------------------

    private static void notifications(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        String quiet = env.name("quiet");
        update(env, "{\"groupName\":\"" + quiet + "\",\"notifyConsumerIdsChangedEnable\":false}");
        Member first = new Member(env, "first");
        Member second = new Member(env, "second");
        Member third = new Member(env, "third");
        first.beat(group, "CLUSTERING", topic);
        env.await("the first to be told of itself", 5_000, () -> first.told.size() == 1);
        second.beat(group, "CLUSTERING", topic);
        env.await("both to be told", 5_000, () -> first.told.size() == 2 && second.told.size() == 1);
        first.beat(group, "CLUSTERING", topic);
        second.beat(group, "CLUSTERING", topic);
        second.beat(group, "CLUSTERING", topic, topic + "x");
        env.await("both to be told of a topic", 5_000, () -> first.told.size() == 3 && second.told.size() == 2);
        RemotingCommand goodbye = RemotingCommand.createRequestCommand(35, null);
        goodbye.setExtFields(new java.util.HashMap<>(Map.of("clientID", "second", "consumerGroup", group)));
        env.same("goodbye", 0, second.client.invokeSync(env.broker, goodbye, 5_000).getCode());
        env.await("the first to be told", 5_000, () -> first.told.size() == 4);
        first.told.clear();
        second.told.clear();
        for (Member member : List.of(first, second, third)) member.beat(quiet, "CLUSTERING", topic);
        third.beat(group, "BROADCASTING", topic);
        Thread.sleep(500);
        env.same("told of a group that is quiet, and of one that broadcasts", "[] [] []", first.told + " " + second.told + " " + third.told);
        third.leave();
        env.await("a quiet group to be told of a connection that ends", 5_000, () -> first.told.contains(quiet) && second.told.contains(quiet));
        env.say("of members that come and go and of topics; not for quiet or broadcasting groups, except when a connection ends");
    }

    private static void subscriptions(Env env) throws Exception {
        String one = env.topic("one", 1);
        String two = env.topic("two", 1);
        String group = env.name("g");
        env.same("a group that nobody knows", "24 the consumer's group info not exist" + FAQ, pull(env, group, one));
        Member first = new Member(env, "first");
        Member second = new Member(env, "second");
        first.beat(group, "CLUSTERING", one + ":5");
        env.same("subscribed", "19 NO_MESSAGE_IN_QUEUE", pull(env, group, one).replace("NO_MATCHED_LOGIC_QUEUE", "NO_MESSAGE_IN_QUEUE"));
        env.same("not subscribed", "24 the consumer's subscription not exist" + FAQ, pull(env, group, two));
        env.same("newer than the heartbeat", "25 the consumer's subscription not latest", pull(env, group, one, "subVersion", "6"));
        // Members that subscribe to different topics replace each other's subscriptions.
        second.beat(group, "CLUSTERING", two + ":1");
        env.same("replaced by another member", "24 the consumer's subscription not exist" + FAQ, pull(env, group, one));
        env.same("who consumes", "[" + group + "]", groups(env, two));
        env.check(subscription(env, group, two).contains("\"subString\":\"*\""), "by group and topic: " + subscription(env, group, two));
        env.same("by group and another topic", "{\"group\":\"" + group + "\",\"topic\":\"" + one + "\"}", subscription(env, group, one));
        first.beat(group, "CLUSTERING", one + ":4", two + ":0");
        second.beat(group, "CLUSTERING", one + ":3", two + ":9");
        env.same("an older version is not taken", "25 the consumer's subscription not latest", pull(env, group, one, "subVersion", "5"));
        env.same("a newer one is", "19", pull(env, group, two, "subVersion", "9").substring(0, 2));
        // A pull with a subscription of its own makes it known.
        String pulling = env.name("pulling");
        env.raw.pull(pulling, one, 0, 0);
        env.check(subscription(env, pulling, one).contains("\"subString\":\"*\""), "of a group that only pulls: " + subscription(env, pulling, one));
        env.raw.call(15, null, "consumerGroup", pulling, "topic", one, "queueId", "0", "commitOffset", "0");
        env.check(new String(env.raw.call(343, null, "group", pulling).getBody(), "UTF-8").contains("\"" + one + "\""), "topics of the group");
        env.say("unknown, missing, outdated, replaced by another member, of groups that only pull");
    }

    private static String groups(Env env, String topic) throws Exception {
        String body = new String(env.raw.call(300, null, "topic", topic).getBody(), "UTF-8");
        return body.replace("{\"groupList\":", "").replace("}", "").replace("\"", "");
    }

    private static String subscription(Env env, String group, String topic) throws Exception {
        return new String(env.raw.call(345, null, "group", group, "topic", topic).getBody(), "UTF-8");
    }

    private static void changesTopic(Env env) throws Exception {
        String one = env.topic("one", 2);
        String two = env.topic("two", 2);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = env.pushInto(group, one, "*", m -> seen.merge(Env.text(m), 1, Integer::sum));
        env.send(producer, new Message(one, Env.utf8("one 1")));
        env.await("the first topic", 30_000, () -> seen.containsKey("one 1"));
        consumer.subscribe(two, "*");
        consumer.unsubscribe(one);
        var client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory();
        client.updateTopicRouteInfoFromNameServer(two);
        client.rebalanceImmediately();
        env.send(producer, new Message(two, Env.utf8("two 1")));
        env.await("the second topic", 30_000, () -> seen.containsKey("two 1"));
        env.await("the broker to forget the first", 10_000, () -> subscription(env, group, one).equals("{\"group\":\"" + group + "\",\"topic\":\"" + one + "\"}"));
        client.rebalanceImmediately();
        env.await("the client to give up its queues", 30_000, () -> consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable()
            .keySet().stream().noneMatch(q -> q.getTopic().equals(one)));
        env.send(producer, new Message(one, Env.utf8("one 2")));
        Thread.sleep(1_000);
        env.check(!seen.containsKey("one 2"), "a message of the topic that was given up");
        env.say("a running consumer goes from one topic to another");
    }

    private static void clientIds(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        Member first = new Member(env, "same");
        Member second = new Member(env, "same");
        first.beat(group, "CLUSTERING", topic);
        second.beat(group, "CLUSTERING", topic);
        env.same("two connections of one client", "{\"consumerIdList\":[\"same\",\"same\"]}", members(env, group));
        second.leave();
        env.await("one to be left", 5_000, () -> members(env, group).equals("{\"consumerIdList\":[\"same\"]}"));
        Member renamed = new Member(env, "old");
        renamed.beat(group, "CLUSTERING", topic);
        RemotingCommand heartbeat = RemotingCommand.createRequestCommand(34, null);
        heartbeat.setBody(Env.utf8("{\"clientID\":\"new\",\"producerDataSet\":[],\"consumerDataSet\":[{\"groupName\":\"" + group
            + "\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\",\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\","
            + "\"subscriptionDataSet\":[{\"topic\":\"" + topic + "\",\"subString\":\"*\",\"subVersion\":1}],\"unitMode\":false}]}"));
        renamed.client.invokeSync(env.broker, heartbeat, 5_000);
        String names = members(env, group);
        env.check(names.contains("\"new\"") && names.contains("\"same\"") && !names.contains("\"old\""), "a client that changes its name: " + names);
        env.say("two connections of one name, and one connection of two names");
    }

    private static String members(Env env, String group) throws Exception {
        RemotingCommand answer = env.raw.call(38, null, "consumerGroup", group);
        return answer.getBody() == null ? answer.getRemark() : new String(answer.getBody(), "UTF-8");
    }

    // --- progress ----------------------------------------------------------------------------------------------

    private static void commit(Env env, String group, String topic, int queueId, long offset) throws Exception {
        env.same("commit", 0, env.raw.call(15, null, "consumerGroup", group, "topic", topic, "queueId", "" + queueId, "commitOffset", "" + offset).getCode());
    }

    private static void timeSpan(Env env) throws Exception {
        String topic = env.topic("t", 3);
        String group = env.name("g");
        DefaultMQAdminExt admin = Env.admin(env.namesrv);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 6; i++) {
            env.send(producer, new Message(topic, Env.utf8("m" + i)), i % 2);
            Thread.sleep(20);
        }
        new Member(env, "a").beat(group, "CLUSTERING", topic);
        commit(env, group, topic, 0, 2);
        commit(env, group, topic, 1, 3);
        List<Long> times = new ArrayList<>();
        env.readQueue(topic, 0).forEach(m -> times.add(m.getStoreTimestamp()));
        List<Long> others = new ArrayList<>();
        env.readQueue(topic, 1).forEach(m -> others.add(m.getStoreTimestamp()));
        long before = System.currentTimeMillis();
        var spans = admin.queryConsumeTimeSpan(topic, group);
        env.same("queues", 3, spans.size());
        for (var span : spans) {
            int queue = span.getMessageQueue().getQueueId();
            String seen = span.getMinTimeStamp() + " " + span.getMaxTimeStamp() + " " + span.getConsumeTimeStamp();
            if (queue == 0) {
                env.same("of a queue with one message to go", times.get(0) + " " + times.get(2) + " " + times.get(1), seen);
                env.between("its delay", before - times.get(2), before - times.get(2) + 5_000, span.getDelayTime());
            } else if (queue == 1) {
                env.same("of a queue that is consumed", others.get(0) + " " + others.get(2) + " " + others.get(2) + " 0", seen + " " + span.getDelayTime());
            } else {
                env.same("of an empty queue", "-1 -1 -1", seen);
            }
        }
        String body = new String(env.raw.call(303, null, "topic", topic, "group", group).getBody(), "UTF-8");
        String text = new java.text.SimpleDateFormat("yyyy-MM-dd#HH:mm:ss:SSS").format(new java.util.Date(times.get(2)));
        env.check(body.contains("\"maxTimeStampStr\":\"" + text + "\""), "times in words: " + Env.shorten(body));
        env.same("a topic that is not there", "code 17 remark topic[" + topic + "x] not exist",
            Raw.show(env.raw.call(303, null, "topic", topic + "x", "group", group)));
        env.say("of a queue that is behind, one that is consumed and an empty one");
    }

    private static void cloneOffsets(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String other = env.topic("other", 1);
        String from = env.name("from");
        String to = env.name("to");
        new Member(env, "a").beat(from, "CLUSTERING", topic);
        new Member(env, "b").beat(to, "CLUSTERING", topic);
        commit(env, from, topic, 0, 3);
        commit(env, from, other, 0, 5);
        commit(env, to, topic, 1, 9);
        env.same("copied", 0, env.raw.call(314, null, "srcGroup", from, "destGroup", to, "topic", topic, "offline", "false").getCode());
        env.same("offsets of the topic", "3 -1", env.committed(to, topic, 0) + " " + env.committed(to, topic, 1));
        env.raw.call(314, null, "srcGroup", from, "destGroup", to, "topic", other, "offline", "false");
        env.same("of a topic that the online group does not subscribe to", -1L, env.committed(to, other, 0));
        env.raw.call(314, null, "srcGroup", from, "destGroup", to, "topic", other, "offline", "true");
        env.same("all the same, if it is said to be offline", 5L, env.committed(to, other, 0));
        env.same("of a group that has none", 0, env.raw.call(314, null, "srcGroup", env.name("x"), "destGroup", to, "topic", topic, "offline", "true").getCode());
        env.same("offsets after that", 3L, env.committed(to, topic, 0));
        env.say("of one topic, of one that is not subscribed to, of a group without offsets");
    }

    private static void lag(Env env) throws Exception {
        String topic = env.topic("t", 4);
        String group = env.name("g");
        DefaultMQAdminExt admin = Env.admin(env.namesrv);
        DefaultMQProducer producer = env.producer();
        AtomicInteger consumed = new AtomicInteger();
        DefaultMQPushConsumer consumer = env.pushInto(group, topic, "*", m -> consumed.incrementAndGet());
        for (int round = 1; round <= 3; round++) {
            for (int i = 0; i < 40; i++) env.send(producer, new Message(topic, Env.utf8("m" + i)), i % 4);
            int expected = 40 * round;
            env.await("round " + round + " consumed", 30_000, () -> consumed.get() == expected);
            env.await("no lag after round " + round, 10_000, () -> {
                consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
                return admin.examineConsumeStats(group, topic).computeTotalDiff() == 0;
            });
            var stats = admin.examineConsumeStats(group, topic);
            env.same("queues", 4, stats.getOffsetTable().size());
            for (var entry : stats.getOffsetTable().entrySet()) {
                env.same("broker offset of " + entry.getKey().getQueueId(), 10L * round, entry.getValue().getBrokerOffset());
                env.same("consumer offset of " + entry.getKey().getQueueId(), 10L * round, entry.getValue().getConsumerOffset());
                env.between("time of the last message", System.currentTimeMillis() - 60_000, System.currentTimeMillis(), entry.getValue().getLastTimestamp());
            }
        }
        consumer.shutdown();
        env.await("the broker to know that it left", 10_000, () -> env.raw.call(38, null, "consumerGroup", group).getCode() != 0);
        for (int i = 0; i < 20; i++) {
            env.send(producer, new Message(topic, Env.utf8("more" + i)), i % 2);
            long more = i + 1;
            // Java's broker puts a message into its queue a moment after it has answered the send.
            env.await("a lag of " + more, 2_000, () -> admin.examineConsumeStats(group, topic).computeTotalDiff() == more);
        }
        String fresh = new String(env.raw.call(208, null, "consumerGroup", env.name("new"), "topic", topic).getBody(), "UTF-8");
        env.same("queues of which a group without offsets has consumed nothing", 4, fresh.split("\"consumerOffset\":0,", -1).length - 1);
        env.say("exact after each of 3 rounds, and after each of 20 messages that nobody consumes");
    }
}
