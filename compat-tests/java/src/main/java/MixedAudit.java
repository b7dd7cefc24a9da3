import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;

/**
 * Judges what {@link MixedWorkload} has seen: nothing lost, early, visible before its commit, or out of order, and a
 * cause for every message that was consumed more than once.
 */
final class MixedAudit {
    /** How long a consumed message's offset may be on its way to the broker (persistConsumerOffsetInterval, and slack). */
    private static final long UNCOMMITTED_MS = 6_000;
    /** How long after a failed consumption the client may still try to give the message back. */
    private static final long GIVING_BACK_MS = 10_000;
    private static final String SCHEDULE = "SCHEDULE_TOPIC_XXXX";

    /** Why a message was consumed again. */
    private enum Cause {
        PRODUCER_RETRY("a producer's retry after an unknown result"),
        OFFSET_NOT_PERSISTED("an offset not yet persisted at a kill"),
        BEFORE_ACK("a redelivery before the acknowledgement"),
        RE_CHECK("a transaction re-check"),
        NONE("UNATTRIBUTED");

        final String words;

        Cause(String words) {
            this.words = words;
        }
    }

    /** A death of the broker: when, and the offsets that it left on disk. */
    record Kill(long fromMs, long toMs, Map<String, Map<Integer, Long>> consumer, Map<Integer, Long> delay) {
        static Kill read(long fromMs, long toMs, String dir) throws Exception {
            Map<String, Map<Integer, Long>> consumer = new HashMap<>();
            for (Map.Entry<?, ?> queues : table(Path.of(dir, "consumerOffset.json")).entrySet()) {
                consumer.put(queues.getKey().toString(), numbers((Map<?, ?>) queues.getValue()));
            }
            return new Kill(fromMs, toMs, consumer, numbers(table(Path.of(dir, "delayOffset.json"))));
        }

        private static Map<?, ?> table(Path file) throws Exception {
            if (!Files.exists(file)) return Map.of(); // nothing was persisted yet
            Map<?, ?> json = RemotingSerializable.fromJson(Files.readString(file), Map.class);
            return (Map<?, ?>) json.get("offsetTable");
        }

        private static Map<Integer, Long> numbers(Map<?, ?> map) {
            Map<Integer, Long> numbers = new HashMap<>();
            map.forEach((k, v) -> numbers.put(Integer.parseInt(k.toString()), Long.parseLong(v.toString())));
            return numbers;
        }

        boolean between(long firstMs, long secondMs) {
            return firstMs <= toMs && secondMs >= fromMs;
        }
    }

    record Scheduled(int level, long offset) {}

    /** Since when which consumer has been reading which queue: it asked for the committed offset then. */
    static final class Owners {
        /** How late a change may have been noticed. */
        private static final long NOTICED_MS = 500;
        private final Map<String, TreeSet<Long>> since = new ConcurrentHashMap<>();

        void began(String by, String topic, int queue, long atMs) {
            since.computeIfAbsent(by + " " + topic + " " + queue, k -> new TreeSet<>()).add(atMs);
        }

        /** Whether the second delivery's consumer began to read the queue by itself, and before the first one's offset had to be known. */
        private boolean excuse(MixedWorkload.Delivery first, MixedWorkload.Delivery second) {
            TreeSet<Long> times = since.getOrDefault(second.by() + " " + second.topic() + " " + second.queue(), new TreeSet<>());
            Long began = times.floor(second.beganMs() + NOTICED_MS);
            if (began == null || began > first.endedMs() + UNCOMMITTED_MS + NOTICED_MS) return false;
            return !second.by().equals(first.by()) || began > first.beganMs();
        }
    }

    private record Place(String topic, int queue, long offset) {}

    private final Collection<MixedWorkload.Entry> entries;
    private final List<Kill> kills;
    private final PrintStream out;
    /** Where each delayed message waited, by its id and how often it had been consumed. */
    private final Map<String, List<Scheduled>> scheduled;
    private final Owners owners;
    private final Map<Cause, Long> causes = new EnumMap<>(Cause.class);
    private final Map<String, Long> faults = new TreeMap<>();

