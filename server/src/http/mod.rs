//! The HTTP engine: what Nodemailer asks for, the REST API, and the web pages. It knows `dyn MailStore` and nothing
//! of the other engines; `docs/api.md` describes every route.

mod access;
mod api;
mod app;
mod client;
mod config;
mod content;
mod csrf;
mod error;
mod ethereal;
mod health;
mod html;
mod input;
mod limiter;
mod place;
mod router;
mod search;
mod serve;
mod stall;
mod token;
mod view;
mod web;
mod well_known;

pub use config::{Endpoint, HttpConfig};
pub use router::router;
pub use serve::serve;

#[cfg(test)]
pub(crate) mod tests;
