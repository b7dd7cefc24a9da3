//! `raptormq store`: looks into a store directory that no broker has open, Java's or ours.

mod export;
mod inspect;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use raptormq_base::properties;
use raptormq_broker::config::{Resolved, StoreSettings, parse_delay_levels};
use raptormq_runtime::detect_host;
use raptormq_store::offline::{Directory, Options, Summary, Verification, plan_rebuild, rebuild};

/// The store is sound, or the command did what it was asked.
const SOUND: i32 = 0;
/// There are problems.
const PROBLEMS: i32 = 1;
/// The directory cannot be read: a broker has it open, it is none, or it is in RocksDB.
const UNREADABLE: i32 = 2;

/// What to do with the directory.
#[derive(Subcommand)]
pub enum What {
    /// Tell what is there: files, ranges, topics, queues, gaps. Changes nothing.
    Inspect {
        #[command(flatten)]
        place: Place,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Compare everything with everything: checksums, queue units, index entries. Changes nothing. Exit code 0: sound,
    /// 1: problems, 2: cannot be read.
    Verify {
        #[command(flatten)]
        place: Place,
        /// Also list what a broker of this older version cannot read.
        #[arg(long = "for", value_name = "VERSION")]
        older: Option<Older>,
    },
    /// Make queues and index anew from the commit log. What was there is moved to a directory inside DIR.
    Rebuild {
        #[command(flatten)]
        place: Place,
        /// Do it; otherwise only tell what would be done.
        #[arg(long)]
        yes: bool,
        /// Go on even though the log is damaged and would end there; whole records behind the damage go to DIR/cutoff.
        #[arg(long)]
        accept_cut: bool,
    },
    /// Write messages as JSON lines, in the order of the commit log. Changes nothing. Instead of a directory, DIR may be
    /// a file with records that recovery has moved to cutoff/.
    Export {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        selection: export::Selection,
    },
}

/// A version of RocketMQ with which a store may have to be read.
#[derive(Clone, Copy, ValueEnum)]
pub enum Older {
    /// 4.9.7
    #[value(name = "4.9.7")]
    V4_9_7,
}

/// Which store.
#[derive(Args)]
pub struct Place {
    /// Directory of the store (storePathRootDir).
    dir: PathBuf,
    /// The broker's conf file: sizes, delay levels, commit log directories. Lengths are otherwise those of the files.
    #[arg(short = 'c', long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// Slots of an index file (maxHashSlotNum), when neither Java's default nor in a conf file.
    #[arg(long, requires = "index_items", value_name = "N")]
    index_slots: Option<u32>,
    /// Items of an index file (maxIndexNum).
    #[arg(long, requires = "index_slots", value_name = "N")]
    index_items: Option<u32>,
}

/// Runs a command; the exit code.
pub fn run(what: What) -> anyhow::Result<i32> {
    let outcome = match what {
        What::Inspect { place, json } => inspect::run(&place, json),
        What::Verify { place, older } => verify(&place, older),
        What::Rebuild { place, yes, accept_cut } => run_rebuild(&place, yes, accept_cut),
        What::Export { place, selection } => export::run(&place, &selection),
    };
    outcome.or_else(|error| {
        if is_closed_pipe(&error) {
            // Whoever read our output has seen enough.
            return Ok(SOUND);
        }
        eprintln!("{error:#}");
        Ok(UNREADABLE)
    })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

impl Place {
    fn open(&self) -> anyhow::Result<Directory> {
        Ok(Directory::open(&self.dir, self.options()?)?)
    }

    fn options(&self) -> anyhow::Result<Options> {
        let mut options = match &self.conf {
            Some(conf) => from_conf(conf, &self.dir).with_context(|| conf.display().to_string())?,
            None => Options::default(),
        };
        if let Some(sizes) = self.index_slots.zip(self.index_items) {
            ensure!(sizes.0 > 0 && sizes.1 > 1, "an index file has at least 1 slot and 2 items");
            options.index = Some(sizes);
        }
        Ok(options)
    }
}

/// What a conf file says about sizes and places.
fn from_conf(conf: &Path, dir: &Path) -> anyhow::Result<Options> {
    let mut config = Resolved::defaults(&detect_host(None));
    let warnings = config.load(&properties::parse(&std::fs::read(conf)?));
    for warning in warnings {
        eprintln!("{}:{}: {}: {}", conf.display(), warning.line, warning.key, warning.text);
    }
    let settings = StoreSettings::from_config(&config);
    let length = |bytes: i32| u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
    let index =
        u32::try_from(settings.max_hash_slot_num).ok().zip(u32::try_from(settings.max_index_num).ok());
    // A conf file of a copied store still names the original: its own log is below the copy.
    let usual = Path::new(&settings.store_path_root_dir).join("commitlog");
    let splitter = raptormq_runtime::store_options().path_splitter;
    let dirs = |text: &Option<String>| -> Vec<PathBuf> {
        let pieces = text.as_deref().unwrap_or_default().split(&*splitter).map(str::trim);
        let place = |piece: &str| {
            if Path::new(piece) == usual { dir.join("commitlog") } else { PathBuf::from(piece) }
        };
        pieces.filter(|piece| !piece.is_empty()).map(place).collect()
    };
    Ok(Options {
        commit_log_dirs: dirs(&settings.store_path_commit_log),
        read_only_commit_log_dirs: dirs(&settings.read_only_commit_log_store_paths),
        commit_log_file_size: length(settings.mapped_file_size_commit_log),
        consume_queue_file_size: length(settings.mapped_file_size_consume_queue)
            .map(|len| len.div_ceil(20) * 20),
        index: index.filter(|(slots, items)| *slots > 0 && *items > 1),
        delay_levels: Some(parse_delay_levels(&settings.message_delay_level)?),
    })
}

fn verify(place: &Place, older: Option<Older>) -> anyhow::Result<i32> {
    let directory = place.open()?;
    let for_4_9_7 = matches!(older, Some(Older::V4_9_7));
    report(&directory, &Verification { for_4_9_7 })
}

/// Verifies with a progress bar where stderr is a terminal: problems and a summary on stdout, the exit code.
fn report(directory: &Directory, request: &Verification) -> anyhow::Result<i32> {
    use std::io::Write;
    let bar = ProgressBar::new(directory.log_bytes());
    let style = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    let summary = directory.verify(request, &|bytes| bar.inc(bytes), &mut |problem| {
        if written.is_ok() {
            written = bar.suspend(|| writeln!(out, "{problem}"));
        }
    });
    bar.finish_and_clear();
    let summary = summary?;
    written?;
    for line in lines(&summary, request) {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(if summary.problems + summary.unreadable_by_older == 0 { SOUND } else { PROBLEMS })
}

fn lines(summary: &Summary, request: &Verification) -> Vec<String> {
    let mut lines = vec![
        format!(
            "commit log: {} files, {} records, {} bytes of records, {} to {}",
            summary.log_files, summary.records, summary.bytes, summary.log_min, summary.log_end
        ),
        format!(
            "queues: {}, {} units, {} extensions; index: {} entries",
            summary.queues, summary.units, summary.extensions, summary.index_items
        ),
    ];
    if summary.index_files_skipped > 0 {
        lines.push(format!(
            "{} index files were not verified: their length is not that of Java's defaults, say --conf or --index-slots and --index-items",
            summary.index_files_skipped
        ));
    }
    if request.for_4_9_7 {
        lines.push(format!("4.9.7 cannot use: {} records", summary.unreadable_by_older));
    }
    lines.push(format!(
        "problems: {}; left by an unclean end and repaired by the next start: {}",
        summary.problems, summary.repaired_by_start
    ));
    lines
}

fn run_rebuild(place: &Place, yes: bool, accept_cut: bool) -> anyhow::Result<i32> {
    let directory = place.open()?;
    let plan = plan_rebuild(&directory)?;
    let (root, backup) = (place.dir.display(), plan.backup.display());
    println!("{root}: {} records of the commit log go into new queues and a new index", plan.records);
    println!("moved to {backup}: {} files and directories", plan.moved.len());
    plan.moved.iter().for_each(|path| println!("  {}", path.display()));
    for (topic, id) in &plan.kept {
        println!("stays as it is: queue {topic} {id}");
    }
    let config = &plan.config;
    println!(
        "lengths: commit log {}, consume queue {}, index {} slots and {} items",
        config.commit_log_file_size, config.consume_queue_file_size, config.index_slots, config.index_items
    );
    if plan.delayed && place.conf.is_none() {
        println!(
            "delayed messages get their times of delivery from Java's default messageDelayLevel: use --conf if yours differs"
        );
    }
    if let Some(cut) = &plan.cut {
        println!("{cut}");
        if !accept_cut {
            println!(
                "nothing is done: the log would end there, and whole records behind it go to cutoff. With --accept-cut it is"
            );
            return Ok(PROBLEMS);
        }
    }
    if !yes {
        println!("nothing was done yet: add --yes");
        return Ok(SOUND);
    }
    // Recovery tells in the log what it finds.
    raptormq_runtime::init_logging();
    raptormq_runtime::raise_open_files();
    rebuild(directory, &plan, accept_cut)?;
    println!("rebuilt");
    report(&place.open()?, &Verification::default())
}
