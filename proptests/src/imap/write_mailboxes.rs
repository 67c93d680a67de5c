//! Commands on mailboxes to bytes.

use super::write::Writer;
use gadwall::imap::decode::Event;
use gadwall::imap::types::*;
use gadwall_storage::SpecialUse;

impl Writer<'_> {
    fn get_metadata(&mut self, command: &GetMetadata) {
        let GetMetadata { mailbox, max_size, depth, entries } = command;
        let mut options: Vec<String> = max_size.iter().map(|size| format!("MAXSIZE {size}")).collect();
        match depth {
            Depth::Zero if self.choose(2) == 0 => {}
            Depth::Zero => options.push("DEPTH 0".into()),
            Depth::One => options.push("DEPTH 1".into()),
            Depth::Infinity => options.push("DEPTH infinity".into()),
        }
        let options_first = self.choose(2) == 0;
        self.words(&["GETMETADATA", ""]);
        if !options.is_empty() && options_first {
            self.list(&options, |w, option| w.word(option));
            self.text(" ");
        }
        self.place(mailbox.as_ref());
        self.text(" ");
        if !options.is_empty() && !options_first {
            self.list(&options, |w, option| w.word(option));
            self.text(" ");
        }
        self.entries(entries);
    }

    /// A mailbox, or the server.
    fn place(&mut self, mailbox: Option<&MailboxArg>) {
        match mailbox {
            Some(mailbox) => self.mailbox(mailbox),
            None => self.astring(b""),
        }
    }

    fn entries(&mut self, entries: &[EntryName]) {
        match entries {
            [one] if self.choose(2) == 0 => self.astring(one.as_str().as_bytes()),
            _ => self.list(entries, |w, entry| w.astring(entry.as_str().as_bytes())),
        }
    }

    /// `~{n}`, which is no string that is asked for.
    fn literal8(&mut self, octets: &[u8]) {
        self.text("~");
        if self.announce(octets.len()) {
            self.expected.push(Event::ContinueLiteral);
        }
        self.out.extend_from_slice(octets);
    }

    pub(super) fn mailbox_command(&mut self, command: &Command) {
        match command {
            Command::Select { mailbox, params, mode } => {
                self.named(if *mode == SelectMode::ReadWrite { "SELECT" } else { "EXAMINE" }, mailbox);
                if params.condstore || params.qresync.is_some() {
                    self.text(" (");
                    if params.condstore {
                        self.word("CONDSTORE");
                    }
                    if let Some(known) = &params.qresync {
                        self.text(if params.condstore { " " } else { "" });
                        self.qresync(known);
                    }
                    self.text(")");
                }
            }
            Command::Create { mailbox, special_use } => {
                self.named("CREATE", mailbox);
                if !special_use.is_empty() || self.extends(3) {
                    self.text(" (");
                    self.words(&["USE", ""]);
                    self.list(special_use, |w, role| w.word(role.map_or("\\Important", role_name)));
                    self.text(")");
                }
            }
            Command::Delete { mailbox } => self.named("DELETE", mailbox),
            Command::Rename { from, to } => {
                self.named("RENAME", from);
                self.text(" ");
                self.mailbox(to);
            }
            Command::Subscribe { mailbox } => self.named("SUBSCRIBE", mailbox),
            Command::Unsubscribe { mailbox } => self.named("UNSUBSCRIBE", mailbox),
            Command::List(list) => self.list_command(list),
            Command::Lsub { reference, pattern } => {
                self.words(&["LSUB", ""]);
                self.astring(reference);
                self.text(" ");
                self.pattern(pattern);
            }
            Command::GetMetadata(command) => self.get_metadata(command),
            Command::SetMetadata(SetMetadata { mailbox, entries }) => {
                self.words(&["SETMETADATA", ""]);
                self.place(mailbox.as_ref());
                self.text(" ");
                self.list(entries, |w, (entry, value)| {
                    w.astring(entry.as_str().as_bytes());
                    w.text(" ");
                    match value {
                        Some(value) if value.contains(&0) => w.literal8(value),
                        Some(value) => w.string(value),
                        None => w.word("NIL"),
                    }
                });
            }
            Command::GetQuotaRoot { mailbox } => self.named("GETQUOTAROOT", mailbox),
            Command::Status { mailbox, items } => {
                self.named("STATUS", mailbox);
                self.text(" ");
                self.status_items(items);
            }
            other => self.message_command(other),
        }
    }

    fn status_items(&mut self, items: &[StatusItem]) {
        self.list(items, |w, item| {
            w.word(match item {
                StatusItem::Messages => "MESSAGES",
                StatusItem::Recent => "RECENT",
                StatusItem::UidNext => "UIDNEXT",
                StatusItem::UidValidity => "UIDVALIDITY",
                StatusItem::Unseen => "UNSEEN",
                StatusItem::Deleted => "DELETED",
                StatusItem::DeletedStorage => "DELETED-STORAGE",
                StatusItem::HighestModSeq => "HIGHESTMODSEQ",
                StatusItem::Size => "SIZE",
                StatusItem::MailboxId => "MAILBOXID",
                StatusItem::AppendLimit => "APPENDLIMIT",
            });
        });
    }

    fn list_command(&mut self, ListCommand { reference, patterns, select, returns, extended }: &ListCommand) {
        self.words(&["LIST", ""]);
        let is_plain = select.is_empty() && returns.is_empty() && patterns.len() == 1;
        // Where nothing else says that it is extended, its pattern's parentheses do.
        let in_parentheses = patterns.len() > 1 || (*extended && (is_plain || self.extends(2)));
        if !select.is_empty() || (*extended && self.extends(4)) {
            self.list(select, |w, option| {
                w.word(match option {
                    ListSelect::Subscribed => "SUBSCRIBED",
                    ListSelect::Remote => "REMOTE",
                    ListSelect::RecursiveMatch => "RECURSIVEMATCH",
                    ListSelect::SpecialUse => "SPECIAL-USE",
                });
            });
            self.text(" ");
        }
        self.astring(reference);
        self.text(" ");
        match &patterns[..] {
            [one] if !in_parentheses => self.pattern(one),
            several => self.list(several, |w, pattern| w.pattern(pattern)),
        }
        if !returns.is_empty() || (*extended && self.extends(4)) {
            self.text(" ");
            self.words(&["RETURN", ""]);
            self.list(returns, |w, option| match option {
                ListReturn::Subscribed => w.word("SUBSCRIBED"),
                ListReturn::Children => w.word("CHILDREN"),
                ListReturn::SpecialUse => w.word("SPECIAL-USE"),
                ListReturn::Metadata(entries) => {
                    w.word("METADATA");
                    w.text(" ");
                    w.entries(entries);
                }
                ListReturn::Status(items) => {
                    w.words(&["STATUS", ""]);
                    w.status_items(items);
                }
            });
        }
    }

    fn qresync(&mut self, known: &Qresync) {
        self.word("QRESYNC");
        self.text(&format!(" ({} {}", known.uidvalidity, known.modseq));
        if let Some(uids) = &known.known {
            self.text(" ");
            self.sequence_set(uids);
        }
        if let Some((numbers, uids)) = &known.numbered {
            self.text(" (");
            self.sequence_set(numbers);
            self.text(" ");
            self.sequence_set(uids);
            self.text(")");
        }
        self.text(")");
    }
}

fn role_name(role: SpecialUse) -> &'static str {
    match role {
        SpecialUse::Archive => "\\Archive",
        SpecialUse::Drafts => "\\Drafts",
        SpecialUse::Junk => "\\Junk",
        SpecialUse::Sent => "\\Sent",
        SpecialUse::Trash => "\\Trash",
    }
}
