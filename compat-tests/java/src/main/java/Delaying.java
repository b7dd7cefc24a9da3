import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Delay levels. */
final class Delaying {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("delay_punctual", false, true, Delaying::punctual));
    }

    private static final int PER_MINUTE = 10_000;
    private static final int[] LEVEL_MS = {1000, 5000};
    /** What the 99th percentile may be late; alone on the machine both makes stay far below. */
    private static final long LATE_MS = 200;

    /** At 10,000 messages a minute none is early, none is lost or doubled, and 99 % are at most 200 ms late. */
    private static void punctual(Env env) throws Exception {
        String seconds = System.getenv("COMPAT_DELAY_SECONDS");
        int count = PER_MINUTE / 60 * (seconds == null ? 8 : Integer.parseInt(seconds));
        String topic = env.topic("t", 4);
        Map<String, List<MessageExt>> seen = new ConcurrentHashMap<>();
        env.pushInto(env.name("g"), topic, "*", m -> seen.computeIfAbsent(Env.text(m), body -> Collections.synchronizedList(new ArrayList<>())).add(m));
        DefaultMQProducer producer = env.producer();
        env.send(producer, new Message(topic, Env.utf8("warm"))); // connections and threads exist from here on
        env.await("the first message", 20_000, () -> seen.containsKey("warm"));
        AtomicInteger sent = new AtomicInteger();
        AtomicInteger failed = new AtomicInteger();
        long begin = System.nanoTime();
        for (int i = 0; i < count; i++) {
            long wait = begin + i * 60_000_000_000L / PER_MINUTE - System.nanoTime();
            if (wait > 0) Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
            Message message = new Message(topic, "tag", Env.utf8("n" + i));
            message.setDelayTimeLevel(i % LEVEL_MS.length + 1);
            producer.send(message, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    sent.incrementAndGet();
                }

                @Override
                public void onException(Throwable e) {
                    failed.incrementAndGet();
                }
            });
        }
        env.await("the answers", 20_000, () -> sent.get() + failed.get() == count);
        env.same("failed sends", 0, failed.get());
        env.await("all messages", 60_000, () -> seen.size() == count + 1);
        List<Long> late = new ArrayList<>();
        for (var one : seen.entrySet()) {
            env.same("deliveries of " + one.getKey(), 1, one.getValue().size());
            if (one.getKey().equals("warm")) continue;
            MessageExt message = one.getValue().get(0);
            int level = Integer.parseInt(one.getKey().substring(1)) % LEVEL_MS.length;
            // It was stored a little after it was born; when it was stored in its real topic is when it was delivered.
            late.add(message.getStoreTimestamp() - message.getBornTimestamp() - LEVEL_MS[level]);
            Map<String, String> properties = new TreeMap<>(message.getProperties());
            for (String added : List.of("MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME", "UNIQ_KEY")) properties.remove(added);
            env.same("properties", "{CLUSTER=DefaultCluster, DELAY=" + (level + 1) + ", MSG_REGION=DefaultRegion, REAL_QID=" + message.getQueueId()
                + ", REAL_TOPIC=" + topic + ", TAGS=tag, TRACE_ON=true, WAIT=true}", properties.toString());
            env.same("system flag", 0, message.getSysFlag());
        }
        Collections.sort(late);
        String figures = "late by " + late.get(late.size() / 2) + " ms (half), " + late.get(late.size() * 99 / 100) + " ms (99 %), "
            + late.get(late.size() - 1) + " ms (all)";
        env.say(count + " messages at " + PER_MINUTE + " a minute: " + figures);
        env.check(late.get(0) >= 0, "early by " + -late.get(0) + " ms");
        env.check(late.get(late.size() * 99 / 100) <= LATE_MS, figures);
    }
}
