//! Header fields, encoded words and charsets: whatever stands in them gives a text.
#![no_main]

use gadwall::imap::mutf7;
use gadwall_storage::MailboxName;
use gadwall_storage::mime::{decode_text, field, fields, to_unicode, unfold};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut end = 0;
    for found in fields(data) {
        assert!(end <= found.raw.start && found.raw.start <= found.raw.end && found.raw.end <= data.len());
        end = found.raw.end;
        let _ = (decode_text(found.value), unfold(found.value));
        // The first of that name is found by it.
        if let Ok(name) = std::str::from_utf8(found.name) {
            assert!(field(data, name).is_some(), "{name} is there");
        }
    }
    let (label, text) = data.split_at(data.len().min(12));
    if let Ok(label) = std::str::from_utf8(label) {
        let _ = to_unicode(label.trim_end_matches('\0'), text);
    }
    // One name has one encoding, and every name has one.
    if let Ok(name) = mutf7::decode(data) {
        assert_eq!(mutf7::encode(&name).as_bytes(), data);
    }
    if let Ok(name) = std::str::from_utf8(data) {
        assert_eq!(mutf7::decode(mutf7::encode(name).as_bytes()).as_deref(), Ok(name));
        if let Ok(name) = MailboxName::parse(name) {
            assert_eq!(MailboxName::parse(name.as_str()).as_ref(), Ok(&name), "a name is normalised once");
        }
    }
});
