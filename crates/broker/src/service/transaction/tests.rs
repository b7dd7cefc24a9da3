//! The service over a real store: rules one by one, and random histories with crashes against a model.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use raptormq_base::clock::ManualClock;
use raptormq_base::config::Host;
use raptormq_base::properties;
use raptormq_message::props::Properties;
use raptormq_message::{Message, NewMessage};
use raptormq_remoting::{Client, Limits, RouteTable};
use raptormq_store::{FlushMode, StoreConfig};

use super::check::{Question, Rules, Verdict, verdict};
use super::*;
use crate::config::Resolved;
use crate::tables::arrivals::Arrivals;

const START: i64 = 1_700_000_000_000;
const TIMEOUT: i64 = 6_000;

/// A broker's part that transactions need, over the directory `home`.
struct World {
    service: Arc<TransactionService>,
    store: Store,
    offsets: Arc<OffsetTable>,
    clock: Arc<ManualClock>,
}

impl World {
    fn open(home: &Path, clock: &Arc<ManualClock>) -> Self {
        Self::open_with(home, clock, StoreConfig::at(home).flush)
    }

    fn open_with(home: &Path, clock: &Arc<ManualClock>, flush: FlushMode) -> Self {
        let host = Host {
            user_home: "/home/u".into(),
            rocketmq_home: None,
            namesrv_addr: None,
            hostname: "box".into(),
            local_address: "127.0.0.1".into(),
            cpus: 2,
        };
        let mut config = Resolved::defaults(&host);
        config.load(&properties::parse(b"transactionCheckMax=3\nbrokerName=b\nautoCreateTopicEnable=true"));
        let resolved = Resolved::resolve(config, None).unwrap();
        let store_config = StoreConfig {
            commit_log_file_size: 1 << 16,
            consume_queue_file_size: 400,
            message_index_enable: false,
            delay_levels: vec![1000],
            flush,
            ..StoreConfig::at(home)
        };
        let shared: Arc<dyn Clock> = clock.clone();
        let arrivals = Arrivals::default();
        let store = Store::open(store_config, shared.clone(), move |it| {
            arrivals.arrived(it.topic, it.queue_id, it.queue_offset, it.tags_code, it.properties);
        })
        .unwrap();
        let directory = home.join("config");
        let live = Arc::new(LiveConfig::new(&resolved));
        let topics = directory.join("topics.json");
        let topics =
            Arc::new(TopicTable::load(topics, &resolved.broker, &resolved.store, shared.clone()).unwrap());
        let offsets = Arc::new(OffsetTable::load(&directory, false, 1, shared.clone()).unwrap());
        let client =
            Arc::new(Client::new(Arc::new(RouteTable::new()), Limits::default(), Duration::from_secs(1)));
        let service = TransactionService::load(Parts {
            live: live.clone(),
            topics: topics.clone(),
            offsets: offsets.clone(),
            producers: Arc::new(ProducerTable::new(shared.clone())),
            registration: Arc::new(Registration::new(client, live, topics, 1)),
            store: store.clone(),
            store_host: "127.0.0.1:10911".parse().unwrap(),
            delay_level_max: 1,
            stats: Arc::default(),
            clock: shared,
        });
        Self { service: Arc::new(service), store, offsets, clock: clock.clone() }
    }

    /// Stores a half message and returns it as it is read back.
    fn send(&self, id: usize, extra: &str) -> Half {
        let host = "127.0.0.1:40000".parse().unwrap();
        let mut message = NewMessage {
            topic: "T".into(),
            queue_id: 2,
            flag: 7,
            sys_flag: flags::TRANSACTION_PREPARED,
            born_timestamp: self.clock.wall_ms(),
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: format!("m{id}").into(),
            properties: format!(
                "PGROUP\u{1}P\u{2}TRAN_MSG\u{1}true\u{2}UNIQ_KEY\u{1}u{id}\u{2}TAGS\u{1}a\u{2}{extra}"
            )
            .into(),
        };
        half::prepare(&mut message);
        let stored = self.store.append(&message).unwrap();
        self.half_at(stored.log_offset)
    }

