import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Finding a message by key, by its unique id and by its place in the log. */
final class Querying {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("query_by_key", true, false, Querying::byKey));
        all.add(new Scenario.Named("query_by_id", true, false, Querying::byId));
    }

    private static void byKey(Env env) throws Exception {
        String topic = env.topic("t", 4);
        DefaultMQProducer producer = env.producer();
        long begin = System.currentTimeMillis();
        for (int i = 0; i < 30; i++) env.send(producer, new Message(topic, "", "own" + i + " shared group" + i % 3, Env.utf8("" + i)));
        long end = System.currentTimeMillis() + 1000;
        env.await("the last key in the index", 10_000, () -> hits(producer, topic, "own29", 8, begin - 1000, end).size() == 1);
        env.same("by an own key", List.of("7"), hits(producer, topic, "own7", 8, begin - 1000, end));
        env.same("by a shared key", 30, hits(producer, topic, "shared", 64, begin - 1000, end).size());
        env.same("by a shared key, at most 5", 5, hits(producer, topic, "shared", 5, begin - 1000, end).size());
        env.same("by a key of every third", 10, hits(producer, topic, "group1", 32, begin - 1000, end).size());
        env.same("before the first message", 0, hits(producer, topic, "shared", 32, begin - 100_000, begin - 50_000).size());
        env.same("by an unknown key", 0, hits(producer, topic, "nobody", 32, 0, end).size());
        env.same("by a key in another topic", 0, hits(producer, env.topic("other", 1), "shared", 32, 0, end).size());
        env.say("own and shared keys, number limit, time range, unknown key and topic");
    }

    /** The bodies found; the client reports an empty answer as an exception. */
    private static List<String> hits(DefaultMQProducer producer, String topic, String key, int max, long begin, long end)
        throws Exception {
        try {
            QueryResult result = producer.queryMessage(topic, key, max, begin, end);
            List<String> bodies = new ArrayList<>();
            for (MessageExt message : result.getMessageList()) bodies.add(Env.text(message));
            if (new TreeSet<>(bodies).size() != bodies.size()) throw new AssertionError("found twice: " + bodies);
            return bodies;
        } catch (MQClientException e) {
            if (e.getResponseCode() == 208) return List.of(); // NO_MESSAGE
            throw e;
        }
    }

    private static void byId(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        List<SendResult> sent = new ArrayList<>();
        for (int i = 0; i < 10; i++) env.send(producer, new Message(topic, "tag", "k", Env.utf8("" + i)));
        for (int i = 10; i < 20; i++) sent.add(env.send(producer, new Message(topic, "tag", "k", Env.utf8("" + i))));
        var admin = Env.admin(env.namesrv);
        for (int i = 0; i < 10; i++) {
            MessageExt message = admin.viewMessage(topic, sent.get(i).getOffsetMsgId());
            env.same("by offsetMsgId", "" + (i + 10), Env.text(message));
            env.same("msgId", sent.get(i).getMsgId(), message.getProperty("UNIQ_KEY"));
            env.same("queueOffset", sent.get(i).getQueueOffset(), message.getQueueOffset());
        }
        String unique = sent.get(4).getMsgId();
        env.await("the unique id in the index", 10_000, () -> {
            try {
                return Env.text(producer.viewMessage(topic, unique)).equals("14");
            } catch (MQClientException e) {
                return false;
            }
        });
        var answer = env.raw.call(33, null, "offset", "" + (1L << 50));
        env.same("view beyond the log", "code 1 remark can not find message by the offset, " + (1L << 50), Raw.show(answer));
        // An offset in the middle of a record is not a message.
        MessageExt known = admin.viewMessage(topic, sent.get(0).getOffsetMsgId());
        var middle = env.raw.call(33, null, "offset", "" + (known.getCommitLogOffset() + 3));
        env.check(middle.getCode() != 0, "view at the middle of a record answered " + Raw.show(middle));
        try {
            admin.viewMessage(topic, "7F00000100002A9F0003000000000000");
            throw new AssertionError("a message was found at an offset without one");
        } catch (MQBrokerException | MQClientException | org.apache.rocketmq.remoting.exception.RemotingException e) {
            env.say("by an id that points nowhere: " + e.getClass().getSimpleName());
        }
        env.say("by offsetMsgId and by unique id, and refusals for offsets without a message");
    }
}
