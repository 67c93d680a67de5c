//! fetchmail and getmail, which move mail from a server into local files.

use crate::harness::{Account, Gadwall, Said, run};
use crate::mail::{Mail, kept, sample};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const PROTOCOLS: [&str; 2] = ["imap", "pop3"];

/// A server, an account with three mails in it, and these as local files have them.
fn with_mails() -> (Gadwall, Account, Vec<String>) {
    let server = Gadwall::start();
    let account = server.account();
    let mails: Vec<String> = (1..=3).map(|n| sample(&format!("number {n}"))).collect();
    Mail::of(&server, &account).submit(&mails);
    (server, account, mails.iter().map(|mail| unix(mail)).collect())
}

fn unix(mail: &str) -> String {
    kept(mail).replace("\r\n", "\n")
}

/// Both programs want what holds a password to be their user's alone.
fn private_file(path: &Path, text: &str) {
    let mut file =
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).expect("a new file");
    file.write_all(text.as_bytes()).expect("it is written");
}

fn private_directory(path: &Path) {
    DirBuilder::new().recursive(true).mode(0o700).create(path).expect("a directory");
}

/// Runs fetchmail, which appends each mail to a file.
fn fetchmail(server: &Gadwall, account: &Account, protocol: &str, options: &str) -> Said {
    let home = server.dir().join("fetchmail").join(protocol);
    private_directory(&home);
    let (rc, mbox) = (home.join("fetchmailrc"), home.join("mbox"));
    let _ = fs::remove_file(&rc);
    // In POP3, the unique ids tell what was fetched before; in IMAP, \\Seen does.
    let uidl = if protocol == "pop3" { " uidl" } else { "" };
    let text = format!(
        "set no bouncemail\npoll 127.0.0.1 protocol {protocol} port {}{uidl}\n  auth password user \"{}\" password \
         \"{}\" sslproto \"\" {options}\n  mda \"cat >> {mbox}; printf '\\\\0' >> {mbox}\"\n",
        server.port(protocol),
        account.user,
        account.pass,
        mbox = mbox.display()
    );
    private_file(&rc, &text);
    let mut command = Command::new("fetchmail");
    command.env("HOME", &home).env("FETCHMAILHOME", &home).args(["--nosyslog", "--fetchmailrc"]).arg(&rc);
    // Run by root it would share one lock with every other fetchmail of the machine.
    command.arg("--pidfile").arg(home.join("pid"));
    run(&mut command, b"")
}

/// What fetchmail has appended, without the field that it puts before each mail.
fn fetched(server: &Gadwall, protocol: &str) -> Vec<String> {
    let mbox = server.dir().join("fetchmail").join(protocol).join("mbox");
    let text = fs::read_to_string(mbox).unwrap_or_default();
    let without_trace = |mail: &str| {
        assert!(mail.starts_with("Received: from 127.0.0.1 "), "{mail}");
        let end = mail.find("\nReturn-Path:").expect("the server's own field comes next");
        mail[end + 1..].to_owned()
    };
    text.split_terminator('\0').map(without_trace).collect()
}

/// fetchmail's exit status when there was no mail to fetch.
const NO_MAIL: Option<i32> = Some(1);

fn fetchmail_fetches_once(protocol: &str) {
    let (server, account, mut mails) = with_mails();
    let mail = Mail::of(&server, &account);
    fetchmail(&server, &account, protocol, "keep").ok();
    assert_eq!(fetched(&server, protocol), mails);
    let again = fetchmail(&server, &account, protocol, "keep");
    assert_eq!(again.status.code(), NO_MAIL, "{again:?}");
    assert_eq!(fetched(&server, protocol), mails, "nothing is fetched twice");

    let late = sample("late");
    mail.submit([&late]);
    fetchmail(&server, &account, protocol, "keep").ok();
    mails.push(unix(&late));
    assert_eq!(fetched(&server, protocol), mails, "only what is new is fetched");
    assert_eq!(mail.all("INBOX").len(), 4);

    fetchmail(&server, &account, protocol, "nokeep fetchall").ok();
    assert_eq!(fetched(&server, protocol), [mails.clone(), mails].concat());
    assert_eq!(mail.all("INBOX"), [""; 0], "what was fetched is deleted");
    assert_eq!(fetchmail(&server, &account, protocol, "nokeep fetchall").status.code(), NO_MAIL);
}

