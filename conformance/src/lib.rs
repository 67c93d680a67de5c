//! IMAP conformance cases as text and as code, and their runner, pointable at any server.
//!
//! A case names the clause it is about and may use several connections; every connection is watched by a client model
//! that objects to responses no client could make sense of. The runner knows no server: it is handed a way to dial one.

pub mod case;
pub mod clauses;
pub mod code;
mod fixtures;
mod layout;
mod model;
mod pattern;
pub mod picture;
pub mod profile;
pub mod registry;
pub mod report;
mod response;
mod runner;
mod shape;
pub mod suite;
mod talk;
pub mod tcp;
mod verdict;

pub use case::{Case, parse};
pub use layout::Layout;
pub use response::{Response, Value};
pub use runner::{Dial, Dialing, Target, run};
pub use talk::{Answer, Stream, Talk, Untagged};
pub use verdict::{Outcome, Verdict};

/// The cases that come with the suite: names of the files and what is in them.
pub const FILES: &[(&str, &str)] = &[
    ("mailboxes", include_str!("../cases/mailboxes.txt")),
    ("mime", include_str!("../cases/mime.txt")),
    ("moving", include_str!("../cases/moving.txt")),
    ("sessions", include_str!("../cases/sessions.txt")),
    ("lines", include_str!("../cases/lines.txt")),
    ("qresync", include_str!("../cases/qresync.txt")),
    ("flags", include_str!("../cases/flags.txt")),
    ("searching", include_str!("../cases/searching.txt")),
    ("esearch", include_str!("../cases/esearch.txt")),
    ("searchres", include_str!("../cases/searchres.txt")),
    ("composing", include_str!("../cases/composing.txt")),
    ("utf8", include_str!("../cases/utf8.txt")),
    ("batches", include_str!("../cases/batches.txt")),
    ("metadata", include_str!("../cases/metadata.txt")),
    ("binary", include_str!("../cases/binary.txt")),
    ("sorting", include_str!("../cases/sorting.txt")),
    ("partial", include_str!("../cases/partial.txt")),
    ("quota", include_str!("../cases/quota.txt")),
    ("unauthenticate", include_str!("../cases/unauthenticate.txt")),
    ("language", include_str!("../cases/language.txt")),
    ("notify", include_str!("../cases/notify.txt")),
    ("multisearch", include_str!("../cases/multisearch.txt")),
    ("uidonly", include_str!("../cases/uidonly.txt")),
    ("rev2", include_str!("../cases/rev2.txt")),
    ("list-extended", include_str!("../cases/list-extended.txt")),
    ("rfc3501", include_str!("../cases/rfc3501.txt")),
    ("append", include_str!("../cases/append.txt")),
    ("attributes", include_str!("../cases/attributes.txt")),
    ("auth", include_str!("../cases/auth.txt")),
    ("contexts", include_str!("../cases/contexts.txt")),
    ("condstore", include_str!("../cases/condstore.txt")),
    ("filters", include_str!("../cases/filters.txt")),
    ("fuzzy", include_str!("../cases/fuzzy.txt")),
    ("fetch", include_str!("../cases/fetch.txt")),
    ("idle", include_str!("../cases/idle.txt")),
    ("list", include_str!("../cases/list.txt")),
    ("literals", include_str!("../cases/literals.txt")),
    ("search", include_str!("../cases/search.txt")),
    ("sync", include_str!("../cases/sync.txt")),
    ("uidplus-move", include_str!("../cases/uidplus-move.txt")),
];
