import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers of one group that come, go and die: who reads which queue, how soon, and that nothing is lost. */
final class Rebalancing {
    /** The broker tells the others at once; a client rebalances every 20 s without being told. */
    private static final long TOLD_MS = 12_000;

    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("rebalance_killed", true, false, Rebalancing::killed));
        all.add(new Scenario.Named("rebalance_join_leave", true, false, Rebalancing::joinLeave));
    }

    private static void joinLeave(Env env) throws Exception {
        String topic = env.topic("t", 8);
        String group = env.name("g");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer first = env.pushInto(group, topic, "*", m -> seen.merge(Env.text(m), 1, Integer::sum));
        env.await("the first consumer to own 8 queues", 30_000, () -> owned(first, topic).size() == 8);
        Traffic traffic = new Traffic(env, topic, 8);
        env.await("traffic", 10_000, () -> traffic.sent.get() > 20);

        DefaultMQPushConsumer second = env.pushInto(group, topic, "*", m -> seen.merge(Env.text(m), 1, Integer::sum));
        long joined = System.currentTimeMillis();
        env.await("4 queues each after one joined", TOLD_MS, () -> owned(first, topic).size() == 4 && owned(second, topic).size() == 4);
        joined = System.currentTimeMillis() - joined;
        Set<MessageQueue> both = new HashSet<>(owned(first, topic));
        both.addAll(owned(second, topic));
        env.same("queues owned by the two", 8, both.size());

        second.shutdown();
        long left = System.currentTimeMillis();
        env.await("8 queues again after one left", TOLD_MS, () -> owned(first, topic).size() == 8);
        left = System.currentTimeMillis() - left;
        int sent = traffic.stop();
        env.await("every message consumed", 30_000, () -> seen.size() == sent);
        int deliveries = seen.values().stream().mapToInt(i -> i).sum();
        env.say(sent + " messages, " + deliveries + " deliveries, none lost; shared after " + joined + " ms, taken over after " + left + " ms");
    }

    private static void killed(Env env) throws Exception {
        String topic = env.topic("t", 4);
        String group = env.name("g");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer first = env.pushInto(group, topic, "*", m -> seen.merge(Env.text(m), 1, Integer::sum));
        Process child = child(env, "Rebalancing$Child", group, topic, line -> seen.merge(line, 1, Integer::sum));
        env.await("2 queues each", 60_000, () -> owned(first, topic).size() == 2);
        Traffic traffic = new Traffic(env, topic, 4);
        env.await("the child to consume", 30_000, () -> traffic.sent.get() > 200);
        child.destroyForcibly().waitFor(); // SIGKILL: it neither commits nor says goodbye
        long died = System.currentTimeMillis();
        env.await("4 queues after the other died", TOLD_MS, () -> owned(first, topic).size() == 4);
        died = System.currentTimeMillis() - died;
        Thread.sleep(1000); // what it had printed is read by now
        int sent = traffic.stop();
        env.await("every message consumed", 30_000, () -> seen.size() == sent);
        int deliveries = seen.values().stream().mapToInt(i -> i).sum();
        env.say(sent + " messages, " + deliveries + " deliveries, none lost; queues taken over " + died + " ms after the kill");
    }

    /** A consumer in a process of its own; `sink` gets what it prints after {@code @ }. */
    static Process child(Env env, String main, String group, String topic, Consumer<String> sink) throws Exception {
        List<String> command = new ArrayList<>(List.of(System.getProperty("java.home") + "/bin/java", "-Xmx128m", "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path")));
        for (String key : List.of("rocketmq.client.logRoot", "rocketmq.client.logLevel", "rocketmq.client.logUseSlf4j", "user.home")) {
            if (System.getProperty(key) != null) command.add("-D" + key + "=" + System.getProperty(key));
        }
        command.addAll(List.of(main, env.namesrv, group, topic));
        Process child = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        env.onClose(() -> child.destroyForcibly().waitFor());
        new Thread(() -> {
            try (BufferedReader lines = new BufferedReader(new InputStreamReader(child.getInputStream(), "UTF-8"))) {
                for (String line; (line = lines.readLine()) != null; ) {
                    if (line.startsWith("@ ")) sink.accept(line.substring(2));
                }
            } catch (java.io.IOException e) {
                env.say("the child's output ended: " + e);
            }
        }).start();
        return child;
    }

    static Set<MessageQueue> owned(DefaultMQPushConsumer consumer, String topic) {
        Set<MessageQueue> queues = new HashSet<>();
        for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
            if (queue.getTopic().equals(topic)) queues.add(queue);
        }
        return queues;
    }

    /** Sends numbered messages over all queues until stopped. */
    private static final class Traffic {
        final AtomicInteger sent = new AtomicInteger();
        private final AtomicBoolean stop = new AtomicBoolean();
        private final Thread thread;
        private volatile Throwable failure;

        Traffic(Env env, String topic, int queues) throws Exception {
            DefaultMQProducer producer = env.producer();
            thread = new Thread(() -> {
                try {
                    while (!stop.get()) {
                        int n = sent.get();
                        env.send(producer, new Message(topic, Env.utf8("n" + n)), n % queues);
                        sent.incrementAndGet();
                        Thread.sleep(5);
                    }
                } catch (Throwable e) {
                    failure = e;
                }
            });
            thread.start();
            env.onClose(() -> stop.set(true));
        }

        int stop() throws Exception {
            stop.set(true);
            thread.join();
            if (failure != null) throw new AssertionError("a send failed: " + failure);
            return sent.get();
        }
    }

    /** A consumer in a process of its own that prints what it consumed. */
    public static final class Child {
        public static void main(String[] args) throws Exception {
            DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(args[1]);
            consumer.setNamesrvAddr(args[0]);
            consumer.setInstanceName("child");
            consumer.subscribe(args[2], "*");
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                messages.forEach(m -> System.out.println("@ " + Env.text(m)));
                System.out.flush();
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            consumer.start();
            Thread.sleep(Long.MAX_VALUE);
        }
    }
}