#[test]
fn fetchmail_fetches_once_by_imap() {
    fetchmail_fetches_once("imap");
}

#[test]
fn fetchmail_fetches_once_by_pop3() {
    fetchmail_fetches_once("pop3");
}

#[test]
fn fetchmail_reports_a_wrong_password() {
    /// "There was a user authentication failure."
    const AUTH_FAILED: Option<i32> = Some(3);
    let (server, account, _) = with_mails();
    let wrong = Account { pass: "wrong".into(), ..account };
    for protocol in PROTOCOLS {
        let said = fetchmail(&server, &wrong, protocol, "keep");
        assert_eq!(said.status.code(), AUTH_FAILED, "{protocol}: {said:?}");
        assert_eq!(fetched(&server, protocol), [""; 0]);
    }
}

/// A home for getmail. It refuses to write a Maildir as root, so then the home and the process are nobody's.
struct GetmailHome {
    dir: tempfile::TempDir,
    user: Option<u32>,
}

impl GetmailHome {
    fn new(server: &Gadwall, account: &Account, protocol: &str, options: &str) -> Self {
        const NOBODY: u32 = 65534;
        // Not below the server's directory, which is closed to other users.
        let dir = tempfile::tempdir().expect("a directory");
        let am_root = fs::metadata(dir.path()).expect("its owner").uid() == 0;
        let home = Self { user: am_root.then_some(NOBODY), dir };
        let path = home.dir.path();
        ["", "mail", "mail/cur", "mail/new", "mail/tmp"]
            .iter()
            .for_each(|d| private_directory(&path.join(d)));
        let text = format!(
            "[retriever]\ntype = Simple{}Retriever\nserver = 127.0.0.1\nport = {}\nusername = {}\n\
             password = {}\n[destination]\ntype = Maildir\npath = {}/mail/\n[options]\ndelivered_to = false\n\
             received = false\n{options}\n",
            protocol.to_uppercase(),
            server.port(protocol),
            account.user,
            account.pass,
            path.display()
        );
        private_file(&path.join("getmailrc"), &text);
        if let Some(user) = home.user {
            for name in ["getmailrc", "mail/cur", "mail/new", "mail/tmp", "mail", ""] {
                chown(path.join(name), Some(user), Some(user)).expect("given away");
            }
        }
        home
    }

    fn run(&self) -> String {
        let mut command = Command::new("getmail");
        command.env("HOME", self.dir.path()).current_dir(self.dir.path()).arg("--rcfile=getmailrc");
        command.arg(format!("--getmaildir={}", self.dir.path().display()));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        run(&mut command, b"").ok()
    }

    /// What is in the Maildir, without the field that getmail marks mail from IMAP with.
    fn mails(&self) -> Vec<String> {
        const MARK: &str = "X-getmail-retrieved-from-mailbox: INBOX\n";
        let entries = fs::read_dir(self.dir.path().join("mail/new")).expect("a Maildir");
        let read = |path| fs::read_to_string(path).expect("a mail").replacen(MARK, "", 1);
        let mut mails: Vec<String> = entries.map(|entry| read(entry.expect("an entry").path())).collect();
        mails.sort();
        mails
    }
}

fn getmail_fetches_once(protocol: &str) {
    let (server, account, mails) = with_mails();
    let home = GetmailHome::new(&server, &account, protocol, "read_all = false\ndelete = false");
    assert!(home.run().contains("3 messages ("), "three are retrieved");
    assert_eq!(home.mails(), mails);
    let out = home.run();
    assert!(out.contains("0 messages (0 bytes) retrieved, 3 skipped"), "{out}");
    assert_eq!(home.mails(), mails, "nothing is fetched twice");

    let emptying = GetmailHome::new(&server, &account, protocol, "delete = true");
    emptying.run();
    assert_eq!(emptying.mails(), mails);
    assert_eq!(Mail::of(&server, &account).all("INBOX"), [""; 0], "what was fetched is deleted");
}

#[test]
fn getmail_fetches_once_by_imap() {
    getmail_fetches_once("imap");
}

#[test]
fn getmail_fetches_once_by_pop3() {
    getmail_fetches_once("pop3");
}