    fn half_at(&self, offset: u64) -> Half {
        Half::of(decode_message(&self.store.record_at(offset).unwrap()).unwrap()).unwrap()
    }

    /// Waits until everything appended is visible, as the check of a live broker finds it later.
    fn settle_down(&self) {
        let begin = std::time::Instant::now();
        while self.store.dispatch_behind() > 0 {
            assert!(begin.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn round(&self) -> Vec<Question> {
        self.settle_down();
        let mut asked = Vec::new();
        let reached = self.service.round(&|| false, &mut |question| asked.push(question));
        self.service.commit_positions(reached.positions);
        self.settle_down();
        asked
    }

    fn queue(&self, topic: &str, queue_id: i32) -> Vec<Message> {
        self.settle_down();
        let mut all = Vec::new();
        let mut offset = 0;
        while offset < self.store.queue_max(topic, queue_id) {
            let request = GetRequest { topic, queue_id, offset, max_nums: 32, max_bytes: None, filter: None };
            let got = self.store.get_blocking(&request);
            all.extend(got.messages.iter().map(|record| decode_message(record).unwrap()));
            offset = got.next_begin_offset;
        }
        all
    }

    fn end(&self, half: &Half, commit: bool) {
        if commit { self.service.commit(half) } else { self.service.roll_back(half) }.unwrap();
    }

    fn committed(&self) -> (Option<i64>, Option<i64>) {
        let of = |topic| self.offsets.get(GROUP, topic, QUEUE);
        (of(names::HALF_TOPIC), of(names::OP_HALF_TOPIC))
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

fn pairs(message: &Message) -> Vec<(String, String)> {
    let text = message.properties_str();
    Properties::parse(&text).iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn a_commit_stores_the_message_and_then_its_op_record() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let first = world.send(0, "");
    let half = world.send(1, "");
    assert_eq!((&*half.message.topic, half.message.queue_id), (names::HALF_TOPIC, 0));
    assert_eq!((half.message.sys_flag, half.message.queue_offset), (0, 1));
    assert_eq!(
        pairs(&half.message),
        [
            pair("PGROUP", "P"),
            pair("TRAN_MSG", "true"),
            pair("UNIQ_KEY", "u1"),
            pair("TAGS", "a"),
            pair("__transactionId__", "u1"),
            pair("REAL_TOPIC", "T"),
            pair("REAL_QID", "2"),
        ]
    );
    world.end(&half, true);
    world.end(&first, false);
    let [stored] = &world.queue("T", 2)[..] else { panic!("one message") };
    assert_eq!((stored.sys_flag, stored.flag), (flags::TRANSACTION_COMMIT, 7));
    assert_eq!(stored.prepared_transaction_offset, half.message.log_offset);
    assert_eq!(
        pairs(stored),
        [
            pair("PGROUP", "P"),
            pair("TRAN_MSG", "true"),
            pair("UNIQ_KEY", "u1"),
            pair("TAGS", "a"),
            pair("__transactionId__", "u1"),
        ]
    );
    let ops = world.queue(names::OP_HALF_TOPIC, 0);
    assert_eq!(ops.iter().map(|op| &op.body[..]).collect::<Vec<_>>(), [b"1", b"0"]);
    assert!(stored.log_offset < ops[0].log_offset);
    assert_eq!(pairs(&ops[0]), [pair("WAIT", "true"), pair("TAGS", "d")]);
    world.clock.advance_ms(TIMEOUT + 1);
    assert_eq!((world.round().len(), world.committed()), (0, (Some(2), Some(2))));
}

#[test]
fn a_delayed_message_is_delayed_when_it_is_committed() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let half = world.send(0, "DELAY\u{1}9\u{2}");
    assert_eq!(&*half.message.topic, names::HALF_TOPIC);
    world.end(&half, true);
    let [stored] = &world.queue(names::SCHEDULE_TOPIC, 0)[..] else { panic!("one message") };
    let text = stored.properties_str();
    let get = |key| raptormq_message::props::get(&text, key);
    assert_eq!((get("REAL_TOPIC"), get("REAL_QID"), get("DELAY")), (Some("T"), Some("2"), Some("1")));
    assert_eq!((get("TRAN_MSG"), stored.sys_flag), (None, flags::TRANSACTION_COMMIT));
}

#[test]
fn a_check_asks_with_a_copy_behind_the_others_and_gives_up_in_the_end() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let half = world.send(0, "WAIT\u{1}true\u{2}");
    world.clock.advance_ms(TIMEOUT);
    assert!(world.round().is_empty(), "not older than transactionTimeOut");
    assert_eq!(world.committed(), (None, None));
    world.clock.advance_ms(1);
    for times in 1..=3 {
        let [question] = &world.round()[..] else { panic!("one question") };
        let header = &question.header;
        assert_eq!((header.tran_state_table_offset, question.group.as_str()), (times, "P"));
        assert_eq!((header.msg_id.as_deref(), header.transaction_id.as_deref()), (Some("u0"), Some("u0")));
        assert_eq!(
            (header.topic.as_deref(), header.inherited.bname.as_deref()),
            (Some(names::HALF_TOPIC), Some("b"))
        );
        let shown = decode_message(&question.body).unwrap();
        assert_eq!((&*shown.topic, shown.queue_id, shown.queue_offset), ("T", 2, times));
        assert_eq!((shown.log_offset, shown.flag), (header.commit_log_offset, 7));
        assert_eq!(shown.store_timestamp, START + if times == 1 { 0 } else { TIMEOUT + 1 });
        assert_eq!(header.offset_msg_id.as_deref(), Some(shown.offset_msg_id().as_str()));
        let copy = world.half_at(u64::try_from(header.commit_log_offset).unwrap());
        assert_eq!(
            (copy.check_times(), copy.properties.get("WAIT")),
            (Some(i32::try_from(times).unwrap()), Some("true"))
        );
        assert!(pairs(&shown).contains(&pair("TRANSACTION_CHECK_TIMES", &times.to_string())));
        assert!(pairs(&shown).contains(&pair("WAIT", "false")));
        assert_eq!((copy.message.born_timestamp, copy.transaction()), (START, half.transaction()));
    }
    assert!(world.round().is_empty() && world.round().is_empty());
    let [given_up] = &world.queue(names::TRANS_CHECK_MAX_TIME_TOPIC, 0)[..] else { panic!("one message") };
    assert!(pairs(given_up).contains(&pair("TRANSACTION_CHECK_TIMES", "3")));
    assert_eq!(world.committed().0, Some(4));
    // Checked again on demand.
    let again = Half::of(given_up.clone()).unwrap().resumed();
    world.store.append(&again).unwrap();
    assert_eq!(world.round()[0].header.tran_state_table_offset, 5);
}

#[test]
fn an_immune_message_waits_without_holding_up_others_and_without_being_counted() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let immune = world.send(0, "CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}60\u{2}");
    let other = world.send(1, "CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}60\u{2}");
    world.send(2, "");
    for _ in 0..8 {
        world.clock.advance_ms(TIMEOUT + 1);
        let asked = world.round();
        assert!(asked.iter().all(|question| question.header.msg_id.as_deref() == Some("u2")), "{asked:?}");
    }
    // Its producer knows only the first.
    world.end(&immune, true);
    world.clock.advance_ms(60_000);
    let asked: Vec<_> =
        world.round().iter().map(|question| question.header.msg_id.clone().unwrap()).collect();
    assert_eq!(asked, ["u1"]);
    assert_eq!(world.queue("T", 2).len(), 1);
    assert_eq!(world.queue(names::TRANS_CHECK_MAX_TIME_TOPIC, 0).len(), 1, "u2 alone");
    drop(other);
}

#[test]
fn verdicts_are_javas() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let rules = Rules { timeout_ms: 6_000, check_max: 15, reserved_ms: 3_600_000 };
    for (n, (properties, age_ms, wanted)) in [
        ("", 0, Verdict::Wait),
        ("", 6_000, Verdict::Wait),
        ("", 6_001, Verdict::Check(1)),
        // The producer's clock is ahead.
        ("", -1, Verdict::Check(1)),
        ("", 3_600_001, Verdict::GiveUp(Some(1))),
        ("TRANSACTION_CHECK_TIMES\u{1}14\u{2}", 7_000, Verdict::Check(15)),
        ("TRANSACTION_CHECK_TIMES\u{1}15\u{2}", 7_000, Verdict::GiveUp(None)),
        ("TRANSACTION_CHECK_TIMES\u{1}x\u{2}", 7_000, Verdict::Check(0)),
        ("CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}1\u{2}", 1_000, Verdict::Immune),
        ("CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}1\u{2}", 1_001, Verdict::Check(1)),
        ("CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}-1\u{2}", 6_000, Verdict::Immune),
        ("CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}never\u{2}", 6_001, Verdict::Check(1)),
        ("CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}9223372036854775807\u{2}", 6_001, Verdict::Immune),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(verdict(&world.send(n, properties), age_ms, &rules), wanted, "{properties:?} {age_ms}");
    }
}

#[test]
fn javas_op_records_are_read() {
    let op = |tags: &str, body: &'static str| {
        let mut new = half::op(0, START, "127.0.0.1:1".parse().unwrap());
        new.properties = format!("TAGS\u{1}{tags}\u{2}").into();
        new.body = body.into();
        let record = raptormq_message::Prepared::new(&new, false).unwrap().to_vec(&new, &Default::default());
        half::settled_by(&decode_message(&record.into()).unwrap())
    };
    assert_eq!(op("d", "12"), [12]);
    assert_eq!(op("d", "1,0,4,3,6,7,"), [1, 0, 4, 3, 6, 7]);
    assert_eq!(op("d", ",x,5"), [5]);
    assert_eq!(op("e", "12"), [0; 0]);
}

