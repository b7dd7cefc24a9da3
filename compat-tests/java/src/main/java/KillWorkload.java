import java.io.BufferedWriter;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * Traffic for a broker that is killed again and again, and the comparison afterwards.
 * <pre>
 * KillWorkload send H:P(namesrv) H:P(broker) LEDGER RATE MAX   sends until `stop` comes on stdin
 * KillWorkload check H:P(namesrv) LEDGER                       reads all back and compares
 * KillWorkload digest H:P(broker)                              prints a SHA-256 over the raw records of each queue
 * </pre>
 * The ledger gets a line per acknowledged message: status, msgId, topic, queue, offset, CRC of the body, length. A line is written after
 * the acknowledgement came and before the next send of that thread. `send` prints {@code @GO} once, {@code @ACK n} for
 * each `ack?` it reads from stdin (so the runner sees that traffic flows), and {@code @SENT n failed m} at the end.
 */
public final class KillWorkload {
    private static final int PRODUCERS = 4;
    private static final int QUEUES = 4;
    private static final List<String> TOPICS = List.of("Kill9A", "Kill9B");
    private static PrintStream out;

    public static void main(String[] args) throws Exception {
        out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        boolean ok = switch (args[0]) {
            case "send" -> send(args[1], args[2], Path.of(args[3]), Integer.parseInt(args[4]), Long.parseLong(args[5]));
            case "digest" -> digest(args[1]);
            case "check" -> check(args[1], Path.of(args[2]));
            default -> throw new IllegalArgumentException(args[0]);
        };
        out.flush();
        Runtime.getRuntime().halt(ok ? 0 : 1);
    }

