//! The mail clients of Python's standard library. Each test is a case of one of the scripts beside this file, on a
//! server and an account of its own.

use crate::harness::{Gadwall, run, scripts};
use std::process::Command;

const DOORS: [&str; 4] = ["smtp", "imap", "pop3", "http"];

/// Runs one case, named `Class.method`, of a script, with the ports of `doors`.
pub fn case(server: &Gadwall, script: &str, name: &str, doors: &[&str], env: &[(&str, &str)]) {
    let account = server.account();
    let mut command = Command::new("python3");
    // Nothing of the caller's Python settings, no compiled files in the source tree.
    command.args(["-E", "-B", "-W", "ignore::ResourceWarning"]).arg(scripts().join(script)).arg(name);
    command.env("MAIL_USER", &account.user).env("MAIL_PASS", &account.pass).envs(env.iter().copied());
    for door in DOORS.iter().chain(doors) {
        command.env(format!("{}_PORT", door.to_uppercase()), server.port(door).to_string());
    }
    let said = run(&mut command, b"");
    assert!(said.err.contains("Ran 1 test"), "{name} is one test: {said:?}");
    said.ok();
}

macro_rules! cases {
    ($script:literal $settings:expr; $($test:ident = $case:literal;)+) => {
        $(
            #[test]
            fn $test() {
                case(&Gadwall::with(&$settings), $script, $case, &[], &[]);
            }
        )+
    };
}

cases! {
    "smtplib_cases.py" [];
    python_smtplib_logs_in_with_plain_and_login_not_with_cram =
        "Login.test_plain_and_login_are_offered_and_work_and_cram_is_not_there";
    python_smtplib_is_refused_with_535_for_a_wrong_password =
        "Login.test_a_wrong_password_is_refused_with_535_and_nothing_is_taken";
    python_smtplib_sends_text_eight_bit_and_dots =
        "Content.test_text_eight_bit_and_dots_arrive_as_sent";
    python_smtplib_sends_to_addresses_beyond_ascii =
        "Content.test_addresses_beyond_ascii_go_with_smtputf8";
    python_smtplib_sends_an_attachment_of_5_mb = "Content.test_an_attachment_of_5_mb_arrives_whole";
    python_smtplib_sends_dsn_parameters = "Content.test_dsn_parameters_are_taken_and_shown";
}

cases! {
    "smtplib_cases.py" ["--message-limit", "100kB", "--quota", "250kB"];
    python_smtplib_is_refused_with_552_for_what_is_too_large =
        "Limits.test_what_is_too_large_is_refused_by_its_announced_size_and_by_its_bytes";
    python_smtplib_is_refused_over_quota = "Limits.test_a_full_account_refuses_until_something_is_deleted";
}

cases! {
    "imaplib_cases.py" [];
    python_imaplib_logs_in = "Login.test_login_and_authenticate_plain_work_and_a_wrong_password_is_refused";
    python_imaplib_manages_mailboxes =
        "Mailboxes.test_mailboxes_are_made_renamed_subscribed_and_deleted";
    python_imaplib_appends = "Mailboxes.test_append_keeps_flags_and_date_and_status_counts";
    python_imaplib_fetches = "Messages.test_fetch_returns_parts_and_sets_seen";
    python_imaplib_stores_copies_moves_and_expunges = "Messages.test_store_copy_move_and_expunge";
    python_imaplib_uses_uids = "Messages.test_uid_forms";
    python_imaplib_searches_with_literals = "Messages.test_search_takes_literals";
    python_imaplib_sees_a_delivery_while_it_idles = "Idle.test_a_delivery_shows_while_another_connection_idles";
}

cases! {
    "poplib_cases.py" [];
    python_poplib_reads_capabilities_and_logs_in = "Login.test_capabilities_and_a_wrong_password";
    python_poplib_is_refused_while_the_maildrop_is_locked =
        "Login.test_a_second_login_is_refused_while_the_maildrop_is_locked";
    python_poplib_lists_and_retrieves = "Maildrop.test_messages_are_listed_and_retrieved_byte_by_byte";
    python_poplib_deletes_at_quit_unless_reset = "Maildrop.test_dele_is_undone_by_rset_and_done_by_quit";
    python_poplib_deletes_nothing_when_it_breaks_off = "Maildrop.test_a_connection_that_breaks_deletes_nothing";
    python_poplib_says_utf8 = "Utf8.test_utf8_is_needed_for_an_internationalized_message";
}

cases! {
    "exact_bytes_cases.py" [];
    python_smtplib_imaplib_and_poplib_agree_on_every_byte = "ExactBytes.test_what_is_sent_comes_back";
    python_imaplib_gets_back_what_it_appended = "ExactBytes.test_what_is_appended_comes_back";
}

// Driven by Python, whatever it is written in.
cases! {
    "thunderbird_cases.py" [];
    thunderbird_shows_folders_and_messages = "Reading.test_folders_and_messages_are_shown_with_every_byte";
    thunderbird_shows_a_delivery = "Reading.test_a_delivery_shows_without_being_asked_for";
    thunderbird_and_the_server_tell_each_other_of_flags = "Changing.test_flags_go_both_ways";
    thunderbird_copies_moves_and_deletes = "Changing.test_messages_are_copied_moved_and_deleted_both_ways";
    thunderbird_sends = "Sending.test_a_mail_is_sent_and_kept_in_sent";
}
