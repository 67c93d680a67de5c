//! IMAP conformance cases as text, and their runner, pointable at any server.
//!
//! A case names the clause it is about and may use several connections; every connection is watched by a client model
//! that objects to responses no client could make sense of. The runner knows no server: it is handed a way to dial one.

mod case;
mod model;
mod pattern;
mod runner;
mod talk;

pub use case::{Action, Case, Command, Login, Step, parse};
pub use runner::{Dial, Dialing, Target, Verdict, run};
pub use talk::Stream;

/// The cases that come with the suite: names of the files and what is in them.
pub const FILES: &[(&str, &str)] = &[
    ("rfc3501", include_str!("../cases/rfc3501.txt")),
    ("append", include_str!("../cases/append.txt")),
    ("auth", include_str!("../cases/auth.txt")),
    ("condstore", include_str!("../cases/condstore.txt")),
    ("fetch", include_str!("../cases/fetch.txt")),
    ("idle", include_str!("../cases/idle.txt")),
    ("list", include_str!("../cases/list.txt")),
    ("literals", include_str!("../cases/literals.txt")),
    ("search", include_str!("../cases/search.txt")),
    ("sync", include_str!("../cases/sync.txt")),
    ("uidplus-move", include_str!("../cases/uidplus-move.txt")),
];
