// officialgo runs cases of the official Go client (github.com/apache/rocketmq-client-go/v2) against a name server.
// usage: officialgo [-run REGEXP] [-except CASE] [-json FILE] [-par 4] NAMESRV
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

var (
	ns      string
	brokers []string
	seq     int64
	run     = time.Now().Unix()
)

func name(p string) string { return fmt.Sprintf("%s_%d_%d", p, run, atomic.AddInt64(&seq, 1)) }

// masters asks the name server for its cluster info (code 106) with a bare frame.
func masters() ([]string, error) {
	c, err := net.DialTimeout("tcp", ns, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	h := []byte(`{"code":106,"flag":0,"language":"GO","opaque":1,"serializeTypeCurrentRPC":"JSON","version":317}`)
	b := make([]byte, 8+len(h))
	binary.BigEndian.PutUint32(b, uint32(4+len(h)))
	binary.BigEndian.PutUint32(b[4:], uint32(len(h)))
	copy(b[8:], h)
	if _, err = c.Write(b); err != nil {
		return nil, err
	}
	var n uint32
	if err = binary.Read(c, binary.BigEndian, &n); err != nil {
		return nil, err
	}
	r := make([]byte, n)
	if _, err = io.ReadFull(c, r); err != nil {
		return nil, err
	}
	body := r[4+binary.BigEndian.Uint32(r)&0xffffff:]
	// numeric keys may be unquoted: take the address of broker id 0 by pattern
	m := regexp.MustCompile(`[{,]"?0"?:"([^"]+)"`).FindAllSubmatch(body, -1)
	var a []string
	for _, x := range m {
		a = append(a, string(x[1]))
	}
	sort.Strings(a)
	if len(a) == 0 {
		return nil, fmt.Errorf("no master in %q", body)
	}
	return a, nil
}

func mkTopic(q int) (string, error) {
	t := name("gotopic")
	ad, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{ns})))
	if err != nil {
		return "", err
	}
	defer ad.Close()
	for _, b := range brokers {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		err = ad.CreateTopic(ctx, admin.WithTopicCreate(t), admin.WithBrokerAddrCreate(b), admin.WithReadQueueNums(q), admin.WithWriteQueueNums(q))
		cancel()
		if err != nil {
			return "", err
		}
	}
	time.Sleep(500 * time.Millisecond)
	return t, nil
}

func mkProducer(o ...producer.Option) (rocketmq.Producer, error) {
	o = append([]producer.Option{producer.WithNsResolver(primitive.NewPassthroughResolver([]string{ns})), producer.WithRetry(2),
		producer.WithGroupName(name("goprod")), producer.WithInstanceName(name("i")), producer.WithSendMsgTimeout(10 * time.Second)}, o...)
	p, err := rocketmq.NewProducer(o...)
	if err != nil {
		return nil, err
	}
	return p, p.Start()
}

type sink struct {
	sync.Mutex
	bodies map[string]int
	msgs   []*primitive.MessageExt
}

func (s *sink) add(m *primitive.MessageExt) {
	s.Lock()
	s.bodies[string(m.Body)]++
	s.msgs = append(s.msgs, m)
	s.Unlock()
}
func (s *sink) n() int { s.Lock(); defer s.Unlock(); return len(s.bodies) }

func wait(d time.Duration, f func() bool) bool {
	for t := time.Now(); time.Since(t) < d; time.Sleep(100 * time.Millisecond) {
		if f() {
			return true
		}
	}
	return f()
}

func push(topic string, sel consumer.MessageSelector, f func(*primitive.MessageExt) consumer.ConsumeResult, o ...consumer.Option) (rocketmq.PushConsumer, error) {
	o = append([]consumer.Option{consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{ns})), consumer.WithGroupName(name("gogroup")),
		consumer.WithInstance(name("ci")), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset)}, o...)
	c, err := rocketmq.NewPushConsumer(o...)
	if err != nil {
		return nil, err
	}
	err = c.Subscribe(topic, sel, func(ctx context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		r := consumer.ConsumeSuccess
		for _, m := range ms {
			if x := f(m); x != consumer.ConsumeSuccess {
				r = x
			}
		}
		return r, nil
	})
	if err != nil {
		return nil, err
	}
	return c, c.Start()
}

func msg(t, b string) *primitive.Message { return primitive.NewMessage(t, []byte(b)) }

func newSink() *sink { return &sink{bodies: map[string]int{}} }

