import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageId;

/** Every way to send, and that what was stored is what was sent. */
final class Sending {
    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("send_sync", true, false, Sending::sync));
        all.add(new Scenario.Named("send_async", true, false, Sending::async));
        all.add(new Scenario.Named("send_oneway", true, false, Sending::oneway));
        all.add(new Scenario.Named("send_batch", true, false, Sending::batch));
        all.add(new Scenario.Named("send_wait_false", false, false, Sending::waitFalse));
        all.add(new Scenario.Named("send_large", false, false, Sending::large));
        all.add(new Scenario.Named("send_empty_properties", false, false, Sending::bare));
        all.add(new Scenario.Named("send_zlib", true, false, env -> compressed(env, "ZLIB", 3)));
        all.add(new Scenario.Named("send_lz4", false, false, env -> compressed(env, "LZ4", 1)));
        all.add(new Scenario.Named("send_zstd", false, false, env -> compressed(env, "ZSTD", 2)));
        all.add(new Scenario.Named("send_unicode", true, false, Sending::unicode));
        all.add(new Scenario.Named("send_auto_create", true, false, Sending::autoCreate));
    }

    private static void sync(Env env) throws Exception {
        String topic = env.topic("t", 4);
        DefaultMQProducer producer = env.producer();
        long begin = System.currentTimeMillis();
        Map<String, SendResult> sent = new HashMap<>();
        Set<String> ids = new HashSet<>();
        for (int i = 0; i < 40; i++) {
            Message message = new Message(topic, "tag" + i % 3, "key" + i + " other" + i, Env.utf8("body " + i));
            message.setFlag(i);
            message.putUserProperty("number", "" + i);
            SendResult result = env.send(producer, message);
            env.check(result.getMsgId().matches("[0-9A-F]{32}([0-9A-F]{24})?"), "msgId " + result.getMsgId()); // IPv4 or IPv6
            env.check(ids.add(result.getMsgId()), "msgId used twice: " + result.getMsgId());
            env.check(result.getOffsetMsgId().matches("[0-9A-F]{32}"), "offsetMsgId " + result.getOffsetMsgId());
            env.same("broker of the queue", Env.BROKER_NAME, result.getMessageQueue().getBrokerName());
            env.same("region", "DefaultRegion", result.getRegionId());
            env.same("traceOn", true, result.isTraceOn());
            sent.put("body " + i, result);
        }
        Map<Integer, List<MessageExt>> read = env.readTopic(topic);
        int found = 0;
        for (List<MessageExt> queue : read.values()) {
            env.same("messages in one of 4 queues of a round-robin producer", 10, queue.size());
            for (MessageExt message : queue) {
                found++;
                SendResult result = sent.remove(Env.text(message));
                env.check(result != null, "unexpected body " + Env.text(message));
                int i = Integer.parseInt(message.getUserProperty("number"));
                env.same("body", "body " + i, Env.text(message));
                env.same("topic", topic, message.getTopic());
                env.same("tags", "tag" + i % 3, message.getTags());
                env.same("keys", "key" + i + " other" + i, message.getKeys());
                env.same("flag", i, message.getFlag());
                env.same("msgId", result.getMsgId(), message.getMsgId());
                env.same("queueOffset", result.getQueueOffset(), message.getQueueOffset());
                env.same("queueId", result.getMessageQueue().getQueueId(), message.getQueueId());
                env.same("reconsumeTimes", 0, message.getReconsumeTimes());
                env.same("preparedTransactionOffset", 0L, message.getPreparedTransactionOffset());
                env.same("crc", UtilAll.crc32(message.getBody()), message.getBodyCRC());
                env.same("storeHost", env.broker, Env.address(message.getStoreHost()));
                env.same("bornHost", "127.0.0.1", message.getBornHostString());
                env.check(message.getBornTimestamp() >= begin, "born before it was sent");
                env.check(message.getStoreTimestamp() >= message.getBornTimestamp(), "stored before it was born");
                MessageId id = MessageDecoder.decodeMessageId(result.getOffsetMsgId());
                env.same("address in offsetMsgId", env.broker, Env.address((InetSocketAddress) id.getAddress()));
                env.same("log offset in offsetMsgId", message.getCommitLogOffset(), id.getOffset());
                env.same("WAIT", "true", message.getProperty("WAIT"));
            }
        }
        env.same("messages read", 40, found);
        env.say("40 sent round robin, offsets dense in 4 queues, every field read back, ids point to their records");
    }

    private static void async(Env env) throws Exception {
        int count = 3000;
        String topic = env.topic("t", 4);
        DefaultMQProducer producer = env.producer();
        Semaphore inFlight = new Semaphore(600);
        Map<String, SendResult> results = new ConcurrentHashMap<>();
        AtomicReference<Throwable> failed = new AtomicReference<>();
        AtomicInteger refused = new AtomicInteger();
        for (int i = 0; i < count; i++) {
            String body = "async " + i;
            inFlight.acquire();
            producer.send(new Message(topic, Env.utf8(body)), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    results.put(body, result);
                    inFlight.release();
                }

                @Override
                public void onException(Throwable e) {
                    // A broker on a loaded machine refuses what waited for 200 ms; such a message is not stored.
                    boolean busy = e instanceof MQBrokerException refusal && refusal.getResponseCode() == 2;
                    try {
                        if (!busy || refused.incrementAndGet() > 1000) throw e;
                        producer.send(new Message(topic, Env.utf8(body)), this);
                    } catch (Throwable last) {
                        failed.set(last);
                        inFlight.release();
                    }
                }
            });
        }
        inFlight.acquire(600);
        env.check(failed.get() == null, "a send failed: " + failed.get());
        env.same("acknowledged", count, results.size());
        int found = 0;
        for (List<MessageExt> queue : env.readTopic(topic).values()) {
            for (MessageExt message : queue) {
                found++;
                SendResult result = results.remove(Env.text(message));
                env.check(result != null, "unexpected or doubled body " + Env.text(message));
                env.same("status", SendStatus.SEND_OK, result.getSendStatus());
                env.same("queueOffset of " + Env.text(message), result.getQueueOffset(), message.getQueueOffset());
                env.same("queueId of " + Env.text(message), result.getMessageQueue().getQueueId(), message.getQueueId());
                env.same("msgId of " + Env.text(message), result.getMsgId(), message.getMsgId());
            }
        }
        env.same("messages read", count, found);
        env.say(count + " with up to 600 in flight, each acknowledged with the queue and offset it is found at; "
            + refused + " refused meanwhile by a busy broker");
    }

    private static void oneway(Env env) throws Exception {
        int count = 200;
        String topic = env.topic("t", 2);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < count; i++) producer.sendOneway(new Message(topic, "", "k" + i, Env.utf8("oneway " + i)));
        var reader = env.pull(env.name("watch"));
        env.await("all one-way messages stored", 10_000,
            () -> reader.maxOffset(Env.queue(topic, 0)) + reader.maxOffset(Env.queue(topic, 1)) == count);
        Set<String> bodies = new TreeSet<>();
        for (List<MessageExt> queue : env.readTopic(topic).values()) queue.forEach(m -> bodies.add(Env.text(m)));
        Set<String> expected = new TreeSet<>();
        for (int i = 0; i < count; i++) expected.add("oneway " + i);
        env.same("bodies", expected, bodies);
        env.say(count + " one-way messages stored once each");
    }

    private static void batch(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.producer();
        long next = 0;
        List<String> offsetIds = new ArrayList<>();
        List<String> uniqueIds = new ArrayList<>();
        for (int round = 0; round < 3; round++) {
            List<Message> messages = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                int n = round * 100 + i;
                Message message = new Message(topic, "t" + n % 2, "key" + n, Env.utf8("batch " + n));
                message.setFlag(n);
                message.putUserProperty("n", "" + n);
                messages.add(message);
            }
            SendResult result = producer.send(messages);
            env.same("status", SendStatus.SEND_OK, result.getSendStatus());
            env.same("first queue offset of a batch", next, result.getQueueOffset());
            String[] offsets = result.getOffsetMsgId().split(",");
            String[] unique = result.getMsgId().split(",");
            env.same("offsetMsgIds of a batch of 100", 100, offsets.length);
            env.same("msgIds of a batch of 100", 100, unique.length);
            offsetIds.addAll(Arrays.asList(offsets));
            uniqueIds.addAll(Arrays.asList(unique));
            next += 100;
        }
        List<MessageExt> read = env.readQueue(topic, 0);
        env.same("messages read", 300, read.size());
        for (int n = 0; n < 300; n++) {
            MessageExt message = read.get(n);
            env.same("body at offset " + n, "batch " + n, Env.text(message));
            env.same("tags", "t" + n % 2, message.getTags());
            env.same("keys", "key" + n, message.getKeys());
            env.same("flag", n, message.getFlag());
            env.same("property", "" + n, message.getUserProperty("n"));
            env.same("msgId", uniqueIds.get(n), message.getMsgId());
            env.same("log offset in offsetMsgId", message.getCommitLogOffset(),
                MessageDecoder.decodeMessageId(offsetIds.get(n)).getOffset());
            env.same("sysFlag", 0, message.getSysFlag());
        }
        MessageExt viewed = Env.admin(env.namesrv).viewMessage(topic, offsetIds.get(123));
        env.same("message 123 by its offsetMsgId", "batch 123", Env.text(viewed));
        env.say("3 batches of 100: consecutive offsets in order, 100 ids each, inner tags, keys, flags and properties kept");
    }

    private static void waitFalse(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.producer();
        for (int i = 0; i < 50; i++) {
            Message message = new Message(topic, Env.utf8("nowait " + i));
            message.setWaitStoreMsgOK(false);
            env.same("queueOffset", (long) i, env.send(producer, message).getQueueOffset());
        }
        List<MessageExt> read = env.readQueue(topic, 0);
        env.same("messages read", 50, read.size());
        for (int i = 0; i < 50; i++) {
            env.same("body", "nowait " + i, Env.text(read.get(i)));
            env.same("WAIT", "false", read.get(i).getProperty("WAIT"));
        }
        env.say("50 messages that do not wait for the store, WAIT=false is kept");
    }

    private static void large(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.producer(p -> {
            p.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
            p.setMaxMessageSize(8 << 20);
        });
        int[] sizes = {(4 << 20) - 4096, 1 << 20, 1, (4 << 20)};
        byte[][] bodies = new byte[sizes.length][];
        for (int i = 0; i < sizes.length; i++) {
            bodies[i] = new byte[sizes[i]];
            new Random(i).nextBytes(bodies[i]);
            env.same("queueOffset", (long) i, env.send(producer, new Message(topic, bodies[i])).getQueueOffset());
        }
        List<MessageExt> read = env.readQueue(topic, 0);
        env.same("messages read", sizes.length, read.size());
        for (int i = 0; i < sizes.length; i++) {
            env.check(Arrays.equals(bodies[i], read.get(i).getBody()), "body of " + sizes[i] + " bytes differs");
        }
        env.say("bodies of 1 B, 1 MiB, 4 MiB less 4 KiB and exactly 4 MiB (the default maxMessageSize) come back equal");
    }

    private static void bare(Env env) throws Exception {
        String topic = env.topic("t", 1);
        var answer = env.raw.send(topic, Env.utf8("bare"));
        env.same("code", 0, answer.getCode());
        env.same("queueOffset", "0", answer.getExtFields().get("queueOffset"));
        env.same("queueId", "0", answer.getExtFields().get("queueId"));
        env.same("MSG_REGION", "DefaultRegion", answer.getExtFields().get("MSG_REGION"));
        env.same("TRACE_ON", "true", answer.getExtFields().get("TRACE_ON"));
        MessageExt read = env.readQueue(topic, 0).get(0);
        env.same("body", "bare", Env.text(read));
        env.same("tags", null, read.getTags());
        env.check(read.getProperty("UNIQ_KEY") != null, "the broker gave no UNIQ_KEY");
        env.say("a message without properties, properties stored: " + read.getProperties());
    }

    private static void compressed(Env env, String algorithm, int type) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.compressingProducer(algorithm);
        byte[] body = Env.utf8("compressible text of " + algorithm + "; ".repeat(8) + "0123456789".repeat(10_000));
        env.send(producer, new Message(topic, body));
        env.send(producer, new Message(topic, Env.utf8("short")));
        List<MessageExt> read = env.readQueue(topic, 0);
        env.check(Arrays.equals(body, read.get(0).getBody()), "the decompressed body differs");
        env.check(read.get(0).getStoreSize() < body.length / 4, "stored " + read.get(0).getStoreSize() + " bytes");
        env.same("body below the threshold", "short", Env.text(read.get(1)));
        // Clients clear the flag when they decompress, so it is read from the record; it is the field at byte 36.
        ByteBuffer records = ByteBuffer.wrap(env.raw.pull(env.name("g"), topic, 0, 0).getBody());
        int sysFlag = records.getInt(36);
        env.same("COMPRESSED bit", 1, sysFlag & 1);
        env.same("compression type bits", type, sysFlag >> 8 & 7);
        env.same("sysFlag below the threshold", 0, records.getInt(records.getInt(0) + 36));
        env.say(body.length + " bytes stored as " + read.get(0).getStoreSize() + ", sysFlag " + sysFlag);
    }

    private static void unicode(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer producer = env.producer();
        String[] words = {"消息队列", "Grüße", "сообщение", "🚀🦀", "रस्ट", "ﬀ\u0000nul", "\u00a0nbsp"};
        for (String word : words) {
            Message message = new Message(topic, word, "键" + word, Env.utf8("内容 " + word));
            message.putUserProperty("属性" + word, "值=" + word + "\n\t{}");
            env.send(producer, message);
        }
        List<MessageExt> read = env.readQueue(topic, 0);
        env.same("messages read", words.length, read.size());
        for (int i = 0; i < words.length; i++) {
            MessageExt message = read.get(i);
            env.same("body", "内容 " + words[i], Env.text(message));
            env.same("tags", words[i], message.getTags());
            env.same("keys", "键" + words[i], message.getKeys());
            env.same("property", "值=" + words[i] + "\n\t{}", message.getUserProperty("属性" + words[i]));
        }
        var consumer = env.pull(env.name("tagged"));
        var result = consumer.pull(Env.queue(topic, 0), "🚀🦀 || Grüße", 0, 32);
        List<String> tags = new ArrayList<>();
        result.getMsgFoundList().forEach(m -> tags.add(m.getTags()));
        env.same("tags by filter", List.of("Grüße", "🚀🦀"), tags);
        AtomicInteger found = new AtomicInteger();
        env.await("the unicode key in the index", 10_000, () -> {
            try {
                var hits = producer.queryMessage(topic, "键消息队列", 8, 0, System.currentTimeMillis() + 60_000);
                found.set(hits.getMessageList().size());
                env.same("body by key", "内容 消息队列", Env.text(hits.getMessageList().get(0)));
                return true;
            } catch (org.apache.rocketmq.client.exception.MQClientException e) {
                return false;
            }
        });
        env.same("hits by key", 1, found.get());
        env.say(words.length + " scripts in body, tag, key, property name and value; tag filter and key query find them");
    }

    private static void autoCreate(Env env) throws Exception {
        String topic = env.name("t");
        Raw names = new Raw(env.namesrv);
        env.same("route before the first send", 17, names.call(105, null, "topic", topic).getCode());
        DefaultMQProducer producer = env.producer(p -> p.setDefaultTopicQueueNums(3));
        SendResult result = env.send(producer, new Message(topic, Env.utf8("first")));
        env.same("queueOffset", 0L, result.getQueueOffset());
        env.awaitRoute(topic);
        String route = new String(names.call(105, null, "topic", topic).getBody(), "UTF-8");
        env.check(route.contains("\"readQueueNums\":3") && route.contains("\"writeQueueNums\":3"), "queues in " + route);
        env.check(route.contains("\"perm\":6"), "perm in " + route);
        env.same("message", "first", Env.text(env.readQueue(topic, result.getMessageQueue().getQueueId()).get(0)));
        env.say("a send to a new topic creates it from TBW102 with the producer's 3 queues and perm 6, and registers it");
    }
}