    MixedAudit(Collection<MixedWorkload.Entry> entries, List<Kill> kills, Map<String, List<Scheduled>> scheduled, Owners owners, PrintStream out) {
        this.entries = entries;
        this.kills = kills;
        this.scheduled = scheduled;
        this.owners = owners;
        this.out = out;
    }

    /** What the broker's schedule topic holds. */
    static Map<String, List<Scheduled>> schedule(Raw raw) throws Exception {
        Map<String, List<Scheduled>> scheduled = new HashMap<>();
        for (int level = 1; level < MixedWorkload.DELAY_MS.length; level++) {
            String queue = "" + (level - 1);
            long max = Long.parseLong(raw.call(30, null, "topic", SCHEDULE, "queueId", queue).getExtFields().get("offset"));
            for (long next = 0; next < max; ) {
                RemotingCommand answer = raw.pull("mixed_audit", SCHEDULE, level - 1, next);
                if (answer.getCode() != 0) throw new IllegalStateException(SCHEDULE + " " + queue + " at " + next + ": " + Raw.show(answer));
                for (MessageExt message : MessageDecoder.decodes(ByteBuffer.wrap(answer.getBody()))) {
                    scheduled.computeIfAbsent(message.getProperty("UNIQ_KEY") + "/" + message.getReconsumeTimes(), k -> new ArrayList<>())
                        .add(new Scheduled(level, message.getQueueOffset()));
                }
                next = Long.parseLong(answer.getExtFields().get("nextBeginOffset"));
            }
        }
        return scheduled;
    }

    /** What was counted under the name of a fault or in the words of a cause. */
    long count(String name) {
        return faults.getOrDefault(name, 0L) + causes.entrySet().stream().filter(c -> c.getKey().words.equals(name)).mapToLong(Map.Entry::getValue).sum();
    }

    boolean passed() {
        for (String fault : List.of("lost", "early", "half-visible", "out-of-order", "refused but delivered")) faults.put(fault, 0L);
        for (Cause cause : Cause.values()) causes.put(cause, 0L);
        Map<MixedWorkload.Kind, long[]> sums = new EnumMap<>(MixedWorkload.Kind.class);
        for (MixedWorkload.Entry entry : entries) {
            long[] sum = sums.computeIfAbsent(entry.kind, k -> new long[4]);
            sum[0] += entry.acknowledged() ? 1 : 0;
            sum[1] += entry.acknowledged() || entry.attempts.stream().allMatch(a -> a.outcome() == MixedWorkload.Outcome.REFUSED) ? 0 : 1;
            sum[2] += entry.deliveries.size();
            sum[3] += entry.checks;
            entry.deliveries.sort(Comparator.comparingLong(MixedWorkload.Delivery::order));
            judge(entry);
        }
        inOrder();
        sums.forEach((kind, sum) -> out.println(kind + ": acknowledged " + sum[0] + ", of unknown result " + sum[1] + ", deliveries " + sum[2]
            + (kind == MixedWorkload.Kind.TRANSACTION ? ", checks " + sum[3] : "")));
        out.println(faults.entrySet().stream().map(f -> f.getKey() + " " + f.getValue()).collect(Collectors.joining(", ")));
        out.println("consumed again because of " + causes.entrySet().stream().map(c -> c.getKey().words + ": " + c.getValue()).collect(Collectors.joining(", ")));
        boolean busy = sums.size() == MixedWorkload.Kind.values().length && sums.values().stream().allMatch(s -> s[0] > 0 && s[2] > 0);
        if (!busy) out.println("one kind of traffic did not flow");
        return busy && causes.get(Cause.NONE) == 0 && faults.values().stream().allMatch(n -> n == 0);
    }

    private void fault(String what, MixedWorkload.Entry entry, Object details) {
        if (faults.merge(what, 1L, Long::sum) <= 10) out.println(what + ": " + entry.id + " " + details);
    }

