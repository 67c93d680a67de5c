//! The API's paths.

use super::{accounts, addresses, listing, mailboxes, message, messages, search, submit, updates};
use crate::http::app::Shared;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};

pub fn routes() -> Router<Shared> {
    accounts_routes().merge(mail_routes())
}

fn accounts_routes() -> Router<Shared> {
    Router::new()
        .route("/authenticate", post(accounts::authenticate))
        .route("/users", get(accounts::list).post(accounts::create))
        .route("/users/resolve/{address}", get(accounts::resolve))
        .route("/users/{user}", get(accounts::show).put(accounts::update).delete(accounts::delete))
        .route("/users/{user}/storage", get(accounts::storage))
        .route("/users/{user}/addresses", get(addresses::list).post(addresses::add))
        .route("/users/{user}/addresses/{address}", delete(addresses::remove))
}

fn mail_routes() -> Router<Shared> {
    const MAILBOX: &str = "/users/{user}/mailboxes/{mailbox}";
    let below = |rest: &str| format!("{MAILBOX}/messages{rest}");
    Router::new()
        .route("/users/{user}/mailboxes", get(mailboxes::list).post(mailboxes::create))
        .route(MAILBOX, get(mailboxes::show).put(mailboxes::update).delete(mailboxes::delete))
        .route(
            &below(""),
            get(listing::list).post(submit::into_mailbox).put(messages::update).delete(messages::clear),
        )
        .route(&below("/{uid}"), get(message::show).put(messages::update_one).delete(messages::delete_one))
        .route(&below("/{uid}/message.eml"), get(message::eml))
        .route(&below("/{uid}/headers"), get(message::headers))
        .route(&below("/{uid}/attachments/{part}"), get(message::attachment))
        .route("/users/{user}/search", get(search::search))
        .route("/users/{user}/messages", get(search::search))
        .route("/users/{user}/wait", get(search::wait))
        .route("/users/{user}/submit", post(submit::into_inbox))
        .route("/users/{user}/updates", get(updates::updates))
        // Bodies are read piece by piece, each against a limit of its own.
        .layer(DefaultBodyLimit::disable())
}