fn ending(half: &Half) -> EndTransactionRequestHeader {
    EndTransactionRequestHeader {
        producer_group: "P".into(),
        tran_state_table_offset: half.message.queue_offset,
        commit_log_offset: half.message.log_offset,
        from_transaction_check: Some(false),
        ..Default::default()
    }
}

/// What an END_TRANSACTION with `header` finds, or how it is refused: code and remark.
fn found(
    world: &World,
    header: &EndTransactionRequestHeader,
    commit: bool,
) -> Result<Half, (ResponseCode, String)> {
    let found = world.service.look_up(header).and_then(|half| world.service.check_end(header, commit, half));
    found.map_err(|refusal| (refusal.code, refusal.remark))
}

#[test]
fn a_half_message_that_can_never_be_copied_is_asked_about_and_passed() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let room = 32_767 - world.send(0, "").message.properties.len();
    let full = world.send(1, &format!("F\u{1}{}\u{2}", "x".repeat(room - 5)));
    world.send(2, "");
    world.clock.advance_ms(TIMEOUT + 1);
    let asked = world.round();
    let ids: Vec<_> = asked.iter().map(|question| question.header.msg_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["u0", "u1", "u2"]);
    let header = &asked[1].header;
    assert_eq!(header.tran_state_table_offset, full.message.queue_offset);
    assert_eq!(header.commit_log_offset, full.message.log_offset);
    let shown = decode_message(&asked[1].body).unwrap();
    assert_eq!((&*shown.topic, shown.queue_id, &shown.body[..]), ("T", 2, &b"m1"[..]));
    assert_eq!(world.committed().0, Some(3));
    assert_eq!(world.round().len(), 2, "the others' copies");
    // Its producer can still decide.
    world.end(&found(&world, &ending(&full), true).unwrap(), true);
    let [stored] = &world.queue("T", 2)[..] else { panic!("one message") };
    assert_eq!(&stored.body[..], b"m1");
    world.round();
    world.round();
    assert_eq!(world.service.ledger.lock().remembered(), 0, "its op record is forgotten");
}