    private void judge(MixedWorkload.Entry entry) {
        if (entry.owed() && !entry.consumed()) fault("lost", entry, entry.attempts + " " + entry.deliveries);
        Map<String, MixedWorkload.Attempt> attempts = new HashMap<>();
        entry.attempts.forEach(a -> attempts.put(a.msgId(), a));
        for (MixedWorkload.Delivery delivery : entry.deliveries) {
            MixedWorkload.Attempt attempt = attempts.get(delivery.msgId());
            // The producer's thread may note its attempt after the message has been consumed already, but not this late.
            if (attempt == null || attempt.outcome() == MixedWorkload.Outcome.REFUSED) {
                fault("refused but delivered", entry, delivery);
                continue;
            }
            if (entry.kind == MixedWorkload.Kind.TRANSACTION && delivery.beganMs() < entry.committedMs) {
                fault("half-visible", entry, delivery + " committed at " + entry.committedMs);
            }
            if (delivery.beganMs() < due(entry, attempt, delivery)) fault("early", entry, delivery + " of " + attempt);
        }
        again(entry);
    }

    /** The earliest moment at which a delivery may come. */
    private static long due(MixedWorkload.Entry entry, MixedWorkload.Attempt attempt, MixedWorkload.Delivery delivery) {
        if (entry.kind == MixedWorkload.Kind.DELAY) return attempt.beganMs() + MixedWorkload.DELAY_MS[MixedWorkload.delayLevel(entry)];
        if (entry.kind != MixedWorkload.Kind.RETRY || delivery.reconsumeTimes() == 0) return attempt.beganMs();
        return entry.deliveries.stream().filter(d -> d.reconsumeTimes() == delivery.reconsumeTimes() - 1)
            .mapToLong(d -> d.endedMs() + MixedWorkload.DELAY_MS[1]).min().orElse(Long.MAX_VALUE);
    }

    /** Finds a cause for each delivery that was not wanted: all that follow a first one of the same message and stage. */
    private void again(MixedWorkload.Entry entry) {
        // Stages: a retried message is wanted once for each time that it was given back.
        Map<Integer, List<MixedWorkload.Delivery>> stages = new TreeMap<>();
        for (MixedWorkload.Delivery delivery : entry.deliveries) {
            stages.computeIfAbsent(delivery.reconsumeTimes(), s -> new ArrayList<>()).add(delivery);
        }
        for (List<MixedWorkload.Delivery> stage : stages.values()) {
            for (int i = 1; i < stage.size(); i++) {
                MixedWorkload.Delivery second = stage.get(i);
                Cause cause = cause(entry, stage.subList(0, i), second);
                if (causes.merge(cause, 1L, Long::sum) <= 10 && cause == Cause.NONE) {
                    out.println(cause.words + ": " + entry.id + " " + second + " after " + stage.subList(0, i) + ", attempts " + entry.attempts
                        + ", kills between " + kills.stream().filter(k -> k.between(stage.get(0).beganMs(), second.beganMs()))
                            .map(k -> k.fromMs + "-" + k.toMs + " " + persisted(k, entry, second)).toList()
                        + ", scheduled " + scheduled.get(second.msgId() + "/" + second.reconsumeTimes()));
                }
            }
        }
    }

    private static Place place(MixedWorkload.Delivery delivery) {
        return new Place(delivery.topic(), delivery.queue(), delivery.offset());
    }

    private static long persisted(Kill kill, MixedWorkload.Entry entry, MixedWorkload.Delivery delivery) {
        return kill.consumer.getOrDefault(delivery.topic() + "@" + entry.kind.group(), Map.of()).getOrDefault(delivery.queue(), 0L);
    }

