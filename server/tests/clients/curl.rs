//! curl, with the four protocols it shares with this server.

use crate::harness::{Account, Gadwall, Said, run};
use crate::mail::{Mail, kept, sample};
use std::process::Command;

fn curl(account: &Account, args: &[&str]) -> Said {
    let user = format!("{}:{}", account.user, account.pass);
    // -q: whatever .curlrc the user has stays out of it.
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--max-time", "30", "--user", &user]).args(args);
    run(&mut command, b"")
}

fn url(server: &Gadwall, protocol: &str, path: &str) -> String {
    format!("{protocol}://127.0.0.1:{}/{path}", server.port(protocol))
}

/// A server and an account with so many mails, and these as they are kept.
fn with_mails(count: usize) -> (Gadwall, Account, Vec<String>) {
    let server = Gadwall::start();
    let account = server.account();
    let mails: Vec<String> = (1..=count).map(|n| sample(&format!("number {n}"))).collect();
    Mail::of(&server, &account).submit(&mails);
    (server, account, mails.iter().map(|mail| kept(mail)).collect())
}

#[test]
fn curl_uploads_by_smtp() {
    let server = Gadwall::start();
    let account = server.account();
    let mail = sample("by curl");
    let file = server.dir().join("mail.eml");
    std::fs::write(&file, &mail).expect("a file");
    let file = file.to_string_lossy();
    let envelope = ["--mail-from", "ann@example.org", "--mail-rcpt", "bob@example.org"];
    let url = url(&server, "smtp", "client.example.org");
    for mechanism in ["PLAIN", "LOGIN"] {
        let options = ["--login-options", &format!("AUTH={mechanism}"), "--upload-file", &file, &url];
        curl(&account, &[&envelope[..], &options].concat()).ok();
    }
    assert_eq!(Mail::of(&server, &account).all("INBOX"), [kept(&mail), kept(&mail)]);
    let wrong = Account { pass: "wrong".into(), ..account };
    let said = curl(&wrong, &[&envelope[..], &["--upload-file", &file, &url]].concat());
    assert_eq!(said.status.code(), Some(67), "login denied: {said:?}");
}

#[test]
fn curl_lists_fetches_and_searches_by_imap() {
    let (server, account, mails) = with_mails(3);
    let imap = |path: &str| curl(&account, &[&url(&server, "imap", path)]);
    assert!(imap("").ok().contains("* LIST (\\HasNoChildren) \"/\" \"INBOX\"\r\n"));
    assert_eq!(imap("INBOX;UID=2").ok(), mails[1]);
    assert_eq!(imap("INBOX;MAILINDEX=3").ok(), mails[2]);
    let (head, text) = mails[1].split_once("\r\n\r\n").expect("a header and a body");
    assert_eq!(imap("INBOX;UID=2/;SECTION=TEXT").ok(), text);
    assert_eq!(imap("INBOX;UID=2/;SECTION=HEADER").ok(), format!("{head}\r\n\r\n"));
    assert_eq!(imap("INBOX;UID=2/;SECTION=HEADER.FIELDS%20(SUBJECT)").ok(), "Subject: number 2\r\n\r\n");
    assert_eq!(imap("INBOX?SUBJECT%20%22number%203%22").ok(), "* SEARCH 3\r\n");
    assert_eq!(imap("INBOX?ALL").ok(), "* SEARCH 1 2 3\r\n");
    assert_eq!(imap("INBOX;UID=9").status.code(), Some(78), "there is none");
    assert!(imap("Nowhere;UID=1").err.contains("Select failed"), "there is no such mailbox");
    let wrong = Account { pass: "wrong".into(), ..account.clone() };
    assert_eq!(curl(&wrong, &[&url(&server, "imap", "")]).status.code(), Some(67), "login denied");
}

#[test]
fn curl_appends_and_changes_by_imap() {
    let (server, account, _) = with_mails(1);
    let mail = Mail::of(&server, &account);
    let file = server.dir().join("mail.eml");
    std::fs::write(&file, sample("appended")).expect("a file");
    let inbox = url(&server, "imap", "INBOX");
    curl(&account, &["--upload-file", &file.to_string_lossy(), &inbox]).ok();
    assert_eq!(mail.all("INBOX")[1], sample("appended"));
    curl(&account, &["--request", "STORE 1 +FLAGS (\\Deleted)", &inbox]).ok();
    assert_eq!(curl(&account, &["--request", "EXPUNGE", &inbox]).ok(), "* 1 EXPUNGE\r\n");
    assert_eq!(mail.all("INBOX"), [sample("appended")]);
}

#[test]
fn curl_lists_and_retrieves_by_pop3() {
    let (server, account, mails) = with_mails(2);
    let pop3 = |path: &str| curl(&account, &[&url(&server, "pop3", path)]);
    assert_eq!(pop3("").ok(), format!("1 {}\r\n2 {}\r\n", mails[0].len(), mails[1].len()));
    assert_eq!(pop3("1").ok(), mails[0]);
    assert_eq!(pop3("2").ok(), mails[1]);
    assert!(!pop3("3").status.success());
    curl(&account, &["--request", "DELE", "--head", &url(&server, "pop3", "1")]).ok();
    assert_eq!(pop3("1").ok(), mails[1], "curl says QUIT, so the first one is gone");
    let wrong = Account { pass: "wrong".into(), ..account.clone() };
    assert_eq!(curl(&wrong, &[&url(&server, "pop3", "")]).status.code(), Some(67), "login denied");
}

#[test]
fn curl_uses_the_web_api_with_basic_authentication() {
    let (server, account, mails) = with_mails(1);
    let get = |account: &Account, path: &str| curl(account, &["--fail", &url(&server, "http", path)]);
    let me: serde_json::Value = serde_json::from_str(&get(&account, "users/me").ok()).expect("JSON");
    assert_eq!(me["address"], account.user);
    assert_eq!(get(&account, "users/me/mailboxes/INBOX/messages/1/message.eml").ok(), mails[0]);
    let made = ["--fail", "--json", r#"{"path":"Made"}"#, &url(&server, "http", "users/me/mailboxes")];
    curl(&account, &made).ok();
    assert!(curl(&account, &[&url(&server, "imap", "")]).ok().contains("\"Made\""));
    // 22: a status of 400 or more.
    let wrong = Account { pass: "wrong".into(), ..account.clone() };
    let said = get(&wrong, "users/me");
    assert_eq!(said.status.code(), Some(22), "{said:?}");
    assert!(said.err.contains("401"), "{said:?}");
    assert_eq!(get(&account, "users/me/mailboxes/INBOX/messages/9").status.code(), Some(22));
}
