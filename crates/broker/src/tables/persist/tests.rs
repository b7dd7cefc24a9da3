use super::*;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

type Table = BTreeMap<i32, i64>;

fn table(value: i64) -> Table {
    // Long enough to be torn in the middle.
    (0..40).map(|key| (key, value)).collect()
}

fn text(value: i64) -> String {
    pretty(&json::to_string(&table(value)))
}

#[test]
fn the_text_is_that_of_fastjsons_pretty_format() {
    let compact = r#"{"a":{},"l":["x","y"],"t":{0:5,3:10},"s":"q\"{,}\\"}"#;
    let expected = "{\n\t\"a\":{},\n\t\"l\":[\n\t\t\"x\",\n\t\t\"y\"\n\t],\n\t\"t\":{\n\t\t0:5,\n\t\t3:10\n\t},\n\t\"s\":\"q\\\"{,}\\\\\"\n}";
    assert_eq!(pretty(compact), expected);
}

#[test]
fn what_an_editor_leaves_in_a_table_is_skipped() {
    for (text, plain) in [
        ("\u{feff}{1:2}", "{1:2}"),
        ("// a\n{1:/* b */2} // c", "\n{1:2} "),
        (r#"{"a//b":"c\"/*d*/"}/*"#, r#"{"a//b":"c\"/*d*/"}"#),
        (r"{'a\'//b':1}//", r"{'a\'//b':1}"),
        ("/", "/"),
        ("a/b//", "a/b"),
        ("\"//", "\"//"),
    ] {
        assert_eq!(without_comments(text), plain, "{text}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.json");
    fs::write(&path, "\u{feff}// by hand\n{1:/*one*/10}").unwrap();
    assert_eq!(load::<Table>(&path).unwrap(), Some(Table::from([(1, 10)])));
}

#[test]
fn a_cut_file_falls_back_to_its_backup_and_two_cut_files_refuse() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config").join("t.json");
    let backup = with_suffix(&path, ".bak");
    assert_eq!(load::<Table>(&path).unwrap(), None);
    save(&path, &table(10)).unwrap();
    save(&path, &table(11)).unwrap();
    assert_eq!(load::<Table>(&path).unwrap(), Some(table(11)));
    fs::write(&path, "").unwrap();
    assert_eq!(load::<Table>(&path).unwrap(), Some(table(10)), "an empty file");
    fs::remove_file(&path).unwrap();
    assert_eq!(load::<Table>(&path).unwrap(), Some(table(10)), "a missing file");
    fs::write(&path, [0; 512]).unwrap();
    assert_eq!(load::<Table>(&path).unwrap(), Some(table(10)), "zeros, as after a loss of power");
    fs::write(&path, "{1:1").unwrap();
    assert_eq!(load::<Table>(&path).unwrap(), Some(table(10)), "a cut file");
    assert_eq!(fs::read(with_suffix(&path, ".unreadable")).unwrap(), b"{1:1", "is kept for its owner");

    save(&path, &table(12)).unwrap();
    assert_eq!(fs::read_to_string(&backup).unwrap(), text(10), "what cannot be read is no backup");

    fs::write(&path, "{1:1").unwrap();
    fs::write(&backup, "nonsense").unwrap();
    let refused = load::<Table>(&path).unwrap_err().to_string();
    assert!(refused.contains("t.json: ") && refused.contains("t.json.bak: "), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"{1:1", "nothing is touched");
    fs::remove_file(&backup).unwrap();
    assert!(load::<Table>(&path).is_err());
    fs::remove_file(&path).unwrap();
    fs::write(&backup, "nonsense").unwrap();
    assert!(load::<Table>(&path).is_err(), "an unreadable backup alone");
}

/// The operating system's files until the step at which the process is killed or the disk is full.
struct Faulty {
    steps: Cell<usize>,
    at: usize,
    /// How many bytes of a write at that step reach the file.
    torn: usize,
    /// Whether the steps after it fail, too.
    killed: bool,
}

impl Faulty {
    fn new(at: usize, torn: usize, killed: bool) -> Self {
        Self { steps: Cell::new(0), at, torn, killed }
    }

    /// Whether this step goes wrong.
    fn step(&self) -> bool {
        let step = self.steps.get();
        self.steps.set(step + 1);
        step == self.at || (self.killed && step > self.at)
    }

    fn guard<T>(&self, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.step() { Err(io::ErrorKind::StorageFull.into()) } else { step() }
    }
}

impl Files for Faulty {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.guard(|| OsFiles.read(path))
    }

    fn write_synced(&self, path: &Path, content: &[u8], like: &Path) -> io::Result<()> {
        if !self.step() {
            return OsFiles.write_synced(path, content, like);
        }
        if self.steps.get() - 1 == self.at {
            fs::write(path, &content[..self.torn.min(content.len())])?;
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.guard(|| OsFiles.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.guard(|| OsFiles.remove(path))
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.guard(|| OsFiles.create_dirs(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.guard(|| OsFiles.sync_dir(dir))
    }
}

/// Suffixes and texts.
type Beside = Vec<(&'static str, String)>;

/// What a directory holds before a save, as files beside `t.json`, and the table that it loads.
fn states() -> [(Beside, Option<i64>); 5] {
    let cut = |value| text(value)[..60].to_owned();
    [
        (vec![], None),
        (vec![("", text(1))], Some(1)),
        (vec![("", text(2)), (".bak", text(1))], Some(2)),
        (vec![("", cut(2)), (".bak", text(1))], Some(1)),
        (vec![(".bak", text(1)), (".tmp", cut(3))], Some(1)),
    ]
}

fn lay_out(files: &[(&str, String)]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.json");
    for (suffix, text) in files {
        fs::write(with_suffix(&path, suffix), text).unwrap();
    }
    (directory, path)
}

#[test]
fn a_kill_or_a_full_disk_at_any_step_leaves_the_old_or_the_new_table() {
    let mut cases = 0;
    for (files, old) in states() {
        for killed in [true, false] {
            for torn in [0, 1, 100, usize::MAX] {
                for at in 0.. {
                    let (_directory, path) = lay_out(&files);
                    let faulty = Faulty::new(at, torn, killed);
                    // A start that is killed on its way, then a save, then a start that is not.
                    let loaded = load_on::<Table>(&faulty, &path);
                    let saved = loaded.is_ok().then(|| save_on(&faulty, &path, &text(9)));
                    let steps = faulty.steps.get();
                    let after = load::<Table>(&path).unwrap().map(|table| table[&0]);
                    assert!(after == old || after == Some(9), "{files:?} {at} {torn}: {after:?}");
                    if saved.is_some_and(|saved| saved.is_ok()) {
                        assert_eq!(after, Some(9), "a save that says so has happened");
                    }
                    if !killed {
                        save(&path, &table(10)).unwrap();
                        assert_eq!(load::<Table>(&path).unwrap(), Some(table(10)), "space came back");
                    }
                    cases += 1;
                    if at >= steps {
                        break;
                    }
                }
            }
        }
    }
    assert!(cases > 300, "{cases}");
}

/// Files of which a loss of power keeps, name by name, any content since the last sync of the directory.
#[derive(Default)]
struct Volatile(RefCell<BTreeMap<PathBuf, Vec<Option<Vec<u8>>>>>);

impl Volatile {
    fn now(&self, path: &Path) -> Option<Vec<u8>> {
        self.0.borrow().get(path).and_then(|history| history.last().cloned().flatten())
    }

    fn set(&self, path: &Path, content: Option<Vec<u8>>) {
        self.0.borrow_mut().entry(path.to_owned()).or_insert_with(|| vec![None]).push(content);
    }
}

impl Files for Volatile {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.now(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write_synced(&self, path: &Path, content: &[u8], _: &Path) -> io::Result<()> {
        self.set(path, Some(content.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.read(from)?;
        self.set(to, Some(content));
        self.set(from, None);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.set(path, None);
        Ok(())
    }

    fn create_dirs(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        for history in self.0.borrow_mut().values_mut() {
            history.drain(..history.len() - 1);
        }
        Ok(())
    }
}

#[test]
fn a_loss_of_power_leaves_the_old_or_the_new_table() {
    let path = PathBuf::from("t.json");
    let backup = with_suffix(&path, ".bak");
    let mut outcomes = BTreeSet::new();
    for (files, old) in states() {
        let before = Volatile::default();
        for (suffix, text) in &files {
            before.set(&with_suffix(&path, suffix), Some(text.clone().into_bytes()));
        }
        before.sync_dir(Path::new("")).unwrap();
        let loaded = load_on::<Table>(&before, &path).unwrap().map(|table| table[&0]);
        assert_eq!(loaded, old);
        // The save ends without the sync of its directory.
        let saving = Unsynced(before);
        save_on(&saving, &path, &text(9)).unwrap();
        let histories = |path: &Path| saving.0.0.borrow().get(path).cloned().unwrap_or_else(|| vec![None]);
        for main in histories(&path) {
            for backed_up in histories(&backup) {
                let after = Volatile::default();
                after.set(&path, main.clone());
                after.set(&backup, backed_up);
                let table = load_on::<Table>(&after, &path).unwrap().map(|table| table[&0]);
                assert!(table == old || table == Some(9), "{files:?}: {table:?}");
                outcomes.insert(table);
            }
        }
    }
    assert!(outcomes.len() >= 4, "{outcomes:?}");
}

/// A directory whose sync does nothing.
struct Unsynced(Volatile);

impl Files for Unsynced {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }
    fn write_synced(&self, path: &Path, content: &[u8], like: &Path) -> io::Result<()> {
        self.0.write_synced(path, content, like)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dirs(dir)
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}