// roundTrip sends with f and expects that a consumer gets exactly want bodies.
func roundTrip(want int, f func(topic string, p rocketmq.Producer) error, chk func(s *sink) error, po []producer.Option, sel consumer.MessageSelector, co ...consumer.Option) error {
	t, err := mkTopic(4)
	if err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	p, err := mkProducer(po...)
	if err != nil {
		return err
	}
	defer p.Shutdown()
	s := newSink()
	c, err := push(t, sel, func(m *primitive.MessageExt) consumer.ConsumeResult { s.add(m); return consumer.ConsumeSuccess }, co...)
	if err != nil {
		return err
	}
	defer c.Shutdown()
	if err = f(t, p); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if !wait(60*time.Second, func() bool { return s.n() >= want }) {
		return fmt.Errorf("got %d of %d", s.n(), want)
	}
	time.Sleep(500 * time.Millisecond)
	if s.n() != want {
		return fmt.Errorf("got %d, want %d", s.n(), want)
	}
	if chk != nil {
		return chk(s)
	}
	return nil
}

func sendSync(t string, p rocketmq.Producer, n int, f func(i int, m *primitive.Message)) error {
	for i := 0; i < n; i++ {
		m := msg(t, fmt.Sprintf("m%d", i))
		if f != nil {
			f(i, m)
		}
		r, err := p.SendSync(context.Background(), m)
		if err != nil {
			return err
		}
		if r.Status != primitive.SendOK || r.MsgID == "" || r.OffsetMsgID == "" {
			return fmt.Errorf("result %v", r)
		}
	}
	return nil
}

type txn struct{ checks int64 }

func (t *txn) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	switch m.GetProperty("k") {
	case "c":
		return primitive.CommitMessageState
	case "r":
		return primitive.RollbackMessageState
	}
	return primitive.UnknowState
}
func (t *txn) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	atomic.AddInt64(&t.checks, 1)
	return primitive.CommitMessageState
}

func txCase(kinds string, want int, limit time.Duration, needCheck bool) error {
	t, err := mkTopic(4)
	if err != nil {
		return err
	}
	l := &txn{}
	p, err := rocketmq.NewTransactionProducer(l, producer.WithNsResolver(primitive.NewPassthroughResolver([]string{ns})),
		producer.WithGroupName(name("gotx")), producer.WithInstanceName(name("i")))
	if err != nil {
		return err
	}
	if err = p.Start(); err != nil {
		return err
	}
	defer p.Shutdown()
	s := newSink()
	c, err := push(t, consumer.MessageSelector{}, func(m *primitive.MessageExt) consumer.ConsumeResult { s.add(m); return consumer.ConsumeSuccess })
	if err != nil {
		return err
	}
	defer c.Shutdown()
	for i, k := range kinds {
		m := msg(t, fmt.Sprintf("t%d%c", i, k))
		m.WithProperty("k", string(k))
		if _, err := p.SendMessageInTransaction(context.Background(), m); err != nil {
			return err
		}
	}
	if !wait(limit, func() bool { return s.n() >= want }) {
		return fmt.Errorf("got %d of %d", s.n(), want)
	}
	time.Sleep(2 * time.Second)
	for b := range s.bodies {
		if strings.HasSuffix(b, "r") {
			return errors.New("rolled back message delivered")
		}
	}
	if needCheck && atomic.LoadInt64(&l.checks) == 0 {
		return errors.New("no check")
	}
	return nil
}

type tcase struct {
	name string
	f    func() error
}

var tagAny = consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}

