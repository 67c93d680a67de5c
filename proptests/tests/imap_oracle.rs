//! imap-codec as the oracle of the decoder: what it makes of generated commands, written down again in its own spelling,
//! is the same command to us.

use gadwall::imap::decode::{Event, Limits};
use gadwall::imap::types::*;
use gadwall_proptests::config;
use gadwall_proptests::imap::{
    Content, Message, Sent, Spelling, Writer, append, command, decode_in_pieces, tag,
};
use gadwall_storage::{Uid, UidSet};
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::encode::Encoder;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::num::NonZeroU32;

const LIMITS: Limits = Limits { line_bytes: 64 << 10, literal_bytes: 64 << 10, swallow_bytes: 64 << 10 };

fn events(bytes: &[u8]) -> Vec<Event> {
    let mut events = decode_in_pieces(bytes, &[usize::MAX], &LIMITS, true);
    events.retain(|e| *e != Event::ContinueLiteral);
    for event in &mut events {
        match event {
            Event::Command(tagged) => normalise(&mut tagged.command),
            // How a message is announced is spelling.
            Event::Append { needs_continue, .. } => *needs_continue = true,
            _ => {}
        }
    }
    events
}

/// Sets as the numbers they name: imap-codec sorts and merges them.
fn normalise(command: &mut Command) {
    match command {
        Command::Fetch { set, .. }
        | Command::Store { set, .. }
        | Command::Copy { set, .. }
        | Command::Move { set, .. }
        | Command::Expunge { uids: Some(set) } => *set = merged(set),
        Command::Search(search) => normalise_key(&mut search.key),
        Command::Sort(sort) => normalise_key(&mut sort.key),
        Command::Thread(thread) => normalise_key(&mut thread.key),
        _ => {}
    }
}

fn normalise_key(key: &mut SearchKey) {
    match key {
        SearchKey::Sequence(set) | SearchKey::Uid(set) => *set = merged(set),
        SearchKey::And(keys) => {
            keys.iter_mut().for_each(normalise_key);
        }
        SearchKey::Or(a, b) => {
            normalise_key(a);
            normalise_key(b);
        }
        SearchKey::Not(inner) => normalise_key(inner),
        _ => {}
    }
}

/// `*` is the largest number there can be.
fn merged(set: &SequenceSet) -> SequenceSet {
    if set.is_saved() {
        return SequenceSet::SAVED;
    }
    let mut all = UidSet::new();
    for (first, last) in set.resolve(u32::MAX) {
        if let (Some(first), Some(last)) = (Uid::new(first), Uid::new(last)) {
            all.insert_range(first, last);
        }
    }
    let number = |n: u32| NonZeroU32::new(n).map_or(SeqNum::Star, SeqNum::Number);
    let ranges = all.ranges().map(|r| (number(*r.start()), number(*r.end()))).collect();
    SequenceSet::new(ranges).expect("a set names something")
}

