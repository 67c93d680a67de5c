//! The search language of the web and the API, and the bounded scan that answers it.

mod query;
mod scan;

pub use query::Query;
