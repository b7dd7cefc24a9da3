use super::*;

/// Made with `BloomFilter.createByFn` and `calcBitPositions` of rocketmq-filter 5.5.0.
#[test]
fn positions_are_those_of_java() {
    const NAMES: [&str; 5] = [
        "",
        "CID_1#Topic",
        "please_rename_unique_group_name_4#TopicTest",
        "中文😀#T",
        "a-much-longer-name-of-a-consumer-group-0123456789#%RETRY%x",
    ];
    let check = |error_rate, consumers, hashes, bits, positions: [&[i32]; 5]| {
        let filter = BloomFilter::new(error_rate, consumers).unwrap();
        assert_eq!((filter.hashes(), filter.bits()), (hashes, bits), "{error_rate} {consumers}");
        for (name, positions) in NAMES.iter().zip(positions) {
            assert_eq!(filter.positions(name), positions, "{error_rate} {consumers} {name}");
        }
    };
    check(20, 32, 3, 112, [&[0, 0, 0], &[81, 76, 21], &[63, 14, 51], &[103, 107, 111], &[68, 108, 75]]);
    check(20, 64, 3, 216, [&[0, 0, 0], &[209, 172, 61], &[7, 134, 123], &[55, 195, 119], &[52, 204, 75]]);
    check(
        10,
        128,
        4,
        616,
        [
            &[0, 0, 0, 0],
            &[473, 188, 77, 31],
            &[175, 518, 331, 362],
            &[271, 107, 559, 395],
            &[124, 276, 187, 276],
        ],
    );
    check(99, 1, 1, 8, [&[0], &[1], &[7], &[7], &[4]]);
    check(50, 7, 1, 16, [&[0], &[1], &[15], &[7], &[4]]);
    check(
        3,
        10_000,
        6,
        72_992,
        [
            &[0; 6],
            &[33409, 31484, 21637, 29735, 35158, 27060],
            &[66207, 19886, 12035, 1066, 30855, 62777],
            &[39159, 14971, 63775, 39587, 15399, 64203],
            &[64676, 33772, 70123, 16988, 59076, 44819],
        ],
    );
}

#[test]
fn a_map_is_that_of_java() {
    let filter = BloomFilter::new(20, 32).unwrap();
    let mut bits = Bits::of(&filter);
    let positions = filter.positions("CID_1#Topic");
    bits.set(&positions);
    let map = bits.into_bytes();
    let hex: String = map.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "0000200000000000001002000000");
    assert!(Bits::hit(&map, &positions));
    assert!(!Bits::hit(&map, &filter.positions("CID_2#Topic")));
    assert!(!Bits::hit(&map, &[-1]) && !Bits::hit(&map, &[112]));
}

#[test]
fn parameters_out_of_range_are_refused() {
    for (error_rate, consumers) in [(0, 1), (100, 1), (-1, 1), (20, 0), (20, -1)] {
        assert!(BloomFilter::new(error_rate, consumers).is_err(), "{error_rate} {consumers}");
    }
    assert!(BloomFilter::new(1, i32::MAX).is_ok());
    let filter = BloomFilter::new(20, 32).unwrap();
    assert!(filter.is_valid(112, &[0, 1, 111]));
    assert!(!filter.is_valid(112, &[0, 1, 112]));
    assert!(!filter.is_valid(112, &[0, 1, -1]));
    assert!(!filter.is_valid(112, &[0, 1]));
    assert!(!filter.is_valid(216, &[0, 1, 2]));
}
