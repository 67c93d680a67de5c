//! Unmodified Nodemailer: its own example, with only `ETHEREAL_API` and `ETHEREAL_WEB` set.

use crate::harness::{Gadwall, run, scripts};
use std::process::Command;

fn example(server: &Gadwall) -> String {
    let script = scripts().join("nodemailer-example.js");
    let said = run(
        Command::new("node").arg(script).env("ETHEREAL_API", server.web()).env("ETHEREAL_WEB", server.web()),
        b"",
    );
    said.ok()
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