#[test]
fn a_lowered_limit_does_not_stop_the_check() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    world.send(0, "");
    world.store.reconfigure(StoreConfig { max_message_size: 1, ..world.store.config().clone() });
    world.clock.advance_ms(TIMEOUT + 1);
    let [question] = &world.round()[..] else { panic!("one question") };
    assert_eq!(question.header.tran_state_table_offset, 1, "about its copy");
}

#[test]
fn only_what_is_in_the_queue_of_half_messages_is_settled() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let half = world.send(0, "");
    assert_eq!(found(&world, &ending(&half), true).unwrap().message.log_offset, half.message.log_offset);
    // A message whose body is what the record of a half message would be.
    let at = world.store.commit_log_max() + 88;
    let mut inner = half.checked(1);
    inner.body = "forged".into();
    let place = raptormq_message::Positions { queue_offset: 0, log_offset: at, store_timestamp: START };
    let body = raptormq_message::Prepared::new(&inner, false).unwrap().to_vec(&inner, &place);
    let mut outer = half.checked(1);
    (outer.topic, outer.body) = ("O".into(), body.into());
    world.store.append(&outer).unwrap();
    let forged = world.half_at(at);
    assert_eq!(&forged.message.body[..], b"forged");
    world.settle_down();
    let refused = found(&world, &ending(&forged), true).unwrap_err();
    assert_eq!(refused, (ResponseCode::SYSTEM_ERROR, "The transaction state table offset wrong".to_owned()));
    assert!(world.service.at_hand(&ending(&forged)).is_none());
    assert!(world.service.at_hand(&ending(&half)).is_some());
}

