use super::*;
use raptormq_base::clock::ManualClock;

fn subscription(topic: &str, expression: &str, version: i64) -> SubscriptionData {
    SubscriptionData {
        topic: topic.to_owned(),
        sub_string: expression.to_owned(),
        expression_type: SQL92.to_owned(),
        sub_version: version,
        ..SubscriptionData::default()
    }
}

struct Fixture {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::new(1_000_000)) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("consumerFilter.json")
    }

    fn open_with(&self, error_rate: i32, consumers: i32) -> FilterTable {
        let bloom = BloomFilter::new(error_rate, consumers).unwrap();
        FilterTable::peek(self.path(), bloom, self.clock.clone()).unwrap()
    }

    fn open(&self) -> FilterTable {
        self.open_with(20, 32)
    }
}

/// Version and expression of a filter, and whether its consumer is there.
fn state(table: &FilterTable, topic: &str, group: &str) -> Option<(i64, String, bool)> {
    let data = table.get(topic, group)?;
    Some((data.client_version(), data.data.expression.clone().unwrap(), !data.is_dead()))
}

fn alive(version: i64, expression: &str) -> Option<(i64, String, bool)> {
    Some((version, expression.to_owned(), true))
}

fn dead(version: i64, expression: &str) -> Option<(i64, String, bool)> {
    Some((version, expression.to_owned(), false))
}

#[test]
fn the_newest_version_counts() {
    let fixture = Fixture::new();
    let table = fixture.open();
    table.register("G", &[subscription("T", "a > 1", 5)]);
    assert_eq!(state(&table, "T", "G"), alive(5, "a > 1"));
    for (version, expression) in [(4, "a > 4"), (5, "a > 5")] {
        table.register("G", &[subscription("T", expression, version)]);
        assert_eq!(state(&table, "T", "G"), alive(5, "a > 1"), "version {version}");
    }
    table.register("G", &[subscription("T", "a > 6", 6)]);
    assert_eq!(state(&table, "T", "G"), alive(6, "a > 6"));
    table.register("G", &[subscription("T", "a >", 7)]);
    assert_eq!(state(&table, "T", "G"), None, "a wrong expression takes the old one away");
    table.register("G", &[subscription("T", "a > 8", 6)]);
    assert_eq!(state(&table, "T", "G"), alive(6, "a > 8"));
    let tags = SubscriptionData {
        sub_string: "A".into(),
        expression_type: "TAG".into(),
        ..subscription("T", "", 9)
    };
    table.register("G", &[tags]);
    assert_eq!(state(&table, "T", "G"), alive(6, "a > 8"), "tags leave it as it is, in Java too");
    let other = SubscriptionData { expression_type: "XPATH".into(), ..subscription("U", "a", 1) };
    table.register("G", &[other, subscription("V", "", 1)]);
    assert_eq!((state(&table, "U", "G"), state(&table, "V", "G")), (None, None));
}

#[test]
fn a_filter_dies_with_its_consumers_and_comes_back() {
    let fixture = Fixture::new();
    let table = fixture.open();
    table.register("G", &[subscription("T", "a > 1", 5), subscription("U", "a > 2", 5)]);
    table.register("H", &[subscription("T", "a > 3", 1)]);
    let born = table.get("T", "G").unwrap().data.born_time;
    fixture.clock.advance_ms(10);
    table.register("G", &[subscription("T", "a > 1", 5)]);
    assert_eq!(state(&table, "U", "G"), dead(5, "a > 2"), "the group names the topic no more");
    table.forget_unless(|group| group == "H");
    assert_eq!(state(&table, "T", "G"), dead(5, "a > 1"));
    assert_eq!(state(&table, "T", "H"), alive(1, "a > 3"));
    fixture.clock.advance_ms(10);
    for version in [5, 6] {
        table.register("G", &[subscription("T", "a > 1", version)]);
        assert_eq!(state(&table, "T", "G"), alive(version, "a > 1"));
        assert_eq!(table.get("T", "G").unwrap().data.born_time, born, "its bit maps go on to count");
        table.forget_unless(|_| false);
    }
    fixture.clock.advance_ms(99);
    table.clean_and_save(100);
    assert_eq!(state(&table, "T", "G"), dead(6, "a > 1"));
    fixture.clock.advance_ms(1);
    table.clean_and_save(100);
    assert!(table.topics.read().is_empty(), "forgotten after a while");
    assert_eq!(std::fs::read_to_string(fixture.path()).unwrap(), "{\n\t\"filterDataByTopic\":{}\n}");
}

