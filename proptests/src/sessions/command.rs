//! What sessions do.

use proptest::prelude::*;

/// A command of one of the connections.
#[derive(Debug, Clone)]
pub struct Step {
    pub who: usize,
    pub command: Command,
}

/// Messages are chosen by their place in what the connection knows, a bit each; flags likewise, by the place in
/// [`FLAGS`]. Mailboxes are numbers into [`MAILBOXES`].
#[derive(Debug, Clone)]
pub enum Command {
    Append {
        to: usize,
        flags: u8,
        count: usize,
    },
    Store {
        places: u16,
        by_uid: bool,
        how: How,
        flags: u8,
        silent: bool,
        since: Since,
    },
    Expunge,
    UidExpunge {
        places: u16,
    },
    Transfer {
        places: u16,
        by_uid: bool,
        to: usize,
        moves: bool,
    },
    Fetch {
        places: u16,
        by_uid: bool,
        what: What,
    },
    Search {
        by_uid: bool,
        flag: usize,
        is_set: bool,
    },
    Noop,
    Select {
        mailbox: usize,
        examines: bool,
    },
    /// Goes, and next time comes back with what it knew (RFC 7162 §3.2.5), where QRESYNC is enabled.
    Resync {
        says: Says,
    },
    Close,
    Unselect,
    /// Begins to idle; whatever this connection does next ends it.
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Set,
    Add,
    Remove,
}

/// UNCHANGEDSINCE (RFC 7162 §3.1.3), on connections that have CONDSTORE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Unconditional,
    /// The highest modseq that the connection was told of any message it names.
    Told,
    /// Before everything.
    Zero,
}

/// What a client that comes back says of what it knows, beside the modseq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Nothing,
    Uids,
    /// Which UIDs it knows under which message numbers as well, every other one (RFC 7162 §3.2.5.2).
    Numbers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Flags,
    /// Sets `\Seen`.
    Body,
    Peek,
}

pub const FLAGS: [&str; 6] = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Junk"];
pub const MAILBOXES: [&str; 2] = ["INBOX", "Archive"];
/// Plain IMAP4rev1, one with CONDSTORE, one with QRESYNC.
pub const ENABLED: [&str; 3] = ["", "CONDSTORE", "QRESYNC"];

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..ENABLED.len(), command()).prop_map(|(who, command)| Step { who, command });
    prop::collection::vec(step, 1..60)
}

fn command() -> impl Strategy<Value = Command> {
    // Mostly the same few, so that they get into each other's way.
    let places =
        || prop_oneof![1 => any::<u16>(), 1 => 0u16..16, 4 => (0u16..4).prop_map(|place| 1 << place)];
    let mailbox = || prop_oneof![5 => Just(0), 1 => Just(1)];
    let flags =
        || prop_oneof![2 => (0..FLAGS.len()).prop_map(|flag| 1u8 << flag), 1 => 0u8..1 << FLAGS.len()];
    let says = prop_oneof![Just(Says::Nothing), Just(Says::Uids), Just(Says::Numbers)];
    let how = prop_oneof![1 => Just(How::Set), 2 => Just(How::Add), 1 => Just(How::Remove)];
    let since = prop_oneof![3 => Just(Since::Unconditional), 2 => Just(Since::Told), 1 => Just(Since::Zero)];
    let what = prop_oneof![2 => Just(What::Flags), 1 => Just(What::Body), 1 => Just(What::Peek)];
    prop_oneof![
        6 => (mailbox(), flags(), 1usize..3)
            .prop_map(|(to, flags, count)| Command::Append { to, flags, count }),
        10 => (places(), any::<bool>(), how, flags(), any::<bool>(), since).prop_map(
            |(places, by_uid, how, flags, silent, since)| {
                Command::Store { places, by_uid, how, flags, silent, since }
            }
        ),
        2 => Just(Command::Expunge),
        1 => places().prop_map(|places| Command::UidExpunge { places }),
        3 => (places(), any::<bool>(), mailbox(), any::<bool>())
            .prop_map(|(places, by_uid, to, moves)| Command::Transfer { places, by_uid, to, moves }),
        3 => (places(), any::<bool>(), what)
            .prop_map(|(places, by_uid, what)| Command::Fetch { places, by_uid, what }),
        2 => (any::<bool>(), 0..FLAGS.len(), any::<bool>())
            .prop_map(|(by_uid, flag, is_set)| Command::Search { by_uid, flag, is_set }),
        4 => Just(Command::Noop),
        1 => (mailbox(), prop::bool::weighted(0.2))
            .prop_map(|(mailbox, examines)| Command::Select { mailbox, examines }),
        3 => says.prop_map(|says| Command::Resync { says }),
        1 => prop_oneof![Just(Command::Close), Just(Command::Unselect)],
        2 => Just(Command::Idle),
    ]
}
