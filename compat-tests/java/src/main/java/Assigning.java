import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** Queues that the broker shares out to the clients of a group. */
final class Assigning {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("assign_push", true, false, Assigning::push));
        all.add(new Scenario.Named("assign_queues", true, false, Assigning::queues));
        all.add(new Scenario.Named("assign_mode", true, false, Assigning::mode));
    }

    /** 5.x clients ask the broker for their queues with setClientRebalance(false). */
    private static void push(Env env) throws Exception {
        Method choice = null;
        for (Method method : DefaultMQPushConsumer.class.getMethods()) {
            if (method.getName().equals("setClientRebalance")) choice = method;
        }
        if (choice == null) throw new Scenario.Skipped("this client always shares the queues out itself");
        String topic = env.topic("t", 8);
        String group = env.name("g");
        DefaultMQProducer producer = env.producer();
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            DefaultMQPushConsumer consumer = env.push(group);
            choice.invoke(consumer, false);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                messages.forEach(m -> seen.merge(Env.text(m), 1, Integer::sum));
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            consumer.start();
            consumers.add(consumer);
            int each = 8 / (i + 1);
            env.await(each + " queues for each of " + (i + 1), 40_000, () -> {
                Set<MessageQueue> all = new HashSet<>();
                for (DefaultMQPushConsumer one : consumers) {
                    Set<MessageQueue> owned = owned(one, topic);
                    if (owned.size() != each) return false;
                    all.addAll(owned);
                }
                return all.size() == 8;
            });
            int round = i;
            for (int n = 0; n < 80; n++) env.send(producer, new Message(topic, Env.utf8(round + "-" + n)), n % 8);
            env.await("80 messages of round " + i, 30_000, () -> seen.size() == 80 * (round + 1));
        }
        int deliveries = seen.values().stream().mapToInt(n -> n).sum();
        consumers.get(0).shutdown();
        env.await("8 queues after one left", 40_000, () -> owned(consumers.get(1), topic).size() == 8);
        env.say("160 messages, " + deliveries + " deliveries; 8 queues for one consumer, 4 each for two, 8 again");
    }

    private static Set<MessageQueue> owned(DefaultMQPushConsumer consumer, String topic) {
        Set<MessageQueue> queues = new HashSet<>();
        for (var entry : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().entrySet()) {
            if (entry.getKey().getTopic().equals(topic) && !entry.getValue().isDropped()) queues.add(entry.getKey());
        }
        return queues;
    }

    /** A consumer of `group` built by hand. */
    private static void member(Env env, String group, String clientId, String topic) throws Exception {
        NettyRemotingClient client = new NettyRemotingClient(new NettyClientConfig());
        client.start();
        env.onClose(() -> new Thread(client::shutdown).start()); // it waits for its threads for seconds
        RemotingCommand heartbeat = RemotingCommand.createRequestCommand(34, null);
        heartbeat.setBody(Env.utf8("{\"clientID\":\"" + clientId + "\",\"producerDataSet\":[],\"consumerDataSet\":[{\"groupName\":\"" + group
            + "\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\",\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\","
            + "\"subscriptionDataSet\":[{\"topic\":\"" + topic + "\",\"subString\":\"*\",\"subVersion\":1}],\"unitMode\":false}]}"));
        env.same("heartbeat", 0, client.invokeSync(env.broker, heartbeat, 5_000).getCode());
    }

    private static final Pattern QUEUE = Pattern.compile("\\{\"messageQueue\":\\{\"brokerName\":\"([^\"]*)\",\"queueId\":(-?\\d+),\"topic\":\"([^\"]*)\"\\},\"mode\":\"(\\w+)\"\\}");

    /** The queue ids of an answer, with its mode; or its whole text where it has another form. */
    private static String ask(Env env, String topic, String group, String client, String model, String strategy) throws Exception {
        RemotingCommand answer = env.raw.call(400, Env.utf8("{\"topic\":\"" + topic + "\",\"consumerGroup\":\"" + group + "\",\"clientId\":\"" + client
            + "\",\"strategyName\":\"" + strategy + "\",\"messageModel\":\"" + model + "\"}"));
        if (answer.getCode() != 0) return Raw.show(answer);
        String body = new String(answer.getBody(), "UTF-8");
        Matcher matcher = QUEUE.matcher(body);
        TreeSet<Integer> ids = new TreeSet<>();
        Set<String> modes = new TreeSet<>();
        while (matcher.find()) {
            env.same("broker and topic", Env.BROKER_NAME + " " + topic, matcher.group(1) + " " + matcher.group(3));
            ids.add(Integer.parseInt(matcher.group(2)));
            modes.add(matcher.group(4));
        }
        return ids.isEmpty() ? body : modes + " " + ids;
    }

    private static void queues(Env env) throws Exception {
        String topic = env.topic("t", 7);
        String group = env.name("g");
        env.same("a group without members", "{}", ask(env, topic, group, "a", "CLUSTERING", "AVG"));
        for (String client : List.of("b", "a", "c")) member(env, group, client, topic);
        env.same("averagely", "[PULL] [0, 1, 2] [PULL] [3, 4] [PULL] [5, 6]", ask(env, topic, group, "a", "CLUSTERING", "AVG") + " "
            + ask(env, topic, group, "b", "CLUSTERING", "AVG") + " " + ask(env, topic, group, "c", "CLUSTERING", "AVG"));
        env.same("by circle", "[PULL] [0, 3, 6] [PULL] [1, 4] [PULL] [2, 5]", ask(env, topic, group, "a", "CLUSTERING", "AVG_BY_CIRCLE") + " "
            + ask(env, topic, group, "b", "CLUSTERING", "AVG_BY_CIRCLE") + " " + ask(env, topic, group, "c", "CLUSTERING", "AVG_BY_CIRCLE"));
        env.same("broadcasting", "[PULL] [0, 1, 2, 3, 4, 5, 6]", ask(env, topic, group, "b", "BROADCASTING", "AVG"));
        env.same("a client that is no member", "{\"messageQueueAssignments\":[]}", ask(env, topic, group, "x", "CLUSTERING", "AVG"));
        for (String strategy : List.of("CONFIG", "MACHINE_ROOM", "CONSISTENT_HASH", "nonsense")) {
            env.same("strategy " + strategy, "{}", ask(env, topic, group, "a", "CLUSTERING", strategy));
        }
        env.same("a topic that is not there", "{}", ask(env, topic + "x", group, "a", "CLUSTERING", "AVG"));
        env.same("no client", "{}", ask(env, topic, group, "", "CLUSTERING", "AVG"));
        env.same("no model", 1, env.raw.call(400, Env.utf8("{\"topic\":\"" + topic + "\",\"consumerGroup\":\"" + group + "\",\"clientId\":\"a\"}")).getCode());
        member(env, group, "a", topic);
        env.same("with two connections of one client", "[PULL] [0, 1] [PULL] [4, 5]", ask(env, topic, group, "a", "CLUSTERING", "AVG") + " "
            + ask(env, topic, group, "b", "CLUSTERING", "AVG"));
        env.say("by both strategies of the broker, broadcasting, of unknown groups, topics, clients and strategies");
    }

    private static RemotingCommand set(Env env, String topic, String group, String mode) throws Exception {
        return env.raw.call(401, Env.utf8("{\"topic\":\"" + topic + "\",\"consumerGroup\":\"" + group + "\",\"mode\":\"" + mode + "\",\"popShareQueueNum\":2}"));
    }

    private static void mode(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("g");
        env.same("of a retry topic", "code 16 remark retry topic is not allowed to set mode", Raw.show(set(env, "%RETRY%" + group, group, "PULL")));
        env.same("of a topic that is not there", "code 17 remark topic[" + topic + "x] not exist", Raw.show(set(env, topic + "x", group, "PULL")));
        env.same("of a group with an illegal name", "code 26 remark subscription group does not exist", Raw.show(set(env, topic, "bad group!", "PULL")));
        env.same("of a group that comes into being by it", "code 0 remark null", Raw.show(set(env, topic, group, "PULL")));
        env.same("the group", 0, env.raw.call(352, null, "group", group).getCode());
        member(env, group, "a", topic);
        env.same("queues", "[PULL] [0, 1]", ask(env, topic, group, "a", "CLUSTERING", "AVG"));
        String all = new String(env.raw.call(402, null).getBody(), "UTF-8");
        String own = "\"" + topic + "\":{\"" + group + "\":{\"consumerGroup\":\"" + group + "\",\"mode\":\"PULL\",\"popShareQueueNum\":2,\"topic\":\"" + topic + "\"}}";
        env.check(all.startsWith("{\"messageRequestModeMap\":{") && all.contains(own), "all modes: " + Env.shorten(all));
        env.say("set, listed, and refused for retry topics, unknown topics and illegal groups");
    }
}
