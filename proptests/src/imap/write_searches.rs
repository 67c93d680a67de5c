//! SEARCH, ESEARCH, SORT and THREAD to bytes.

use super::write::{Writer, range_text};
use gadwall::imap::types::*;

impl Writer<'_> {
    pub(super) fn searching_command(&mut self, command: &Command) {
        match command {
            Command::Search(SearchCommand { by, returns, charset, key, update_items }) => {
                self.on(*by, "SEARCH");
                self.returns(*returns, update_items);
                if let Some(charset) = charset {
                    self.words(&["CHARSET", ""]);
                    // RFC 3501 §9 search has an astring; RFC 9051 §9 and others no literal.
                    match self.spelling.strict {
                        true => self.text(charset),
                        false => self.astring(charset.as_bytes()),
                    }
                    self.text(" ");
                }
                self.keys(key);
            }
            Command::CancelUpdate(tags) => {
                self.words(&["CANCELUPDATE", ""]);
                self.separated(tags, |w, tag| w.astring(tag));
            }
            Command::UidBatches { size, batches } => {
                self.words(&["UIDBATCHES", ""]);
                self.text(&size.to_string());
                if let Some((first, last)) = batches {
                    self.text(&format!(" {first}:{last}"));
                }
            }
            Command::MultiSearch(MultiSearchCommand { sources, returns, charset, key, update_items }) => {
                self.words(&["ESEARCH", ""]);
                self.sources(sources);
                self.returns(*returns, update_items);
                if let Some(charset) = charset {
                    self.words(&["CHARSET", ""]);
                    self.astring(charset.as_bytes());
                    self.text(" ");
                }
                self.keys(key);
            }
            Command::Sort(SortCommand { by, returns, criteria, charset, key, update_items }) => {
                self.on(*by, "SORT");
                self.returns(*returns, update_items);
                self.list(criteria, |w, SortCriterion { key, reverse }| {
                    if *reverse {
                        w.words(&["REVERSE", ""]);
                    }
                    w.word(criterion(*key));
                });
                self.charset_and_keys(charset, key);
            }
            Command::Thread(ThreadCommand { by, algorithm, charset, key }) => {
                self.on(*by, "THREAD");
                self.word(match algorithm {
                    ThreadAlgorithm::OrderedSubject => "ORDEREDSUBJECT",
                    ThreadAlgorithm::References => "REFERENCES",
                });
                self.charset_and_keys(charset, key);
            }
            other => unreachable!("{other:?} searches nothing"),
        }
    }

    fn returns(&mut self, returns: Option<SearchReturns>, update_items: &[FetchItem]) {
        let Some(SearchReturns { min, max, all, count, save, partial, relevancy, update }) = returns else {
            return;
        };
        self.words(&["RETURN", ""]);
        let options = [
            ("MIN", min),
            ("MAX", max),
            ("ALL", all),
            ("COUNT", count),
            ("SAVE", save),
            ("RELEVANCY", relevancy),
            ("UPDATE", update),
        ];
        let mut options: Vec<&str> = options.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        let partial = partial.map(range_text);
        options.extend(partial.as_ref().map(|_| "PARTIAL"));
        options.extend(partial.as_deref());
        self.text("(");
        self.separated(&options, |w, option| {
            w.word(option);
            if *option == "UPDATE" && !update_items.is_empty() {
                w.text(" ");
                w.list(update_items, Self::fetch_item);
            }
        });
        self.text(") ");
    }

    /// RFC 5465 §8.
    pub(super) fn notify(&mut self, command: &NotifyCommand) {
        let NotifyCommand::Set(Watched { status, selected, groups }) = command else {
            return self.words(&["NOTIFY", "NONE"]);
        };
        self.words(&["NOTIFY", "SET"]);
        if *status {
            self.words(&["", "STATUS"]);
        }
        if let Some(SelectedEvents { delayed, events, new }) = selected {
            self.text(" (");
            self.words(&[if *delayed { "SELECTED-DELAYED" } else { "SELECTED" }, ""]);
            self.events(events, new);
            self.text(")");
        }
        for EventGroup { source, events } in groups {
            self.text(" (");
            self.one_source(source);
            self.text(" ");
            self.events(events, &[]);
            self.text(")");
        }
    }

    fn events(&mut self, events: &Events, new: &[FetchItem]) {
        let Events { messages, flags, names, subscriptions, metadata, server_metadata, .. } = *events;
        let all = [
            (messages, "MessageNew"),
            (messages, "MessageExpunge"),
            (flags, "FlagChange"),
            (names, "MailboxName"),
            (subscriptions, "SubscriptionChange"),
            (metadata, "MailboxMetadataChange"),
            (server_metadata, "ServerMetadataChange"),
        ];
        let wanted: Vec<&str> = all.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        if wanted.is_empty() {
            return self.word("NONE");
        }
        self.list(&wanted, |w, name| {
            w.word(name);
            if *name == "MessageNew" && !new.is_empty() {
                w.text(" ");
                w.list(new, Self::fetch_item);
            }
        });
    }

    fn sources(&mut self, sources: &[Source]) {
        // The selected mailbox need not be said.
        if sources == [Source::Selected] && self.choose(2) == 0 {
            return;
        }
        self.words(&["IN", ""]);
        self.list(sources, Self::one_source);
        self.text(" ");
    }

    fn one_source(&mut self, source: &Source) {
        match source {
            Source::Selected => self.word("SELECTED"),
            Source::Inboxes => self.word("INBOXES"),
            Source::Personal => self.word("PERSONAL"),
            Source::Subscribed => self.word("SUBSCRIBED"),
            Source::Subtree(mailboxes) => self.source("SUBTREE", mailboxes),
            Source::SubtreeOne(mailboxes) => self.source("SUBTREE-ONE", mailboxes),
            Source::Mailboxes(mailboxes) => self.source("MAILBOXES", mailboxes),
        }
    }

    fn source(&mut self, name: &str, mailboxes: &[MailboxArg]) {
        self.words(&[name, ""]);
        match mailboxes {
            [one] if self.choose(2) == 0 => self.mailbox(one),
            several => self.list(several, Self::mailbox),
        }
    }

    fn charset_and_keys(&mut self, charset: &str, key: &SearchKey) {
        self.text(" ");
        self.astring(charset.as_bytes());
        self.text(" ");
        self.keys(key);
    }
}

fn criterion(key: SortKey) -> &'static str {
    match key {
        SortKey::Arrival => "ARRIVAL",
        SortKey::Cc => "CC",
        SortKey::Date => "DATE",
        SortKey::From => "FROM",
        SortKey::Size => "SIZE",
        SortKey::Subject => "SUBJECT",
        SortKey::To => "TO",
        SortKey::DisplayFrom => "DISPLAYFROM",
        SortKey::DisplayTo => "DISPLAYTO",
        SortKey::Relevancy => "RELEVANCY",
    }
}
