//! Any text as a property string.

#![no_main]

use libfuzzer_sys::fuzz_target;
use raptormq_message::props::{self, Properties, StoreProperties};

fuzz_target!(|text: &str| {
    for (key, _) in props::iter(text) {
        assert!(props::get(text, key).is_some());
    }
    let _ = StoreProperties::parse(text);
    let once = Properties::parse(text).encode();
    assert_eq!(Properties::parse(&once).encode(), once);
});
