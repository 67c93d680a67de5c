//! swaks, the SMTP test tool: every listener that takes mail.

use crate::harness::{Account, Gadwall, Said, run};
use crate::mail::Mail;
use std::process::Command;

// Its exit codes, by its manual: "no RCPTs accepted", "error in AUTH", "error in TLS negotiation".
const NO_RECIPIENT: i32 = 24;
const AUTH_FAILED: i32 = 28;
const TLS_FAILED: i32 = 29;

fn swaks(server: &Gadwall, door: &str, to: &str, args: &[&str]) -> Said {
    let port = server.port(door).to_string();
    let mut command = Command::new("swaks");
    // Whatever .swaksrc the user has stays out of it.
    command.env("HOME", server.dir()).args(["--server", "127.0.0.1", "--port", &port, "--timeout", "20s"]);
    command.args(["--from", "ann@example.org", "--to", to, "--body", "sent by swaks"]);
    run(command.args(args), b"")
}

fn login<'a>(account: &'a Account, mechanism: &'a str) -> [&'a str; 6] {
    ["--auth", mechanism, "--auth-user", &account.user, "--auth-password", &account.pass]
}

/// The bodies of the INBOX, which must all be swaks's.
fn arrived(server: &Gadwall, account: &Account) -> usize {
    let all = Mail::of(server, account).all("INBOX");
    all.iter().for_each(|mail| assert!(mail.contains("\r\n\r\nsent by swaks\r\n"), "{mail}"));
    all.len()
}

#[test]
fn swaks_authenticates_with_plain_and_login() {
    let server = Gadwall::start();
    let account = server.account();
    for (mechanism, count) in [("PLAIN", 1), ("LOGIN", 2)] {
        let out = swaks(&server, "smtp", "bob@example.org", &login(&account, mechanism)).ok();
        assert!(out.contains(&format!(" -> AUTH {mechanism}")), "{out}");
        assert!(out.contains("<-  235 "), "{out}");
        assert_eq!(arrived(&server, &account), count);
    }
}

#[test]
fn swaks_reports_a_wrong_password_and_an_absent_mechanism() {
    let server = Gadwall::start();
    let account = server.account();
    let wrong = Account { pass: "wrong".into(), ..account.clone() };
    let said = swaks(&server, "smtp", "bob@example.org", &login(&wrong, "PLAIN"));
    assert_eq!(said.status.code(), Some(AUTH_FAILED), "{said:?}");
    assert!(said.out.contains("<** 535 5.7.8 "), "{said:?}");
    let said = swaks(&server, "smtp", "bob@example.org", &login(&account, "CRAM-MD5"));
    assert_eq!(said.status.code(), Some(AUTH_FAILED), "{said:?}");
    assert_eq!(arrived(&server, &account), 0);
}

#[test]
fn swaks_pipelines() {
    let server = Gadwall::start();
    let account = server.account();
    let args = [&login(&account, "PLAIN")[..], &["--pipeline"]].concat();
    let out = swaks(&server, "smtp", "bob@example.org,eve@example.org", &args).ok();
    let together = " -> RCPT TO:<bob@example.org>\n -> RCPT TO:<eve@example.org>\n -> DATA\n<-  250 ";
    assert!(out.contains(together), "the commands go out together: {out}");
    assert_eq!(arrived(&server, &account), 1);
}

#[test]
fn swaks_encrypts_and_checks_the_certificate() {
    let server = Gadwall::with(&["--tls-self-signed", "--smtps", "0"]);
    let account = server.account();
    let certificate = server.dir().join("data/self-signed.crt").to_string_lossy().into_owned();
    let plain = login(&account, "PLAIN");
    let trusting = ["--tls-verify", "--tls-ca-path", &certificate];
    for (door, how, count) in [("smtp", "--tls", 1), ("smtps", "--tls-on-connect", 2)] {
        let args = [&plain[..], &trusting, &[how]].concat();
        let out = swaks(&server, door, "bob@example.org", &args).ok();
        assert!(out.contains("=== TLS started") && out.contains(" ~> AUTH PLAIN"), "{out}");
        assert_eq!(arrived(&server, &account), count);
    }
    let said = swaks(&server, "smtp", "bob@example.org", &[&plain[..], &["--tls", "--tls-verify"]].concat());
    assert_eq!(said.status.code(), Some(TLS_FAILED), "nobody vouches for it: {said:?}");
}

#[test]
fn swaks_is_not_offered_tls_without_a_certificate() {
    let server = Gadwall::start();
    let account = server.account();
    let args = [&login(&account, "PLAIN")[..], &["--tls"]].concat();
    let said = swaks(&server, "smtp", "bob@example.org", &args);
    assert_eq!(said.status.code(), Some(TLS_FAILED), "{said:?}");
    assert!(said.out.contains("<-  250-PIPELINING") && !said.out.contains("STARTTLS\n"), "{said:?}");
    assert_eq!(arrived(&server, &account), 0);
}

#[test]
fn swaks_delivers_by_lmtp_with_an_answer_for_each_recipient() {
    let server = Gadwall::with(&["--lmtp", "0"]);
    let (one, two) = (server.account(), server.account());
    let to = format!("{},{},nobody@gadwall.test", one.user, two.user);
    let out = swaks(&server, "lmtp", &to, &["--protocol", "LMTP"]).ok();
    assert!(out.contains(" -> LHLO ") && out.contains("<** 550 5.1.1 "), "{out}");
    assert_eq!(out.matches("<-  250 2.6.0 Delivered").count(), 2, "{out}");
    assert_eq!((arrived(&server, &one), arrived(&server, &two)), (1, 1));
    let received = &Mail::of(&server, &one).all("INBOX")[0];
    assert!(received.starts_with("Return-Path: <ann@example.org>\r\nReceived: from "), "{received}");
    assert!(received.contains(" with LMTP id "), "{received}");
}

#[test]
fn swaks_delivers_to_existing_addresses_as_another_server_does() {
    let server = Gadwall::with(&["--mx", "0"]);
    let account = server.account();
    swaks(&server, "mx", &account.user, &[]).ok();
    swaks(&server, "mx", &account.user.replace('@', "+some.detail@"), &[]).ok();
    assert_eq!(arrived(&server, &account), 2);
    let said = swaks(&server, "mx", "nobody@gadwall.test", &[]);
    assert_eq!(said.status.code(), Some(NO_RECIPIENT), "{said:?}");
    assert!(said.out.contains("<** 550 5.1.1 "), "{said:?}");
}