#[test]
fn a_half_message_of_a_topic_that_is_the_brokers_is_not_committed() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let mut message = world.send(0, "").checked(0);
    message.properties =
        format!("PGROUP\u{1}P\u{2}REAL_TOPIC\u{1}{}\u{2}REAL_QID\u{1}0\u{2}", names::OP_HALF_TOPIC).into();
    let stored = world.store.append(&message).unwrap();
    let header = ending(&world.half_at(stored.log_offset));
    let (code, remark) = found(&world, &header, true).unwrap_err();
    assert_eq!(code, ResponseCode::NO_PERMISSION);
    assert_eq!(remark, "Sending message to topic[RMQ_SYS_TRANS_OP_HALF_TOPIC] is forbidden.");
    assert!(found(&world, &header, false).is_ok(), "it can be rolled back");
}

#[test]
fn who_is_too_late_is_told_so_before_anything_else() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path(), &clock());
    let half = world.send(0, "CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}1\u{2}");
    let mut header = ending(&half);
    header.producer_group = "another".into();
    let (code, remark) = found(&world, &header, true).unwrap_err();
    assert_eq!((code, remark.as_str()), (ResponseCode::SYSTEM_ERROR, "The producer group wrong"));
    world.clock.advance_ms(TIMEOUT + 1);
    assert_eq!(found(&world, &header, true).unwrap_err().0, ResponseCode::ILLEGAL_OPERATION);
    header.from_transaction_check = Some(true);
    assert_eq!(found(&world, &header, true).unwrap_err().0, ResponseCode::SYSTEM_ERROR);
}

