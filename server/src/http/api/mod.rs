//! The REST API. Every route answers JSON (`success: true`, or `error` and `code`) or the bytes it names.

mod accounts;
mod addresses;
mod listing;
mod mailboxes;
mod routes;

pub use listing::{Start, cursor};
pub use routes::routes;
