//! Outcomes as people and programs read them.

mod json;
mod junit;
mod table;

pub use json::{from_lines, to_line};
pub use junit::junit;
pub use table::{Style, compared, table};