#[test]
fn a_stop_commits_nothing_that_is_ahead_of_the_log() {
    let home = tempfile::tempdir().unwrap();
    let never = u64::from(u32::MAX);
    let flush = FlushMode::Async { interval_ms: never, least_pages: never, thorough_interval_ms: never };
    let world = World::open_with(home.path(), &clock(), flush);
    world.send(0, "");
    world.settle_down();
    world.clock.advance_ms(TIMEOUT + 1);
    world.service.round(&|| false, &mut |_| {});
    assert!(!world.service.commit_all(), "the copy is in memory only");
    assert_eq!(world.committed(), (None, None));
    world.store.flush().unwrap();
    assert!(world.service.commit_all());
    assert_eq!(world.committed().0, Some(1));
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Send {
        immune: bool,
    },
    /// Settles one of the transactions, by what the send was answered or by the last question.
    End {
        which: usize,
        commit: bool,
        by_question: bool,
    },
    /// The message is stored, and the process is killed before the op record is.
    CrashInCommit {
        which: usize,
    },
    Check,
    Wait {
        ms: i64,
    },
    Save,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => any::<bool>().prop_map(|immune| Step::Send { immune }),
        4 => (any::<usize>(), any::<bool>(), any::<bool>())
            .prop_map(|(which, commit, by_question)| Step::End { which, commit, by_question }),
        1 => any::<usize>().prop_map(|which| Step::CrashInCommit { which }),
        4 => Just(Step::Check),
        4 => (1_000i64..20_000).prop_map(|ms| Step::Wait { ms }),
        2 => Just(Step::Save),
        2 => Just(Step::Crash),
    ]
}

/// What the producer of a transaction knows of it.
struct Known {
    half: Half,
    question: Option<(i64, i64)>,
    ended: Option<bool>,
    /// Settled by the first half message while there was a copy.
    by_old_place: bool,
    /// A crash made the broker forget what the copy is a copy of, before it was settled.
    origin_forgotten: bool,
    /// Killed before its op record was stored.
    without_op: bool,
    given_up: bool,
}

impl Known {
    /// Whether the broker cannot know that it is settled.
    fn may_be_asked_again(&self) -> bool {
        self.without_op || (self.by_old_place && self.origin_forgotten)
    }
}

struct Model {
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
    world: Option<World>,
    known: Vec<Known>,
}

impl Model {
    fn world(&self) -> &World {
        self.world.as_ref().unwrap()
    }

    fn crash(&mut self) {
        self.world = None;
        self.world = Some(World::open(self.home.path(), &self.clock));
        for known in &mut self.known {
            known.origin_forgotten |= known.question.is_some() && known.ended.is_none();
        }
    }

