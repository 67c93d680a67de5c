//! The web pages: rendered here, complete without JavaScript. Handlers gather values, templates lay them out.

mod assets;
mod create;
mod doors;
mod form;
mod format;
mod front;
mod inbox;
mod login;
mod message;
mod page;
mod parts;
mod public;
mod routes;
mod session;
mod snippets;
mod tree;

pub use page::not_found;
pub use routes::routes;
