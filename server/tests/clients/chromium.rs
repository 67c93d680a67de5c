//! Chromium on the web pages, driven by Playwright.

use crate::harness::{Gadwall, node};

fn case(name: &str) {
    node(&Gadwall::start(), "chromium-cases.js", name);
}

#[test]
fn chromium_makes_an_account_and_reads_mail_that_appears_by_itself() {
    case("walk");
}

#[test]
fn chromium_without_javascript_does_the_same() {
    case("walk_without_javascript");
}

#[test]
fn chromium_shows_no_page_wider_than_a_phone() {
    case("narrow");
}

#[test]
fn chromium_runs_and_fetches_nothing_from_hostile_html() {
    let server = Gadwall::start();
    node(&server, "chromium-cases.js", "hostile_mail");
    // Nor does such mail fill the log.
    assert!(!server.log().contains("html5ever"), "{}", server.log());
}

#[test]
fn chromium_opens_no_hostile_attachment() {
    case("hostile_attachments");
}
