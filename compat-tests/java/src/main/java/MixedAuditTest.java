import java.io.OutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Shows that {@link MixedAudit} finds each fault that it is there for; run before each audit. */
public final class MixedAuditTest {
    private static final String NOT_PERSISTED = "an offset not yet persisted at a kill";
    private static final MixedAudit.Kill KILL = new MixedAudit.Kill(50_000, 50_010,
        Map.of("MixedNORMAL@mixed_NORMAL", Map.of(0, 10L), "MixedDELAY@mixed_DELAY", Map.of(0, 10L)), Map.of(1, 5L));
    private static int checked;

    /** Traffic without a fault, into which each case puts one. */
    private final List<MixedWorkload.Entry> entries = new ArrayList<>();
    private final MixedAudit.Owners owners = new MixedAudit.Owners();
    private long order;

    public static void main(String[] args) {
        expect("nothing", 0, t -> {});
        expect("lost", 1, t -> t.of(MixedWorkload.Kind.NORMAL).deliveries.clear());
        expect("lost", 1, t -> t.deliver(t.sent(MixedWorkload.Kind.RETRY, 9), 2_000, false, 0, 9, 0));
        expect("early", 1, t -> t.deliver(t.sent(MixedWorkload.Kind.DELAY, 0), 1_999, true, 0, 9, 0));
        expect("half-visible", 1, t -> t.of(MixedWorkload.Kind.TRANSACTION).committedMs = 21_001);
        expect("half-visible", 1, t -> t.deliver(t.sent(MixedWorkload.Kind.TRANSACTION, 4), 5_000, true, 0, 9, 0));
        expect("out-of-order", 1, t -> {
            MixedWorkload.Entry second = t.sent(MixedWorkload.Kind.ORDER, 2);
            t.deliver(t.sent(MixedWorkload.Kind.ORDER, 3), 5_000, true, 0, 3, 0);
            t.deliver(second, 5_001, true, 0, 2, 0);
        });
        expect("refused but delivered", 1, t -> {
            MixedWorkload.Entry entry = t.entry(MixedWorkload.Kind.NORMAL, 0, 9);
            entry.attempts.add(new MixedWorkload.Attempt("id", 1_000, MixedWorkload.Outcome.REFUSED));
            t.deliver(entry, 5_000, true, 0, 9, 0);
        });
        // The same record again: at once, after a kill that forgot its offset, after one that did not, and without one.
        expect("a redelivery before the acknowledgement", 1, t -> t.again(MixedWorkload.Kind.NORMAL, 9_000, 10));
        expect(NOT_PERSISTED, 1, t -> t.again(MixedWorkload.Kind.NORMAL, 60_000, 10));
        expect("UNATTRIBUTED", 1, t -> t.again(MixedWorkload.Kind.NORMAL, 60_000, 9));
        expect("UNATTRIBUTED", 1, t -> t.again(MixedWorkload.Kind.NORMAL, 40_000, 10));
        // Without a kill, to a consumer that has begun to read the queue before the first one's offset had to be known, or after.
        expect("a redelivery before the acknowledgement", 1, t -> {
            t.owners.began("c", "MixedNORMAL", 0, 9_000);
            t.again(MixedWorkload.Kind.NORMAL, 40_000, 10);
        });
        expect("UNATTRIBUTED", 1, t -> {
            t.owners.began("c", "MixedNORMAL", 0, 4_000);
            t.again(MixedWorkload.Kind.NORMAL, 40_000, 10);
        });
        expect("UNATTRIBUTED", 1, t -> {
            t.owners.began("c", "MixedNORMAL", 0, 12_000);
            t.again(MixedWorkload.Kind.NORMAL, 40_000, 10);
        });
        // Another record of the same message.
        expect("a producer's retry after an unknown result", 1, t -> t.twice(MixedWorkload.Outcome.UNKNOWN));
        expect("UNATTRIBUTED", 1, t -> t.twice(MixedWorkload.Outcome.ACKNOWLEDGED));
        expect("UNATTRIBUTED", 1, t -> t.deliver(t.of(MixedWorkload.Kind.NORMAL), 6_000, true, 0, 77, 0));
        expect(NOT_PERSISTED, 1, t -> t.deliver(t.of(MixedWorkload.Kind.DELAY), 60_000, true, 0, 77, 0));
        expect("UNATTRIBUTED", 1, t -> t.deliver(t.of(MixedWorkload.Kind.DELAY), 40_000, true, 0, 77, 0));
        expect("a transaction re-check", 1, t -> t.committedTwice(2));
        expect("UNATTRIBUTED", 1, t -> t.committedTwice(1));
        System.out.println(checked + " cases of the audit's own test");
    }

