//! OfflineIMAP, which keeps mailboxes and Maildirs the same, here over a compressed connection.

use crate::harness::{Account, Gadwall, run};
use crate::mail::{Mail, kept, sample};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Mirror {
    home: PathBuf,
}

impl Mirror {
    fn of(server: &Gadwall, account: &Account) -> Self {
        let home = server.dir().join("offlineimap");
        fs::create_dir_all(home.join("mail")).expect("a directory");
        let (port, user, pass) = (server.port("imap"), &account.user, &account.pass);
        let config = format!(
            "[general]\naccounts = gadwall\nmetadata = {0}/meta\nfsync = false\n\n\
             [Account gadwall]\nlocalrepository = here\nremoterepository = server\n\n\
             [Repository here]\ntype = Maildir\nlocalfolders = {0}/mail\nsep = .\n\n\
             [Repository server]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {port}\nremoteuser = {user}\n\
             remotepass = {pass}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN\nusecompression = yes\n",
            home.display()
        );
        fs::write(home.join("rc"), config).expect("a file");
        Self { home }
    }

    /// Runs it once; what it says of its dialogue.
    fn sync(&self) -> String {
        let mut command = Command::new("offlineimap");
        command.env("HOME", &self.home).arg("-c").arg(self.home.join("rc"));
        let said = run(command.args(["-o", "-u", "basic", "-d", "imap"]), b"");
        said.ok()
    }

    fn maildir(&self, mailbox: &str) -> PathBuf {
        self.home.join("mail").join(mailbox)
    }

    fn files(&self, mailbox: &str) -> Vec<PathBuf> {
        let list = |folder: &str| fs::read_dir(self.maildir(mailbox).join(folder)).expect("a Maildir");
        ["cur", "new"].into_iter().flat_map(list).map(|entry| entry.expect("an entry").path()).collect()
    }

    fn file(&self, mailbox: &str, subject: &str) -> PathBuf {
        let line = format!("Subject: {subject}\n");
        let has = |path: &PathBuf| read(path).contains(&line);
        self.files(mailbox).into_iter().find(has).expect("a message of that subject")
    }

    /// Gives a message flags, as a Maildir's mail reader does.
    fn mark(&self, mailbox: &str, subject: &str, flags: &str) {
        let old = self.file(mailbox, subject);
        let name = old.file_name().expect("a name").to_string_lossy().into_owned();
        let base = name.split(":2,").next().expect("a name");
        fs::rename(&old, self.maildir(mailbox).join("cur").join(format!("{base}:2,{flags}")))
            .expect("renamed");
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a message")
}

fn unix(mail: &str) -> String {
    mail.replace("\r\n", "\n")
}

/// Both sides have exactly these messages.
fn assert_same(mirror: &Mirror, mail: &Mail, mailbox: &str, expected: &[String]) {
    let sorted = |mails: Vec<String>| {
        let mut mails: Vec<String> = mails.iter().map(|mail| unix(mail)).collect();
        mails.sort();
        mails
    };
    let expected = sorted(expected.to_vec());
    assert_eq!(
        sorted(mirror.files(mailbox).iter().map(|path| read(path)).collect()),
        expected,
        "in the Maildir"
    );
    assert_eq!(sorted(mail.all(mailbox)), expected, "on the server");
}

#[test]
fn offlineimap_syncs_messages_flags_and_deletions_both_ways() {
    let server = Gadwall::start();
    let account = server.account();
    let (mail, mirror) = (Mail::of(&server, &account), Mirror::of(&server, &account));
    let mails: Vec<String> = (1..=10).map(|n| sample(&format!("number {n}"))).collect();
    mail.submit(&mails);
    let said = mirror.sync();
    assert!(said.contains("COMPRESS"), "{said}");
    let mut expected: Vec<String> = mails.iter().map(|m| kept(m)).collect();
    assert_same(&mirror, &mail, "INBOX", &expected);
    assert!(mirror.maildir("Sent").join("cur").is_dir(), "mailboxes of the server are made here");

    // Again: nothing has changed, so nothing is done.
    let before = mirror.files("INBOX");
    mirror.sync();
    assert_eq!(mirror.files("INBOX"), before);
    assert_same(&mirror, &mail, "INBOX", &expected);

    // New on both sides; flags and deletions on both sides.
    let (there, here) = (sample("new there"), sample("new here"));
    mail.submit([&there]);
    fs::write(mirror.maildir("INBOX").join("new").join("1.new.here"), unix(&here)).expect("a file");
    mail.change("INBOX", &serde_json::json!({ "message": "1", "seen": true, "flagged": true }));
    mirror.mark("INBOX", "number 2", "FS");
    mail.delete("INBOX", 3);
    fs::remove_file(mirror.file("INBOX", "number 4")).expect("removed");
    mirror.sync();
    expected.drain(2..4);
    expected.extend([kept(&there), here]);
    assert_same(&mirror, &mail, "INBOX", &expected);
    let name = mirror.file("INBOX", "number 1").to_string_lossy().into_owned();
    assert!(name.ends_with(":2,FS"), "{name}");
    let two = &mail.summaries("INBOX")[1];
    assert_eq!(["flagged", "seen"].map(|flag| two[flag].as_bool()), [Some(true); 2], "{two}");
}
