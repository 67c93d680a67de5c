//! The pages' paths.

use super::{assets, create, front, inbox, login, message, public};
use crate::http::app::Shared;
use axum::Router;
use axum::routing::{get, post};

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(front::show))
        .route("/assets/{file}", get(assets::serve))
        .route("/create", get(create::form).post(create::create))
        .route("/credentials.csv", post(create::csv))
        .route("/login", get(login::form).post(login::login))
        .route("/logout", post(login::logout))
        .route("/messages", get(inbox::show))
        .route("/events", get(inbox::events))
        .route("/messages/{mailbox}/empty", post(inbox::empty))
        .route("/messages/{mailbox}/{uid}", get(message::show).post(message::act))
        .route("/messages/{mailbox}/{uid}/source", get(message::source))
        .route("/messages/{mailbox}/{uid}/message.eml", get(message::eml))
        .route("/messages/{mailbox}/{uid}/headers", get(message::headers))
        .route("/messages/{mailbox}/{uid}/html", get(message::html))
        .route("/messages/{mailbox}/{uid}/attachment/{id}", get(message::attachment))
        .route("/message/{msgid}", get(public::show))
        .route("/message/{msgid}/source", get(public::source))
        .route("/message/{msgid}/message.eml", get(public::eml))
        .route("/message/{msgid}/headers", get(public::headers))
        .route("/message/{msgid}/html", get(public::html))
        .route("/message/{msgid}/attachment/{id}", get(public::attachment))
}