func cases() []tcase {
	bg := context.Background()
	return []tcase{
		{"admin-create-topic-route", func() error {
			t, err := mkTopic(6)
			if err != nil {
				return err
			}
			ad, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{ns})))
			if err != nil {
				return err
			}
			defer ad.Close()
			var q []*primitive.MessageQueue
			wait(10*time.Second, func() bool { q, err = ad.FetchPublishMessageQueues(bg, t); return err == nil && len(q) == 6*len(brokers) })
			if err != nil || len(q) != 6*len(brokers) {
				return fmt.Errorf("%d queues %v", len(q), err)
			}
			return nil
		}},
		{"admin-list-topics", func() error {
			t, err := mkTopic(1)
			if err != nil {
				return err
			}
			ad, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{ns})))
			if err != nil {
				return err
			}
			defer ad.Close()
			l, err := ad.FetchAllTopicList(bg)
			if err != nil {
				return err
			}
			for _, x := range l.TopicList {
				if x == t {
					return nil
				}
			}
			return errors.New("topic not listed")
		}},
		{"admin-delete-topic", func() error {
			t, err := mkTopic(1)
			if err != nil {
				return err
			}
			ad, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{ns})))
			if err != nil {
				return err
			}
			defer ad.Close()
			for _, b := range brokers {
				if err = ad.DeleteTopic(bg, admin.WithTopicDelete(t), admin.WithBrokerAddrDelete(b), admin.WithNameSrvAddr([]string{ns})); err != nil {
					return err
				}
			}
			l, err := ad.FetchAllTopicList(bg)
			if err != nil {
				return err
			}
			for _, x := range l.TopicList {
				if x == t {
					return errors.New("still listed")
				}
			}
			return nil
		}},
		{"admin-list-groups", func() error {
			ad, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{ns})))
			if err != nil {
				return err
			}
			defer ad.Close()
			g, err := ad.GetAllSubscriptionGroup(bg, brokers[0], 5*time.Second)
			if err == nil && len(g.SubscriptionGroupTable) == 0 {
				err = errors.New("empty")
			}
			return err
		}},
		{"sync-clustering", func() error {
			return roundTrip(50, func(t string, p rocketmq.Producer) error { return sendSync(t, p, 50, nil) }, nil, nil, consumer.MessageSelector{})
		}},
		{"async", func() error {
			return roundTrip(50, func(t string, p rocketmq.Producer) error {
				var wg sync.WaitGroup
				var bad int64
				for i := 0; i < 50; i++ {
					wg.Add(1)
					if err := p.SendAsync(bg, func(_ context.Context, r *primitive.SendResult, err error) {
						if err != nil || r.Status != primitive.SendOK {
							atomic.AddInt64(&bad, 1)
						}
						wg.Done()
					}, msg(t, fmt.Sprintf("a%d", i))); err != nil {
						return err
					}
				}
				wg.Wait()
				if bad > 0 {
					return fmt.Errorf("%d not ok", bad)
				}
				return nil
			}, nil, nil, tagAny)
		}},
		{"oneway", func() error {
			return roundTrip(50, func(t string, p rocketmq.Producer) error {
				for i := 0; i < 50; i++ {
					if err := p.SendOneWay(bg, msg(t, fmt.Sprintf("o%d", i))); err != nil {
						return err
					}
				}
				return nil
			}, nil, nil, tagAny)
		}},
		{"batch", func() error {
			return roundTrip(30, func(t string, p rocketmq.Producer) error {
				var ms []*primitive.Message
				for i := 0; i < 30; i++ {
					ms = append(ms, msg(t, fmt.Sprintf("b%d", i)).WithKeys([]string{fmt.Sprintf("k%d", i)}))
				}
				r, err := p.SendSync(bg, ms...)
				if err == nil && r.Status != primitive.SendOK {
					err = fmt.Errorf("%v", r)
				}
				return err
			}, nil, nil, tagAny)
		}},
		{"compressed-body", func() error {
			big := strings.Repeat("0123456789abcdef", 1000)
			return roundTrip(5, func(t string, p rocketmq.Producer) error {
				return sendSync(t, p, 5, func(i int, m *primitive.Message) { m.Body = []byte(fmt.Sprintf("%d%s", i, big)) })
			}, func(s *sink) error {
				for b := range s.bodies {
					if b[1:] != big {
						return errors.New("body changed")
					}
				}
				return nil
			}, nil, tagAny)
		}},
		{"properties-keys-tags", func() error {
			return roundTrip(10, func(t string, p rocketmq.Producer) error {
				return sendSync(t, p, 10, func(i int, m *primitive.Message) {
					m.WithTag("TagP").WithKeys([]string{"ka", "kb"}).WithProperty("color", fmt.Sprintf("v%d", i))
				})
			}, func(s *sink) error {
				for _, m := range s.msgs {
					if m.GetTags() != "TagP" || m.GetKeys() == "" || m.GetProperty("color") == "" || m.BornHost == "" || m.StoreHost == "" || m.OffsetMsgId == "" || m.MsgId == "" {
						return fmt.Errorf("bad %v", m)
					}
				}
				return nil
			}, nil, tagAny)
		}},
		{"tag-filter", func() error {
			return roundTrip(20, func(t string, p rocketmq.Producer) error {
				return sendSync(t, p, 30, func(i int, m *primitive.Message) { m.WithTag([]string{"TagA", "TagB", "TagC"}[i%3]) })
			}, nil, nil, consumer.MessageSelector{Type: consumer.TAG, Expression: "TagA || TagC"})
		}},
		{"sql-filter", func() error {
			return roundTrip(10, func(t string, p rocketmq.Producer) error {
				return sendSync(t, p, 30, func(i int, m *primitive.Message) { m.WithTag("S").WithProperty("a", fmt.Sprint(i)) })
			}, nil, nil, consumer.MessageSelector{Type: consumer.SQL92, Expression: "a between 10 and 19 and TAGS = 'S'"})
		}},
		{"ordered", func() error {
			last := map[string]int{}
			return roundTrip(60, func(t string, p rocketmq.Producer) error {
				for i := 0; i < 60; i++ {
					m := msg(t, fmt.Sprintf("%d:%d", i%3, i))
					m.WithShardingKey(fmt.Sprintf("order%d", i%3))
					if _, err := p.SendSync(bg, m); err != nil {
						return err
					}
				}
				return nil
			}, func(s *sink) error {
				for _, m := range s.msgs {
					var k string
					var i int
					x := strings.SplitN(string(m.Body), ":", 2)
					k = x[0]
					fmt.Sscan(x[1], &i)
					if l, ok := last[k]; ok && l >= i {
						return fmt.Errorf("order broken: %s %d after %d", k, i, l)
					}
					last[k] = i
				}
				return nil
			}, []producer.Option{producer.WithQueueSelector(producer.NewHashQueueSelector())}, tagAny, consumer.WithConsumerOrder(true))
		}},
		{"delay-level-2", func() error {
			return roundTrip(5, func(t string, p rocketmq.Producer) error {
				return sendSync(t, p, 5, func(i int, m *primitive.Message) { m.WithDelayTimeLevel(2) })
			}, func(s *sink) error {
				for _, m := range s.msgs {
					if d := m.StoreTimestamp - m.BornTimestamp; d < 4000 {
						return fmt.Errorf("delivered after %d ms", d)
					}
				}
				return nil
			}, nil, tagAny)
		}},
		{"transaction-commit", func() error { return txCase("ccccc", 5, 30*time.Second, false) }},
		{"transaction-rollback", func() error { return txCase("rcrrc", 2, 30*time.Second, false) }},
		{"transaction-check", func() error { return txCase("uc", 2, 120*time.Second, true) }},
		{"broadcast", func() error {
			t, err := mkTopic(4)
			if err != nil {
				return err
			}
			g := name("gobc")
			s := []*sink{newSink(), newSink()}
			for i := range s {
				x := s[i]
				c, err := push(t, tagAny, func(m *primitive.MessageExt) consumer.ConsumeResult { x.add(m); return consumer.ConsumeSuccess },
					consumer.WithGroupName(g), consumer.WithConsumerModel(consumer.BroadCasting))
				if err != nil {
					return err
				}
				defer c.Shutdown()
			}
			p, err := mkProducer()
			if err != nil {
				return err
			}
			defer p.Shutdown()
			time.Sleep(3 * time.Second)
			if err = sendSync(t, p, 20, nil); err != nil {
				return err
			}
			if !wait(60*time.Second, func() bool { return s[0].n() == 20 && s[1].n() == 20 }) {
				return fmt.Errorf("got %d and %d of 20", s[0].n(), s[1].n())
			}
			return nil
		}},
		{"cluster-two-consumers-share", func() error {
			t, err := mkTopic(4)
			if err != nil {
				return err
			}
			g := name("gosh")
			s := []*sink{newSink(), newSink()}
			for i := range s {
				x := s[i]
				c, err := push(t, tagAny, func(m *primitive.MessageExt) consumer.ConsumeResult { x.add(m); return consumer.ConsumeSuccess }, consumer.WithGroupName(g))
				if err != nil {
					return err
				}
				defer c.Shutdown()
			}
			p, err := mkProducer()
			if err != nil {
				return err
			}
			defer p.Shutdown()
			time.Sleep(25 * time.Second) // both have rebalanced
			if err = sendSync(t, p, 80, nil); err != nil {
				return err
			}
			if !wait(60*time.Second, func() bool { return s[0].n()+s[1].n() >= 80 }) {
				return fmt.Errorf("got %d + %d of 80", s[0].n(), s[1].n())
			}
			if s[0].n() == 0 || s[1].n() == 0 {
				return fmt.Errorf("not shared: %d + %d", s[0].n(), s[1].n())
			}
			return nil
		}},
		{"retry-then-success", func() error {
			t, err := mkTopic(2)
			if err != nil {
				return err
			}
			var first, again int64
			c, err := push(t, tagAny, func(m *primitive.MessageExt) consumer.ConsumeResult {
				if m.ReconsumeTimes == 0 {
					atomic.AddInt64(&first, 1)
					return consumer.ConsumeRetryLater
				}
				atomic.AddInt64(&again, 1)
				return consumer.ConsumeSuccess
			}, consumer.WithConsumeMessageBatchMaxSize(1), consumer.WithMaxReconsumeTimes(3))
			if err != nil {
				return err
			}
			defer c.Shutdown()
			p, err := mkProducer()
			if err != nil {
				return err
			}
			defer p.Shutdown()
			if err = sendSync(t, p, 3, nil); err != nil {
				return err
			}
			if !wait(90*time.Second, func() bool { return atomic.LoadInt64(&again) == 3 }) {
				return fmt.Errorf("first %d again %d", first, again)
			}
			return nil
		}},
		{"pull-poll-ack", func() error {
			t, err := mkTopic(2)
			if err != nil {
				return err
			}
			p, err := mkProducer()
			if err != nil {
				return err
			}
			defer p.Shutdown()
			c, err := rocketmq.NewPullConsumer(consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{ns})), consumer.WithGroupName(name("gopull")),
				consumer.WithInstance(name("pi")), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
			if err != nil {
				return err
			}
			if err = c.Subscribe(t, tagAny); err != nil {
				return err
			}
			if err = c.Start(); err != nil {
				return err
			}
			defer c.Shutdown()
			if err = sendSync(t, p, 20, nil); err != nil {
				return err
			}
			got := map[string]bool{}
			wait(60*time.Second, func() bool {
				r, err := c.Poll(bg, 2*time.Second)
				if err == nil {
					for _, m := range r.GetMsgList() {
						got[string(m.Body)] = true
					}
					c.ACK(bg, r, consumer.ConsumeSuccess)
				}
				return len(got) == 20
			})
			if len(got) != 20 {
				return fmt.Errorf("got %d of 20", len(got))
			}
			return nil
		}},
		{"pull-from-offset", func() error {
			t, err := mkTopic(1)
			if err != nil {
				return err
			}
			p, err := mkProducer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
			if err != nil {
				return err
			}
			defer p.Shutdown()
			ad, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{ns})))
			if err != nil {
				return err
			}
			defer ad.Close()
			q, err := ad.FetchPublishMessageQueues(bg, t)
			if err != nil {
				return err
			}
			for i := 0; i < 20; i++ {
				m := msg(t, fmt.Sprintf("f%d", i))
				m.Queue = q[0]
				if _, err = p.SendSync(bg, m); err != nil {
					return err
				}
			}
			c, err := rocketmq.NewPullConsumer(consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{ns})), consumer.WithGroupName(name("gopf")), consumer.WithInstance(name("pi")))
			if err != nil {
				return err
			}
			if err = c.Subscribe(t, tagAny); err != nil {
				return err
			}
			if err = c.Start(); err != nil {
				return err
			}
			defer c.Shutdown()
			ctx, cancel := context.WithTimeout(bg, 30*time.Second)
			defer cancel()
			r, err := c.PullFrom(ctx, q[0], 5, 10)
			if err != nil {
				return err
			}
			if r.Status != primitive.PullFound || len(r.GetMessageExts()) != 10 || r.NextBeginOffset != 15 || r.MaxOffset != 20 || r.MinOffset != 0 {
				return fmt.Errorf("%v with %d", r, len(r.GetMessageExts()))
			}
			if string(r.GetMessageExts()[0].Body) != "f5" {
				return fmt.Errorf("first is %s", r.GetMessageExts()[0].Body)
			}
			return nil
		}},
		{"request-reply", func() error {
			t, err := mkTopic(2)
			if err != nil {
				return err
			}
			p, err := mkProducer()
			if err != nil {
				return err
			}
			defer p.Shutdown()
			rp, err := mkProducer()
			if err != nil {
				return err
			}
			defer rp.Shutdown()
			c, err := push(t, tagAny, func(m *primitive.MessageExt) consumer.ConsumeResult {
				r, err := consumer.CreateReplyMessage(m, []byte("reply to "+string(m.Body)))
				if err == nil {
					_, err = rp.SendSync(bg, r)
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, "reply:", err)
				}
				return consumer.ConsumeSuccess
			})
			if err != nil {
				return err
			}
			defer c.Shutdown()
			time.Sleep(3 * time.Second)
			if err = sendSync(t, p, 1, nil); err != nil { // makes the reply path's heartbeat surely known
				return err
			}
			r, err := p.Request(bg, 30*time.Second, msg(t, "ask"))
			if err != nil {
				return err
			}
			if string(r.Body) != "reply to ask" {
				return fmt.Errorf("got %q", r.Body)
			}
			return nil
		}},
		{"trace", func() error {
			tc := &primitive.TraceConfig{Access: primitive.Local, Resolver: primitive.NewPassthroughResolver([]string{ns})}
			return roundTrip(5, func(t string, p rocketmq.Producer) error { return sendSync(t, p, 5, nil) }, nil,
				[]producer.Option{producer.WithTrace(tc)}, tagAny)
		}},
		{"auto-create-topic", func() error {
			p, err := mkProducer()
			if err != nil {
				return err
			}
			defer p.Shutdown()
			return sendSync(name("goauto"), p, 3, nil)
		}},
		{"namespace", func() error {
			t, err := mkTopic(2)
			if err != nil {
				return err
			}
			_ = t
			p, err := mkProducer(producer.WithNamespace("nsgo"))
			if err != nil {
				return err
			}
			defer p.Shutdown()
			x := name("gonst")
			if err = sendSync(x, p, 3, nil); err != nil {
				return err
			}
			s := newSink()
			c, err := push(x, tagAny, func(m *primitive.MessageExt) consumer.ConsumeResult { s.add(m); return consumer.ConsumeSuccess }, consumer.WithNamespace("nsgo"))
			if err != nil {
				return err
			}
			defer c.Shutdown()
			if !wait(60*time.Second, func() bool { return s.n() == 3 }) {
				return fmt.Errorf("got %d of 3", s.n())
			}
			return nil
		}},
	}
}

