"""The C++ client by way of its Python wheel: client.py NAMESRV TOPIC. The topic may be missing."""
import sys
import threading
import time

from rocketmq.client import Message, Producer, PushConsumer

NAMESRV, TOPIC = sys.argv[1:3]
results = []


def check(name, good, details=""):
    results.append(good)
    print("  %s %s %s" % ("pass" if good else "fail", name, details), flush=True)


def message(topic, body, tags="A", keys="", level=0):
    one = Message(topic)
    one.set_body(body)
    one.set_tags(tags)
    one.set_keys(keys)
    one.set_property("own", "kept")
    if level:
        one.set_delay_time_level(level)
    return one


class Seen:
    """What a push consumer got."""

    def __init__(self, group, topic, expression="*", orderly=False):
        self.messages = []
        self.consumer = PushConsumer(group, orderly=orderly)
        self.consumer.set_namesrv_addr(NAMESRV)
        self.consumer.set_instance_name(group)
        self.consumer.subscribe(topic, self.add, expression)
        self.consumer.start()

    def add(self, one):
        self.messages.append((one.body, one.tags, one.keys, one.get_property("own"), one.queue_id, time.time()))

    def wait(self, count, seconds=30):
        end = time.time() + seconds
        while len(self.messages) < count and time.time() < end:
            time.sleep(0.1)
        time.sleep(0.5)  # one too many would come now
        return len(self.messages) == count


def main():
    producer = Producer("python-producer", timeout=5000)
    producer.set_namesrv_addr(NAMESRV)
    producer.start()
    sent = [producer.send_sync(message(TOPIC, b"m%d" % i, "AB"[i % 2], "k%d" % i)) for i in range(20)]
    check("sync", all(one.status == 0 and one.msg_id for one in sent))
    everything = Seen("python-all", TOPIC)
    tagged = Seen("python-tag", TOPIC, "A || C")
    check("push", everything.wait(20), str(len(everything.messages)))
    check("tags", tagged.wait(10) and all(one[1] == b"A" for one in tagged.messages), str(len(tagged.messages)))
    check("keys and properties", {(b"k%d" % i, b"kept") for i in range(20)} == {one[2:4] for one in everything.messages},
          str(everything.messages[:1]))

    producer.send_oneway(message(TOPIC, b"oneway"))
    acknowledged = threading.Event()
    producer.send_async(message(TOPIC, b"async"), lambda result: acknowledged.set(), None)
    check("async and oneway", acknowledged.wait(10) and everything.wait(22), str(len(everything.messages)))
    large = producer.send_sync(message(TOPIC, b"x" * 100_000))
    check("compressed", large.status == 0 and everything.wait(23) and everything.messages[-1][0] in (b"x" * 100_000, "x" * 100_000))

    begin = time.time()
    producer.send_sync(message(TOPIC, b"late", level=2))
    came = everything.wait(24)
    check("delay", came and 5 <= everything.messages[-1][5] - begin < 8)

    ordered = Seen("python-order", TOPIC + "-order", orderly=True)
    for i in range(30):
        producer.send_orderly(message(TOPIC + "-order", b"o%02d" % i), i % 3)
    good = ordered.wait(30, 60)
    for queue in {one[4] for one in ordered.messages}:
        bodies = [one[0] for one in ordered.messages if one[4] == queue]
        good = good and bodies == sorted(bodies)
    check("in order", good, str(len(ordered.messages)))
    for one in (everything, tagged, ordered):
        one.consumer.shutdown()
    producer.shutdown()
    print("%d passed, %d failed, 0 skipped" % (sum(results), len(results) - sum(results)), flush=True)
    sys.stdout.flush()
    sys.exit(0 if all(results) else 1)


main()
