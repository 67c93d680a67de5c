//! The REST API. Every route answers JSON (`success: true`, or `error` and `code`) or the bytes it names.

mod accounts;
mod addresses;
mod compose;
mod listing;
mod mailboxes;
mod message;
mod messages;
mod routes;
mod search;
mod state;
mod submit;
mod updates;
mod wait;

pub use listing::{Start, cursor};
pub use routes::routes;
pub use updates::stream;
