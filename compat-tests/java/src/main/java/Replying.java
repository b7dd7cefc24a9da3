import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import io.netty.channel.ChannelHandlerContext;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.netty.NettyRequestProcessor;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** Requests that wait for a reply, and what becomes of replies that nobody can take. */
final class Replying {
    private static final String REPLY_TOPIC = "DefaultCluster_REPLY_TOPIC";

    static void register(List<Scenario.Named> all) {
        all.add(new Scenario.Named("reply_refused", true, false, Replying::refused));
        all.add(new Scenario.Named("reply_to_request", true, false, Replying::toRequest));
        all.add(new Scenario.Named("reply_asynchronously", false, false, Replying::asynchronously));
        all.add(new Scenario.Named("reply_in_time", false, false, Replying::inTime));
    }

    /** A consumer that answers each request with `prefix` and the request's body. */
    private static List<SendResult> replier(Env env, String topic, String prefix) throws Exception {
        DefaultMQProducer answers = env.producer(p -> p.setProducerGroup("R_" + env.name("replier")));
        List<SendResult> sent = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = env.push(env.name("g"));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                if (message.getUserProperty("CORRELATION_ID") == null) continue; // the message that warmed up
                try {
                    byte[] body = Env.utf8(prefix + Env.text(message));
                    sent.add(answers.send(MessageUtil.createReplyMessage(message, body), 5_000));
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt(); // the scenario is over
                } catch (Exception e) {
                    env.say("a reply was not sent: " + e);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return sent;
    }

    /** A producer whose connection the broker knows: replies find it by its heartbeat. */
    private static DefaultMQProducer asker(Env env, String topic) throws Exception {
        DefaultMQProducer asker = env.producer();
        env.send(asker, new Message(topic, Env.utf8("warm up")));
        asker.getDefaultMQProducerImpl().getMqClientFactory().sendHeartbeatToAllBrokerWithLock();
        return asker;
    }

    /** A request and its reply. The client 5.3.3 takes a request that was sent for one that was answered, but for this form. */
    private static Message ask(DefaultMQProducer asker, Message request, long timeoutMs) throws Exception {
        if (!MQVersion.getVersionDesc(MQVersion.CURRENT_VERSION).equals("V5_3_3")) return asker.request(request, timeoutMs);
        CompletableFuture<Message> reply = new CompletableFuture<>();
        asker.request(request, (queues, message, argument) -> queues.get(0), null, completing(reply), timeoutMs);
        try {
            return reply.get(timeoutMs + 10_000, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw (Exception) e.getCause();
        }
    }

    private static RequestCallback completing(CompletableFuture<Message> reply) {
        return new RequestCallback() {
            @Override
            public void onSuccess(Message message) {
                reply.complete(message);
            }

            @Override
            public void onException(Throwable e) {
                reply.completeExceptionally(e);
            }
        };
    }

    private static void toRequest(Env env) throws Exception {
        String topic = env.topic("t", 2);
        DefaultMQProducer asker = asker(env, topic);
        List<SendResult> sent = replier(env, topic, "re: ");
        Message request = new Message(topic, "tag", "key", Env.utf8("what?"));
        Message reply = ask(asker, request, 20_000);
        env.same("body", "re: what?", new String(reply.getBody(), "UTF-8"));
        env.same("topic", REPLY_TOPIC, reply.getTopic());
        Map<String, String> properties = reply.getProperties();
        env.same("correlation", request.getUserProperty("CORRELATION_ID"), properties.get("CORRELATION_ID"));
        env.same("names of the properties", "[ARRIVE_TIME, CORRELATION_ID, MSG_REGION, MSG_TYPE, PUSH_REPLY_TIME, REPLY_TO_CLIENT, TRACE_ON, TTL, UNIQ_KEY]",
            new TreeSet<>(properties.keySet()).toString());
        env.same("type", "reply", properties.get("MSG_TYPE"));
        env.between("time of the push", System.currentTimeMillis() - 20_000, System.currentTimeMillis(), Long.parseLong(properties.get("PUSH_REPLY_TIME")));
        env.check(reply instanceof MessageExt, "a reply is a received message");
        MessageExt received = (MessageExt) reply;
        env.same("store host of the reply", env.broker, Env.address(received.getStoreHost()));
        env.same("queue of the reply", 0, received.getQueueId());
        env.await("the replier's result", 5_000, () -> sent.stream().anyMatch(s -> s.getSendStatus() == SendStatus.SEND_OK && !"0".equals(s.getOffsetMsgId())));
        SendResult result = sent.get(sent.size() - 1);
        MessageExt stored = Env.admin(env.namesrv).viewMessage(REPLY_TOPIC, result.getOffsetMsgId());
        env.same("stored body", "re: what?", Env.text(stored));
        env.same("stored offset", result.getQueueOffset(), stored.getQueueOffset());
        env.same("correlation of what is stored", request.getUserProperty("CORRELATION_ID"), stored.getUserProperty("CORRELATION_ID"));
        env.same("names of the properties of what is stored", "[CORRELATION_ID, MSG_REGION, MSG_TYPE, REPLY_TO_CLIENT, TRACE_ON, TTL, UNIQ_KEY]",
            new TreeSet<>(stored.getProperties().keySet()).toString());
        env.same("mark of the push in what is stored", null, stored.getProperty("PUSH_REPLY_TIME"));
        for (int i = 0; i < 50; i++) {
            Message next = ask(asker, new Message(topic, Env.utf8("n" + i)), 10_000);
            env.same("reply " + i, "re: n" + i, new String(next.getBody(), "UTF-8"));
        }
        env.say("51 requests, 51 replies, pushed with their properties and stored");
    }

    private static void asynchronously(Env env) throws Exception {
        String topic = env.topic("t", 4);
        DefaultMQProducer asker = asker(env, topic);
        replier(env, topic, "a".repeat(10_000)); // long enough to be compressed
        int count = 20;
        List<CompletableFuture<Message>> replies = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            CompletableFuture<Message> reply = new CompletableFuture<>();
            replies.add(reply);
            asker.request(new Message(topic, Env.utf8("n" + i)), (queues, message, argument) -> queues.get((Integer) argument % queues.size()), i,
                completing(reply), 20_000);
        }
        for (int i = 0; i < count; i++) {
            env.same("reply " + i, "a".repeat(10_000) + "n" + i, new String(replies.get(i).get(20, TimeUnit.SECONDS).getBody(), "UTF-8"));
        }
        env.say(count + " requests by callback with a queue selector, with compressed replies");
    }

    private static void inTime(Env env) throws Exception {
        String topic = env.topic("t", 1);
        DefaultMQProducer asker = asker(env, topic);
        long begin = System.currentTimeMillis();
        try {
            ask(asker, new Message(topic, Env.utf8("nobody answers")), 2_000);
            env.check(false, "a request that nobody answers returned");
        } catch (RequestTimeoutException e) {
            env.between("time until it gave up", 1_900, 8_000, System.currentTimeMillis() - begin);
        }
        env.same("the request is an ordinary message", "nobody answers", Env.text(env.readQueue(topic, 0).get(1)));
        env.say("no replier: the request is stored, and the client gives up in time");
    }

    /** A client built by hand that registers as a producer and answers pushed replies with `code`, or never. */
    private static NettyRemotingClient takes(Env env, String clientId, Integer code, AtomicInteger pushes) throws Exception {
        NettyRemotingClient client = new NettyRemotingClient(new NettyClientConfig());
        client.registerProcessor(326, new NettyRequestProcessor() {
            @Override
            public RemotingCommand processRequest(ChannelHandlerContext context, RemotingCommand request) throws Exception {
                pushes.incrementAndGet();
                if (code == null) return null;
                return RemotingCommand.createResponseCommand(code, "as told");
            }

            @Override
            public boolean rejectRequest() {
                return false;
            }
        }, Executors.newSingleThreadExecutor());
        client.start();
        env.onClose(() -> new Thread(client::shutdown).start()); // it waits for its threads for seconds
        RemotingCommand heartbeat = RemotingCommand.createRequestCommand(34, null);
        heartbeat.setBody(Env.utf8("{\"clientID\":\"" + clientId + "\",\"consumerDataSet\":[],\"producerDataSet\":[{\"groupName\":\"P_" + clientId + "\"}]}"));
        env.same("heartbeat", 0, client.invokeSync(env.broker, heartbeat, 5_000).getCode());
        return client;
    }

    private static RemotingCommand reply(Env env, NettyRemotingClient client, int code, String topic, String body, String properties, String... more) throws Exception {
        HashMap<String, String> ext = new HashMap<>();
        String[] names = code == 324 ? new String[] {"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag",
            "bornTimestamp", "flag", "properties", "reconsumeTimes", "unitMode"} : "a b c d e f g h i j k".split(" ");
        String[] values = {"raw", topic, "TBW102", "4", "0", "0", "" + System.currentTimeMillis(), "0", properties, "0", "false"};
        for (int i = 0; i < names.length; i++) ext.put(names[i], values[i]);
        for (int i = 0; i < more.length; i += 2) ext.put(more[i], more[i + 1]);
        RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
        request.setExtFields(ext);
        if (body != null) request.setBody(Env.utf8(body));
        return client.invokeSync(env.broker, request, 20_000);
    }

    private static String to(String clientId) {
        return "CORRELATION_ID\001c\002REPLY_TO_CLIENT\001" + clientId + "\002MSG_TYPE\001reply\002";
    }

    private static void refused(Env env) throws Exception {
        NettyRemotingClient raw = new NettyRemotingClient(new NettyClientConfig());
        raw.start();
        env.onClose(() -> new Thread(raw::shutdown).start());
        AtomicInteger pushes = new AtomicInteger();
        String good = env.name("good");
        String bad = env.name("bad");
        String slow = env.name("slow");
        String gone = env.name("gone");
        takes(env, good, 0, pushes);
        takes(env, bad, 1, pushes);
        takes(env, slow, null, pushes);
        NettyRemotingClient leaves = takes(env, gone, 0, pushes);
        for (int code : new int[] {324, 325}) {
            RemotingCommand taken = reply(env, raw, code, REPLY_TOPIC, "x", to(good));
            env.same("a reply that is taken, by " + code, "code 0 remark null", Raw.show(taken));
            env.same("region and trace switch", "DefaultRegion true", taken.getExtFields().get("MSG_REGION") + " " + taken.getExtFields().get("TRACE_ON"));
            env.check(taken.getExtFields().get("msgId").length() == 32, "id " + taken.getExtFields().get("msgId"));
            env.same("queue", "0", taken.getExtFields().get("queueId"));
            RemotingCommand nobody = reply(env, raw, code, REPLY_TOPIC, "x", "CORRELATION_ID\001c\002");
            env.same("to nobody, by " + code, "code 1 remark reply message properties[REPLY_TO_CLIENT] is null", Raw.show(nobody));
            env.check(nobody.getExtFields().get("msgId").length() == 32, "a reply that is not taken is stored all the same: " + nobody.getExtFields());
            env.same("to an unknown client, by " + code, "code 1 remark push reply message fail, channel of <no such client> not found.",
                Raw.show(reply(env, raw, code, REPLY_TOPIC, "x", to("no such client"))));
            env.same("to a client that fails, by " + code, "code 1 remark push reply message to " + bad + "fail.",
                Raw.show(reply(env, raw, code, REPLY_TOPIC, "x", to(bad))));
        }
        long begin = System.currentTimeMillis();
        env.same("to a client that does not answer", "code 1 remark push reply message to " + slow + "fail.",
            Raw.show(reply(env, raw, 325, REPLY_TOPIC, "x", to(slow))));
        env.between("time until the broker gives up", 9_000, 13_000, System.currentTimeMillis() - begin);
        leaves.shutdown();
        env.await("the broker to forget a client whose connection closed", 5_000, () -> Raw.show(reply(env, raw, 325, REPLY_TOPIC, "x", to(gone)))
            .equals("code 1 remark push reply message fail, channel of <" + gone + "> not found."));
        int before = pushes.get();
        env.same("a topic that cannot be", "code 29 remark The specified topic: bad topic!, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
            Raw.show(reply(env, raw, 325, "bad topic!", "x", to(good))));
        env.same("a queue that is not there", 29, reply(env, raw, 325, REPLY_TOPIC, "x", to(good), "e", "7").getCode());
        env.same("an empty reply", 1, reply(env, raw, 325, REPLY_TOPIC, null, to(good)).getCode());
        env.same("pushes of refused replies", before, pushes.get());
        env.same("a reply with any queue", 0, reply(env, raw, 325, REPLY_TOPIC, "x", to(good), "e", "-1").getCode());
        env.say("taken, to nobody, to an unknown client, refused by the client, unanswered for 10 s, to a client that left, bad topic and queue, empty");
    }
}
