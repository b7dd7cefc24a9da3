use super::*;
use proptest::prelude::*;
use std::path::Path;

const FILE: u64 = 64;

fn ext(dir: &Path, last: Option<i64>) -> Ext {
    let ext = Ext::new(Fs::default(), dir.join("T/0"), FILE);
    ext.load(|_| last).unwrap();
    ext
}

fn tags(ext: &Ext, address: i64) -> Option<i64> {
    ext.get(address, Wait::Yes).unwrap().map(|unit| unit.tags_code)
}

#[test]
fn addresses_are_javas() {
    assert_eq!(address_of(34), 0x8000_0000_0000_0022u64 as i64);
    assert_eq!(place_of(0x8000_0000_0000_0022u64 as i64), Some(34));
    for code in [0, -1, i64::from(i32::MIN), i64::MAX, i64::from(i32::MAX)] {
        assert!(!is_address(code) && place_of(code).is_none(), "{code}");
    }
    assert!(is_address(i64::MIN) && is_address(MAX_ADDRESS));
    assert_eq!(MAX_PLACE, 0x7FFF_FFFF_7FFF_FFFF);
}

#[test]
fn extensions_are_found_and_files_end_as_javas_do() {
    let dir = tempfile::tempdir().unwrap();
    let ext = ext(dir.path(), None);
    let addresses: Vec<i64> = (0..7).map(|n| ext.put(n, 100 + n, &[]).unwrap()).collect();
    // 64 - 4 bytes hold three of twenty.
    let places: Vec<u64> = addresses.iter().map(|address| place_of(*address).unwrap()).collect();
    assert_eq!(places, [0, 20, 40, 64, 84, 104, 128]);
    let found = |ext: &Ext| addresses.iter().map(|address| tags(ext, *address)).collect::<Vec<_>>();
    let expected: Vec<_> = (0..7).map(Some).collect();
    assert_eq!(found(&ext), expected);
    ext.stream().write().unwrap();
    assert_eq!(found(&ext), expected);
    let first = std::fs::read(dir.path().join("T/0/00000000000000000000")).unwrap();
    assert_eq!((first.len(), &first[60..]), (64, &[0xFF, 0xFF, 0, 0][..]));
    assert_eq!(&first[20..40], ExtUnit::encode(1, 101, &[]));
    drop(ext);

    let again = self::ext(dir.path(), Some(addresses[4]));
    assert_eq!(tags(&again, addresses[4]), Some(4));
    assert_eq!(tags(&again, addresses[5]), None, "what no unit points to is cut");
    assert_eq!(again.put(50, 1, &[1; 41]), None, "too long for a file");
    assert_eq!(again.put(50, 1, &[1; 20]).and_then(place_of), Some(128), "40 bytes go to the next file");
}

#[test]
fn without_an_address_the_end_is_found_by_a_walk() {
    let dir = tempfile::tempdir().unwrap();
    let ext = ext(dir.path(), None);
    let addresses: Vec<i64> = (0..4).map(|n| ext.put(n, 1, &[]).unwrap()).collect();
    ext.stream().write().unwrap();
    drop(ext);
    let again = self::ext(dir.path(), None);
    assert_eq!(tags(&again, addresses[3]), Some(3));
    assert_eq!(again.put(9, 1, &[]).and_then(place_of), Some(84));
    let lost = self::ext(dir.path(), Some(address_of(10_000)));
    assert_eq!(tags(&lost, addresses[3]), Some(3), "an address that is not there cuts nothing");
}

#[test]
fn what_is_said_of_a_message_whose_extension_is_lost_is_not_said_of_another() {
    for files in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        let ext = ext(dir.path(), None);
        let addresses: Vec<i64> = (0..8).map(|n| ext.put(n, 1, &[]).unwrap()).collect();
        ext.stream().write().unwrap();
        drop(ext);
        for start in [0, 64, 128].iter().skip(files) {
            std::fs::remove_file(dir.path().join("T/0").join(raptormq_message::file_name(*start))).unwrap();
        }
        let again = self::ext(dir.path(), Some(addresses[7]));
        let new: Vec<i64> = (0..4).map(|n| again.put(50 + n, 1, &[]).unwrap()).collect();
        let check = |ext: &Ext| {
            let old: Vec<_> = addresses.iter().map(|address| tags(ext, *address)).collect();
            let kept = 3 * files;
            assert!(
                old[..kept].iter().all(Option::is_some) && old[kept..].iter().all(Option::is_none),
                "{old:?}"
            );
            assert_eq!(new.iter().map(|it| tags(ext, *it)).collect::<Vec<_>>(), [50, 51, 52, 53].map(Some));
        };
        check(&again);
        again.stream().write().unwrap();
        check(&again);
        check(&self::ext(dir.path(), Some(new[3])));
        check(&self::ext(dir.path(), None));
    }
}