    private static void expect(String what, int count, Consumer<MixedAuditTest> fault) {
        MixedAuditTest traffic = new MixedAuditTest();
        for (MixedWorkload.Kind kind : MixedWorkload.Kind.values()) {
            for (int queue = 0; queue < (kind == MixedWorkload.Kind.ORDER ? MixedWorkload.QUEUES : 1); queue++) {
                MixedWorkload.Entry entry = traffic.sent(kind, queue, 3);
                entry.commits.set(1);
                entry.committedMs = 5_000;
                traffic.deliver(entry, 21_000, kind != MixedWorkload.Kind.RETRY, queue, 10, 0);
                if (kind == MixedWorkload.Kind.RETRY) traffic.deliver(entry, 23_000, true, 0, 11, 1);
            }
        }
        fault.accept(traffic);
        var scheduled = Map.of("id-DELAY-0-3/0", List.of(new MixedAudit.Scheduled(1, 5)));
        MixedAudit audit = new MixedAudit(traffic.entries, List.of(KILL), scheduled, traffic.owners, new PrintStream(OutputStream.nullOutputStream()));
        boolean passed = audit.passed();
        boolean isFault = count > 0 && !what.startsWith("a ") && !what.startsWith("an ");
        if (passed == isFault || audit.count(what) != count) {
            throw new AssertionError(what + ": passed " + passed + ", counted " + audit.count(what) + " instead of " + count);
        }
        checked++;
    }

    private MixedWorkload.Entry entry(MixedWorkload.Kind kind, int queue, long number) {
        MixedWorkload.Entry entry = new MixedWorkload.Entry(kind, kind.name() + "-" + queue + "-" + number, queue, number);
        entries.add(entry);
        return entry;
    }

    private MixedWorkload.Entry sent(MixedWorkload.Kind kind, long number) {
        return sent(kind, 0, number);
    }

    private MixedWorkload.Entry sent(MixedWorkload.Kind kind, int queue, long number) {
        MixedWorkload.Entry entry = entry(kind, queue, number);
        entry.attempts.add(new MixedWorkload.Attempt("id-" + entry.id, 1_000, MixedWorkload.Outcome.ACKNOWLEDGED));
        return entry;
    }

    private MixedWorkload.Entry of(MixedWorkload.Kind kind) {
        return entries.stream().filter(e -> e.kind == kind).findFirst().orElseThrow();
    }

    private void deliver(MixedWorkload.Entry entry, long atMs, boolean consumed, int queue, long offset, int reconsumeTimes) {
        deliver(entry, entry.attempts.get(entry.attempts.size() - 1).msgId(), atMs, consumed, queue, offset, reconsumeTimes);
    }

    private void deliver(MixedWorkload.Entry entry, String msgId, long atMs, boolean consumed, int queue, long offset, int reconsumeTimes) {
        String topic = reconsumeTimes > 0 ? "%RETRY%" + entry.kind.group() : entry.kind.topic();
        entry.deliveries.add(new MixedWorkload.Delivery(order++, atMs, atMs, consumed, "c", msgId, topic, queue, offset, atMs, reconsumeTimes));
    }

    private void again(MixedWorkload.Kind kind, long atMs, long offset) {
        MixedWorkload.Entry entry = sent(kind, 9);
        deliver(entry, 5_000, true, 0, offset, 0);
        deliver(entry, atMs, true, 0, offset, 0);
    }

    private void twice(MixedWorkload.Outcome first) {
        MixedWorkload.Entry entry = entry(MixedWorkload.Kind.NORMAL, 0, 9);
        entry.attempts.add(new MixedWorkload.Attempt("first", 1_000, first));
        entry.attempts.add(new MixedWorkload.Attempt("second", 2_000, MixedWorkload.Outcome.ACKNOWLEDGED));
        deliver(entry, "first", 3_000, true, 0, 20, 0);
        deliver(entry, "second", 4_000, true, 0, 21, 0);
    }

    private void committedTwice(int commits) {
        MixedWorkload.Entry entry = of(MixedWorkload.Kind.TRANSACTION);
        entry.checks = 1;
        entry.commits.set(commits);
        deliver(entry, 22_000, true, 0, 77, 0);
    }
}
