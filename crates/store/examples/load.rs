//! Writes messages into a store directory and says what each append cost.
//!
//! `load <dir> <messages> [topics=4] [queues=4] [body=1024] [threads=1] [file-mib=1024] [sync=false] [keys=true]
//! [thorough-ms=60000] [pause-ms=0] [end=stop|crash|abort]`: `pause-ms` waits when half is written; `stop` closes cleanly, `crash` leaves as after a kill of the process, `abort` kills it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raptormq_base::clock::{Clock, SystemClock};
use raptormq_message::NewMessage;
use raptormq_store::{FlushMode, Store, StoreConfig};

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().expect("usage: load <dir> <messages> [key=value …]"));
    let count: u64 = args.next().expect("number of messages").parse().expect("number of messages");
    let options: Vec<(String, String)> = args
        .filter_map(|arg| arg.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect();
    let option = |name: &str| options.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let number = |name, default: u64| option(name).map_or(default, |value| value.parse().expect(name));

    let (topics, queues) = (number("topics", 4), number("queues", 4));
    let (body, threads) = (number("body", 1024) as usize, number("threads", 1));
    let mut config = StoreConfig::at(&dir);
    config.commit_log_file_size = number("file-mib", 1024) << 20;
    if option("sync") == Some("true") {
        config.flush = FlushMode::Sync { timeout_ms: 5_000 };
    }
    config.consume_queue_flush_thorough_interval_ms = number("thorough-ms", 60_000);
    let pause = Duration::from_millis(number("pause-ms", 0));
    let keys = option("keys") != Some("false");
    let clock = Arc::new(SystemClock::new());
    let begin = Instant::now();
    let store = Store::open(config, clock.clone(), |_| {}).expect("open");
    println!("open: {:?}, log {}..{}", begin.elapsed(), store.commit_log_min(), store.commit_log_max());

    let names: Vec<Arc<str>> = (0..topics).map(|topic| Arc::from(format!("Load{topic}"))).collect();
    let body = Bytes::from(vec![b'x'; body]);
    let begin = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let (store, names, body, clock) = (store.clone(), names.clone(), body.clone(), clock.clone());
            std::thread::spawn(move || {
                let mut worst = Duration::ZERO;
                let mut spent = Duration::ZERO;
                for n in (thread..count).step_by(threads as usize) {
                    let properties = if keys {
                        format!("UNIQ_KEY\u{1}7F000001ABCD18B4AAC2{n:012X}\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}KEYS\u{1}k{n}\u{2}")
                    } else {
                        "WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}".to_owned()
                    };
                    let message = NewMessage {
                        topic: names[(n % topics) as usize].clone(),
                        queue_id: (n / topics % queues) as i32,
                        flag: 0,
                        sys_flag: 0,
                        born_timestamp: clock.wall_ms(),
                        born_host: "127.0.0.1:40000".parse().expect("address"),
                        store_host: "127.0.0.1:10911".parse().expect("address"),
                        reconsume_times: 0,
                        prepared_transaction_offset: 0,
                        body: body.clone(),
                        properties: Bytes::from(properties),
                    };
                    if n == count / 2 {
                        std::thread::sleep(pause);
                    }
                    let one = Instant::now();
                    store.append(&message).expect("append");
                    let took = one.elapsed();
                    spent += took;
                    worst = worst.max(took);
                }
                (spent, worst)
            })
        })
        .collect();
    let results: Vec<_> = workers.into_iter().map(|worker| worker.join().expect("worker")).collect();
    let elapsed = begin.elapsed();
    let spent: Duration = results.iter().map(|(spent, _)| *spent).sum();
    let worst = results.iter().map(|(_, worst)| *worst).max().unwrap_or_default();
    println!(
        "{count} messages in {elapsed:?}: {} ns per append, worst {worst:?}, log end {}, not dispatched {}",
        spent.as_nanos() / u128::from(count.max(1)),
        store.commit_log_max(),
        store.dispatch_behind()
    );
    match option("end") {
        Some("abort") => std::process::abort(),
        Some("crash") => drop(store),
        _ => {
            let begin = Instant::now();
            store.stop().expect("stop");
            println!("stop: {:?}", begin.elapsed());
        }
    }
}