    private Cause cause(MixedWorkload.Entry entry, List<MixedWorkload.Delivery> before, MixedWorkload.Delivery second) {
        List<MixedWorkload.Delivery> same = before.stream().filter(d -> place(d).equals(place(second))).toList();
        if (!same.isEmpty()) {
            MixedWorkload.Delivery first = same.get(same.size() - 1);
            if (!first.consumed() || second.beganMs() <= first.endedMs() + UNCOMMITTED_MS || owners.excuse(first, second)) return Cause.BEFORE_ACK;
            boolean forgotten = kills.stream().anyMatch(k -> k.between(first.beganMs(), second.beganMs()) && second.offset() >= persisted(k, entry, second));
            return forgotten ? Cause.OFFSET_NOT_PERSISTED : Cause.NONE;
        }
        // Another record of the same message: from another attempt, which must have been one that was made and not refused …
        if (before.stream().noneMatch(d -> d.msgId().equals(second.msgId()))) {
            boolean unknown = entry.attempts.stream().anyMatch(a -> a.outcome() == MixedWorkload.Outcome.UNKNOWN);
            return unknown ? Cause.PRODUCER_RETRY : Cause.NONE;
        }
        List<MixedWorkload.Delivery> copies = new ArrayList<>(before.stream().filter(d -> d.msgId().equals(second.msgId())).toList());
        copies.add(second);
        Set<Place> places = copies.stream().map(MixedAudit::place).collect(Collectors.toSet());
        // … or stored twice by the broker: a transaction that was answered with commit as often as it was stored …
        if (entry.kind == MixedWorkload.Kind.TRANSACTION) {
            return entry.checks > 0 && places.size() <= entry.commits.get() ? Cause.RE_CHECK : Cause.NONE;
        }
        // … a message given back as often as its consumption failed, which a redelivery makes twice …
        int stage = second.reconsumeTimes();
        List<MixedWorkload.Delivery> failed = entry.deliveries.stream().filter(d -> d.reconsumeTimes() == stage - 1 && !d.consumed()).toList();
        if (stage > 0 && failed.size() >= places.size()) return Cause.BEFORE_ACK;
        // … one that was delivered from the schedule again, whose progress was not persisted …
        List<Scheduled> waited = scheduled.getOrDefault(second.msgId() + "/" + stage, List.of());
        long first = copies.stream().mapToLong(MixedWorkload.Delivery::storedMs).min().getAsLong();
        long last = copies.stream().mapToLong(MixedWorkload.Delivery::storedMs).max().getAsLong();
        boolean rescheduled = kills.stream().anyMatch(k -> k.between(first, last)
            && waited.stream().anyMatch(w -> w.offset >= k.delay.getOrDefault(w.level, 0L)));
        if (rescheduled) return Cause.OFFSET_NOT_PERSISTED;
        // … or one that the client gave back again because it did not learn the result.
        boolean unsure = failed.stream().anyMatch(d -> kills.stream().anyMatch(k -> k.between(d.endedMs(), d.endedMs() + GIVING_BACK_MS)));
        return stage > 0 && waited.size() > failed.size() && unsure ? Cause.PRODUCER_RETRY : Cause.NONE;
    }

    /** The first deliveries of each queue of the ordered kind must come in the order in which they were sent. */
    private void inOrder() {
        Map<Integer, List<MixedWorkload.Entry>> queues = entries.stream().filter(e -> e.kind == MixedWorkload.Kind.ORDER && !e.deliveries.isEmpty())
            .collect(Collectors.groupingBy(e -> e.queue));
        Set<Integer> seen = new HashSet<>();
        queues.forEach((queue, ofQueue) -> {
            seen.add(queue);
            ofQueue.sort(Comparator.comparingLong(e -> e.deliveries.get(0).order()));
            for (int i = 1; i < ofQueue.size(); i++) {
                if (ofQueue.get(i).number < ofQueue.get(i - 1).number) fault("out-of-order", ofQueue.get(i), "after " + ofQueue.get(i - 1).id);
            }
        });
        if (seen.size() != MixedWorkload.QUEUES) faults.merge("out-of-order", 1L, Long::sum);
    }
}
