//! Commands as types that cannot be wrong: what the decoder makes and the session executes.

mod append;
mod command;
mod fetch;
mod list;
mod metadata;
mod notify;
mod search;
mod seqset;
mod sort;

pub use append::*;
pub use command::*;
pub use fetch::*;
pub use list::*;
pub use metadata::*;
pub use notify::*;
pub use search::*;
pub use seqset::*;
pub use sort::*;