/// What imap-codec does not know, or knows otherwise; all else it has to read.
fn is_beyond_the_oracle(sent: &Sent) -> bool {
    let command = match sent {
        // RFC 3502, RFC 4469, RFC 8508.
        Sent::Append(append) => {
            let plain = |m: &Message| matches!(&m.content, Content::Whole(octets) if !octets.contains(&0));
            return append.replaces.is_some()
                || append.messages.len() > 1
                || !append.messages.iter().all(plain);
        }
        Sent::Command(tagged) => &tagged.command,
    };
    match command {
        // RFC 5258, RFC 5819, RFC 6154.
        Command::List(list) => list.extended,
        Command::Create { special_use, .. } => !special_use.is_empty(),
        // RFC 3501 §9 number: 32 bits. RFC 7162 §3.1.4: CHANGEDSINCE is above zero there.
        // RFC 5256, RFC 4978, RFC 8437, RFC 9208.
        Command::Sort(_)
        | Command::Thread(_)
        | Command::Compress
        | Command::Unauthenticate
        | Command::GetMetadata(_)
        | Command::CancelUpdate(_)
        | Command::Notify(_)
        | Command::SetMetadata(_)
        | Command::UidBatches { .. }
        | Command::MultiSearch(_)
        | Command::Language(_)
        | Command::Comparator(_)
        | Command::GetQuota { .. }
        | Command::GetQuotaRoot { .. } => true,
        // RFC 4731, RFC 5182.
        Command::Search(search) => search.returns.is_some() || is_beyond_it(&search.key),
        Command::Fetch { set, items, modifiers, .. } => {
            // RFC 9394.
            set.is_saved()
                || modifiers.partial.is_some()
                || modifiers.changed_since == Some(0)
                || items.iter().any(is_item_beyond_it)
        }
        Command::Status { items, .. } => items.iter().any(|item| {
            // RFC 7889, RFC 8438, RFC 8474.
            // RFC 9051, RFC 9208.
            use StatusItem::{AppendLimit, Deleted, DeletedStorage, MailboxId, Size};
            matches!(item, AppendLimit | Deleted | DeletedStorage | Size | MailboxId)
        }),
        Command::Store { set, .. } | Command::Copy { set, .. } | Command::Move { set, .. } => set.is_saved(),
        Command::Expunge { uids: Some(set) } => set.is_saved(),
        _ => false,
    }
}

/// RFC 3516, RFC 8474, RFC 8514, RFC 8970.
fn is_item_beyond_it(item: &FetchItem) -> bool {
    use FetchItem::{Binary, BinarySize, EmailId, Preview, SaveDate, ThreadId};
    matches!(item, Binary { .. } | BinarySize { .. } | EmailId | ThreadId | SaveDate | Preview { .. })
}

fn is_beyond_it(key: &SearchKey) -> bool {
    match key {
        // RFC 8474, RFC 8514.
        SearchKey::EmailId(_)
        | SearchKey::Filter(_)
        | SearchKey::Fuzzy(_)
        | SearchKey::SavedBefore(_)
        | SearchKey::SavedOn(_)
        | SearchKey::SavedSince(_) => true,
        SearchKey::Larger(n) | SearchKey::Smaller(n) => *n > u64::from(u32::MAX),
        SearchKey::Sequence(set) | SearchKey::Uid(set) => set.is_saved(),
        SearchKey::And(keys) => keys.iter().any(is_beyond_it),
        SearchKey::Or(a, b) => is_beyond_it(a) || is_beyond_it(b),
        SearchKey::Not(inner) => is_beyond_it(inner),
        _ => false,
    }
}

fn to(piece: &mut AppendPiece) -> Option<&mut MailboxArg> {
    match piece {
        AppendPiece::To { mailbox, .. } => Some(mailbox),
        _ => None,
    }
}

