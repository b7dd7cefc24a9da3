//! One random change to a store directory.

use std::path::{Path, PathBuf};

use raptormq_message::layout::{MAGIC_BLANK, MAGIC_V1, MAGIC_V2};
use raptormq_message::{Checks, Decoded, decode};

use super::load;

pub struct Random(u64);

impl Random {
    /// Neighbouring seeds give unrelated numbers.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 11) % end.max(1) as u64) as usize
    }

    /// A number that a field may hold after damage: small, huge, negative, any.
    fn number(&mut self) -> i64 {
        match self.below(6) {
            0 => 0,
            1 => i64::MAX - self.below(3) as i64,
            2 => -(self.below(100) as i64) - 1,
            3 => self.below(10_000) as i64,
            4 => 1 << self.below(63),
            _ => self.next() as i64,
        }
    }
}

/// Changes something below `root` and tells what.
pub fn change(random: &mut Random, root: &Path) -> String {
    let mut files = load::files(root);
    // Files that only Java's broker reads.
    files.retain(|name| !name.starts_with("rocksdbstore") && !name.starts_with("timerwheel"));
    if files.is_empty() {
        return "nothing is left".to_owned();
    }
    // Every kind of file as often as any other, whatever their numbers are.
    let kinds = ["commitlog", "consumequeue", "index", "checkpoint", ""];
    let kind = kinds[random.below(kinds.len())];
    let of_kind: Vec<&PathBuf> = files.iter().filter(|name| name.starts_with(kind)).collect();
    let name = match of_kind.len() {
        0 => &files[random.below(files.len())],
        len => of_kind[random.below(len)],
    };
    let path = root.join(name);
    let what = match random.below(20) {
        0 => rename(random, &path),
        1 => remove(random, &path),
        2 => swap(random, &path, root, &files),
        3 => length(random, &path),
        4 => stranger(random, &path),
        _ => content(random, &path),
    };
    format!("{}: {what}", name.display())
}

fn rename(random: &mut Random, path: &Path) -> String {
    let name = match random.below(5) {
        0 => "x.tmp".to_owned(),
        1 => raptormq_message::file_name(random.number() as u64),
        2 => "7".to_owned(),
        3 => "99999999999999999999".to_owned(),
        _ => "-1".to_owned(),
    };
    let to = path.with_file_name(&name);
    if !to.exists() {
        std::fs::rename(path, to).unwrap();
    }
    format!("renamed to {name}")
}

fn remove(random: &mut Random, path: &Path) -> String {
    if random.below(3) == 0
        && path.ancestors().nth(1).is_some_and(|dir| dir.file_name().is_some_and(|it| it != "config"))
    {
        let dir = path.parent().unwrap();
        // Not the store itself.
        if dir.join("commitlog").exists() || dir.join("checkpoint").exists() {
            return "stays".to_owned();
        }
        std::fs::remove_dir_all(dir).unwrap();
        return "its directory removed".to_owned();
    }
    std::fs::remove_file(path).unwrap();
    "removed".to_owned()
}

fn swap(random: &mut Random, path: &Path, root: &Path, files: &[PathBuf]) -> String {
    let other = root.join(&files[random.below(files.len())]);
    let between = path.with_file_name("swapped");
    if other != path {
        std::fs::rename(path, &between).unwrap();
        std::fs::rename(&other, path).unwrap();
        std::fs::rename(&between, &other).unwrap();
    }
    format!("swapped with {}", other.strip_prefix(root).unwrap().display())
}

fn length(random: &mut Random, path: &Path) -> String {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let len = file.metadata().unwrap().len() as usize;
    let new = match random.below(4) {
        0 => 0,
        1 => len + 1 + random.below(64),
        2 => random.below(64).min(len),
        _ => random.below(len),
    };
    file.set_len(new as u64).unwrap();
    format!("length {len} made {new}")
}

