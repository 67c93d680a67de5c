//! The API's paths.

use super::{accounts, addresses, listing, mailboxes};
use crate::http::app::Shared;
use axum::Router;
use axum::routing::{delete, get, post};

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/authenticate", post(accounts::authenticate))
        .route("/users", get(accounts::list).post(accounts::create))
        .route("/users/resolve/{address}", get(accounts::resolve))
        .route("/users/{user}", get(accounts::show).put(accounts::update).delete(accounts::delete))
        .route("/users/{user}/storage", get(accounts::storage))
        .route("/users/{user}/addresses", get(addresses::list).post(addresses::add))
        .route("/users/{user}/addresses/{address}", delete(addresses::remove))
        .route("/users/{user}/mailboxes", get(mailboxes::list).post(mailboxes::create))
        .route(
            "/users/{user}/mailboxes/{mailbox}",
            get(mailboxes::show).put(mailboxes::update).delete(mailboxes::delete),
        )
        .route("/users/{user}/mailboxes/{mailbox}/messages", get(listing::list))
}
