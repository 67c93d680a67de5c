//! IMAP clients: a session type with a typed call for each command, and behaviours on top of it.

mod idler;
mod listing;
mod ops;
mod reader;
mod response;
mod resync;
mod session;
mod view;
mod writer;

pub use idler::Idler;
pub use listing::{Depth, Listing};
pub use reader::Reader;
pub use resync::{Means, Resynchroniser};
pub use session::{Selected, Session};
pub use view::{News, View};
pub use writer::Writer;
