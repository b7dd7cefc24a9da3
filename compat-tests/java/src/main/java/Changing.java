import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** Topics and permissions that change under their clients, and how much one pull brings. */
final class Changing {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("queues_grow_and_shrink", true, false, Changing::queues));
        all.add(new Scenario.Named("topic_deleted_under_load", true, false, Changing::deleted));
        all.add(new Scenario.Named("pull_limits", true, false, Changing::pullLimits));
        all.add(new Scenario.Named("broker_permission", true, true, Changing::permission));
    }

    private static void configure(Env env, String topic, int writeQueues, int readQueues) throws Exception {
        TopicConfig config = new TopicConfig(topic);
        config.setWriteQueueNums(writeQueues);
        config.setReadQueueNums(readQueues);
        config.setPerm(Env.READ | Env.WRITE);
        Env.admin(env.namesrv).createAndUpdateTopicConfig(env.broker, config);
    }

    private static void queues(Env env) throws Exception {
        String topic = env.topic("t", 2);
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = env.push(env.name("g"));
        consumer.setPollNameServerInterval(500);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(m -> seen.add(Env.text(m)));
            return org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        Load load = new Load(env, topic);
        env.await("traffic to two queues", 30_000, () -> load.recent().equals(Set.of(0, 1)) && seen.size() > 50);

        configure(env, topic, 6, 6);
        env.await("traffic to six queues", 30_000, () -> load.recent().equals(Set.of(0, 1, 2, 3, 4, 5)));
        env.await("consumption of six queues", 30_000, () -> {
            client(consumer).rebalanceImmediately();
            return Rebalancing.owned(consumer, topic).size() == 6;
        });

        // Producers leave first; what lies in the queues that they have left is still read.
        configure(env, topic, 2, 6);
        env.await("traffic to two queues again", 30_000, () -> load.recent().equals(Set.of(0, 1)));
        env.await("everything consumed", 30_000, () -> seen.containsAll(load.acknowledged.keySet()));
        env.same("a send to a queue that is only read", 0, env.raw.send(topic, Env.utf8("late"), "queueId", "5").getCode());
        env.await("its consumption", 30_000, () -> seen.contains("late"));

        configure(env, topic, 2, 2);
        env.await("two queues owned", 30_000, () -> {
            client(consumer).rebalanceImmediately();
            return Rebalancing.owned(consumer, topic).size() == 2;
        });
        env.same("a send to a queue that is no more", 29, env.raw.send(topic, Env.utf8("too late"), "queueId", "5").getCode());
        env.same("a pull from it", 29, env.raw.pull(env.name("g2"), topic, 5, 0).getCode());
        load.stop();
        env.same("failed sends", 0, load.failed.get());
        env.await("everything consumed at last", 30_000, () -> seen.containsAll(load.acknowledged.keySet()));
        env.say(load.acknowledged.size() + " messages, all consumed");
    }

    private static org.apache.rocketmq.client.impl.factory.MQClientInstance client(DefaultMQPushConsumer consumer) {
        return consumer.getDefaultMQPushConsumerImpl().getmQClientFactory();
    }

    /** A topic that is deleted while it is written to comes back empty with the next send. */
    private static void deleted(Env env) throws Exception {
        String topic = env.topic("t", 2);
        Load load = new Load(env, topic);
        env.await("traffic", 30_000, () -> load.acknowledged.size() > 100);
        Env.admin(env.namesrv).deleteTopicInBroker(Set.of(env.broker), topic);
        long deletedAt = System.currentTimeMillis();
        env.await("traffic after the deletion", 30_000, () -> load.acknowledged.values().stream().filter(a -> a.atMs > deletedAt + 500).count() > 50);
        load.stop();
        for (Map.Entry<Integer, List<MessageExt>> queue : env.readTopic(topic).entrySet()) {
            List<MessageExt> messages = queue.getValue();
            env.check(!messages.isEmpty(), "queue " + queue.getKey() + " is empty");
            env.same("first offset of queue " + queue.getKey(), 0, messages.get(0).getQueueOffset());
            for (MessageExt message : messages) {
                Acknowledged acknowledged = load.acknowledged.get(Env.text(message));
                env.check(acknowledged == null || acknowledged.atMs >= deletedAt - 1000, "from before the deletion: " + Env.text(message));
            }
            load.acknowledged.forEach((text, acknowledged) -> {
                if (acknowledged.queue == queue.getKey() && acknowledged.atMs > deletedAt + 500) {
                    env.check(messages.stream().anyMatch(m -> Env.text(m).equals(text) && m.getQueueOffset() == acknowledged.offset), "lost: " + text);
                }
            });
        }
        env.say(load.acknowledged.size() + " acknowledged, " + load.failed + " sends failed");
    }

    /** maxMsgNums, and the limits of maxTransferCountOnMessageInMemory and maxTransferBytesOnMessageInMemory. */
    private static void pullLimits(Env env) throws Exception {
        String topic = env.topic("t", 3);
        DefaultMQProducer producer = env.producer(p -> p.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE));
        for (int i = 0; i < 40; i++) env.send(producer, new Message(topic, Env.utf8("n" + i)), 0);
        for (int i = 0; i < 20; i++) env.send(producer, new Message(topic, new byte[20_000]), 1);
        env.send(producer, new Message(topic, new byte[400_000]), 2);
        env.send(producer, new Message(topic, new byte[10]), 2);
        String group = env.name("g");
        env.same("asked for 5", 5, next(env, group, topic, 0, "5"));
        env.same("asked for 32", 32, next(env, group, topic, 0, "32"));
        env.same("asked for 100", 32, next(env, group, topic, 0, "100"));
        env.same("of 20,000 bytes", 12, next(env, group, topic, 1, "32"));
        env.same("of 400,000 bytes", 1, next(env, group, topic, 2, "32"));
    }

    private static long next(Env env, String group, String topic, int queue, String asked) throws Exception {
        RemotingCommand answer = env.raw.pull(group, topic, queue, 0, "maxMsgNums", asked);
        env.same("code", 0, answer.getCode());
        return Long.parseLong(answer.getExtFields().get("nextBeginOffset"));
    }

    private static void permission(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String ordered = env.name("ordered");
        TopicConfig config = new TopicConfig(ordered);
        config.setReadQueueNums(1);
        config.setWriteQueueNums(1);
        config.setPerm(Env.READ | Env.WRITE);
        config.setOrder(true);
        Env.admin(env.namesrv).createAndUpdateTopicConfig(env.broker, config);
        String group = env.name("g");
        env.onClose(() -> env.raw.call(25, Env.utf8("brokerPermission=6")));
        env.same("update", 0, env.raw.call(25, Env.utf8("brokerPermission=2")).getCode());
        env.same("pull from a broker that is not read", "code 16 remark the broker[127.0.0.1] pulling message is forbidden",
            Raw.show(env.raw.pull(group, topic, 0, 0)));
        env.same("send to it", 0, env.raw.send(topic, Env.utf8("x")).getCode());
        env.same("update", 0, env.raw.call(25, Env.utf8("brokerPermission=4")).getCode());
        env.same("send to a broker that is not written, of an ordered topic",
            "code 16 remark the broker[127.0.0.1] sending message is forbidden", Raw.show(env.raw.send(ordered, Env.utf8("x"))));
        env.same("of another, of which only clients take notice", 0, env.raw.send(topic, Env.utf8("x")).getCode());
        env.same("pull", 0, env.raw.pull(group, topic, 0, 0).getCode());
        var back = env.raw.call(36, null, "offset", "0", "group", group, "delayLevel", "0", "originMsgId", "x", "originTopic", topic, "unitMode", "false");
        env.same("giving a message back", "code 16 remark the broker[127.0.0.1] sending message is forbidden", Raw.show(back));
        env.await("the route to tell it", 20_000, () -> new String(new Raw(env.namesrv).call(105, null, "topic", topic).getBody()).contains("\"perm\":4"));
        env.same("update", 0, env.raw.call(25, Env.utf8("brokerPermission=6")).getCode());
        env.await("the route to tell the old one", 20_000, () -> new String(new Raw(env.namesrv).call(105, null, "topic", topic).getBody()).contains("\"perm\":6"));
        env.same("messages stored", 2, env.readQueue(topic, 0).size());
    }

    private record Acknowledged(long atMs, int queue, long offset) {}

    /** A producer that follows changes of its topic soon. */
    private static final class Load {
        final Map<String, Acknowledged> acknowledged = new ConcurrentHashMap<>();
        final AtomicInteger failed = new AtomicInteger();
        private final List<Integer> queues = new ArrayList<>();
        private final AtomicBoolean stop = new AtomicBoolean();
        private final Thread thread;

        Load(Env env, String topic) throws Exception {
            DefaultMQProducer producer = env.producer(p -> p.setPollNameServerInterval(500));
            thread = new Thread(() -> {
                for (int i = 0; !stop.get(); i++) {
                    try {
                        String text = "n" + i;
                        SendResult result = env.send(producer, new Message(topic, Env.utf8(text)));
                        int queue = result.getMessageQueue().getQueueId();
                        acknowledged.put(text, new Acknowledged(System.currentTimeMillis(), queue, result.getQueueOffset()));
                        synchronized (queues) {
                            queues.add(queue);
                        }
                        Thread.sleep(3);
                    } catch (InterruptedException e) {
                        return;
                    } catch (Exception e) {
                        failed.incrementAndGet();
                    }
                }
            });
            thread.start();
            env.onClose(() -> stop.set(true));
        }

        /** The queues of the last messages. */
        Set<Integer> recent() {
            synchronized (queues) {
                return Set.copyOf(queues.subList(Math.max(0, queues.size() - 40), queues.size()));
            }
        }

        void stop() throws InterruptedException {
            stop.set(true);
            thread.join();
        }
    }
}
