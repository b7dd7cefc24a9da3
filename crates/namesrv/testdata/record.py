#!/usr/bin/env python3
"""Records how a real Java name server answers a fixed conversation.

    record.py HOST:PORT OUT.json

Start the server fresh (empty kvConfig.json, default configuration) for every recording. The conversation below is the
only source of the requests; OUT.json holds them with the answers, and tests/java_golden.rs replays them.
"""
import json, re, socket, struct, sys, time, zlib

STEPS = []


def send(code, ext=None, body="", conn="a", version=513, serialize=0, body_hex=None, note=None):
    STEPS.append(dict(do="send", conn=conn, code=code, ext=ext or {}, body=body, body_hex=body_hex, version=version,
                      serialize=serialize, note=note))


def pause(millis):
    STEPS.append(dict(do="pause", millis=millis))


def close(conn):
    STEPS.append(dict(do="close", conn=conn))


def topic(name, read=8, write=8, perm=6, flag=0, **more):
    return dict(topicName=name, readQueueNums=read, writeQueueNums=write, perm=perm, topicFilterType="SINGLE_TAG",
                topicSysFlag=flag, order=False, attributes={}, **more)


def table(*topics):
    return {t["topicName"]: t for t in topics}


def broker_body(topics, counter=1, state=0, filters=(), mapping=None):
    wrapper = dict(topicConfigTable=topics, dataVersion=dict(stateVersion=state, timestamp=1700000000000, counter=counter),
                   topicQueueMappingInfoMap=mapping or {}, topicQueueMappingDetailMap={},
                   mappingDataVersion=dict(stateVersion=0, timestamp=1, counter=0))
    return json.dumps(dict(topicConfigSerializeWrapper=wrapper, filterServerList=list(filters)), ensure_ascii=False)


def compressed_body(topics, counter=1):
    def text(value):
        raw = value.encode()
        return struct.pack(">i", len(raw)) + raw
    plain = text(json.dumps(dict(stateVersion=0, timestamp=1700000000000, counter=counter)))
    plain += struct.pack(">i", len(topics))
    for t in topics.values():
        plain += text(f'{t["topicName"]} {t["readQueueNums"]} {t["writeQueueNums"]} {t["perm"]} SINGLE_TAG {{}}')
    plain += text("[]") + struct.pack(">i", 0)
    return zlib.compress(plain, 9).hex()


def register(name, bid, addr, body="", conn="a", acting="true", cluster="c1", version=513, crc=None, ha=None, **more):
    ext = dict(brokerName=name, brokerAddr=addr, clusterName=cluster, haServerAddr=ha or addr + "0", brokerId=str(bid),
               compressed=more.pop("compressed", "false"), bodyCrc32=str(crc if crc is not None else 0))
    if acting is not None:
        ext["enableActingMaster"] = acting
    zone = more.pop("zone", None)
    if zone:
        ext["__ZONE_NAME"] = zone
    timeout = more.pop("timeout", None)
    if timeout:
        ext["heartbeatTimeoutMillis"] = str(timeout)
    send(103, ext, body, conn=conn, version=version, **more)


def route(name, version=513, conn="a", note=None, **ext):
    send(105, dict(topic=name, **ext), version=version, conn=conn, note=note)


def config(text):
    send(318, body=text)


