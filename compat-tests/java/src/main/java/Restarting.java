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
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A broker that is stopped and started again under its clients. */
final class Restarting {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("restart_broker", true, true, Restarting::restart));
    }

    private static void restart(Env env) throws Exception {
        String topic = env.topic("t", 4);
        String group = env.name("g");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = env.pushInto(group, topic, "*", m -> seen.merge(Env.text(m), 1, Integer::sum));
        DefaultMQProducer producer = env.producer(p -> p.setSendMsgTimeout(3000));
        Map<String, SendResult> acknowledged = new ConcurrentHashMap<>();
        AtomicInteger failed = new AtomicInteger();
        AtomicBoolean stop = new AtomicBoolean();
        Thread sender = new Thread(() -> {
            for (int i = 0; !stop.get(); i++) {
                String body = "n" + i;
                try {
                    acknowledged.put(body, env.send(producer, new Message(topic, "", "restart", Env.utf8(body))));
                    Thread.sleep(4);
                } catch (Exception e) {
                    failed.incrementAndGet();
                    try {
                        Thread.sleep(200);
                    } catch (InterruptedException interrupted) {
                        return;
                    }
                }
            }
        });
        sender.start();
        env.onClose(() -> stop.set(true));
        env.await("traffic", 20_000, () -> acknowledged.size() > 200 && seen.size() > 100);
        env.configure(env.name("kept"), 3, Env.READ | Env.WRITE);
        env.restartBroker();
        // Java's name server may drop the new registration when it notices late that the old connection closed; the
        // broker registers again after 10 s and then every 30 s.
        Raw names = new Raw(env.namesrv);
        long routed = System.currentTimeMillis();
        env.await("a route after the restart", 45_000, () -> names.call(105, null, "topic", topic).getCode() == 0);
        routed = System.currentTimeMillis() - routed;
        int before = acknowledged.size();
        env.await("the producer to go on", 60_000, () -> acknowledged.size() > before + 100);
        stop.set(true);
        sender.join();
        env.await("the consumer to have all that was acknowledged", 60_000, () -> seen.keySet().containsAll(acknowledged.keySet()));
        env.await("the route for a new client", 45_000, () -> names.call(105, null, "topic", topic).getCode() == 0);
        List<MessageExt> stored = new ArrayList<>();
        env.readTopic(topic).values().forEach(stored::addAll);
        Map<String, MessageExt> byBody = new ConcurrentHashMap<>();
        stored.forEach(m -> byBody.put(Env.text(m), m));
        for (var one : acknowledged.entrySet()) {
            MessageExt message = byBody.get(one.getKey());
            env.check(message != null, "acknowledged but not stored: " + one.getKey());
            env.same("queueOffset of " + one.getKey(), one.getValue().getQueueOffset(), message.getQueueOffset());
            env.same("queueId of " + one.getKey(), one.getValue().getMessageQueue().getQueueId(), message.getQueueId());
        }
        consumer.shutdown();
        var kept = env.raw.call(30, null, "topic", env.name("kept"), "queueId", "2");
        env.same("max offset of a topic created before the restart", "code 0 offset 0",
            "code " + kept.getCode() + " offset " + kept.getExtFields().get("offset"));
        Set<String> firsts = Set.of("n0", "n50", "n100");
        for (String body : firsts) {
            env.same("a message from before the restart by its id", body,
                Env.text(Env.admin(env.namesrv).viewMessage(topic, acknowledged.get(body).getOffsetMsgId())));
        }
        int again = seen.values().stream().mapToInt(i -> i).sum() - seen.size();
        env.say(acknowledged.size() + " acknowledged (" + failed.get() + " sends failed meanwhile), all stored at their offsets and consumed, "
            + again + " delivered again; routed " + routed + " ms after the start");
    }
}
