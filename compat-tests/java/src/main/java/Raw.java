import java.util.HashMap;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** Requests built by hand, for what the client classes would refuse to send or would not show. */
final class Raw {
    private static NettyRemotingClient client;
    private final String address;

    Raw(String address) {
        this.address = address;
    }

    private static synchronized NettyRemotingClient client() {
        if (client == null) {
            NettyRemotingClient started = new NettyRemotingClient(new NettyClientConfig());
            started.start();
            client = started;
        }
        return client;
    }

    RemotingCommand call(int code, byte[] body, String... fields) throws Exception {
        RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
        HashMap<String, String> ext = new HashMap<>();
        for (int i = 0; i < fields.length; i += 2) ext.put(fields[i], fields[i + 1]);
        request.setExtFields(ext);
        if (body != null) request.setBody(body);
        return client().invokeSync(address, request, 10_000);
    }

    /** SEND_MESSAGE with the fields every client sends; `more` adds to or replaces them. */
    RemotingCommand send(String topic, byte[] body, String... more) throws Exception {
        HashMap<String, String> ext = new HashMap<>();
        ext.put("producerGroup", "raw");
        ext.put("topic", topic);
        ext.put("defaultTopic", "TBW102");
        ext.put("defaultTopicQueueNums", "4");
        ext.put("queueId", "0");
        ext.put("sysFlag", "0");
        ext.put("bornTimestamp", "" + System.currentTimeMillis());
        ext.put("flag", "0");
        ext.put("properties", "");
        ext.put("reconsumeTimes", "0");
        ext.put("unitMode", "false");
        ext.put("batch", "false");
        for (int i = 0; i < more.length; i += 2) ext.put(more[i], more[i + 1]);
        RemotingCommand request = RemotingCommand.createRequestCommand(10, null);
        request.setExtFields(ext);
        request.setBody(body);
        return client().invokeSync(address, request, 10_000);
    }

    /** PULL_MESSAGE of tag `*`, not waiting. */
    RemotingCommand pull(String group, String topic, int queueId, long offset, String... more) throws Exception {
        HashMap<String, String> ext = new HashMap<>();
        ext.put("consumerGroup", group);
        ext.put("topic", topic);
        ext.put("queueId", "" + queueId);
        ext.put("queueOffset", "" + offset);
        ext.put("maxMsgNums", "32");
        ext.put("sysFlag", "4");
        ext.put("commitOffset", "0");
        ext.put("suspendTimeoutMillis", "1000");
        ext.put("subscription", "*");
        ext.put("subVersion", "0");
        ext.put("expressionType", "TAG");
        for (int i = 0; i < more.length; i += 2) ext.put(more[i], more[i + 1]);
        RemotingCommand request = RemotingCommand.createRequestCommand(11, null);
        request.setExtFields(ext);
        return client().invokeSync(address, request, 10_000);
    }

    static String show(RemotingCommand answer) {
        return "code " + answer.getCode() + " remark " + answer.getRemark();
    }
}
