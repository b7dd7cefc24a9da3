import java.util.List;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** What the servers refuse, with the code and the remark of RocketMQ 5.5.0. */
final class Refusals {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("refuse_send", true, false, Refusals::send));
        all.add(new Scenario.Named("refuse_too_large", true, false, Refusals::tooLarge));
        all.add(new Scenario.Named("refuse_pull", true, false, Refusals::pull));
        all.add(new Scenario.Named("refuse_missing_topic", true, false, Refusals::missingTopic));
        all.add(new Scenario.Named("refuse_admin", false, false, Refusals::admin));
        all.add(new Scenario.Named("refuse_unknown_code", true, false, Refusals::unknownCode));
    }

    private static final String FAQ = "See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
    private static final String TOO_LARGE = "the message is illegal, maybe msg body or properties length not matched."
        + " msg body length limit 4194304B, msg properties length limit 32KB.";
    /** Java answers with the text of a NullPointerException; only the code is the contract. */
    private static final String ANY = new String("any");

    private static void expect(Env env, String what, int code, String remark, RemotingCommand answer) {
        env.same(what + ", code (remark " + answer.getRemark() + ")", code, answer.getCode());
        if (remark != ANY) env.same(what + ", remark", remark, answer.getRemark());
        env.say(what + ": " + Env.shorten(Raw.show(answer)).replace("\n", "\\n"));
    }

    private static void send(Env env) throws Exception {
        byte[] body = Env.utf8("x");
        String good = env.topic("t", 2);
        expect(env, "illegal characters", 29,
            "The specified topic: bad topic!, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$", env.raw.send("bad topic!", body));
        expect(env, "empty name", 29, "The specified topic is blank.", env.raw.send("", body));
        for (int length : new int[] {128, 300}) {
            String name = "n".repeat(length);
            expect(env, "a name of " + length + " characters", 29,
                "The specified topic: " + name + ", is longer than topic max length: 127", env.raw.send(name, body));
        }
        for (String system : List.of("SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC",
            "TRANS_CHECK_MAX_TIME_TOPIC", "OFFSET_MOVED_EVENT", "SELF_TEST_TOPIC")) {
            expect(env, "system topic " + system, 16, "Sending message to topic[" + system + "] is forbidden.", env.raw.send(system, body));
        }
        for (String allowed : List.of("TBW102", "DefaultCluster", Env.BROKER_NAME)) {
            expect(env, "system topic " + allowed + " that may be sent to", 0, null, env.raw.send(allowed, body));
        }
        String illegal = env.raw.send(good, body, "queueId", "2").getRemark().replaceAll("Producer: 127\\.0\\.0\\.1:\\d+$", "Producer: *");
        env.same("queue beyond the topic's, remark", "request queueId[2] is illegal, TopicConfig [topicName=" + good
            + ", readQueueNums=2, writeQueueNums=2, perm=RW-, topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}] Producer: *",
            illegal);
        expect(env, "queue beyond the topic's", 29, ANY, env.raw.send(good, body, "queueId", "2"));
        RemotingCommand any = env.raw.send(good, body, "queueId", "-1");
        expect(env, "negative queue, the broker chooses one", 0, null, any);
        env.check(any.getExtFields().get("queueId").matches("[01]"), "queue " + any.getExtFields().get("queueId"));
        String noTemplate = env.name("notemplate");
        expect(env, "missing topic, unknown template", 17, "topic[" + noTemplate + "] not exist, apply first please!\n" + FAQ,
            env.raw.send(noTemplate, body, "defaultTopic", env.name("nothing")));
        String readOnly = env.topic("ro", 1, Env.READ);
        expect(env, "read-only topic, of which only clients take notice", 0, null, env.raw.send(readOnly, body));
        expect(env, "properties of 40000 bytes", 13, TOO_LARGE, env.raw.send(good, body, "properties", "k\u0001" + "v".repeat(40_000) + "\u0002"));
        expect(env, "no topic field", 1, ANY, env.raw.call(10, body, "producerGroup", "raw"));
        expect(env, "a queue number that is no number", 1, ANY, env.raw.send(good, body, "queueId", "many"));
        env.check(env.raw.send(good, new byte[0]).getCode() != 0, "an empty body was accepted");
    }

    private static void tooLarge(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.producer(p -> {
            p.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
            p.setMaxMessageSize(16 << 20);
        });
        for (int size : new int[] {(4 << 20) + 1, 6 << 20}) {
            try {
                producer.send(new Message(topic, new byte[size]));
                throw new AssertionError("a body of " + size + " bytes was accepted");
            } catch (MQBrokerException e) {
                env.say(size + " bytes: code " + e.getResponseCode() + " remark " + e.getErrorMessage());
                env.same("code", 13, e.getResponseCode());
                env.same("remark", TOO_LARGE, e.getErrorMessage());
            }
        }
        env.same("messages stored", 0, env.readQueue(topic, 0).size());
    }

    private static void pull(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("g");
        String missing = env.name("nothing");
        String writeOnly = env.topic("wo", 1, Env.WRITE);
        env.send(env.producer(), new Message(topic, Env.utf8("x")), 0);
        expect(env, "missing topic", 17, "topic[" + missing + "] not exist, apply first please! \n" + FAQ, env.raw.pull(group, missing, 0, 0));
        RemotingCommand beyond = env.raw.pull(group, topic, 2, 0);
        env.same("queue beyond the topic's, remark", "queueId[2] is illegal, topic:[" + topic + "] topicConfig.readQueueNums:[2] consumer:[*]",
            beyond.getRemark().replaceAll("consumer:\\[/127\\.0\\.0\\.1:\\d+]$", "consumer:[*]"));
        expect(env, "queue beyond the topic's", 29, ANY, beyond);
        expect(env, "group that sent no heartbeat", 24, "the consumer's group info not exist\n" + FAQ, env.raw.pull(group, topic, 0, 0, "sysFlag", "0"));
        expect(env, "write-only topic", 16, "the topic[" + writeOnly + "] pulling message is forbidden", env.raw.pull(group, writeOnly, 0, 0));
        expect(env, "tag without a match", 20, "NO_MATCHED_MESSAGE", env.raw.pull(group, topic, 0, 0, "subscription", "a ||"));
        expect(env, "offset beyond", 21, "OFFSET_OVERFLOW_BADLY", env.raw.pull(group, topic, 0, 50));
        expect(env, "at the end", 19, "OFFSET_OVERFLOW_ONE", env.raw.pull(group, topic, 0, 1));
        expect(env, "empty queue", 19, "NO_MESSAGE_IN_QUEUE", env.raw.pull(group, topic, 1, 0));
        expect(env, "no field at all", 1, ANY, env.raw.call(11, null));
    }

    private static void missingTopic(Env env) throws Exception {
        String topic = env.name("nothing");
        String readOnly = env.topic("ro", 1, Env.READ);
        expect(env, "route of a missing topic", 17, "No topic route info in name server for the topic: " + topic + "\n" + FAQ,
            new Raw(env.namesrv).call(105, null, "topic", topic));
        DefaultMQProducer producer = env.producer(p -> p.setCreateTopicKey(env.name("template")));
        try {
            producer.send(new Message(topic, Env.utf8("x")));
            throw new AssertionError("a message for a missing topic was accepted");
        } catch (MQClientException e) {
            MQBrokerException cause = (MQBrokerException) e.getCause();
            if (cause == null) { // a 4.x client asks for the template's route and stops there
                env.check(e.getMessage().startsWith("No route info of this topic: " + topic), "message: " + e.getMessage());
            } else {
                env.say("client: code " + cause.getResponseCode() + " remark " + cause.getErrorMessage());
                env.same("code", 17, cause.getResponseCode());
                env.same("remark", "topic[" + topic + "] not exist, apply first please!\n" + FAQ, cause.getErrorMessage());
            }
        }
        try {
            env.producer().send(new Message(readOnly, Env.utf8("x")));
            throw new AssertionError("a message for a read-only topic was accepted");
        } catch (MQClientException e) {
            env.say("read-only topic: " + e.getMessage().lines().findFirst().orElse(""));
            env.check(e.getMessage().startsWith("No route info of this topic: " + readOnly), "message: " + e.getMessage());
        }
    }

    private static void admin(Env env) throws Exception {
        String[] topicFields = {"defaultTopic", "TBW102", "readQueueNums", "4", "writeQueueNums", "4", "perm", "6", "topicFilterType",
            "SINGLE_TAG", "topicSysFlag", "0", "order", "false"};
        expect(env, "create a topic with an illegal name", 29,
            "The specified topic: bad topic, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
            env.raw.call(17, null, with(topicFields, "topic", "bad topic")));
        expect(env, "create a system topic", 29, "The topic[TBW102] is conflict with system topic.",
            env.raw.call(17, null, with(topicFields, "topic", "TBW102")));
        String group = env.name("g");
        expect(env, "consumers of an unknown group", 1, "no consumer for this group, " + group, env.raw.call(38, null, "consumerGroup", group));
        expect(env, "min offset without a topic", 1, ANY, env.raw.call(31, null, "queueId", "0"));
        expect(env, "query without a key", 1, ANY, env.raw.call(12, null, "topic", env.name("t")));
    }

    private static String[] with(String[] fields, String... more) {
        String[] all = java.util.Arrays.copyOf(fields, fields.length + more.length);
        System.arraycopy(more, 0, all, fields.length, more.length);
        return all;
    }

    private static void unknownCode(Env env) throws Exception {
        String remark = " request type 98765 not supported";
        expect(env, "broker, code 98765", 3, remark, env.raw.call(98_765, null));
        // The filter server, which ran code of consumers, is no more.
        for (int code : new int[] {301, 302}) {
            expect(env, "class filter, code " + code, 3, " request type " + code + " not supported", env.raw.call(code, null));
        }
        expect(env, "name server, code 98765", 3, remark, new Raw(env.namesrv).call(98_765, null));
    }
}