/// The mailboxes that an event names.
fn mailboxes(event: &mut Event) -> Vec<&mut MailboxArg> {
    match event {
        Event::Append { pieces, .. } | Event::Command(Tagged { command: Command::Append(pieces), .. }) => {
            pieces.iter_mut().filter_map(to).collect()
        }
        Event::Command(Tagged { command, .. }) => match command {
            Command::Rename { from, to } => vec![from, to],
            Command::Select { mailbox, .. }
            | Command::Create { mailbox, .. }
            | Command::Delete { mailbox }
            | Command::Subscribe { mailbox }
            | Command::Unsubscribe { mailbox }
            | Command::Status { mailbox, .. }
            | Command::GetQuotaRoot { mailbox } => vec![mailbox],
            Command::Copy { to, .. } | Command::Move { to, .. } => vec![to],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The oracle keeps of INBOX that it is that, and not how it was written.
fn in_capitals(arg: &mut MailboxArg) {
    if let MailboxArg::Denormalised { name, .. } = arg
        && name.is_inbox()
    {
        *arg = MailboxArg::Name(name.clone());
    }
}

/// As `events`; of what a client knows before it selects, the oracle keeps which UIDs, and not how they were written.
fn meant(bytes: &[u8]) -> Vec<Event> {
    let ascending = |set: &SequenceSet| {
        let number = |n| NonZeroU32::new(n).map(SeqNum::Number);
        let ranges = set.resolve(0).into_iter().filter_map(|(a, b)| Some((number(a)?, number(b)?)));
        SequenceSet::new(ranges.collect()).unwrap_or(SequenceSet::SAVED)
    };
    let mut events = events(bytes);
    for event in &mut events {
        mailboxes(event).into_iter().for_each(in_capitals);
        if let Event::Command(Tagged { command: Command::Select { params, .. }, .. }) = event
            && let Some(known) = &mut params.qresync
        {
            known.known = known.known.as_ref().map(ascending);
            known.numbered = known.numbered.as_ref().map(|(one, other)| (ascending(one), ascending(other)));
        }
    }
    events
}

/// The oracle writes the largest of the known UIDs there can be as `*`, which RFC 7162 §7 has not.
fn names_the_largest(events: &[Event]) -> bool {
    let largest = |set: &SequenceSet| set.resolve(0).iter().any(|(_, last)| *last == u32::MAX);
    events.iter().any(|event| match event {
        Event::Command(Tagged { command: Command::Select { params, .. }, .. }) => {
            params.qresync.as_ref().and_then(|known| known.known.as_ref()).is_some_and(largest)
        }
        _ => false,
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        6 => (tag(), command()).prop_map(|(tag, command)| Sent::Command(Tagged { tag, command })),
        1 => append(),
    ]
}

fn strict() -> impl Strategy<Value = Spelling> {
    prop::collection::vec(any::<u8>(), 0..24).prop_map(|choices| Spelling { choices, strict: true })
}

fn wire(sent: &Sent, spelling: &Spelling) -> Vec<u8> {
    let mut writer = Writer::new(spelling);
    writer.sent(sent);
    writer.out
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn commands_mean_to_others_what_they_mean_to_us(sent in sent(), spelling in strict()) {
        prop_assume!(!is_beyond_the_oracle(&sent));
        let bytes = wire(&sent, &spelling);
        prop_assume!(!names_the_largest(&events(&bytes)));
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let (rest, theirs) = CommandCodec::default()
            .decode(&bytes)
            .map_err(|e| TestCaseError::fail(format!("{e:?}: {shown}")))?;
        prop_assert!(rest.is_empty(), "{:?} is left of {}", rest, shown);
        let again = CommandCodec::default().encode(&theirs).dump();
        prop_assert_eq!(meant(&again), meant(&bytes), "{} became {}", shown, String::from_utf8_lossy(&again));
    }

    /// What both read, both read alike, whatever was done to it.
    #[test]
    fn damaged_commands_are_read_alike_or_refused(
        sent in sent(), spelling in strict(), at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b" ()\"{}*:,.[]<>09aZ\\/-+~\r\n".to_vec()),
    ) {
        let mut bytes = wire(&sent, &spelling);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let Ok((rest, theirs)) = CommandCodec::default().decode(&bytes) else { return Ok(()) };
        let used = &bytes[..bytes.len() - rest.len()];
        let ours = meant(used);
        // Ours may refuse what theirs takes; it must not take it for something else.
        if !names_the_largest(&ours) && ours.iter().all(|e| !matches!(e, Event::Bad { .. } | Event::Fatal { .. })) {
            let again = CommandCodec::default().encode(&theirs).dump();
            prop_assert_eq!(
                meant(&again), ours, "{} became {}", String::from_utf8_lossy(used), String::from_utf8_lossy(&again)
            );
        }
    }
}

/// Most of what is generated can be compared.
#[test]
fn the_oracle_knows_most_commands() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config(1), rng);
    let beyond = (0..500)
        .filter(|_| is_beyond_the_oracle(&sent().new_tree(&mut runner).expect("a command").current()))
        .count();
    assert!(beyond < 150, "{beyond} of 500 are beyond it");
}