fn stranger(random: &mut Random, path: &Path) -> String {
    let dir = path.parent().unwrap();
    match random.below(4) {
        0 => std::fs::write(dir.join("99999999999999990000"), []).unwrap(),
        1 => std::fs::write(dir.join("note.txt"), "by hand").unwrap(),
        2 => std::fs::create_dir_all(dir.join("a directory/1")).unwrap(),
        // The file that comes next, empty: what a crash during its creation leaves.
        _ => {
            let len = path.metadata().unwrap().len();
            let start = path.file_name().unwrap().to_str().and_then(|name| name.parse::<u64>().ok());
            let next = raptormq_message::file_name(start.unwrap_or(0).saturating_add(len));
            if !dir.join(&next).exists() {
                std::fs::write(dir.join(next), []).unwrap();
            }
        }
    }
    "a stranger beside it".to_owned()
}

fn content(random: &mut Random, path: &Path) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    if bytes.is_empty() {
        return "empty".to_owned();
    }
    let data_end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // Mostly where there is something.
    let reach = if random.below(4) == 0 { bytes.len() } else { (data_end + 40).min(bytes.len()) };
    let at = random.below(reach);
    let most = [1, 8, 24, 300, 5_000][random.below(5)];
    let end = (at + 1 + random.below(most)).min(bytes.len());
    let what = match random.below(12) {
        0 | 1 => {
            bytes[at] ^= 1 << random.below(8);
            format!("byte {at} flipped")
        }
        2 => {
            bytes[at..end].fill(0);
            format!("{at}..{end} zeroed")
        }
        3 => {
            bytes[at..end].fill(0xFF);
            format!("{at}..{end} all ones")
        }
        4 => {
            (at..end).for_each(|at| bytes[at] = random.next() as u8);
            format!("{at}..{end} garbage")
        }
        5 => {
            bytes[at..].fill(0);
            format!("zeroed from {at} on")
        }
        6 => {
            // Also over the end: a stale tail, or a record twice.
            let from = random.below(data_end);
            let len = (end - at).min(bytes.len() - from);
            let to = at.min(bytes.len() - len);
            bytes.copy_within(from..from + len, to);
            format!("{len} bytes of {from} copied to {at}")
        }
        7 => {
            let number = random.number().to_be_bytes();
            let aligned = at / 4 * 4;
            bytes[aligned..].iter_mut().zip(number).for_each(|(byte, new)| *byte = new);
            format!("a number at {aligned}")
        }
        8 => {
            let unit = at / 20 * 20;
            let mut new = random.number().to_be_bytes().to_vec();
            new.extend((random.number() as i32).to_be_bytes());
            new.extend(random.number().to_be_bytes());
            bytes[unit..].iter_mut().zip(new).for_each(|(byte, new)| *byte = new);
            format!("a unit at {unit}")
        }
        9 => {
            let magic = [MAGIC_V1, MAGIC_V2, MAGIC_BLANK][random.below(3)].to_be_bytes();
            bytes[at..].iter_mut().zip(magic).for_each(|(byte, new)| *byte = new);
            format!("a magic number at {at}")
        }
        _ => record(random, &mut bytes, data_end),
    };
    std::fs::write(path, bytes).unwrap();
    what
}

/// Changes a field of a whole record, or appends an earlier one behind the last one.
fn record(random: &mut Random, bytes: &mut [u8], data_end: usize) -> String {
    let (mut at, mut places) = (0, Vec::new());
    while let Ok(Decoded::Record(record)) = decode(&bytes[at..], Checks::Sizes) {
        places.push((at, record.len));
        at += record.len;
    }
    if places.is_empty() {
        let at = random.below(data_end);
        bytes[at] ^= 0xFF;
        return format!("byte {at} inverted");
    }
    let (place, len) = places[random.below(places.len())];
    if random.below(3) == 0 && at + len <= bytes.len() {
        bytes.copy_within(place..place + len, at);
        if random.below(2) == 0 {
            // One that says it belongs there.
            let start = i64::from_be_bytes(bytes[place + 28..place + 36].try_into().unwrap()) - place as i64;
            bytes[at + 28..at + 36].copy_from_slice(&(start + at as i64).to_be_bytes());
        }
        return format!("the record at {place} again at {at}");
    }
    // Queue id, queue offset, log offset, store timestamp with IPv4, body length: no checksum covers them.
    let field = [12, 20, 28, 36, 56, 84][random.below(6)];
    let number = random.number().to_be_bytes();
    let wide = if field == 12 || field == 84 || field == 36 { 4 } else { 8 };
    bytes[place + field..place + field + wide].copy_from_slice(&number[8 - wide..]);
    format!("field {field} of the record at {place}")
}
