//! mbsync (isync), which mirrors mailboxes into Maildirs and back.

use crate::harness::{Account, Gadwall, run};
use crate::mail::{Mail, kept, sample};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One side of a synchronisation: mbsync's configuration and the Maildirs.
struct Mirror {
    home: PathBuf,
}

impl Mirror {
    fn of(server: &Gadwall, account: &Account) -> Self {
        let home = server.dir().join("mbsync");
        fs::create_dir_all(home.join("mail")).expect("a directory");
        let (port, user, pass) = (server.port("imap"), &account.user, &account.pass);
        let config = format!(
            "IMAPAccount gadwall\nHost 127.0.0.1\nPort {port}\nUser {user}\nPass {pass}\nSSLType None\n\
             AuthMechs LOGIN\n\nIMAPStore server\nAccount gadwall\n\n\
             MaildirStore here\nPath {0}/mail/\nInbox {0}/mail/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :server:\nNear :here:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
            home.display()
        );
        fs::write(home.join("mbsyncrc"), config).expect("a file");
        Self { home }
    }

    /// Runs mbsync; how many commands it sent that carry or change messages.
    fn sync(&self) -> usize {
        let mut command = Command::new("mbsync");
        command.env("HOME", &self.home).args(["--debug-net", "--config"]).arg(self.home.join("mbsyncrc"));
        let dialogue = run(command.arg("all"), b"").ok();
        let carries = |line: &&str| {
            line.contains(">>> ")
                && ["BODY.PEEK[])", " APPEND ", " STORE ", " COPY ", "EXPUNGE"]
                    .iter()
                    .any(|c| line.contains(c))
        };
        dialogue.lines().filter(carries).count()
    }

    fn maildir(&self, mailbox: &str) -> PathBuf {
        self.home.join("mail").join(mailbox)
    }

