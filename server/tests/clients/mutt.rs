//! mutt, sending by SMTP and reading over IMAP.

use crate::harness::{Account, Gadwall, run};
use crate::mail::Mail;
use std::fs;
use std::path::Path;
use std::process::Command;

struct Mutt<'a> {
    home: &'a Path,
}

impl<'a> Mutt<'a> {
    fn new(server: &'a Gadwall, account: &Account) -> Self {
        let (user, pass) = (account.user.replace('@', "%40"), &account.pass);
        let config = format!(
            "set smtp_url=\"smtp://{user}@127.0.0.1:{}/\" smtp_pass=\"{pass}\" smtp_authenticators=plain\n\
             set folder=\"imap://{user}@127.0.0.1:{}/\" spoolfile=\"+INBOX\" imap_pass=\"{pass}\"\n\
             set ssl_starttls=no ssl_force_tls=no from=\"ann@example.org\" use_envelope_from=yes\n\
             set mbox_type=mbox charset=\"utf-8\" send_charset=\"utf-8\" record=\"\" copy=no move=no\n\
             set confirmcreate=no confirmappend=no delete=yes quit=yes wait_key=no sleep_time=0\n",
            server.port("smtp"),
            server.port("imap"),
        );
        fs::write(server.dir().join("muttrc"), config).expect("a file");
        Self { home: server.dir() }
    }

    /// Sends a mail, as scripts do.
    fn send(&self, subject: &str, body: &str, attachment: Option<&Path>) {
        let mut command = Command::new("mutt");
        self.environment(&mut command).args(["-F", "muttrc", "-s", subject]);
        if let Some(path) = attachment {
            command.arg("-a").arg(path);
        }
        run(command.args(["--", "bob@example.org"]), body.as_bytes()).ok();
    }

    /// Opens the INBOX in a terminal and types keys and functions.
    fn types(&self, keys: &str) -> String {
        let mutt = format!("mutt -F muttrc -e 'push \"{keys}\"'");
        let mut command = Command::new("script");
        run(self.environment(&mut command).args(["-qec", &mutt, "/dev/null"]), b"").ok()
    }

    fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.current_dir(self.home).env("HOME", self.home).env("TERM", "dumb").env("LC_ALL", "C.UTF-8")
    }
}

#[test]
fn mutt_sends_by_smtp_and_saves_from_imap_into_an_mbox() {
    let server = Gadwall::start();
    let account = server.account();
    let mutt = Mutt::new(&server, &account);
    let attachment = server.dir().join("note.txt");
    fs::write(&attachment, "an attached note\n").expect("a file");
    mutt.send("first ✔", "Grüße\n", None);
    mutt.send("second", ".\n..\nFrom the start of a line\n", None);
    mutt.send("third", "see the note\n", Some(&attachment));

    let mbox = server.dir().join("saved.mbox");
    let screen = mutt
        .types(&format!("<tag-pattern>~A<enter><tag-prefix><copy-message>{}<enter><quit>", mbox.display()));
    let saved = fs::read_to_string(&mbox).unwrap_or_else(|e| panic!("{e}: {screen}"));
    assert_eq!(saved.lines().filter(|line| line.starts_with("From ann@example.org ")).count(), 3, "{saved}");
    for expected in [
        "\nReturn-Path: <ann@example.org>\n",
        "\nGrüße\n",
        "\n.\n..\nFrom the start of a line\n",
        "\nsee the note\n",
        "filename=\"note.txt\"\n",
        "\nan attached note\n",
    ] {
        assert!(saved.contains(expected), "{expected:?} is not in {saved}");
    }
    let subjects: Vec<_> =
        Mail::of(&server, &account).summaries("INBOX").iter().map(|m| m["subject"].clone()).collect();
    assert_eq!(subjects, ["first ✔", "second", "third"]);
}

#[test]
fn mutt_flags_saves_and_deletes_on_the_server() {
    let server = Gadwall::start();
    let account = server.account();
    let (mutt, mail) = (Mutt::new(&server, &account), Mail::of(&server, &account));
    for subject in ["one", "two", "three", "four"] {
        mutt.send(subject, "body\n", None);
    }
    // The second is flagged, the third moved into a mailbox, the fourth deleted.
    let screen = mutt.types(
        "2<enter><flag-message>2<enter><display-message><exit>\
         3<enter><save-message>=Archive<enter>4<enter><delete-message><quit>",
    );
    let left = mail.summaries("INBOX");
    let subjects: Vec<_> = left.iter().map(|m| m["subject"].as_str().expect("a subject")).collect();
    assert_eq!(subjects, ["one", "two"], "{screen}");
    assert_eq!((&left[0]["flagged"], &left[1]["flagged"]), (&false.into(), &true.into()));
    assert_eq!((&left[0]["seen"], &left[1]["seen"]), (&false.into(), &true.into()));
    assert_eq!(mail.summaries("Archive")[0]["subject"], "three");
}
