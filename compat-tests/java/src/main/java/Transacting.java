import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/**
 * Transactions. The broker of these runs has transactionTimeOut=3000, transactionCheckInterval=2000,
 * transactionCheckMax=40 and transactionOpBatchInterval=100. A producer that does not answer within an interval is asked
 * again, and each of its commits is delivered.
 */
final class Transacting {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("tx_commit_rollback", true, false, Transacting::commitAndRollBack));
        all.add(new Scenario.Named("tx_check", true, false, Transacting::check));
        all.add(new Scenario.Named("tx_check_other_producer", false, false, Transacting::otherProducer));
        all.add(new Scenario.Named("tx_check_max", false, true, Transacting::checkMax));
        all.add(new Scenario.Named("tx_immunity", false, false, Transacting::immunity));
        all.add(new Scenario.Named("tx_end_refused", true, false, Transacting::endRefused));
        all.add(new Scenario.Named("tx_rejected", false, true, Transacting::rejected));
        all.add(new Scenario.Named("tx_restart", false, true, Transacting::restart));
    }

    private static final String HALF = "RMQ_SYS_TRANS_HALF_TOPIC";
    private static final String GIVEN_UP = "TRANS_CHECK_MAX_TIME_TOPIC";
    private static final int TIMEOUT_MS = 3000;
    private static final int CHECK_MAX = 2;
    private static final LocalTransactionState COMMIT = LocalTransactionState.COMMIT_MESSAGE;
    private static final LocalTransactionState ROLLBACK = LocalTransactionState.ROLLBACK_MESSAGE;
    private static final LocalTransactionState UNKNOWN = LocalTransactionState.UNKNOW;
    private static final AtomicInteger INSTANCES = new AtomicInteger();

    /** A transactional producer, what it was asked, and how it answers. */
    private static final class Deciding implements TransactionListener {
        final TransactionMQProducer producer;
        final Map<String, List<MessageExt>> asked = new ConcurrentHashMap<>();
        private final Function<Message, LocalTransactionState> first;
        private final Function<MessageExt, LocalTransactionState> again;

        Deciding(Env env, String group, Function<Message, LocalTransactionState> first,
            Function<MessageExt, LocalTransactionState> again) throws Exception {
            this.first = first;
            this.again = again;
            producer = new TransactionMQProducer(group);
            producer.setNamesrvAddr(env.namesrv);
            producer.setInstanceName("tx" + ProcessHandle.current().pid() + "-" + INSTANCES.incrementAndGet() + "-" + env.run);
            producer.setSendMsgTimeout(10_000);
            producer.setRetryTimesWhenSendFailed(0);
            producer.setHeartbeatBrokerInterval(1000);
            producer.setTransactionListener(this);
            producer.start();
            env.onClose(producer::shutdown);
        }

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            return first.apply(message);
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            asked.computeIfAbsent(Env.text(message), body -> new ArrayList<>()).add(message);
            return again.apply(message);
        }

        int times(String body) {
            return asked.getOrDefault(body, List.of()).size();
        }

        TransactionSendResult send(Env env, Message message) throws Exception {
            TransactionSendResult result = producer.sendMessageInTransaction(message, null);
            env.same("status of a half message", SendStatus.SEND_OK, result.getSendStatus());
            return result;
        }
    }

    private static Message message(String topic, String body) {
        Message message = new Message(topic, "tag", "key-" + body, Env.utf8(body));
        message.setFlag(3);
        message.putUserProperty("mine", "a");
        return message;
    }

    private static String body(Message message) {
        return new String(message.getBody(), java.nio.charset.StandardCharsets.UTF_8);
    }

    /** What consumers see in a topic; without a client, so that it can be asked again and again. */
    private static List<MessageExt> stored(Env env, String topic) throws Exception {
        List<MessageExt> all = new ArrayList<>();
        for (int queue = 0; queue < 3; queue++) {
            RemotingCommand max = env.raw.call(30, null, "topic", topic, "queueId", "" + queue);
            long end = max.getCode() == 0 ? Long.parseLong(max.getExtFields().get("offset")) : 0;
            for (long offset = 0; offset < end; ) {
                RemotingCommand pulled = env.raw.pull(env.name("reader"), topic, queue, offset);
                env.same("pull of " + topic + " at " + offset + " " + pulled.getRemark(), 0, pulled.getCode());
                all.addAll(MessageDecoder.decodes(ByteBuffer.wrap(pulled.getBody())));
                offset = Long.parseLong(pulled.getExtFields().get("nextBeginOffset"));
            }
        }
        return all;
    }

    private static Set<String> bodies(List<MessageExt> messages) {
        Set<String> bodies = new TreeSet<>();
        messages.forEach(m -> bodies.add(Env.text(m)));
        return bodies;
    }

    /** Properties without those that a pull answer adds, and with a mark in place of what differs from run to run. */
    private static Map<String, String> properties(MessageExt message) {
        Map<String, String> all = new TreeMap<>(message.getProperties());
        for (String added : List.of("MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME")) all.remove(added);
        String id = all.get("UNIQ_KEY");
        all.replaceAll((key, value) -> value.equals(id) ? "*" : value);
        return all;
    }

    private static void commitAndRollBack(Env env) throws Exception {
        String topic = env.topic("t", 3);
        String group = env.name("p");
        List<Long> visibleBefore = new ArrayList<>();
        Deciding deciding = new Deciding(env, group, half -> {
            try {
                long sum = 0;
                for (int i = 0; i < 3; i++) {
                    sum += Long.parseLong(env.raw.call(30, null, "topic", topic, "queueId", "" + i).getExtFields().get("offset"));
                }
                visibleBefore.add(sum);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            return Integer.parseInt(body(half).substring(1)) % 2 == 0 ? COMMIT : ROLLBACK;
        }, m -> UNKNOWN);
        Map<String, TransactionSendResult> sent = new TreeMap<>();
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        env.pushInto(env.name("g"), topic, "tag", m -> seen.merge(Env.text(m), 1, Integer::sum));
        for (int i = 0; i < 12; i++) {
            Message message = message(topic, "n" + i);
            TransactionSendResult result = deciding.send(env, message);
            env.same("transaction id of the answer", message.getTransactionId(), result.getTransactionId());
            env.same("message id", message.getTransactionId(), result.getMsgId());
            sent.put("n" + i, result);
        }
        Set<String> committed = new TreeSet<>();
        for (int i = 0; i < 12; i += 2) committed.add("n" + i);
        env.await("the committed messages", 20_000, () -> seen.keySet().containsAll(committed));
        Thread.sleep(TIMEOUT_MS + 4000); // whoever is not settled would be asked about
        env.same("messages asked about", Set.of(), deciding.asked.keySet());
        env.same("consumed", committed, new TreeSet<>(seen.keySet()));
        env.same("consumed how often", Set.of(1), new TreeSet<>(seen.values()));
        List<MessageExt> stored = stored(env, topic);
        env.same("stored", committed, bodies(stored));
        env.same("messages stored", 6, stored.size());
        for (int i = 0; i < visibleBefore.size(); i++) {
            env.check(visibleBefore.get(i) <= (i + 1) / 2, "the half message n" + i + " counts: " + visibleBefore);
        }
        for (MessageExt message : stored) {
            TransactionSendResult result = sent.get(Env.text(message));
            env.same("queue", result.getMessageQueue().getQueueId(), message.getQueueId());
            env.same("transaction bits", 8, message.getSysFlag() & 12);
            env.same("flag", 3, message.getFlag());
            env.same("unique key", result.getTransactionId(), message.getProperty("UNIQ_KEY"));
            env.same("properties", "{CLUSTER=DefaultCluster, KEYS=key-" + Env.text(message) + ", MSG_REGION=DefaultRegion, PGROUP="
                + group + ", TAGS=tag, TRACE_ON=true, TRAN_MSG=true, UNIQ_KEY=*, WAIT=true, __transactionId__=*, mine=a}",
                properties(message).toString());
            MessageExt half = MessageDecoder.decode(ByteBuffer.wrap(env.raw.call(33, null, "offset",
                "" + message.getPreparedTransactionOffset()).getBody()));
            env.same("topic of the half message", HALF, half.getTopic());
            env.same("place of the half message", result.getQueueOffset(), half.getQueueOffset());
            env.same("body of the half message", Env.text(message), Env.text(half));
            env.same("system flag of the half message", 0, half.getSysFlag());
            env.same("properties of the half message", "{CLUSTER=DefaultCluster, KEYS=key-" + Env.text(message)
                + ", MSG_REGION=DefaultRegion, PGROUP=" + group + ", REAL_QID=" + message.getQueueId() + ", REAL_TOPIC=" + topic
                + ", TAGS=tag, TRACE_ON=true, TRAN_MSG=true, UNIQ_KEY=*, WAIT=true, __transactionId__=*, mine=a}",
                properties(half).toString());
        }
        env.say("6 of 12 committed and consumed once, none checked; " + properties(stored.get(0)));
    }

    private static void check(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("p");
        // The first letter says the answer, the digit when it is given.
        Deciding deciding = new Deciding(env, group, half -> UNKNOWN, m -> {
            int times = Integer.parseInt(m.getProperty("TRANSACTION_CHECK_TIMES"));
            if (times < Env.text(m).charAt(1) - '0') return UNKNOWN;
            return Env.text(m).startsWith("c") ? COMMIT : ROLLBACK;
        });
        Map<String, MessageExt> seen = new ConcurrentHashMap<>();
        Map<String, Integer> count = new ConcurrentHashMap<>();
        env.pushInto(env.name("g"), topic, "*", m -> {
            seen.put(Env.text(m), m);
            count.merge(Env.text(m), 1, Integer::sum);
        });
        long begin = System.currentTimeMillis();
        Map<String, TransactionSendResult> sent = new TreeMap<>();
        for (String body : List.of("c1", "r1", "c3", "r2", "c2")) sent.put(body, deciding.send(env, message(topic, body)));
        env.await("the messages that a check commits", 40_000, () -> seen.keySet().equals(Set.of("c1", "c2", "c3")));
        long first = deciding.asked.get("c1").get(0).getBornTimestamp();
        env.check(System.currentTimeMillis() - first >= TIMEOUT_MS, "checked before transactionTimeOut");
        env.await("the last rollback", 20_000, () -> deciding.times("r2") >= 2);
        Thread.sleep(5000);
        env.same("asked about", Set.of("c1", "c2", "c3", "r1", "r2"), deciding.asked.keySet());
        for (String body : deciding.asked.keySet()) {
            int needed = body.charAt(1) - '0';
            env.check(deciding.times(body) >= needed, body + " is asked about " + deciding.times(body) + " times");
            if (count.containsKey(body)) env.between("deliveries of " + body, 1, deciding.times(body) - needed + 1, count.get(body));
        }
        env.same("stored", Set.of("c1", "c2", "c3"), bodies(stored(env, topic)));
        MessageExt asked = deciding.asked.get("c3").get(1);
        env.same("topic that the producer is shown", topic, asked.getTopic());
        env.same("queue that the producer is shown", sent.get("c3").getMessageQueue().getQueueId(), asked.getQueueId());
        env.same("transaction id that the producer is shown", sent.get("c3").getTransactionId(), asked.getTransactionId());
        env.same("properties that the producer is shown", "{CLUSTER=DefaultCluster, KEYS=key-c3, MSG_REGION=DefaultRegion, PGROUP=" + group
            + ", REAL_QID=" + asked.getQueueId() + ", REAL_TOPIC=" + topic + ", TAGS=tag, TRACE_ON=true, TRANSACTION_CHECK_TIMES=2,"
            + " TRAN_MSG=true, UNIQ_KEY=*, WAIT=false, __transactionId__=*, mine=a}", properties(asked).toString());
        MessageExt half = MessageDecoder.decode(ByteBuffer.wrap(env.raw.call(33, null, "offset", "" + asked.getCommitLogOffset()).getBody()));
        env.same("the copy that the producer is asked about", HALF + " " + asked.getQueueOffset() + " c3",
            half.getTopic() + " " + half.getQueueOffset() + " " + Env.text(half));
        MessageExt committed = seen.get("c2");
        env.same("properties after two checks", "{CLUSTER=DefaultCluster, KEYS=key-c2, MSG_REGION=DefaultRegion, PGROUP=" + group
            + ", TAGS=tag, TRACE_ON=true, TRANSACTION_CHECK_TIMES=2, TRAN_MSG=true, UNIQ_KEY=*, WAIT=true, __transactionId__=*, mine=a}",
            properties(committed).toString());
        env.same("queue after checks", sent.get("c2").getMessageQueue().getQueueId(), committed.getQueueId());
        env.say("settled by checks in " + (System.currentTimeMillis() - begin) + " ms; asked " + counts(deciding));
    }

    private static String counts(Deciding deciding) {
        Map<String, Integer> counts = new TreeMap<>();
        deciding.asked.forEach((body, list) -> counts.put(body, list.size()));
        return counts.toString();
    }

    /** A producer gets to know the broker by sending, and sends it heartbeats from then on. */
    private static void meet(Env env, Deciding deciding) throws Exception {
        env.send(deciding.producer, new Message("TBW102", Env.utf8("hello")));
        deciding.producer.getDefaultMQProducerImpl().getMqClientFactory().sendHeartbeatToAllBrokerWithLock();
    }

    private static void otherProducer(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("p");
        Deciding gone = new Deciding(env, group, half -> UNKNOWN, m -> UNKNOWN);
        Set<String> sent = new TreeSet<>();
        for (int i = 0; i < 8; i++) {
            gone.send(env, message(topic, "n" + i));
            sent.add("n" + i);
        }
        gone.producer.shutdown();
        List<Deciding> others = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Deciding other = new Deciding(env, group, half -> UNKNOWN, m -> COMMIT);
            meet(env, other);
            others.add(other);
        }
        Deciding stranger = new Deciding(env, env.name("stranger"), half -> UNKNOWN, m -> ROLLBACK);
        meet(env, stranger);
        env.await("commits by the other producers", 30_000, () -> bodies(stored(env, topic)).equals(sent));
        Thread.sleep(5000);
        int questions = 0;
        for (Deciding other : others) {
            env.check(!other.asked.isEmpty(), "one of two producers is never asked");
            for (List<MessageExt> one : other.asked.values()) questions += one.size();
        }
        env.same("questions to another group", Set.of(), stranger.asked.keySet());
        env.between("messages stored", 8, questions, stored(env, topic).size());
        env.say("8 transactions of a producer that ended, settled by two others of its group: " + counts(others.get(0)) + " and " + counts(others.get(1)));
    }

    private static void set(Env env, String key, String value) throws Exception {
        Properties properties = new Properties();
        properties.setProperty(key, value);
        Env.admin(env.namesrv).updateBrokerConfig(env.broker, properties);
    }

    private static void checkMax(Env env) throws Exception {
        set(env, "transactionCheckMax", "" + CHECK_MAX);
        try {
            checkUpTo(env);
        } finally {
            set(env, "transactionCheckMax", "40");
        }
    }

    private static void checkUpTo(Env env) throws Exception {
        String topic = env.topic("t", 1);
        AtomicInteger resumed = new AtomicInteger();
        Deciding deciding = new Deciding(env, env.name("p"), half -> UNKNOWN, m -> resumed.get() == 0 ? UNKNOWN : COMMIT);
        TransactionSendResult sent = deciding.send(env, message(topic, "never"));
        MessageExt[] found = new MessageExt[1];
        env.await("the topic of messages that were checked too often", 60_000, () -> {
            found[0] = givenUp(env, sent.getTransactionId());
            return found[0] != null;
        });
        env.same("questions", CHECK_MAX, deciding.times("never"));
        env.same("times in the property", "" + CHECK_MAX, found[0].getProperty("TRANSACTION_CHECK_TIMES"));
        env.same("real topic", topic, found[0].getProperty("REAL_TOPIC"));
        env.same("visible", 0, stored(env, topic).size());
        Thread.sleep(4500);
        env.same("questions afterwards", CHECK_MAX, deciding.times("never"));
        env.same("no message id", "code 1 remark Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC.",
            Raw.show(env.raw.call(323, null, "topic", GIVEN_UP, "msgId", "x")));
        resumed.set(1);
        String id = MessageDecoder.createMessageId(found[0].getStoreHost(), found[0].getCommitLogOffset());
        env.same("resuming the check of " + id, "code 0 remark null", Raw.show(env.raw.call(323, null, "topic", GIVEN_UP, "msgId", id)));
        env.await("a further question", 15_000, () -> deciding.times("never") > CHECK_MAX);
        env.await("the message that was committed in the end", 10_000, () -> bodies(stored(env, topic)).equals(Set.of("never")));
        env.same("times after resuming", "1", deciding.asked.get("never").get(CHECK_MAX).getProperty("TRANSACTION_CHECK_TIMES"));
        env.say("given up after " + CHECK_MAX + " questions, resumed, committed");
    }

    private static MessageExt givenUp(Env env, String uniqueKey) throws Exception {
        for (MessageExt message : stored(env, GIVEN_UP)) {
            if (uniqueKey.equals(message.getProperty("UNIQ_KEY"))) return message;
        }
        return null;
    }

    private static void immunity(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("p");
        Map<String, Long> askedAt = new ConcurrentHashMap<>();
        Deciding deciding = new Deciding(env, group, half -> body(half).startsWith("at once") ? COMMIT : UNKNOWN, m -> {
            askedAt.putIfAbsent(Env.text(m), System.currentTimeMillis());
            return COMMIT;
        });
        Map<String, Long> sentAt = new ConcurrentHashMap<>();
        TransactionSendResult late = null;
        for (String body : List.of("immune", "at once", "plain")) {
            Message message = message(topic, body);
            if (!body.equals("plain")) message.putUserProperty("CHECK_IMMUNITY_TIME_IN_SECONDS", "9");
            sentAt.put(body, System.currentTimeMillis());
            TransactionSendResult result = deciding.send(env, message);
            if (body.equals("immune")) late = result;
        }
        env.await("what is committed at once", 5000, () -> bodies(stored(env, topic)).contains("at once"));
        env.await("the questions", 30_000, () -> askedAt.keySet().equals(Set.of("immune", "plain")));
        env.await("all commits", 10_000, () -> bodies(stored(env, topic)).equals(Set.of("immune", "at once", "plain")));
        long immune = askedAt.get("immune") - sentAt.get("immune");
        long plain = askedAt.get("plain") - sentAt.get("plain");
        env.check(immune >= 9000, "asked " + immune + " ms after the send, in the immunity time of 9 s");
        env.between("ms until the question about the one behind it", TIMEOUT_MS, immune - 1, plain);
        RemotingCommand tooLate = end(env, group, late.getQueueOffset(), offset(env, late.getQueueOffset()), 8, false);
        env.same("a commit after the immunity time", "code 604 remark not set any response code", Raw.show(tooLate));
        MessageExt committed = null;
        for (MessageExt message : stored(env, topic)) if (Env.text(message).equals("immune")) committed = message;
        env.same("half message that the committed one names", "" + late.getQueueOffset(), committed.getProperty("TRAN_PREPARED_QUEUE_OFFSET"));
        env.say("asked about an immune message after " + immune + " ms, about the one behind it after " + plain + " ms");
    }

    /** A transaction's answer does not tell where the half message is in the log; it is found by its place in its queue. */
    private static long offset(Env env, long queueOffset) throws Exception {
        RemotingCommand pulled = env.raw.pull(env.name("half"), HALF, 0, queueOffset, "maxMsgNums", "1");
        env.same("pull of the half queue", 0, pulled.getCode());
        return MessageDecoder.decodes(ByteBuffer.wrap(pulled.getBody())).get(0).getCommitLogOffset();
    }

    /** END_TRANSACTION with an answer, which clients do not want. */
    private static RemotingCommand end(Env env, String group, long table, long log, int type, boolean check, String... more) throws Exception {
        List<String> fields = new ArrayList<>(List.of("producerGroup", group, "tranStateTableOffset", "" + table, "commitLogOffset", "" + log,
            "commitOrRollback", "" + type, "fromTransactionCheck", "" + check, "msgId", "m", "transactionId", "t"));
        fields.addAll(List.of(more));
        return env.raw.call(37, null, fields.toArray(new String[0]));
    }

    private static void endRefused(Env env) throws Exception {
        String topic = env.topic("t", 1);
        String group = env.name("p");
        String half = "TRAN_MSG\u0001true\u0002PGROUP\u0001" + group + "\u0002UNIQ_KEY\u0001" + env.name("id") + "\u0002";
        RemotingCommand stored = env.raw.send(topic, Env.utf8("raw"), "producerGroup", group, "properties", half, "sysFlag", "4");
        env.same("a half message", "code 0 remark null", Raw.show(stored));
        env.same("queue of the answer", "0", stored.getExtFields().get("queueId"));
        env.same("transaction id of the answer", env.name("id"), stored.getExtFields().get("transactionId"));
        long table = Long.parseLong(stored.getExtFields().get("queueOffset"));
        long log = MessageDecoder.decodeMessageId(stored.getExtFields().get("msgId")).getOffset();
        RemotingCommand second = env.raw.send(topic, Env.utf8("rolled back"), "producerGroup", group, "properties", half, "sysFlag", "4");
        long table2 = Long.parseLong(second.getExtFields().get("queueOffset"));
        long log2 = MessageDecoder.decodeMessageId(second.getExtFields().get("msgId")).getOffset();
        for (boolean check : new boolean[] {false, true}) {
            for (int type : new int[] {8, 12}) {
                env.same("another group", "code 1 remark The producer group wrong", Raw.show(end(env, "other", table, log, type, check)));
                env.same("another place", "code 1 remark The transaction state table offset wrong",
                    Raw.show(end(env, group, table + 1, log, type, check)));
                env.same("no message", "code 1 remark Find prepared transaction message failed",
                    Raw.show(end(env, group, table, 1L << 50, type, check)));
            }
        }
        env.same("no group", 1, env.raw.call(37, null, "tranStateTableOffset", "" + table, "commitLogOffset", "" + log, "commitOrRollback", "8", "msgId", "m").getCode());
        env.same("a type that is no number", 1, end(env, group, table, log, 8, false, "commitOrRollback", "x").getCode());
        env.same("visible after refused commits", 0, env.readQueue(topic, 0).size());
        env.same("a rollback of another", "code 0 remark not set any response code", Raw.show(end(env, group, table2, log2, 12, true)));
        env.same("a commit", "code 0 remark null", Raw.show(end(env, group, table, log, 8, false)));
        env.await("the committed message", 10_000, () -> stored(env, topic).size() == 1);
        String many = env.raw.send(topic, Env.utf8("inner"), "properties", half + "INNER_NUM\u00012\u0002", "sysFlag", "4").getRemark();
        env.check(many != null && many.startsWith("the message is illegal"), "a half message with INNER_NUM: " + many);
    }

    private static void rejected(Env env) throws Exception {
        String topic = env.topic("t", 1);
        Deciding deciding = new Deciding(env, env.name("p"), half -> COMMIT, m -> COMMIT);
        set(env, "rejectTransactionMessage", "true");
        try {
            deciding.send(env, message(topic, "rejected"));
            throw new AssertionError("a half message was accepted");
        } catch (MQClientException e) {
            Throwable cause = e;
            while (!(cause instanceof MQBrokerException) && cause.getCause() != null) cause = cause.getCause();
            env.check(cause instanceof MQBrokerException, "cause " + cause);
            MQBrokerException refused = (MQBrokerException) cause;
            env.same("code", 16, refused.getResponseCode());
            env.same("remark", "the broker[127.0.0.1] sending transaction message is forbidden", refused.getErrorMessage());
        } finally {
            set(env, "rejectTransactionMessage", "false");
        }
        deciding.send(env, message(topic, "taken"));
        env.await("the message that is taken again", 10_000, () -> bodies(stored(env, topic)).equals(Set.of("taken")));
    }

    private static void restart(Env env) throws Exception {
        String topic = env.topic("t", 2);
        String group = env.name("p");
        Set<String> settle = ConcurrentHashMap.newKeySet();
        ConcurrentLinkedQueue<String> early = new ConcurrentLinkedQueue<>();
        Deciding deciding = new Deciding(env, group, half -> body(half).startsWith("c") ? COMMIT : body(half).startsWith("r") ? ROLLBACK : UNKNOWN,
            m -> {
                if (!Env.text(m).startsWith("p")) early.add(Env.text(m));
                return settle.isEmpty() ? UNKNOWN : Integer.parseInt(Env.text(m).substring(1)) % 2 == 0 ? COMMIT : ROLLBACK;
            });
        for (int i = 0; i < 6; i++) for (String kind : List.of("c", "r", "p")) deciding.send(env, message(topic, kind + i));
        Set<String> committed = new TreeSet<>(Set.of("c0", "c1", "c2", "c3", "c4", "c5"));
        env.await("the commits", 10_000, () -> bodies(stored(env, topic)).equals(committed));
        Thread.sleep(1000); // Java's op records are stored by now
        settle.add("now");
        env.restartBroker();
        committed.addAll(Set.of("p0", "p2", "p4"));
        env.await("the broker to answer", 60_000, () -> {
            try {
                return env.raw.call(30, null, "topic", topic, "queueId", "0").getCode() == 0;
            } catch (Exception e) {
                return false;
            }
        });
        env.await("questions and commits after the restart", 45_000, () -> {
            Set<String> asked = new TreeSet<>(deciding.asked.keySet());
            return asked.containsAll(Set.of("p0", "p1", "p2", "p3", "p4", "p5")) && bodies(stored(env, topic)).equals(committed);
        });
        Thread.sleep(5000);
        env.same("settled before the restart and asked about", List.of(), new ArrayList<>(early));
        List<MessageExt> stored = stored(env, topic);
        env.same("committed", committed, bodies(stored));
        int again = 0;
        for (String body : List.of("p0", "p2", "p4")) again += deciding.times(body) - 1;
        env.between("messages stored", 9, 9 + again, stored.size());
        env.say("12 settled before a restart and not asked about, 6 settled after it: " + counts(deciding));
    }
}
