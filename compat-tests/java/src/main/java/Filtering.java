import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** SQL92 filters; the clusters of these tests have enablePropertyFilter=true. */
final class Filtering {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("sql_pull", true, false, Filtering::pull));
        all.add(new Scenario.Named("sql_push", true, false, Filtering::push));
        all.add(new Scenario.Named("sql_lite_pull", true, false, Filtering::litePull));
        all.add(new Scenario.Named("sql_refused", true, false, Filtering::refused));
        all.add(new Scenario.Named("sql_unregistered", true, false, Filtering::unregistered));
        all.add(new Scenario.Named("sql_switch", false, false, Filtering::change));
        all.add(new Scenario.Named("sql_two_members", false, false, Filtering::twoMembers));
        all.add(new Scenario.Named("sql_retry", true, false, Filtering::retry));
        all.add(new Scenario.Named("sql_off", true, true, Filtering::off));
        all.add(new Scenario.Named("sql_restart_broker", false, true, Filtering::restart));
    }

    /** The properties of the messages 0 to 9. */
    private static final String[][] MESSAGES = {{}, {"a", "1"}, {"a", "3", "b", "3"}, {"a", "5", "s", "abc"}, {"a", "3.5"},
        {"a", "abc"}, {"s", "it's"}, {"a", "10", "b", "2", "s", "xabc"}, {"b", "true"}, {"a", "-3"}};

    /** Expressions, and the messages that a broker of RocketMQ 5.5.0 delivers for each. */
    private static final String[][] EXPRESSIONS = {
        {"a > 2", "237"},
        {"a >= 3 AND a < 10", "23"},
        {"a = 3", "2"},
        {"a = 3.0", "2"},
        {"a <> 3", "1379"},
        {"a = 'abc'", "5"},
        {"a <> 'abc'", "123479"},
        {"a > 3.2", "347"},
        {"a BETWEEN 3 AND 5", "23"},
        {"a NOT BETWEEN 3 AND 5", "179"},
        {"a not between 2.5 and 4.5", "1379"},
        {"a IN ('3', '5', 'abc')", "235"},
        {"a NOT IN ('3')", "134579"},
        {"s IS NULL", "0124589"},
        {"s IS NOT NULL AND a IS NOT NULL", "37"},
        {"b = TRUE", "8"},
        {"b", ""},
        {"NOT (a = 3)", "1379"},
        {"NOT a = 3", ""},
        {"a = 3 OR s = 'abc' AND a = 5", "23"},
        {"(a = 3 OR s = 'abc') AND a = 5", "3"},
        {"s CONTAINS 'abc'", "37"},
        {"s NOT CONTAINS 'x'", "36"},
        {"s STARTSWITH 'x' OR s ENDSWITH 's'", "67"},
        {"s = 'it''s'", "6"},
        {"a = b", "026"},
        {"a > b", "7"},
        {"a >= b", "27"},
        {"a > -4 AND a < 0", "9"},
        {"a = -3", "9"},
        {"+a > 4", "37"},
        {"TRUE", "0123456789"},
        {"FALSE", ""},
        {"NULL", ""},
        {"1 = 1 OR a = 1", "0123456789"},
        {"missing = 'x' OR a = 1", "1"},
        {"missing = 'x' AND a = 1", ""},
        {"NOT (missing = 'x')", ""},
        {"a IS NULL and b is null", "06"},
        {"a = 3L", "2"},
        {"/* c */ a = 1 -- rest", "1"},
        {"a > 2 garbage )", "237"},
        {"UNIQ_KEY IS NOT NULL AND a = 10", "7"},
        {"TAGS = 'even' AND a > 0", "2"},
    };

    private static Message message(String topic, String body, String tag, String... properties) {
        Message message = new Message(topic, tag, Env.utf8(body));
        for (int i = 0; i < properties.length; i += 2) message.putUserProperty(properties[i], properties[i + 1]);
        return message;
    }

    private static void pull(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < MESSAGES.length; i++) {
            env.send(producer, message(topic, "" + i, i % 2 == 0 ? "even" : "", MESSAGES[i]), 0);
        }
        DefaultMQPullConsumer consumer = env.pull(env.name("g"));
        // The client learns the broker's version, on which its consent to expressions depends, from a heartbeat.
        consumer.pull(Env.queue(topic, 0), "*", 0, 1);
        env.await("the broker's version", 20_000, () -> {
            consumer.getDefaultMQPullConsumerImpl().getRebalanceImpl().getmQClientFactory().sendHeartbeatToAllBrokerWithLock();
            try {
                consumer.pull(Env.queue(topic, 0), MessageSelector.bySql("TRUE"), 0, 1);
                return true;
            } catch (MQClientException e) {
                if (!e.getMessage().contains("does not upgrade")) throw e;
                Thread.sleep(200);
                return false;
            }
        });
        for (String[] one : EXPRESSIONS) {
            StringBuilder found = new StringBuilder();
            long next = 0;
            while (next < MESSAGES.length) {
                PullResult result = consumer.pull(Env.queue(topic, 0), MessageSelector.bySql(one[0]), next, 32);
                boolean some = result.getPullStatus() == PullStatus.FOUND;
                if (some) for (MessageExt message : result.getMsgFoundList()) found.append(Env.text(message));
                else env.same("status for " + one[0], PullStatus.NO_MATCHED_MSG, result.getPullStatus());
                env.check(result.getNextBeginOffset() > next, one[0] + ": next offset " + result.getNextBeginOffset());
                next = result.getNextBeginOffset();
            }
            env.same("delivered for " + one[0], one[1], found.toString());
        }
        // A pull that brings a wrong expression gets everything: only the client's check refuses it.
        for (String wrong : new String[] {"a >", "a > 'x'", "!"}) {
            RemotingCommand answer = env.raw.pull(env.name("raw"), topic, 0, 0, "subscription", wrong, "expressionType", "SQL92");
            env.same("wrong expression " + wrong + ", next offset (" + Raw.show(answer) + ")", "" + MESSAGES.length,
                answer.getExtFields().get("nextBeginOffset"));
            env.same("wrong expression " + wrong, 0, answer.getCode());
        }
        RemotingCommand empty = env.raw.pull(env.name("raw"), topic, 0, 0, "subscription", "", "expressionType", "SQL92");
        env.same("no expression", "code 23 remark parse the consumer's subscription failed", Raw.show(empty));
        RemotingCommand unknown = env.raw.pull(env.name("raw"), topic, 0, 0, "subscription", "a = 1", "expressionType", "XPATH");
        env.same("a type that nobody knows", 0, unknown.getCode());
        env.say(EXPRESSIONS.length + " expressions over " + MESSAGES.length + " messages");
    }

    /** Starts a consumer with an expression that collects bodies. */
    private static DefaultMQPushConsumer into(Env env, String group, String topic, MessageSelector selector, Set<String> seen)
        throws Exception {
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.subscribe(topic, selector);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                if (!seen.add(Env.text(message))) seen.add(Env.text(message) + " again");
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    /** Sends messages whose property `a` and body are the numbers of a range, over the queues in turn. */
    private static void numbers(Env env, DefaultMQProducer producer, String topic, int queues, int from, int to) throws Exception {
        for (int i = from; i < to; i++) {
            env.send(producer, message(topic, "" + i, i % 3 == 0 ? "third" : "", "a", "" + i), i % queues);
        }
    }

    private static Set<String> range(int from, int to) {
        Set<String> range = new TreeSet<>();
        for (int i = from; i < to; i++) range.add("" + i);
        return range;
    }

    private static void awaitAll(Env env, String who, Set<String> expected, Set<String> seen) throws Exception {
        env.await(who + " to receive " + expected.size(), 30_000, () -> seen.containsAll(expected));
        Thread.sleep(300);
        env.same("received by " + who, expected, new TreeSet<>(seen));
    }

    private static void push(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        numbers(env, producer, topic, 2, 0, 60);
        Set<String> below = ConcurrentHashMap.newKeySet();
        Set<String> above = ConcurrentHashMap.newKeySet();
        Set<String> third = ConcurrentHashMap.newKeySet();
        into(env, env.name("below"), topic, MessageSelector.bySql("a < 30 OR a BETWEEN 70 AND 79"), below);
        into(env, env.name("above"), topic, MessageSelector.bySql("a >= 110"), above);
        into(env, env.name("third"), topic, MessageSelector.bySql("TAGS = 'third' AND a < 9"), third);
        Set<String> expected = range(0, 30);
        awaitAll(env, "below", expected, below);
        // Held pulls: messages that nobody wants, and then some that are wanted.
        numbers(env, producer, topic, 2, 60, 110);
        long sent = System.currentTimeMillis();
        numbers(env, producer, topic, 2, 110, 120);
        awaitAll(env, "above", range(110, 120), above);
        long took = System.currentTimeMillis() - sent;
        expected.addAll(range(70, 80));
        awaitAll(env, "below", expected, below);
        awaitAll(env, "third", Set.of("0", "3", "6"), third);
        env.between("ms until the wanted messages had come", 0, 4000, took);
        env.say("120 messages, three groups, " + below.size() + ", " + above.size() + " and " + third.size() + " received; "
            + took + " ms from the send to the receipt of those that held pulls waited for");
    }

    private static void litePull(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        numbers(env, producer, topic, 2, 0, 40);
        DefaultLitePullConsumer consumer = env.lite(env.name("g"), c -> {
            try {
                c.subscribe(topic, MessageSelector.bySql("a > 9 AND a NOT BETWEEN 20 AND 29"));
            } catch (MQClientException e) {
                throw new IllegalStateException(e);
            }
        });
        Set<String> seen = new TreeSet<>();
        Set<String> expected = range(10, 20);
        expected.addAll(range(30, 50));
        env.await("the first messages", 30_000, () -> {
            consumer.poll(500).forEach(message -> seen.add(Env.text(message)));
            return seen.size() >= 20;
        });
        numbers(env, producer, topic, 2, 40, 50);
        env.await("the others", 30_000, () -> {
            consumer.poll(500).forEach(message -> seen.add(Env.text(message)));
            return seen.size() >= 30;
        });
        env.same("received", expected, seen);
        env.say("30 of 50 messages received");
    }

    private static final String ONE_OF = "Was expecting one of:\n    \"NOT\" ...\n    \"TRUE\" ...\n    \"FALSE\" ...\n    \"NULL\" ...\n"
        + "    <DECIMAL_LITERAL> ...\n    <FLOATING_POINT_LITERAL> ...\n    <STRING_LITERAL> ...\n    <ID> ...\n    \"(\" ...\n"
        + "    \"-\" ...\n    \"+\" ...\n    ";

    /** Expressions that are refused, and the remark of RocketMQ 5.5.0. */
    private static final String[][] WRONG = {
        {"a >", "org.apache.rocketmq.filter.parser.ParseException: Encountered \"<EOF>\" at line 1, column 3.\n" + ONE_OF},
        {"a > 1 AND\n  or b = 2", "org.apache.rocketmq.filter.parser.ParseException: Encountered \" \"OR\" \"or \"\" at line 2, column 3.\n" + ONE_OF},
        {"a BETWEEN 5", "org.apache.rocketmq.filter.parser.ParseException: Encountered \"<EOF>\" at line 1, column 11.\nWas expecting:\n    \"AND\" ...\n    "},
        {"a > 'x'", "java.lang.RuntimeException: Value ''x'' cannot be compared."},
        {"a = NULL", "java.lang.RuntimeException: 'NULL' cannot be compared."},
        {"a BETWEEN 9 AND 1", "java.lang.RuntimeException: Illegal values of between, left value(9) must less than or equal to right value(1)"},
        {"1", "org.apache.rocketmq.filter.parser.ParseException: Expression will not result in a boolean value: 1"},
        {"a = 9223372036854775808", "java.lang.NumberFormatException: For input string: \"9223372036854775808\""},
        {"a = 1 & b = 1", "org.apache.rocketmq.filter.parser.TokenMgrError: Lexical error at line 1, column 7.  Encountered: \"&\" (38), after : \"\""},
        {"a = 'open", "org.apache.rocketmq.filter.parser.TokenMgrError: Lexical error at line 1, column 10.  Encountered: <EOF> after : \"\\'open\""},
    };

    private static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\"";
    }

    private static byte[] subscription(String topic, String expression, String type, long version) {
        return Env.utf8("{\"topic\":" + quoted(topic) + ",\"subString\":" + quoted(expression) + ",\"expressionType\":" + quoted(type)
            + ",\"subVersion\":" + version + ",\"tagsSet\":[],\"codeSet\":[],\"classFilterMode\":false}");
    }

    /** CHECK_CLIENT_CONFIG. */
    private static RemotingCommand checked(Env env, String topic, String expression, String type) throws Exception {
        String data = new String(subscription(topic, expression, type, 1), java.nio.charset.StandardCharsets.UTF_8);
        return env.raw.call(46, Env.utf8("{\"clientId\":\"c\",\"group\":\"g\",\"subscriptionData\":" + data + "}"));
    }

    private static void refused(Env env) throws Exception {
        String topic = env.topic("t", 1);
        for (String[] one : WRONG) {
            env.same("check of " + one[0], "code 23 remark " + one[1], Raw.show(checked(env, topic, one[0], "SQL92")));
        }
        env.same("check of a good one", "code 0 remark null", Raw.show(checked(env, topic, "a = 1", "SQL92")));
        env.same("check of tags", "code 0 remark null", Raw.show(checked(env, topic, "a = ", "TAG")));
        env.same("check of a type that nobody knows, code", 23, checked(env, topic, "a = 1", "XPATH").getCode());
        env.same("check of nothing", "code 0 remark null", Raw.show(env.raw.call(46, Env.utf8("{\"clientId\":\"c\",\"group\":\"g\"}"))));
        DefaultMQPushConsumer consumer = env.push(env.name("g"));
        consumer.subscribe(topic, MessageSelector.bySql("a > 'x'"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        try {
            consumer.start();
            throw new AssertionError("a consumer with a wrong expression started");
        } catch (MQClientException e) {
            env.same("code", 23, e.getResponseCode());
            env.check(e.getMessage().contains("Value ''x'' cannot be compared."), e.getMessage());
            env.say("start: " + Env.shorten(e.getMessage()).replace("\n", "\\n"));
        }
        env.say(WRONG.length + " wrong expressions refused with Java's remarks");
    }

    private static RemotingCommand heartbeat(Env env, String group, byte[]... subscriptions) throws Exception {
        StringBuilder set = new StringBuilder();
        for (byte[] one : subscriptions) {
            set.append(set.length() == 0 ? "" : ",").append(new String(one, java.nio.charset.StandardCharsets.UTF_8));
        }
        return env.raw.call(34, Env.utf8("{\"clientID\":\"raw-" + group + "\",\"consumerDataSet\":[{\"groupName\":" + quoted(group)
            + ",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\",\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\","
            + "\"unitMode\":false,\"subscriptionDataSet\":[" + set + "]}],\"producerDataSet\":[]}"));
    }

    /** Pulls of a group whose expression comes from its heartbeats. */
    private static void unregistered(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        numbers(env, env.producer(), topic, 1, 0, 4);
        String notExist = "code 27 remark The broker's consumer filter data is not exist!Your expression may be wrong!";
        heartbeat(env, group, subscription(topic, "a >", "SQL92", 10));
        env.onClose(() -> env.raw.call(35, null, "clientID", "raw-" + group, "consumerGroup", group));
        env.same("wrong expression", notExist, Raw.show(env.raw.pull(group, topic, 0, 0, "sysFlag", "0", "subVersion", "10")));
        heartbeat(env, group, subscription(topic, "a > 1", "SQL92", 10));
        env.same("a right one under the same version", "code 0 found 2", found(env, group, topic, "10"));
        heartbeat(env, group, subscription(topic, "a > 2", "SQL92", 11));
        env.same("newer expression", "code 0 found 1", found(env, group, topic, "11"));
        heartbeat(env, group, subscription(topic, "a > 0", "SQL92", 5));
        env.same("an older version changes nothing", "code 0 found 1", found(env, group, topic, "11"));
        env.same("the client is ahead", "code 25 remark the consumer's subscription not latest",
            Raw.show(env.raw.pull(group, topic, 0, 0, "sysFlag", "0", "subVersion", "12")));
        heartbeat(env, group, subscription(topic, "a > ", "SQL92", 12));
        env.same("an expression that became wrong", notExist, Raw.show(env.raw.pull(group, topic, 0, 0, "sysFlag", "0", "subVersion", "12")));
        heartbeat(env, group, subscription(topic, "*", "TAG", 13));
        env.same("tags", "code 0 found 4", found(env, group, topic, "13"));
        heartbeat(env, group, subscription(topic, "a = 0", "SQL92", 14));
        env.same("and an expression again", "code 0 found 1", found(env, group, topic, "14"));
        env.say("codes 25 and 27, versions of expressions");
    }

    private static String found(Env env, String group, String topic, String version) throws Exception {
        RemotingCommand answer = env.raw.pull(group, topic, 0, 0, "sysFlag", "0", "subVersion", version);
        int count = 0;
        byte[] body = answer.getBody();
        for (int at = 0; body != null && at < body.length; count++) at += java.nio.ByteBuffer.wrap(body).getInt(at);
        return "code " + answer.getCode() + " found " + count;
    }

    private static void change(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        MessageSelector[] selectors = {MessageSelector.byTag("third"), MessageSelector.bySql("a >= 10 AND a < 25"), MessageSelector.byTag("*"),
            MessageSelector.bySql("a = 31 OR a = 32")};
        List<Set<String>> expected = List.of(new TreeSet<>(Set.of("0", "3", "6", "9")), range(10, 20), range(20, 30),
            new TreeSet<>(Set.of("31", "32")));
        for (int round = 0; round < selectors.length; round++) {
            Set<String> seen = ConcurrentHashMap.newKeySet();
            numbers(env, producer, topic, 2, 10 * round, 10 * round + 5);
            DefaultMQPushConsumer consumer = into(env, group, topic, selectors[round], seen);
            numbers(env, producer, topic, 2, 10 * round + 5, 10 * round + 10);
            int from = 10 * round;
            Set<String> wanted = expected.get(round);
            env.await("round " + round + " to receive " + wanted.size(), 30_000, () -> seen.containsAll(wanted));
            Thread.sleep(300);
            // The offset of messages that were skipped at the end may not have reached the broker: those come again.
            Set<String> received = new TreeSet<>(seen);
            received.removeIf(body -> Integer.parseInt(body.split(" ")[0]) < from);
            env.same("received in round " + round, wanted, received);
            consumer.shutdown();
        }
        env.say("tags, SQL92, everything, SQL92 again: each consumer of the group received what it asked for");
    }

    private static void twoMembers(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        Set<String> first = ConcurrentHashMap.newKeySet();
        Set<String> second = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer one = into(env, group, topic, MessageSelector.bySql("a < 10"), first);
        Thread.sleep(50); // the subscription's version is the time
        DefaultMQPushConsumer two = into(env, group, topic, MessageSelector.bySql("a >= 10"), second);
        env.await("a queue for each", 30_000, () -> queues(one, topic) == 1 && queues(two, topic) == 1);
        Thread.sleep(2500); // heartbeats of both, and pulls that see the newest subscription
        numbers(env, producer, topic, 2, 0, 20);
        Set<String> all = new TreeSet<>();
        env.await("10 messages in all", 30_000, () -> {
            all.addAll(first);
            all.addAll(second);
            return all.size() >= 10;
        });
        Thread.sleep(300);
        all.addAll(first);
        all.addAll(second);
        // A rebalance raises the version of a member's subscription, so it is not certain whose is the newest.
        env.check(all.equals(range(0, 10)) || all.equals(range(10, 20)), "received under two expressions: " + first + " " + second);
        env.check(!first.isEmpty() && !second.isEmpty(), "one received nothing: " + first + " " + second);
        env.say(first + " and " + second + " under the newest expression");
    }

    private static int queues(DefaultMQPushConsumer consumer, String topic) {
        return (int) consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
            .filter(queue -> queue.getTopic().equals(topic)).count();
    }

    private static void retry(Env env) throws Exception {
        String topic = env.topic("t", 1);
        Map<String, Integer> tries = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = env.push(env.name("g"));
        consumer.subscribe(topic, MessageSelector.bySql("a > 2"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            boolean again = false;
            for (MessageExt message : messages) again |= tries.merge(Env.text(message), 1, Integer::sum) == 1;
            return again ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        numbers(env, env.producer(), topic, 1, 0, 6);
        env.await("the first try of three messages", 30_000, () -> tries.size() == 3);
        env.adoptRetryTopic(consumer);
        env.await("a second try of each", 30_000, () -> tries.values().stream().allMatch(n -> n == 2));
        env.same("messages", range(3, 6), new TreeSet<>(tries.keySet()));
        env.say("three of six messages, each tried twice");
    }

    private static void property(Env env, boolean enabled) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("enablePropertyFilter", "" + enabled);
        Env.admin(env.namesrv).updateBrokerConfig(env.broker, properties);
    }

    private static void off(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("g");
        numbers(env, env.producer(), topic, 1, 0, 3);
        String remark = "code 1 remark The broker does not support consumer to filter message by ";
        heartbeat(env, group, subscription(topic, "a > 0", "SQL92", 10));
        env.onClose(() -> env.raw.call(35, null, "clientID", "raw-" + group, "consumerGroup", group));
        property(env, false);
        try {
            env.same("pull that carries it", remark + "SQL92", Raw.show(env.raw.pull(group, topic, 0, 0, "expressionType", "SQL92", "subscription", "a > 0")));
            env.same("pull that carries a wrong one", remark + "SQL92", Raw.show(env.raw.pull(group, topic, 0, 0, "expressionType", "SQL92", "subscription", "a >")));
            env.same("pull of the registered one", remark + "SQL92", Raw.show(env.raw.pull(group, topic, 0, 0, "sysFlag", "0", "subVersion", "10")));
            env.same("check", remark + "SQL92", Raw.show(checked(env, topic, "a >", "SQL92")));
            env.same("check of another type", remark + "XPATH", Raw.show(checked(env, topic, "a", "XPATH")));
            env.same("check of tags", "code 0 remark null", Raw.show(checked(env, topic, "a", "TAG")));
            DefaultMQPushConsumer consumer = env.push(env.name("refused"));
            consumer.subscribe(topic, MessageSelector.bySql("a > 0"));
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
            try {
                consumer.start();
                throw new AssertionError("a consumer with an expression started");
            } catch (MQClientException e) {
                env.same("code", 1, e.getResponseCode());
                env.say("start: " + Env.shorten(e.getMessage()).replace("\n", "\\n"));
            }
        } finally {
            property(env, true);
        }
        env.same("after it is on again", "code 0 found 2", found(env, group, topic, "10"));
        env.say("enablePropertyFilter=false, the default, by updateBrokerConfig: refused with code 1");
    }

    private static void restart(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        Set<String> seen = ConcurrentHashMap.newKeySet();
        into(env, env.name("g"), topic, MessageSelector.bySql("a >= 5"), seen);
        numbers(env, producer, topic, 2, 0, 10);
        awaitAll(env, "the consumer", range(5, 10), seen);
        env.restartBroker();
        Raw names = new Raw(env.namesrv);
        env.await("a route after the restart", 45_000, () -> names.call(105, null, "topic", topic).getCode() == 0);
        int[] next = {10};
        env.await("sends to go on", 60_000, () -> {
            try {
                numbers(env, producer, topic, 2, next[0], next[0] + 1);
                next[0]++;
            } catch (Exception e) {
                return false;
            }
            return next[0] >= 20;
        });
        for (int i = 0; i < 4; i++) env.send(producer, message(topic, "unwanted" + i, "", "a", "" + i), i % 2);
        Set<String> expected = range(5, 20);
        env.await("the consumer to go on", 60_000, () -> seen.containsAll(expected));
        Thread.sleep(300);
        Set<String> received = new TreeSet<>(seen);
        received.removeIf(body -> body.endsWith(" again")); // what was acknowledged in the moment of the stop
        env.same("received", expected, received);
        env.say("the expression holds over a restart of the broker");
    }
}
