//! Holds the server to the table of `docs/errors.md`: what each protocol says in each situation.

use crate::Limits;
use crate::http::tests::{as_ann, config};
use crate::smtp::Role;
use crate::testing::{Talk, TrickyStore, World};
use crate::{http, imap, pop3, smtp};
use axum::body::Body;
use gadwall_storage::StoreError;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

/// What the table has for a situation, by column.
fn told(situation: &str, column: &str) -> String {
    let table = include_str!("../../docs/errors.md");
    let cells =
        |line: &str| line.split('|').map(|c| c.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    let head = cells(table.lines().find(|l| l.starts_with("| Situation")).unwrap());
    let row = table.lines().find(|l| l.starts_with(&format!("| {situation} |"))).expect(situation);
    let at = head.iter().position(|c| c == column).expect(column);
    cells(row)[at].clone()
}

struct Case {
    world: World,
    store: Arc<TrickyStore>,
}

impl Case {
    async fn new(limits: Limits, quota: u64) -> Self {
        let (world, store) = World::tricky(limits, quota).await;
        Case { world, store }
    }

    async fn plain() -> Self {
        Self::new(Limits::default(), 100_000_000).await
    }

    /// Lets the account expire (its default lifetime is a week).
    fn expire(&self) {
        self.world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    }

    async fn smtp(&self, role: Role) -> Talk {
        let (conn, mut talk) = self.world.connection();
        tokio::spawn(smtp::serve(conn, self.world.services.clone(), role.clone()));
        talk.line().await;
        ask(&mut talk, if role == Role::Lmtp { "LHLO c" } else { "EHLO c" }).await;
        if role == SMTP {
            // ann@example.org, secret
            ask(&mut talk, "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=").await;
        }
        talk
    }

    /// What the first refusal of a whole delivery is.
    async fn deliver(&self, role: Role, to: &str, content: &str) -> String {
        let mut talk = self.smtp(role).await;
        for line in ["MAIL FROM:<bob@far.org>".to_owned(), format!("RCPT TO:<{to}>"), "DATA".into()] {
            let reply = ask(&mut talk, &line).await;
            if !reply.starts_with(['2', '3']) {
                return reply;
            }
        }
        ask(&mut talk, &format!("{content}\r\n.")).await
    }

    async fn imap(&self, password: &str) -> (Talk, String) {
        let (conn, mut talk) = self.world.connection();
        tokio::spawn(imap::serve(conn, self.world.services.clone()));
        talk.line().await;
        talk.send(format!("t LOGIN ann@example.org {password}\r\n")).await;
        let reply = talk.line().await;
        (talk, reply)
    }

    async fn append(&self, content: &str) -> String {
        let (mut talk, _) = self.imap("secret").await;
        talk.send(format!("t APPEND INBOX {{{}+}}\r\n{content}\r\n", content.len())).await;
        talk.line().await
    }

    async fn pop3(&self, password: &str) -> (Talk, String) {
        let (conn, mut talk) = self.world.connection();
        tokio::spawn(pop3::serve(conn, self.world.services.clone()));
        talk.line().await;
        talk.send("USER ann@example.org\r\n").await;
        talk.line().await;
        talk.send(format!("PASS {password}\r\n")).await;
        let reply = talk.line().await;
        (talk, reply)
    }

    /// Status and code of a request as ann.
    async fn http(&self, method: &str, path: &str, body: &str) -> String {
        self.request(as_ann(method, path).body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn request(&self, mut request: axum::http::Request<Body>) -> String {
        let (_serving, is_serving) = tokio::sync::watch::channel(true);
        let router = http::router(self.world.services.clone(), config(), is_serving);
        let peer: std::net::SocketAddr = "127.0.0.1:5".parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        format!("{status} {}", json["code"].as_str().unwrap_or("(no code)"))
    }
}

const SMTP: Role = Role::Submission { accept_anything: None };
const DOORS: [(&str, Role); 3] = [("SMTP", SMTP), ("MX", Role::Exchanger), ("LMTP", Role::Lmtp)];
const ANN: &str = "ann@example.org";
const SUBMIT: &str = "/users/me/submit";

/// Sends a line and reads a reply, of which the last line counts.
async fn ask(talk: &mut Talk, line: &str) -> String {
    talk.send(format!("{line}\r\n")).await;
    loop {
        let line = talk.line().await;
        if line.as_bytes().get(3) != Some(&b'-') {
            return line;
        }
    }
}

fn is_told(situation: &str, column: &str, said: &str) {
    let told = told(situation, column);
    let expected = match column {
        "IMAP" if told.starts_with("BYE") => format!("* {told}"),
        "IMAP" => format!("t {told}"),
        _ => told,
    };
    assert!(said.starts_with(&expected), "{situation}, {column}: {said:?} is not {expected:?}");
}

#[tokio::test]
async fn over_quota_has_its_code_everywhere() {
    let case = Case::new(Limits::default(), 100).await;
    let content = "x".repeat(200);
    for (column, role) in DOORS {
        is_told("over quota", column, &case.deliver(role, ANN, &content).await);
    }
    is_told("over quota", "IMAP", &case.append(&content).await);
    is_told("over quota", "HTTP", &case.http("POST", SUBMIT, &content).await);
}

#[tokio::test]
async fn an_unknown_mailbox_has_its_code_everywhere() {
    let case = Case::plain().await;
    for (column, role) in &DOORS[1..] {
        is_told("unknown mailbox", column, &case.deliver(role.clone(), "nobody@example.org", "x").await);
    }
    let (mut talk, _) = case.imap("secret").await;
    talk.send("t SELECT Nowhere\r\n").await;
    is_told("unknown mailbox", "IMAP", &talk.line().await);
    let (mut talk, _) = case.imap("secret").await;
    talk.send("t APPEND Nowhere {1+}\r\nx\r\n").await;
    assert!(talk.line().await.starts_with("t NO [TRYCREATE]"));
    is_told("unknown mailbox", "HTTP", &case.http("GET", "/users/me/mailboxes/Nowhere", "").await);
}

#[tokio::test]
async fn a_message_too_large_has_its_code_everywhere() {
    let case = Case::new(Limits { message_bytes: 100, ..Limits::default() }, 100_000).await;
    let content = "x".repeat(200);
    for (column, role) in DOORS {
        is_told("message too large", column, &case.deliver(role, ANN, &content).await);
    }
    is_told("message too large", "IMAP", &case.append(&content).await);
    is_told("message too large", "HTTP", &case.http("POST", SUBMIT, &content).await);
}

#[tokio::test]
async fn an_account_that_expires_has_its_code_everywhere() {
    let situation = "account expired while logged in";
    let case = Case::plain().await;
    case.append("x").await;
    let mut smtp = case.smtp(SMTP).await;
    let (mut imap, _) = case.imap("secret").await;
    let (mut pop3, _) = case.pop3("secret").await;
    case.expire();
    is_told(situation, "SMTP", &ask(&mut smtp, "MAIL FROM:<a@b.org>").await);
    for (column, role) in &DOORS[1..] {
        is_told(situation, column, &case.deliver(role.clone(), ANN, "x").await);
    }
    imap.send("t SELECT INBOX\r\n").await;
    is_told(situation, "IMAP", &imap.line().await);
    pop3.send("RETR 1\r\n").await;
    is_told(situation, "POP3", &pop3.line().await);
    is_told(situation, "HTTP", &case.http("GET", "/users/me", "").await);
    // Nor can it log in again; that looks like any wrong password.
    is_told("wrong password", "IMAP", &case.imap("secret").await.1);
    is_told("wrong password", "POP3", &case.pop3("secret").await.1);
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_have_their_codes_everywhere() {
    let case = Case::plain().await;
    let mut smtp = case.smtp(Role::Submission { accept_anything: None }).await;
    smtp.send("RSET\r\n").await;
    smtp.line().await;
    let wrong = || {
        let request = http::tests::basic("GET", "/users/me", ANN, "wrong");
        request.body(Body::empty()).unwrap()
    };
    let plain = "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwB3cm9uZw==";
    let (conn, mut talk) = case.world.connection();
    tokio::spawn(smtp::serve(conn, case.world.services.clone(), SMTP));
    talk.line().await;
    ask(&mut talk, "EHLO c").await;
    for situation in ["wrong password", "too many wrong passwords"] {
        is_told(situation, "SMTP", &ask(&mut talk, plain).await);
        is_told(situation, "IMAP", &case.imap("wrong").await.1);
        is_told(situation, "POP3", &case.pop3("wrong").await.1);
        is_told(situation, "HTTP", &case.request(wrong()).await);
        for _ in 0..6 {
            case.pop3("wrong").await;
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_has_its_codes_everywhere() {
    for (situation, error) in [
        ("disk full", StoreError::StorageFull("/secret/path: no space left".into())),
        ("store unavailable", StoreError::unavailable("/secret/path: input/output error")),
    ] {
        let case = Case::plain().await;
        case.append("x").await;
        *case.store.append_error.lock().unwrap() = Some(error.clone());
        for (column, role) in DOORS {
            let said = case.deliver(role, ANN, "x").await;
            is_told(situation, column, &said);
            assert!(!said.contains("/secret/path"), "{said}");
        }
        is_told(situation, "IMAP", &case.append("x").await);
        is_told(situation, "HTTP", &case.http("POST", SUBMIT, "x").await);
        case.store.expunge_errors.lock().unwrap().push(error);
        let (mut talk, _) = case.pop3("secret").await;
        talk.send("DELE 1\r\nQUIT\r\n").await;
        talk.line().await;
        let said = talk.line().await;
        is_told(situation, "POP3", &said);
        assert!(!said.contains("/secret/path"), "{said}");
    }
}