#[test]
fn filters_survive_a_restart_as_those_of_consumers_that_have_gone() {
    let fixture = Fixture::new();
    let table = fixture.open();
    table.register("G", &[subscription("T", "a > 1 AND b = 'x'", 5)]);
    table.clean_and_save(1000);
    let text = std::fs::read_to_string(fixture.path()).unwrap();
    let expected = "{\n\t\"filterDataByTopic\":{\n\t\t\"T\":{\n\t\t\t\"groupFilterData\":{\n\t\t\t\t\"G\":{\n\t\t\t\t\t\
        \"bloomFilterData\":{\n\t\t\t\t\t\t\"bitNum\":112,\n\t\t\t\t\t\t\"bitPos\":[\n\t\t\t\t\t\t\t";
    assert!(text.starts_with(expected), "{text}");
    let position = table.bloom.positions("G#T")[0];
    assert!(text.contains(&format!("\"bitPos\":[\n\t\t\t\t\t\t\t{position},")), "{text}");
    let rest = "\n\t\t\t\t\t\t]\n\t\t\t\t\t},\n\t\t\t\t\t\"bornTime\":1000000,\n\t\t\t\t\t\"clientVersion\":5,\n\t\t\t\t\t\
        \"consumerGroup\":\"G\",\n\t\t\t\t\t\"dead\":false,\n\t\t\t\t\t\"deadTime\":0,\n\t\t\t\t\t\
        \"expression\":\"a > 1 AND b = 'x'\",\n\t\t\t\t\t\"expressionType\":\"SQL92\",\n\t\t\t\t\t\"topic\":\"T\"\n\t\t\t\t}\n\t\t\t},\n\
        \t\t\t\"topic\":\"T\"\n\t\t}\n\t}\n}";
    assert!(text.ends_with(rest), "{text}");

    fixture.clock.advance_ms(60_000);
    let table = fixture.open();
    assert_eq!(state(&table, "T", "G"), dead(5, "a > 1 AND b = 'x'"));
    let data = table.get("T", "G").unwrap();
    assert_eq!(data.data.dead_time, fixture.clock.wall_ms() - DEAD_BEFORE_LOAD_MS);
    assert!(data.compiled().unwrap().matches([("a", "2"), ("b", "x")]));
    assert_eq!(std::fs::read_to_string(fixture.path()).unwrap(), text, "opening writes nothing");
    let table = fixture.open_with(10, 32);
    assert_eq!(state(&table, "T", "G"), None, "other parameters, other positions");
}

#[test]
fn files_with_gaps_load() {
    let fixture = Fixture::new();
    let load = |text: &str| {
        std::fs::write(fixture.path(), text).unwrap();
        fixture.open()
    };
    for text in [
        "{}",
        "{\"filterDataByTopic\":{}}",
        "{\"filterDataByTopic\":{\"T\":null,\"U\":{\"groupFilterData\":{\"G\":null}}}}",
    ] {
        assert_eq!(state(&load(text), "T", "G"), None, "{text}");
    }
    let data = |expression: &str, kind: &str| {
        format!(
            "{{\"filterDataByTopic\":{{\"T\":{{\"groupFilterData\":{{\"G\":{{\"bloomFilterData\":{{\"bitNum\":112,\
             \"bitPos\":[1,2,3]}},\"expression\":\"{expression}\",\"expressionType\":\"{kind}\",\"deadTime\":5,\"bornTime\":9}}}}}}}}}}"
        )
    };
    let table = load(&data("a > 1", "SQL92"));
    assert_eq!(state(&table, "T", "G"), alive(0, "a > 1"), "a dead time before the birth");
    for (expression, kind) in [("a >", "SQL92"), ("a > 1", "XPATH")] {
        let table = load(&data(expression, kind));
        assert!(table.get("T", "G").unwrap().compiled().is_none(), "{expression} {kind}");
        assert_eq!(table.bit_map("T", "").map(|map| map.iter().map(|b| u32::from(*b)).sum()), Some(0u32));
    }
    let out_of_range = data("a > 1", "SQL92").replace("[1,2,3]", "[1,2,112]");
    assert_eq!(state(&load(&out_of_range), "T", "G"), None);
    std::fs::write(fixture.path(), "{\"filterDataByTopic\":[").unwrap();
    let bloom = BloomFilter::new(20, 32).unwrap();
    assert!(FilterTable::peek(fixture.path(), bloom, fixture.clock.clone()).is_err());
}

