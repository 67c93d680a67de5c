//! The small decoders: SASL, encoded words, modified UTF-7, sets of UIDs at the far end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall::auth::{Exchange, Private, Step};
use gadwall::imap::mutf7;
use gadwall_proptests::{config, world::World};
use gadwall_storage::mime::decode_text;
use gadwall_storage::{Uid, UidSet};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;

/// What a client sends in an exchange: right, nearly right, and anything.
fn sasl_message() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..60),
        1 => Just(b"\0ann@example.org\0wrong".to_vec()),
        2 => "(n|y|p=tls),(a=[a-z=,]{0,4})?,n=[a-z@.=2CD3é]{0,12},r=[!-~]{0,12}(,x=y)?".prop_map(String::into_bytes),
        2 => ("[A-Za-z0-9+/=]{0,8}", "[!-~]{0,30}", "[A-Za-z0-9+/]{0,44}=?")
            .prop_map(|(c, r, p)| format!("c={c},r={r},p={p}").into_bytes()),
        1 => "n,a=[a-z]{0,4},\x01auth=Bearer [a-z]{0,8}\x01\x01".prop_map(String::into_bytes),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(config(300))]

    /// Nor does anything but the password let anybody in.
    #[test]
    fn no_message_makes_an_exchange_panic(
        mechanism in select(vec!["PLAIN", "login", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "CRAM-MD5"]),
        messages in prop::collection::vec(prop::option::weighted(0.9, sasl_message()), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let world = World::new().await;
            let peer = "127.0.0.1".parse().expect("an address");
            let Ok(mut exchange) = Exchange::begin(world.services.auth.clone(), peer, Private::Yes, mechanism) else {
                assert_eq!(mechanism, "CRAM-MD5");
                return;
            };
            for message in &messages {
                match exchange.step(message.as_deref()).await {
                    Step::Challenge(_) => {}
                    Step::Failed(_) => return,
                    Step::Done { .. } => panic!("{messages:?} is no password"),
                }
            }
        });
    }
}

/// An encoded word of `text` as RFC 2047 has it.
fn encoded_word(text: &str, base64: bool) -> String {
    if base64 {
        return format!("=?utf-8?B?{}?=", STANDARD.encode(text));
    }
    let q: String = text
        .bytes()
        .map(|b| match b {
            b' ' => "_".to_owned(),
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("={b:02X}"),
        })
        .collect();
    format!("=?UTF-8?q?{q}?=")
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn encoded_words_come_back(
        words in prop::collection::vec(("[a-zäöü日 \u{1f986}]{1,8}", any::<bool>()), 1..4), fold in any::<bool>(),
    ) {
        let encoded: Vec<String> = words.iter().map(|(text, base64)| encoded_word(text, *base64)).collect();
        let value = encoded.join(if fold { "\r\n " } else { " " });
        let text: String = words.iter().map(|(text, _)| text.as_str()).collect();
        prop_assert_eq!(decode_text(value.as_bytes()), text.clone());
        // mail-parser as the oracle, where the value is one that mailers write.
        let message = format!("Subject: {value}\r\n\r\n");
        let parsed = mail_parser::MessageParser::default().parse(message.as_bytes());
        let subject = parsed.as_ref().and_then(|m| m.subject()).unwrap_or_default();
        prop_assert_eq!(subject, text.as_str());
    }

    /// What comes out is text for a page: no line ends, no control characters but those that were there plain.
    #[test]
    fn no_header_makes_decoding_panic(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "(=\\?(utf-8|utf-7|iso-2022-jp|x|koi8-r)(\\*de)?\\?[bqBQx]\\?[ -~]{0,12}(\\?=)?[ \r\n]{0,2}){0,4}".prop_map(String::into_bytes),
        ],
    ) {
        let text = decode_text(&value);
        prop_assert!(!text.contains(['\r', '\n', '\0']), "{:?}", text);
    }

    #[test]
    fn no_name_makes_modified_utf7_panic(name in prop::collection::vec(any::<u8>(), 0..30)) {
        if let Ok(text) = mutf7::decode(&name) {
            prop_assert_eq!(mutf7::encode(&text).into_bytes(), name);
        }
    }

    #[test]
    fn any_name_survives_modified_utf7(name in any::<String>()) {
        prop_assert_eq!(mutf7::decode(mutf7::encode(&name).as_bytes()), Ok(name));
    }

    /// Where counting on would overflow.
    #[test]
    fn a_set_of_uids_is_a_set_at_the_far_end(
        ranges in prop::collection::vec((0u32..40, 0u32..8, any::<bool>()), 0..30),
        other in prop::collection::vec((0u32..40, 0u32..8), 0..6),
    ) {
        let range = |back: u32, len: u32| {
            let last = u32::MAX - back;
            (last - len, last)
        };
        let (mut set, mut model) = (UidSet::new(), BTreeSet::new());
        for (back, len, add) in ranges {
            let (first, last) = range(back, len);
            if add {
                set.insert_range(Uid::new(first).expect("large"), Uid::new(last).expect("large"));
                model.extend(first..=last);
            } else {
                prop_assert_eq!(set.remove(Uid::new(last).expect("large")), model.remove(&last));
            }
        }
        let (mut other_set, mut other_model) = (UidSet::new(), BTreeSet::new());
        for (back, len) in other {
            let (first, last) = range(back, len);
            other_set.insert_range(Uid::new(first).expect("large"), Uid::new(last).expect("large"));
            other_model.extend(first..=last);
        }
        let plain = |set: &UidSet| set.iter().map(Uid::get).collect::<BTreeSet<u32>>();
        prop_assert_eq!(plain(&set), model.clone());
        prop_assert_eq!(plain(&set.union(&other_set)), &model | &other_model);
        prop_assert_eq!(plain(&set.intersection(&other_set)), &model & &other_model);
        prop_assert_eq!(plain(&set.difference(&other_set)), &model - &other_model);
    }
}