    private static boolean send(String namesrv, String broker, Path ledger, int rate, long max) throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("kill-admin");
        admin.start();
        for (String topic : TOPICS) {
            var config = new org.apache.rocketmq.common.TopicConfig(topic);
            config.setReadQueueNums(QUEUES);
            config.setWriteQueueNums(QUEUES);
            config.setPerm(6);
            admin.createAndUpdateTopicConfig(broker, config);
        }
        AtomicBoolean stop = new AtomicBoolean();
        AtomicLong acknowledged = new AtomicLong();
        AtomicLong failed = new AtomicLong();
        List<Thread> threads = new ArrayList<>();
        try (BufferedWriter writer = Files.newBufferedWriter(ledger)) {
            for (int p = 0; p < PRODUCERS; p++) {
                int number = p;
                DefaultMQProducer producer = new DefaultMQProducer("kill_" + p);
                producer.setNamesrvAddr(namesrv);
                producer.setInstanceName("kill-" + p);
                producer.setSendMsgTimeout(3000);
                producer.setRetryTimesWhenSendFailed(0); // a retry could store a message twice under one ledger line
                producer.setCompressMsgBodyOverHowmuch(2048);
                producer.start();
                Thread thread = new Thread(() -> produce(producer, number, writer, rate / PRODUCERS, max / PRODUCERS, stop, acknowledged, failed));
                thread.start();
                threads.add(thread);
            }
            out.println("@GO");
            BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line; (line = in.readLine()) != null && !line.equals("stop"); ) {
                if (line.equals("ack?")) out.println("@ACK " + acknowledged.get());
            }
            stop.set(true);
            for (Thread thread : threads) thread.join();
        }
        out.println("@SENT " + acknowledged + " failed " + failed);
        return true;
    }

    private static void produce(DefaultMQProducer producer, int number, BufferedWriter writer, int rate, long max, AtomicBoolean stop,
        AtomicLong acknowledged, AtomicLong failed) {
        long next = System.nanoTime();
        long step = 1_000_000_000L / Math.max(1, rate);
        long mine = 0;
        for (long n = 0; !stop.get() && mine < max; n++) {
            String topic = TOPICS.get((int) (n % TOPICS.size()));
            Message message = new Message(topic, "t" + number, "k" + number + "-" + n, body(number, n));
            try {
                MessageQueue queue = new MessageQueue(topic, Env.BROKER_NAME, (int) (n / 2 % QUEUES));
                SendResult result = producer.send(message, queue);
                if (result.getSendStatus() != SendStatus.SEND_OK) {
                    failed.incrementAndGet();
                } else {
                    String line = result.getMsgId() + " " + topic + " " + result.getMessageQueue().getQueueId() + " "
                        + result.getQueueOffset() + " " + UtilAll.crc32(message.getBody()) + " " + number + " " + n + "\n";
                    synchronized (writer) {
                        writer.write(line);
                    }
                    acknowledged.incrementAndGet();
                    mine++;
                }
                next += step;
                long wait = next - System.nanoTime();
                if (wait > 0) Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
                else next = System.nanoTime();
            } catch (Exception e) {
                failed.incrementAndGet();
                try {
                    Thread.sleep(50);
                } catch (InterruptedException interrupted) {
                    return;
                }
                next = System.nanoTime();
            }
        }
    }

    /** Bodies of many sizes, some above the compression threshold, all different. */
    private static byte[] body(int producer, long n) {
        StringBuilder text = new StringBuilder("producer " + producer + " message " + n + " ");
        long state = n * 0x9E3779B97F4A7C15L + producer;
        int length = n % 97 == 0 ? 3000 : (int) (n * 31 % 400);
        while (text.length() < length) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            text.append(Long.toHexString(state));
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    private record Line(String msgId, int crc, int producer, long n) {}

    /** The records as a pull returns them, which is how they lie in the log: equal digests mean equal bytes. */
    private static boolean digest(String broker) throws Exception {
        Raw raw = new Raw(broker);
        for (String topic : TOPICS) {
            for (int q = 0; q < QUEUES; q++) {
                long min = Long.parseLong(raw.call(31, null, "topic", topic, "queueId", "" + q).getExtFields().get("offset"));
                long max = Long.parseLong(raw.call(30, null, "topic", topic, "queueId", "" + q).getExtFields().get("offset"));
                MessageDigest sha = MessageDigest.getInstance("SHA-256");
                long records = 0;
                long next = min;
                while (next < max) {
                    var answer = raw.pull("kill_digest", topic, q, next);
                    if (answer.getCode() != 0) throw new AssertionError(topic + " " + q + " at " + next + ": " + Raw.show(answer));
                    ByteBuffer body = ByteBuffer.wrap(answer.getBody());
                    while (body.remaining() >= 4) {
                        body.position(body.position() + body.getInt(body.position()));
                        records++;
                    }
                    sha.update(answer.getBody());
                    next = Long.parseLong(answer.getExtFields().get("nextBeginOffset"));
                }
                out.println(topic + " " + q + " " + min + " " + max + " " + records + " " + HexFormat.of().formatHex(sha.digest()));
            }
        }
        return true;
    }

    private static boolean check(String namesrv, Path ledger) throws Exception {
        Map<String, Map<Long, Line>> expected = new TreeMap<>();
        long lines = 0;
        long clashes = 0;
        try (BufferedReader reader = Files.newBufferedReader(ledger)) {
            for (String line; (line = reader.readLine()) != null; lines++) {
                String[] f = line.split(" ");
                Line before = expected.computeIfAbsent(f[1] + " " + f[2], q -> new HashMap<>())
                    .put(Long.parseLong(f[3]), new Line(f[0], Integer.parseInt(f[4]), Integer.parseInt(f[5]), Long.parseLong(f[6])));
                if (before != null) {
                    clashes++;
                    if (clashes <= 10) out.println("queue " + f[1] + " " + f[2] + " offset " + f[3] + " was acknowledged twice: " + before.msgId + " and " + f[0]);
                }
            }
        }
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("kill_check");
        consumer.setNamesrvAddr(namesrv);
        consumer.start();
        long read = 0;
        long unacknowledged = 0;
        long doubled = 0;
        long lost = clashes;
        long wrong = 0;
        long gaps = 0;
        Set<String> ids = new HashSet<>();
        for (String topic : TOPICS) {
            for (int q = 0; q < QUEUES; q++) {
                MessageQueue queue = new MessageQueue(topic, Env.BROKER_NAME, q);
                Map<Long, Line> lineOf = expected.getOrDefault(topic + " " + q, Map.of());
                long min = consumer.minOffset(queue);
                long max = consumer.maxOffset(queue);
                if (min != 0) {
                    gaps++;
                    out.println("queue " + topic + " " + q + " begins at " + min);
                }
                BitSet found = new BitSet();
                long next = min;
                while (next < max) {
                    PullResult result = consumer.pull(queue, "*", next, 32);
                    if (result.getPullStatus() != PullStatus.FOUND) {
                        gaps++;
                        out.println("queue " + topic + " " + q + " at " + next + " of " + max + ": " + result);
                        next = Math.max(next + 1, result.getNextBeginOffset());
                        continue;
                    }
                    for (MessageExt message : result.getMsgFoundList()) {
                        if (message.getQueueOffset() != next) {
                            gaps++;
                            out.println("queue " + topic + " " + q + ": expected offset " + next + ", got " + message.getQueueOffset());
                        }
                        next = message.getQueueOffset() + 1;
                        read++;
                        if (!ids.add(message.getMsgId())) doubled++;
                        found.set((int) message.getQueueOffset());
                        Line line = lineOf.get(message.getQueueOffset());
                        if (line == null) {
                            unacknowledged++; // stored, but the answer was lost in the kill
                            String[] words = new String(message.getBody(), StandardCharsets.UTF_8).split(" ", 5);
                            byte[] sent = body(Integer.parseInt(words[1]), Long.parseLong(words[3]));
                            if (!java.util.Arrays.equals(sent, message.getBody())) wrong++;
                        } else if (!line.msgId.equals(message.getMsgId()) || line.crc != UtilAll.crc32(message.getBody())
                            || !java.util.Arrays.equals(body(line.producer, line.n), message.getBody())) {
                            wrong++;
                            if (wrong <= 10) out.println("queue " + topic + " " + q + " offset " + message.getQueueOffset() + ": acknowledged "
                                + line.msgId + ", found " + message.getMsgId());
                        }
                    }
                    if (result.getNextBeginOffset() != next) gaps++;
                }
                for (long offset : lineOf.keySet()) {
                    if (!found.get((int) offset)) {
                        lost++;
                        if (lost <= 10) out.println("lost: queue " + topic + " " + q + " offset " + offset + " " + lineOf.get(offset).msgId + ", queue ends at " + max);
                    }
                }
            }
        }
        out.println("acknowledged " + lines + ", read " + read + ", lost " + lost + ", wrong " + wrong + ", gaps " + gaps + ", stored without an answer "
            + unacknowledged + ", stored twice " + doubled);
        return lost == 0 && wrong == 0 && gaps == 0 && lines > 0 && lines + unacknowledged - clashes == read;
    }
}