#[test]
fn bit_maps_hold_the_positions_of_those_who_want_the_message() {
    let fixture = Fixture::new();
    let table = fixture.open();
    assert_eq!(table.bit_map("T", ""), None, "nobody filters the topic");
    table.register("G", &[subscription("T", "a > 1", 5)]);
    table.register("H", &[subscription("T", "a > 3", 5)]);
    let hits = |properties: &str, group: &str| {
        let map = table.bit_map("T", properties).unwrap();
        assert_eq!(map.len(), 14);
        Bits::hit(&map, &table.get("T", group).unwrap().data.bloom_filter_data.as_ref().unwrap().bit_pos)
    };
    assert!(hits("a\u{1}5\u{2}", "G") && hits("a\u{1}5\u{2}", "H"));
    assert!(hits("a\u{1}2\u{2}", "G") && !hits("a\u{1}2\u{2}", "H"));
    assert!(!hits("a\u{1}x\u{2}", "G") && !hits("", "H"));
    let born = table.get("T", "G").unwrap();
    assert!(born.bloom_at(1_000_001).is_some() && born.bloom_at(1_000_000).is_none());
}

#[test]
fn expressions_of_pulls_are_compiled_once() {
    let fixture = Fixture::new();
    let table = fixture.open();
    let first = table.compile_cached("a = 1", SQL92).unwrap();
    for n in 0..(2 * CACHED) {
        let _ = table.compile_cached(&format!("a = {n}"), SQL92);
        assert!(Arc::ptr_eq(&first, &table.compile_cached("a = 1", SQL92).unwrap()), "{n}");
    }
    assert_eq!(table.cache.lock().compiled.len(), CACHED);
    assert!(table.compile_cached("a =", SQL92).is_err());
    assert_eq!(table.compile_cached("a = 1", "XPATH").unwrap_err(), CompileError::Type);
    let long = format!("a = '{}'", "x".repeat(CACHED_LEN_MAX));
    table.cache.lock().compiled.clear();
    assert!(table.compile_cached(&long, SQL92).is_ok());
    assert!(table.cache.lock().compiled.is_empty());
}

/// What one thread registers is not undone by another that looked at the table before.
#[test]
fn no_update_is_lost() {
    let fixture = Fixture::new();
    let table = fixture.open();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                table.forget_unless(|_| false);
            }
        });
        let registering: Vec<_> = (0..2)
            .map(|thread| {
                let table = &table;
                scope.spawn(move || {
                    for version in (thread + 1..6_000).step_by(2) {
                        table.register("G", &[subscription("T", &format!("a > {version}"), version)]);
                        let found = table.get("T", "G").unwrap().client_version();
                        if found < version {
                            return Err((version, found));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let results: Vec<_> = registering.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [Ok(()), Ok(())], "a version, and the older one that is there after it");
    });
    assert_eq!(table.get("T", "G").unwrap().client_version(), 5_999);
}

#[test]
fn who_comes_back_while_the_gone_are_looked_for_keeps_its_filter() {
    let fixture = Fixture::new();
    let table = fixture.open();
    table.register("G", &[subscription("T", "a > 1", 5)]);
    let looks = std::sync::atomic::AtomicUsize::new(0);
    // Not connected at the first look, and connected from then on.
    table.forget_unless(|_| looks.fetch_add(1, Ordering::SeqCst) > 0);
    assert_eq!(state(&table, "T", "G"), alive(5, "a > 1"));
    table.forget_unless(|_| false);
    assert_eq!(state(&table, "T", "G"), dead(5, "a > 1"));
}

/// Tells of each time that was asked for whether the table was locked for writing.
#[derive(Default)]
struct WatchingClock {
    table: std::sync::OnceLock<std::sync::Weak<FilterTable>>,
    locked: Mutex<Vec<bool>>,
}

impl Clock for WatchingClock {
    fn wall_ms(&self) -> i64 {
        if let Some(table) = self.table.get().and_then(std::sync::Weak::upgrade) {
            self.locked.lock().push(table.topics.try_read().is_none());
        }
        1_000_000
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

#[test]
fn a_filter_is_born_when_it_becomes_visible() {
    let fixture = Fixture::new();
    let clock = Arc::new(WatchingClock::default());
    let bloom = BloomFilter::new(20, 32).unwrap();
    let table = Arc::new(FilterTable::peek(fixture.path(), bloom, clock.clone()).unwrap());
    clock.table.set(Arc::downgrade(&table)).unwrap();
    table.register("G", &[subscription("T", "a > 1", 5)]);
    assert_eq!(*clock.locked.lock(), [true]);
}

#[test]
fn a_wrong_expression_that_comes_again_writes_nothing() {
    let fixture = Fixture::new();
    let table = fixture.open();
    table.register("G", &[subscription("T", "a > 1", 5)]);
    table.register("G", &[subscription("T", "a >", 6)]);
    table.clean_and_save(1000);
    assert_eq!(std::fs::read_to_string(fixture.path()).unwrap(), "{\n\t\"filterDataByTopic\":{}\n}");
    std::fs::remove_file(fixture.path()).unwrap();
    for version in [6, 7] {
        table.register("G", &[subscription("T", "a >", version)]);
        table.clean_and_save(1000);
        assert!(!fixture.path().exists(), "version {version}");
    }
}