    /// Paths of the messages in `cur` and `new`.
    fn files(&self, mailbox: &str) -> BTreeSet<PathBuf> {
        let list = |part: &str| fs::read_dir(self.maildir(mailbox).join(part)).expect("a Maildir");
        ["cur", "new"].into_iter().flat_map(list).map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Subject and flags of each message.
    fn flags(&self, mailbox: &str) -> BTreeMap<String, String> {
        let flags =
            |path: &PathBuf| path.to_string_lossy().split_once(":2,").map_or("", |(_, f)| f).to_owned();
        self.files(mailbox).iter().map(|path| (subject(&read(path)).to_owned(), flags(path))).collect()
    }

    /// The file of the message with this subject.
    fn file(&self, mailbox: &str, wanted: &str) -> PathBuf {
        let files = self.files(mailbox);
        files.into_iter().find(|path| subject(&read(path)) == wanted).expect("a message of that subject")
    }

    /// Gives a message flags, as a Maildir's mail reader does.
    fn mark(&self, mailbox: &str, wanted: &str, flags: &str) {
        let old = self.file(mailbox, wanted);
        let name = old.file_name().expect("a name").to_string_lossy().into_owned();
        let base = name.split(":2,").next().expect("a name").to_owned();
        fs::rename(old, self.maildir(mailbox).join("cur").join(format!("{base}:2,{flags}")))
            .expect("renamed");
    }

    fn deliver(&self, mailbox: &str, content: &str) {
        let maildir = self.maildir(mailbox);
        ["cur", "new", "tmp"].iter().for_each(|d| fs::create_dir_all(maildir.join(d)).expect("a directory"));
        let name = subject(content).replace(' ', ".");
        fs::write(maildir.join("new").join(name), unix(content)).expect("a file");
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a message")
}

fn subject(mail: &str) -> &str {
    mail.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject")
}

/// With the line breaks of a file, and without the header field that mbsync marks its own copies with.
fn unix(mail: &str) -> String {
    mail.replace("\r\n", "\n").split_inclusive('\n').filter(|line| !line.starts_with("X-TUID: ")).collect()
}

fn sorted(mails: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut mails: Vec<String> = mails.into_iter().collect();
    mails.sort();
    mails
}

/// Both sides have exactly these messages.
fn assert_same(mirror: &Mirror, mail: &Mail, mailbox: &str, expected: &[String]) {
    let expected = sorted(expected.iter().map(|m| unix(m)));
    let here = sorted(mirror.files(mailbox).iter().map(|path| unix(&read(path))));
    assert_eq!(here, expected, "in the Maildir");
    assert_eq!(sorted(mail.all(mailbox).iter().map(|m| unix(m))), expected, "on the server");
}

#[test]
fn mbsync_syncs_both_ways() {
    let server = Gadwall::start();
    let account = server.account();
    let (mail, mirror) = (Mail::of(&server, &account), Mirror::of(&server, &account));
    let mails: Vec<String> = (1..=50).map(|n| sample(&format!("number {n}"))).collect();
    mail.submit(&mails);
    let mut expected: Vec<String> = mails.iter().map(|m| kept(m)).collect();
    assert_eq!(mirror.sync(), 50, "each message is fetched once");
    assert_same(&mirror, &mail, "INBOX", &expected);

    // Nothing has changed, so nothing is done, by either side.
    let (before, seen) = (mirror.files("INBOX"), mail.summaries("INBOX"));
    assert_eq!(mirror.sync(), 0);
    assert_eq!((mirror.files("INBOX"), mail.summaries("INBOX")), (before, seen));

    // New on both sides, and a new mailbox on each.
    let (there, here) = (sample("new there"), sample("new here"));
    mail.submit([&there]);
    mirror.deliver("INBOX", &here);
    mirror.deliver("Local", &sample("in a new mailbox"));
    mirror.sync();
    expected.extend([kept(&there), here]);
    assert_same(&mirror, &mail, "INBOX", &expected);
    assert_same(&mirror, &mail, "Local", &[sample("in a new mailbox")]);
    assert!(mirror.maildir("Sent").join("cur").is_dir(), "mailboxes of the server are made here");
}

#[test]
fn mbsync_carries_flags_and_deletions_both_ways() {
    let server = Gadwall::start();
    let account = server.account();
    let (mail, mirror) = (Mail::of(&server, &account), Mirror::of(&server, &account));
    let mails: Vec<String> = (1..=50).map(|n| sample(&format!("number {n}"))).collect();
    mail.submit(&mails);
    mirror.sync();

    mail.change("INBOX", &serde_json::json!({ "message": "1:3", "seen": true, "flagged": true }));
    mail.change("INBOX", &serde_json::json!({ "message": "4", "answered": true }));
    mirror.mark("INBOX", "number 5", "FS");
    mirror.mark("INBOX", "number 6", "DR");
    mirror.sync();
    let flags = mirror.flags("INBOX");
    for (number, wanted) in [(1, "FS"), (2, "FS"), (3, "FS"), (4, "R"), (5, "FS"), (6, "DR"), (7, "")] {
        assert_eq!(flags[&format!("number {number}")], wanted, "of number {number} here");
    }
    let of = |message: &serde_json::Value| {
        ["flagged", "seen", "draft", "answered"].map(|flag| message[flag].as_bool().expect(flag))
    };
    let there: Vec<_> = mail.summaries("INBOX").iter().map(of).collect();
    let (flagged_seen, answered) = ([true, true, false, false], [false, false, false, true]);
    assert_eq!(there[..4], [flagged_seen, flagged_seen, flagged_seen, answered], "on the server");
    assert_eq!(there[4..7], [flagged_seen, [false, false, true, true], [false; 4]], "on the server");

    // A flag goes on each side; a message goes on each side, by its flag or at once.
    mail.change("INBOX", &serde_json::json!({ "message": "5", "flagged": false }));
    mirror.mark("INBOX", "number 1", "S");
    mail.delete("INBOX", 10);
    mail.change("INBOX", &serde_json::json!({ "message": "11", "deleted": true }));
    mirror.mark("INBOX", "number 20", "T");
    fs::remove_file(mirror.file("INBOX", "number 21")).expect("removed");
    mirror.sync();
    assert_eq!(mirror.flags("INBOX")["number 5"], "S");
    assert_eq!(of(&mail.summaries("INBOX")[0]), [false, true, false, false]);
    let gone = [10, 11, 20, 21];
    let left = (1..=50).filter(|n| !gone.contains(n)).map(|n: usize| kept(&mails[n - 1]));
    assert_same(&mirror, &mail, "INBOX", &left.collect::<Vec<_>>());
    assert_eq!(mirror.sync(), 0, "nothing is left to do");
}
