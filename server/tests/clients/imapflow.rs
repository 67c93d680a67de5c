//! ImapFlow, the IMAP client of most Node programs.

use crate::harness::{Gadwall, node};

fn case(name: &str) {
    node(&Gadwall::start(), "imapflow-cases.js", name);
}

#[test]
fn imapflow_makes_renames_subscribes_and_deletes_folders() {
    case("folders");
}

#[test]
fn imapflow_fetches_what_it_appended() {
    case("append_and_fetch");
}

#[test]
fn imapflow_downloads_attachments_and_texts() {
    case("download");
}

#[test]
fn imapflow_searches() {
    case("search");
}

#[test]
fn imapflow_adds_removes_and_compares_flags() {
    case("flags");
}

#[test]
fn imapflow_copies_moves_and_deletes_with_a_uid_map() {
    case("copy_move_delete");
}

#[test]
fn imapflow_idles_and_hears_of_another_connection() {
    case("idle");
}

#[test]
fn imapflow_appends_ten_megabytes() {
    case("large_append");
}

#[test]
fn imapflow_compresses() {
    case("compress");
}