def conversation():
    two = table(topic("t1"), topic("t2", read=4, write=3, perm=4))
    more = table(topic("t1"), topic("t2"), topic("té中😀/x", flag=3), topic("unit", flag=1), topic("sub", flag=2))
    route("t1", note="no broker at all")
    send(999, note="a code that does not exist")
    send(34, note="a code of brokers")
    for code in (206, 106, 311, 312, 313):
        send(code, note="empty lists")
    send(224, dict(cluster="c1"), note="topics of an unknown cluster")
    send(304, note="no broker to name")
    register("one", 0, "127.0.0.1:1001", broker_body(table(topic("only"))), note="first registration with one topic")
    body = broker_body(more)
    register("a", 0, "127.0.0.1:1111", body, conn="b", crc=1, zone="z1")
    register("a", 0, "127.0.0.1:1111", body, conn="b", crc=zlib.crc32(body.encode()) & 0x7FFFFFFF, zone="z1")
    register("a", 1, "127.0.0.1:1112", broker_body(two), conn="c", zone="z1")
    register("a", 2, "127.0.0.1:1113", body_hex=compressed_body(two), compressed="true", conn="c")
    register("b", 0, "127.0.0.1:1121", broker_body(two, filters=["127.0.0.1:5"]), conn="d", zone="Z2", cluster="c1")
    route("t1", note="with a filter server")
    register("e", 0, "127.0.0.1:1131", broker_body(two), conn="j", cluster="c2", acting="false",
             note="another cluster")
    old = json.dumps(dict(topicConfigTable=table(topic("old1"), topic("old2")), dataVersion=dict(timestamp=5, counter=7)))
    register("old", 0, "127.0.0.1:1141", old, conn="h", cluster="c2", acting=None, version=36, note="before 3.0.11")
    register("old", 1, "127.0.0.1:1142", broker_body(two), conn="i", cluster="c2", acting=None, version=395,
             note="a slave of 4.x")
    mapping = {"st": dict(topic="st", scope="__global__", totalQueues=4, bname="b", epoch=3, dirty=False,
                          currIdMap={"0": 0, "1": 1})}
    register("b", 0, "127.0.0.1:1121", broker_body(dict(two, st=topic("st")), counter=2, mapping=mapping), conn="d",
             cluster="c1", zone="Z2")
    register("é中😀<(>'/&", 0, "127.0.0.1:1181", broker_body(table(topic("x1"), topic("x2"))), conn="g", cluster="c3",
             zone="\u007f\u0080\u2028\t", note="names that are not plain")
    for name in ("t1", "t2", "té中😀/x", "st", "old1", "nothing", "x1"):
        route(name)
        route(name, version=400, note="before 4.9.4")
        route(name, version=400, acceptStandardJsonOnly="true")
    for zone in ("z1", "Z2", "z9", ""):
        route("t1", __ZONE_MODE="true", __ZONE_NAME=zone)
    route("t1", __ZONE_MODE="false", __ZONE_NAME="z1")
    send(105, dict(topic="t1"), serialize=1, note="binary header")
    send(106)
    send(206)
    send(224, dict(cluster="c1"))
    send(224, dict(cluster="c2"))
    send(304)
    for code in (311, 312, 313):
        send(code)
    for name in ("a", "old", "nobody"):
        send(901, dict(clusterName="c1", brokerName=name))
    where = dict(brokerName="a", brokerAddr="127.0.0.1:1111", clusterName="c1", brokerId="0")
    send(322, where, json.dumps(dict(stateVersion=0, timestamp=1700000000000, counter=1)), note="same version")
    send(322, where, json.dumps(dict(stateVersion=0, timestamp=1700000000000, counter=2)), note="another version")
    send(322, where, note="no version")
    send(322, dict(where, brokerAddr="127.0.0.1:9"), json.dumps(dict(timestamp=1, counter=1)), note="unknown broker")
    send(904, where)
    send(904, dict(where, brokerAddr="127.0.0.1:9"))
    # Permissions.
    send(205, dict(brokerName="b"))
    route("t1")
    register("b", 0, "127.0.0.1:1121", broker_body(dict(two, st=topic("st")), counter=2, mapping=mapping), conn="d",
             cluster="c1", zone="Z2", note="same version: the wiped permission stays")
    route("t1")
    send(327, dict(brokerName="b"))
    route("t2")
    send(205, dict(brokerName="nobody"))
    # Topics by request.
    queues = lambda *names: json.dumps(dict(brokerDatas=[], queueDatas=[
        dict(brokerName=n, perm=6, readQueueNums=2, writeQueueNums=2, topicSysFlag=0) for n in names]))
    send(217, dict(topic="made"), queues("a", "b"))
    route("made")
    send(217, dict(topic="made2"), queues("a", "nobody"))
    route("made2")
    send(217, dict(topic="made"), queues("e", "nobody"))
    route("made")
    send(217, dict(topic="made3"), "{}")
    send(216, dict(topic="made", clusterName="c1"))
    route("made")
    send(216, dict(topic="made", clusterName="none"))
    send(216, dict(topic="made"))
    route("made")
    # Key-value configuration.
    send(101, dict(namespace="n", key="k"))
    send(219, dict(namespace="n"))
    send(100, dict(namespace="n", key="k", value="v é\"\\"))
    send(100, dict(namespace="n", key="k2", value="2"))
    send(100, dict(namespace="n", value="2"), note="no key")
    send(100, dict(key="k", value="2"), note="no namespace")
    send(100, dict(namespace="n2", key="k"), note="no value")
    send(101, dict(namespace="n", key="k"))
    send(101, dict(namespace="n2", key="k"))
    send(101, dict(namespace="n"), note="no key")
    send(219, dict(namespace="n"))
    send(219, dict(namespace="n2"))
    send(219, note="no namespace")
    send(102, dict(namespace="n", key="k"))
    send(102, dict(namespace="none", key="k"))
    send(219, dict(namespace="n"))
    send(100, dict(namespace="ORDER_TOPIC_CONFIG", key="t1", value="a:8;b:8"))
    register("a", 0, "127.0.0.1:1111", body, conn="b", zone="z1", note="answered with the order configuration")
    route("t1", note="orderMessageEnable is off")
    config("orderMessageEnable=true")
    route("t1")
    config("returnOrderTopicConfigToBroker=false")
    register("a", 0, "127.0.0.1:1111", body, conn="b", zone="z1")
    # Configuration.
    send(319)
    config("kvConfigPath=/tmp/x")
    config("rocketmqHome=/tmp/x")
    config("configBlackList=x")
    config("")
    config("enableTopicList=false\nenableAllTopicList=no\nnoSuchKey=1\nwaitSecondsForService=abc")
    send(319)
    for code in (206, 224, 304, 311, 312, 313):
        send(code, dict(cluster="c1"), note="lists are disabled, but not the system's")
    config("enableTopicList=true\nenableAllTopicList=true")
    # Registrations that move addresses and ids.
    register("m", 1, "127.0.0.1:1151", broker_body(two, state=3), conn="e")
    register("m", 0, "127.0.0.1:1151", broker_body(two, state=3), conn="e", note="the slave became master")
    send(901, dict(clusterName="c1", brokerName="m"))
    register("m", 0, "127.0.0.1:1152", broker_body(two, state=2), conn="e", note="an older state version")
    send(901, dict(clusterName="c1", brokerName="m"))
    register("m", 0, "127.0.0.1:1152", broker_body(two, state=4), conn="e", note="a newer state version")
    send(901, dict(clusterName="c1", brokerName="m"))
    config("deleteTopicWithBrokerRegistration=true")
    register("m", 0, "127.0.0.1:1152", broker_body(table(topic("t2"), topic("t9")), state=4, counter=9), conn="e")
    route("t1")
    route("t9")
    config("deleteTopicWithBrokerRegistration=false")
    # Leaving, and acting masters.
    config("supportActingMaster=true")
    gone = lambda name, bid, addr, cluster="c1": dict(brokerName=name, brokerAddr=addr, clusterName=cluster, brokerId=str(bid))
    send(104, gone("a", 0, "127.0.0.1:1111"))
    pause(500)
    route("té中😀/x", note="a slave acts")
    route("té中😀/x", version=400)
    register("a", 1, "127.0.0.1:1112", broker_body(table(topic("t1", perm=6), topic("p", perm=6)), counter=5), conn="c",
             note="the acting slave publishes read-only")
    route("p")
    register("a", 0, "127.0.0.1:1111", body, conn="b", zone="z1")
    route("t1")
    send(104, gone("e", 0, "127.0.0.1:1131", "c2"))
    send(104, gone("nobody", 0, "127.0.0.1:1", "c2"))
    pause(500)
    send(106)
    close("d")
    pause(800)
    send(106)
    send(206)
    register("short", 0, "127.0.0.1:1161", broker_body(two), conn="f", timeout=1000)
    send(901, dict(clusterName="c1", brokerName="short"))
    pause(12000)
    send(901, dict(clusterName="c1", brokerName="short"), note="silent for longer than it allowed")