    /// One check; every question is one that may be asked, and no transaction is asked about twice.
    fn check(&mut self) -> BTreeSet<usize> {
        let asked = self.world().round();
        let mut which = BTreeSet::new();
        for question in asked {
            let id: usize = question.header.msg_id.as_deref().unwrap()[1..].parse().unwrap();
            assert!(which.insert(id), "asked twice about {id} in one check");
            let known = &mut self.known[id];
            assert!(!known.given_up, "asked about {id}, which was given up");
            if known.ended.is_some() {
                assert!(known.may_be_asked_again(), "asked about {id}, which is settled");
            }
            known.question =
                Some((question.header.commit_log_offset, question.header.tran_state_table_offset));
        }
        let given_up: BTreeSet<usize> = self
            .world()
            .queue(names::TRANS_CHECK_MAX_TIME_TOPIC, 0)
            .iter()
            .map(|it| String::from_utf8_lossy(&it.body)[1..].parse().unwrap())
            .collect();
        for id in given_up {
            let known = &mut self.known[id];
            assert!(known.ended.is_none() || known.may_be_asked_again(), "{id} is settled, and was given up");
            known.given_up = true;
        }
        which
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Send { immune } => {
                let id = self.known.len();
                let extra = if *immune { "CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}30\u{2}" } else { "" };
                let half = self.world().send(id, extra);
                self.known.push(Known {
                    half,
                    question: None,
                    ended: None,
                    by_old_place: false,
                    origin_forgotten: false,
                    without_op: false,
                    given_up: false,
                });
            }
            Step::End { which, commit, by_question } => {
                let Some(id) = self.pending(*which) else { return };
                let question = self.known[id].question.filter(|_| *by_question);
                let half = match question {
                    Some((log_offset, queue_offset)) => {
                        let half = self.world().half_at(u64::try_from(log_offset).unwrap());
                        assert_eq!(half.message.queue_offset, queue_offset);
                        half
                    }
                    None => self.known[id].half.clone(),
                };
                self.world().end(&half, *commit);
                let known = &mut self.known[id];
                known.by_old_place = question.is_none() && known.question.is_some();
                known.ended = Some(*commit);
            }
            Step::CrashInCommit { which } => {
                let Some(id) = self.pending(*which) else { return };
                self.world().store.append(&self.known[id].half.committed(1)).unwrap();
                self.known[id].ended = Some(true);
                self.known[id].without_op = true;
                self.crash();
            }
            Step::Check => {
                self.check();
            }
            Step::Wait { ms } => self.clock.advance_ms(*ms),
            Step::Save => self.world().offsets.save(),
            Step::Crash => self.crash(),
        }
    }

    fn pending(&self, which: usize) -> Option<usize> {
        let pending: Vec<usize> = (0..self.known.len())
            .filter(|id| self.known[*id].ended.is_none() && !self.known[*id].given_up)
            .collect();
        (!pending.is_empty()).then(|| pending[which % pending.len()])
    }

    /// What consumers see: every committed transaction once, more often only where the broker could not know better;
    /// nothing else.
    fn verify(&self) {
        let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
        for message in self.world().queue("T", 2) {
            *seen.entry(String::from_utf8_lossy(&message.body)[1..].parse().unwrap()).or_default() += 1;
        }
        for (id, known) in self.known.iter().enumerate() {
            let times = seen.remove(&id).unwrap_or(0);
            assert_eq!(times, usize::from(known.ended == Some(true)), "how often {id} is visible");
        }
        assert!(seen.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_half_message_resolves_as_its_producer_says(steps in prop::collection::vec(step(), 1..60)) {
        let home = tempfile::tempdir().unwrap();
        let clock = clock();
        let world = Some(World::open(home.path(), &clock));
        let mut model = Model { home, clock, world, known: Vec::new() };
        for step in &steps {
            model.run(step);
        }
        model.verify();
        // In the end whoever is not settled is asked about, or was given up; nobody is forgotten.
        model.clock.advance_ms(3_000_000);
        let before: BTreeSet<usize> = (0..model.known.len())
            .filter(|id| model.known[*id].ended.is_none() && !model.known[*id].given_up)
            .collect();
        let asked = model.check();
        for id in before {
            prop_assert!(asked.contains(&id) || model.known[id].given_up, "nobody asks about {id}");
        }
        // Answered, they are settled for good, and the check comes to rest.
        for id in asked {
            let (log_offset, _) = model.known[id].question.unwrap();
            if model.known[id].ended.is_none() {
                let half = model.world().half_at(u64::try_from(log_offset).unwrap());
                model.world().end(&half, true);
                model.known[id].ended = Some(true);
            } else {
                let half = model.world().half_at(u64::try_from(log_offset).unwrap());
                model.world().end(&half, false);
            }
            (model.known[id].by_old_place, model.known[id].without_op) = (false, false);
        }
        model.verify();
        let halves = model.world().store.queue_next(names::HALF_TOPIC, 0);
        prop_assert!(model.check().is_empty());
        model.world().offsets.save();
        model.crash();
        model.check();
        prop_assert_eq!(model.world().store.queue_next(names::HALF_TOPIC, 0), halves, "stored once more at rest");
        let (half, op) = model.world().committed();
        prop_assert_eq!(half.unwrap_or(0), halves);
        prop_assert_eq!(op.unwrap_or(0), model.world().store.queue_max(names::OP_HALF_TOPIC, 0));
    }
}
