//! Unmodified Nodemailer: its own example, with only `ETHEREAL_API` and `ETHEREAL_WEB` set, and what else its users do.

use crate::harness::{Gadwall, node, run, scripts};
use std::process::Command;

fn example(server: &Gadwall) -> String {
    let script = scripts().join("nodemailer-example.js");
    let said = run(
        Command::new("node").arg(script).env("ETHEREAL_API", server.web()).env("ETHEREAL_WEB", server.web()),
        b"",
    );
    said.ok()
}

fn case(server: &Gadwall, name: &str) {
    node(server, "nodemailer-cases.js", name);
}

#[test]
fn nodemailer_prints_a_url_that_shows_the_mail() {
    let server = Gadwall::start();
    let out = example(&server);
    let url = out.lines().find_map(|l| l.strip_prefix("Preview URL: ")).expect("a preview URL");
    let path = url.strip_prefix(&server.web()).expect("the URL is on this server");
    assert!(path.starts_with("/message/"), "{url}");
    let page = server.http("GET", path, "");
    assert!(page.contains("Hello ✔"), "the subject is on the page: {page}");
    assert!(page.contains("bar@example.com"), "the recipient is on the page: {page}");
}

#[test]
fn nodemailer_gets_an_account_whatever_the_request_says() {
    case(&Gadwall::start(), "requestor");
}

#[test]
fn nodemailer_needs_the_right_api_key_where_there_is_one() {
    case(&Gadwall::with(&["--api-key", "sesame"]), "api_key");
}

#[test]
fn nodemailer_sees_attachments_calendar_and_alternatives_arrive_whole() {
    case(&Gadwall::start(), "rich_mail");
}

#[test]
fn nodemailer_sends_200_messages_through_a_pool() {
    case(&Gadwall::start(), "pool");
}

#[test]
fn nodemailer_is_told_that_a_password_is_wrong() {
    case(&Gadwall::start(), "wrong_password");
}

#[test]
fn nodemailer_is_told_that_a_message_is_too_large() {
    case(&Gadwall::with(&["--message-limit", "100KB"]), "too_large");
}

#[test]
fn nodemailer_test_message_url_and_its_links_work() {
    case(&Gadwall::start(), "test_message_url");
}

#[test]
fn nodemailer_test_message_url_can_not_be_guessed() {
    case(&Gadwall::start(), "unknown_msgid");
}