func main() {
	re := flag.String("run", "", "only cases that match")
	except := flag.String("except", "", "one case to leave out")
	out := flag.String("json", "", "write results here")
	par := flag.Int("par", 4, "cases at a time")
	flag.Parse()
	ns = flag.Arg(0)
	if ns == "" {
		fmt.Fprintln(os.Stderr, "usage: officialgo [-run REGEXP] [-except CASE] [-json FILE] [-par N] NAMESRV")
		os.Exit(2)
	}
	rlog.SetLogLevel("fatal")
	if os.Getenv("GO_VERBOSE") != "" {
		rlog.SetLogLevel("warn")
	}
	var err error
	if brokers, err = masters(); err != nil {
		fmt.Println("cluster info:", err)
		fmt.Println("0 passed, 1 failed, 0 skipped")
		os.Exit(1)
	}
	type res struct {
		Test   string `json:"test"`
		Result string `json:"result"`
		Ms     int64  `json:"ms"`
		Why    string `json:"why"`
	}
	var rs []res
	var mu sync.Mutex
	var wg sync.WaitGroup
	sem := make(chan bool, *par)
	rx := regexp.MustCompile(*re)
	for _, c := range cases() {
		if !rx.MatchString(c.name) || c.name == *except {
			continue
		}
		c := c
		wg.Add(1)
		sem <- true
		go func() {
			defer func() { <-sem; wg.Done() }()
			t := time.Now()
			ch := make(chan error, 1)
			go func() {
				defer func() {
					if x := recover(); x != nil {
						ch <- fmt.Errorf("panic: %v", x)
					}
				}()
				ch <- c.f()
			}()
			var err error
			select {
			case err = <-ch:
			case <-time.After(180 * time.Second):
				err = errors.New("case timed out")
			}
			r := res{c.name, "pass", time.Since(t).Milliseconds(), ""}
			if err != nil {
				r.Result, r.Why = "fail", err.Error()
			}
			mu.Lock()
			rs = append(rs, r)
			fmt.Printf("  %s %s %d ms %s\n", r.Result, r.Test, r.Ms, r.Why)
			mu.Unlock()
		}()
	}
	wg.Wait()
	sort.Slice(rs, func(i, j int) bool { return rs[i].Test < rs[j].Test })
	p := 0
	for _, r := range rs {
		if r.Result == "pass" {
			p++
		}
	}
	if *out != "" {
		b, _ := json.MarshalIndent(rs, "", " ")
		os.WriteFile(*out, b, 0o644)
	}
	fmt.Printf("%d passed, %d failed, 0 skipped\n", p, len(rs)-p)
	if p != len(rs) {
		os.Exit(1)
	}
}