#[test]
fn files_before_the_first_unit_go() {
    let dir = tempfile::tempdir().unwrap();
    let ext = ext(dir.path(), None);
    let addresses: Vec<i64> = (0..12).map(|n| ext.put(n, 1, &[]).unwrap()).collect();
    ext.stream().write().unwrap();
    assert_eq!(ext.delete_before(5).unwrap(), 0, "a tag's hash is no address");
    assert_eq!(ext.delete_before(addresses[7]).unwrap(), 2);
    assert_eq!((tags(&ext, addresses[0]), tags(&ext, addresses[6])), (None, Some(6)));
    assert_eq!(ext.delete_before(addresses[11]).unwrap(), 1, "the last file stays");
    assert_eq!(tags(&ext, addresses[11]), Some(11));
}

#[test]
fn bit_maps_are_read_and_written_as_java_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("T/0");
    std::fs::create_dir_all(&path).unwrap();
    let mut bytes = ExtUnit::encode(77, 1, &[9; 14]);
    assert_eq!(bytes.len(), 34);
    bytes.resize(FILE as usize, 0);
    std::fs::write(path.join("00000000000000000000"), bytes).unwrap();
    let ext = ext(dir.path(), Some(address_of(0)));
    assert_eq!(tags(&ext, address_of(0)), Some(77));
    assert_eq!(ext.bit_map(address_of(0), Wait::Yes).unwrap(), Some((1, vec![9; 14])));
    let next = ext.put(78, 2, &[]).unwrap();
    assert_eq!(place_of(next), Some(34));
    assert_eq!(ext.bit_map(next, Wait::Yes).unwrap(), Some((2, vec![])));
    let mapped = ext.put(79, 3, &[7, 8]).unwrap();
    assert_eq!(ext.bit_map(mapped, Wait::Yes).unwrap(), Some((3, vec![7, 8])));
    assert_eq!(ext.bit_map(address_of(5000), Wait::Yes).unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_open(bytes in prop::collection::vec(any::<u8>(), FILE as usize), last: Option<i64>, at: i64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("T/0");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("00000000000000000000"), &bytes).unwrap();
        let ext = ext(dir.path(), last);
        let _ = ext.get(at, Wait::Yes);
        let _ = ext.bit_map(at, Wait::Yes);
        let put = ext.put(5, 6, &[]).unwrap();
        ext.stream().write().unwrap();
        prop_assert_eq!(tags(&ext, put), Some(5));
    }
}

#[test]
fn a_torn_unit_with_a_small_address_cuts_nothing_that_others_point_to() {
    let dir = tempfile::tempdir().unwrap();
    let queue = ConsumeQueue::new(Fs::default(), "T".into(), 0, dir.path().join("queue/T/0"), 20 * 100);
    let exts = Exts::new(Fs::default(), dir.path().join("ext"), FILE);
    let ext = exts.of(&queue.topic, 0);
    let addresses: Vec<i64> = (0..6).map(|n| ext.put(n, 1, &[]).unwrap()).collect();
    ext.stream().write().unwrap();
    // The lower half of the last unit's address was in a sector that is lost.
    let in_units = addresses.iter().copied().chain([i64::MIN]);
    for (at, tags_code) in in_units.enumerate() {
        let unit = crate::queue::unit::Unit { log_offset: 100 * at as i64, size: 100, tags_code };
        assert!(queue.push(unit, at as i64).unwrap());
    }
    let again = Exts::new(Fs::default(), dir.path().join("ext"), FILE);
    again.load(&queue).unwrap();
    let ext = again.of(&queue.topic, 0);
    ext.put(99, 1, &[]).unwrap();
    let found: Vec<_> = addresses.iter().map(|address| tags(&ext, *address)).collect();
    assert_eq!(found, (0..6).map(Some).collect::<Vec<_>>());
}
