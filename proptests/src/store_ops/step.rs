//! What proptest draws.

use gadwall_storage::{Flags, Keyword, SystemFlag, Uid, UidSet};
use proptest::prelude::*;

/// One step. The numbers pick among what there is, whatever it is by then.
#[derive(Debug, Clone)]
pub enum Step {
    CreateAccount {
        address: u8,
        expires_in_hours: Option<u8>,
        quota_kib: u8,
    },
    DeleteAccount {
        account: u8,
    },
    UpdateAccount {
        account: u8,
        quota_kib: Option<u8>,
        retention_hours: Option<Option<u8>>,
    },
    AddAddress {
        account: u8,
        address: u8,
    },
    RemoveAddress {
        account: u8,
        address: u8,
    },
    CreateMailbox {
        account: u8,
        name: u8,
    },
    DeleteMailbox {
        at: u8,
    },
    RenameMailbox {
        at: u8,
        name: u8,
    },
    Subscribe {
        account: u8,
        name: u8,
        undo: u8,
    },
    Append {
        at: u8,
        bodies: Vec<u8>,
        flags: u8,
    },
    SetFlags {
        at: u8,
        uids: Pick,
        flags: u8,
        how: u8,
        unchanged_since: Option<u8>,
    },
    Copy {
        from: u8,
        uids: Pick,
        to: u8,
    },
    Move {
        from: u8,
        uids: Pick,
        to: u8,
    },
    Replace {
        from: u8,
        uid: u8,
        to: u8,
        body: u8,
    },
    Expunge {
        at: u8,
        uids: Pick,
        all: u8,
    },
    ClaimRecent {
        at: u8,
    },
    Changes {
        at: u8,
        since: u8,
    },
    /// Does an earlier step again, under its operation id.
    Repeat {
        back: u8,
    },
    /// Does something under the operation id of an earlier step.
    Misuse {
        back: u8,
        step: Box<Step>,
    },
    Advance {
        how_far: u8,
    },
    Sweep,
    Reopen,
}

/// UIDs: a bit each for the first twenty, or all.
#[derive(Debug, Clone, Copy)]
pub struct Pick(pub u32);

impl Pick {
    pub fn uids(self) -> UidSet {
        if self.0.is_multiple_of(5) {
            return UidSet::all();
        }
        (1..=20).filter(|n| self.0 >> n & 1 == 1).filter_map(Uid::new).collect()
    }
}

/// Flags by number.
pub fn flags(bits: u8) -> Flags {
    let mut flags = Flags::new();
    for (i, flag) in SystemFlag::ALL.into_iter().enumerate() {
        if bits >> i & 1 == 1 {
            flags.insert(flag);
        }
    }
    // The same keyword in two spellings, and another.
    for (bit, keyword) in [(5, "$Label"), (6, "$LABEL"), (7, "other")] {
        if bits >> bit & 1 == 1 {
            flags.insert_keyword(Keyword::new(keyword).expect("an atom"));
        }
    }
    flags
}

/// Sequences of up to `most` steps, after one that makes an account.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    // Of these six, the one at 0 keeps its messages and the others don't for long.
    let first =
        (0u8..6).prop_map(|address| Step::CreateAccount { address, expires_in_hours: None, quota_kib: 200 });
    (first, prop::collection::vec(step(), 1..most)).prop_map(|(first, mut steps)| {
        steps.insert(0, first);
        steps
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => simple(),
        4 => any::<u8>().prop_map(|back| Step::Repeat { back }),
        1 => (any::<u8>(), simple()).prop_map(|(back, step)| Step::Misuse { back, step: Box::new(step) }),
    ]
}

fn simple() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => accounts(),
        4 => mailboxes(),
        14 => messages(),
        2 => any::<u8>().prop_map(|how_far| Step::Advance { how_far }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
    ]
}

fn accounts() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    prop_oneof![
        2 => (n(), prop::option::weighted(0.6, n()), n()).prop_map(|(address, expires_in_hours, quota_kib)| {
            Step::CreateAccount { address, expires_in_hours, quota_kib }
        }),
        1 => n().prop_map(|account| Step::DeleteAccount { account }),
        2 => (n(), prop::option::of(n()), prop::option::of(prop::option::of(n()))).prop_map(
            |(account, quota_kib, retention_hours)| Step::UpdateAccount { account, quota_kib, retention_hours }
        ),
        1 => (n(), n()).prop_map(|(account, address)| Step::AddAddress { account, address }),
        1 => (n(), n()).prop_map(|(account, address)| Step::RemoveAddress { account, address }),
    ]
}

fn mailboxes() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    prop_oneof![
        4 => (n(), n()).prop_map(|(account, name)| Step::CreateMailbox { account, name }),
        1 => n().prop_map(|at| Step::DeleteMailbox { at }),
        2 => (n(), n()).prop_map(|(at, name)| Step::RenameMailbox { at, name }),
        1 => (n(), n(), n()).prop_map(|(account, name, undo)| Step::Subscribe { account, name, undo }),
    ]
}

fn messages() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    let pick = || any::<u32>().prop_map(Pick);
    prop_oneof![
        6 => (n(), prop::collection::vec(n(), 0..4), n())
            .prop_map(|(at, bodies, flags)| Step::Append { at, bodies, flags }),
        5 => (n(), pick(), n(), n(), prop::option::weighted(0.3, 0u8..20)).prop_map(
            |(at, uids, flags, how, unchanged_since)| Step::SetFlags { at, uids, flags, how, unchanged_since }
        ),
        4 => (n(), pick(), n()).prop_map(|(from, uids, to)| Step::Copy { from, uids, to }),
        4 => (n(), pick(), n()).prop_map(|(from, uids, to)| Step::Move { from, uids, to }),
        1 => (n(), n(), n(), n())
            .prop_map(|(from, uid, to, body)| Step::Replace { from, uid, to, body }),
        2 => (n(), pick(), n()).prop_map(|(at, uids, all)| Step::Expunge { at, uids, all }),
        1 => n().prop_map(|at| Step::ClaimRecent { at }),
        1 => (n(), 0u8..20).prop_map(|(at, since)| Step::Changes { at, since }),
    ]
}