conversation()


class Connection:
    opaque = 1

    def __init__(self, address):
        self.socket = socket.create_connection(address)

    def read(self, n):
        data = b""
        while len(data) < n:
            chunk = self.socket.recv(n - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def call(self, step):
        Connection.opaque += 1
        body = bytes.fromhex(step["body_hex"]) if step["body_hex"] else step["body"].encode()
        if step["serialize"] == 0:
            header = json.dumps(dict(code=step["code"], language="JAVA", version=step["version"], opaque=Connection.opaque,
                                     flag=0, extFields=step["ext"], serializeTypeCurrentRPC="JSON")).encode()
        else:
            entries = b"".join(struct.pack(">h", len(k.encode())) + k.encode() + struct.pack(">i", len(v.encode())) + v.encode()
                               for k, v in step["ext"].items())
            header = struct.pack(">hBhiiii", step["code"], 0, step["version"], Connection.opaque, 0, 0, len(entries)) + entries
        word = step["serialize"] << 24 | len(header)
        self.socket.sendall(struct.pack(">ii", 4 + len(header) + len(body), word) + header + body)
        total = struct.unpack(">i", self.read(4))[0]
        frame = self.read(total)
        word = struct.unpack(">I", frame[:4])[0]
        header, body = frame[4:4 + (word & 0xFFFFFF)], frame[4 + (word & 0xFFFFFF):]
        if word >> 24 == 0:
            parsed = json.loads(header)
            assert parsed["opaque"] == Connection.opaque
            code, remark, ext = parsed["code"], parsed.get("remark"), parsed.get("extFields", {})
        else:
            code, _, _, opaque, _, remark_len = struct.unpack(">hBhiii", header[:17])
            assert opaque == Connection.opaque
            remark, ext = header[17:17 + remark_len].decode() or None, {}
        return dict(code=code, remark=remark, ext=ext, body=body.decode(), serialize=word >> 24)


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    connections = {}
    for step in STEPS:
        if step["do"] == "pause":
            time.sleep(step["millis"] / 1000)
            continue
        if step["do"] == "close":
            connections.pop(step["conn"]).socket.close()
            continue
        if step["conn"] not in connections:
            connections[step["conn"]] = Connection((host, int(port)))
        step["answer"] = connections[step["conn"]].call(step)
        # Where the server ran is nobody's business.
        step["answer"]["body"] = re.sub(r"(?m)^(configStorePath|kvConfigPath|listenPort|rocketmqHome)=.*$", r"\1=*",
                                        step["answer"]["body"])
    how = "Recorded by record.py from a fresh Java name server 5.5.0 with its default configuration."
    with open(sys.argv[2], "w") as out:
        json.dump(dict(how=how, steps=STEPS), out, indent=1, ensure_ascii=False)


main()
