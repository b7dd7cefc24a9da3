import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Namespaces, units, and the trace topic: what clients put into names, headers and topics of their own. */
final class Naming {
    private static final String TRACE_TOPIC = "RMQ_SYS_TRACE_TOPIC";

    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("trace", true, false, Naming::trace));
        all.add(new Scenario.Named("namespace", true, false, Naming::namespace));
        all.add(new Scenario.Named("namespace_v2", true, false, Naming::namespaceV2));
        all.add(new Scenario.Named("unit_mode", true, false, Naming::unitMode));
    }

    /** A namespace is a prefix of topics and groups, which clients add and take away again. */
    @SuppressWarnings("deprecation")
    private static void namespace(Env env) throws Exception {
        String space = "ns" + env.run;
        String plain = env.name("t");
        String group = env.name("g");
        String topic = space + "%" + plain;
        env.configure(topic, 2, Env.READ | Env.WRITE);
        env.awaitRoute(topic);
        DefaultMQProducer producer = env.producer(p -> p.setNamespace(space));
        List<MessageExt> seen = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.setNamespace(space);
        consumer.subscribe(plain, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            seen.addAll(messages);
            return messages.get(0).getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        env.awaitRoute("%RETRY%" + space + "%" + group);
        var client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory();
        client.updateTopicRouteInfoFromNameServer("%RETRY%" + space + "%" + group);
        client.rebalanceImmediately();
        env.send(producer, new Message(plain, Env.utf8("x")));
        env.await("a message and its retry", 30_000, () -> seen.size() == 2);
        for (MessageExt message : seen) env.same("topic of reconsumption " + message.getReconsumeTimes(), plain, message.getTopic());
        List<MessageExt> stored = new ArrayList<>();
        env.readTopic(topic).values().forEach(stored::addAll);
        env.same("messages in the topic with the prefix", 1, stored.size());
        List<MessageExt> retried = env.readQueue("%RETRY%" + space + "%" + group, 0);
        env.same("messages in its retry topic", 1, retried.size());
        env.same("RETRY_TOPIC", topic, retried.get(0).getProperty("RETRY_TOPIC"));
    }

    /** Newer clients name their namespace in the header, which a broker takes no notice of. */
    private static void namespaceV2(Env env) throws Exception {
        var setter = java.util.Arrays.stream(DefaultMQProducer.class.getMethods()).filter(m -> m.getName().equals("setNamespaceV2")).findFirst();
        if (setter.isEmpty()) throw new Scenario.Skipped("this client has no setNamespaceV2");
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.producer(p -> {
            try {
                setter.get().invoke(p, "space");
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(e);
            }
        });
        env.send(producer, new Message(topic, Env.utf8("x")));
        env.same("messages", 1, env.readQueue(topic, 0).size());
        var raw = env.raw.send(topic, Env.utf8("y"), "nsd", "true", "ns", "space");
        env.same("answer", "code 0 remark null", Raw.show(raw));
        env.same("messages", 2, env.readQueue(topic, 0).size());
    }

    private static void unitMode(Env env) throws Exception {
        String topic = env.name("t");
        DefaultMQProducer producer = env.producer(p -> {
            p.setUnitName("unit");
            p.setUnitMode(true);
        });
        env.send(producer, new Message(topic, Env.utf8("x")));
        env.check(config(env, topic).contains("\"topicSysFlag\":1"), config(env, topic));
        String group = env.name("g");
        DefaultMQPushConsumer consumer = env.push(group);
        consumer.setUnitName("unit");
        consumer.setUnitMode(true);
        List<MessageExt> seen = Collections.synchronizedList(new ArrayList<>());
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            seen.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        env.await("the message", 30_000, () -> seen.size() == 1);
        env.awaitRoute("%RETRY%" + group);
        env.check(config(env, "%RETRY%" + group).contains("\"topicSysFlag\":2"), config(env, "%RETRY%" + group));
    }

    private static String config(Env env, String topic) throws Exception {
        var answer = env.raw.call(351, null, "topic", topic);
        env.same("code", 0, answer.getCode());
        return new String(answer.getBody(), java.nio.charset.StandardCharsets.UTF_8);
    }

    private static void trace(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = new DefaultMQProducer("P_" + env.name("g"), true, null);
        producer.setNamesrvAddr(env.namesrv);
        producer.setInstanceName("trace-p" + env.run);
        producer.start();
        env.onClose(producer::shutdown);
        List<MessageExt> seen = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(env.name("g"), true, null);
        consumer.setNamesrvAddr(env.namesrv);
        consumer.setInstanceName("trace-c" + env.run);
        consumer.setConsumeFromWhere(org.apache.rocketmq.common.consumer.ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            seen.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        env.onClose(consumer::shutdown);
        consumer.start();
        String msgId = env.send(producer, new Message(topic, "tag", "key" + env.run, Env.utf8("x"))).getMsgId();
        env.await("the message", 30_000, () -> seen.size() == 1);
        Map<String, Boolean> kinds = new TreeMap<>();
        env.await("its traces", 30_000, () -> {
            for (MessageExt trace : traces(env, msgId)) {
                for (String line : Env.text(trace).split("\u0002")) {
                    if (line.contains(msgId)) kinds.put(line.substring(0, line.indexOf('\u0001')), true);
                }
            }
            return kinds.keySet().containsAll(List.of("Pub", "SubAfter", "SubBefore"));
        });
        env.say("traces found by the message's id: " + kinds.keySet());
    }

    /** The traces of a message, found by its id as {@code mqadmin queryMsgTraceById} does. */
    private static List<MessageExt> traces(Env env, String msgId) throws Exception {
        try {
            return Env.admin(env.namesrv).queryMessage(TRACE_TOPIC, msgId, 64, 0, Long.MAX_VALUE).getMessageList();
        } catch (org.apache.rocketmq.client.exception.MQClientException e) {
            return List.of(); // nothing found yet
        }
    }
}
