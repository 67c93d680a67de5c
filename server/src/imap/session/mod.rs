//! Executes typed commands against the store. Knows responses and the wire's outgoing side, never a socket.

mod ahead;
mod append;
mod auth;
mod batches;
mod binary;
mod catenate;
mod contexts;
mod copy;
mod enable;
mod expunge;
mod fail;
mod fetch;
mod filters;
mod language;
mod list;
mod mailboxes;
mod matcher;
mod metadata;
mod multisearch;
mod notify;
mod progress;
mod quota;
mod resync;
mod search;
mod section;
mod select;
mod sort;
mod store;
mod sync;

pub use append::Appending;
pub use auth::AuthNext;
pub use fail::{Fail, Outcome};

use contexts::Followed;
use notify::Notify;

use super::collate::Comparator;
use super::encode::{Called, Code, Status, Untagged};
use super::types::{Command, MailboxArg, SelectMode, Tag, Tagged};
use super::view::{Expunges, View};
use super::wire::Wire;
use crate::Services;
use crate::auth::{Exchange, Private, mechanisms};
use crate::net::TlsInfo;
use gadwall_storage::{Account, AccountId, Flags, Keyword, MailboxName, MailboxRef, Uid, UidSet};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

/// One client's dialogue.
pub struct Session {
    pub(super) services: Arc<Services>,
    peer: SocketAddr,
    private: Private,
    tls: Option<TlsInfo>,
    account: Option<AccountId>,
    selected: Option<Selected>,
    exchange: Option<Exchange>,
    proven: Option<Box<Account>>,
    /// RFC 7162 §3.1: the client has shown that it knows mod-sequences.
    condstore: bool,
    /// RFC 7162 §3.2.3: it wants to be told of expunges by UID.
    qresync: bool,
    /// RFC 9051 is spoken.
    rev2: bool,
    /// RFC 9586: no message is called by its number.
    uid_only: bool,
    compressed: bool,
    /// How SEARCH, SORT and THREAD compare.
    comparator: Comparator,
    /// `None` until NOTIFY is used (RFC 5465 §3.1).
    notify: Option<Notify>,
}

/// The selected mailbox.
struct Selected {
    at: MailboxRef,
    view: View,
    mode: SelectMode,
    /// Keywords the client has been told of.
    keywords: BTreeSet<Keyword>,
    /// Searches whose results are kept up to date (RFC 5267).
    followed: Vec<Followed>,
    /// Messages that have changed, and what that makes of those results is not known yet.
    unsettled: UidSet,
    /// Messages that this session has put there itself and has not been told of yet.
    own: UidSet,
}

/// Who is at the other end.
pub struct Peer {
    pub address: SocketAddr,
    pub private: Private,
    pub tls: Option<TlsInfo>,
}

impl Session {
    pub fn new(services: Arc<Services>, peer: Peer) -> Self {
        Self {
            services,
            peer: peer.address,
            private: peer.private,
            tls: peer.tls,
            account: None,
            selected: None,
            exchange: None,
            proven: None,
            condstore: false,
            qresync: false,
            rev2: false,
            uid_only: false,
            compressed: false,
            comparator: Comparator::default(),
            notify: None,
        }
    }

    pub fn greeting(&self) -> Status {
        Status::ok("Gadwall ready").code(Code::Capability(self.capabilities()))
    }

    pub fn account(&self) -> Option<AccountId> {
        self.account
    }

    pub fn can_start_tls(&self) -> bool {
        self.services.tls.is_some() && self.tls.is_none()
    }

    /// The handshake is done.
    pub fn encrypted(&mut self, tls: TlsInfo) {
        self.tls = Some(tls);
        self.private = Private::Yes;
    }

    /// RFC 4978 §3: whether COMPRESS may be had now.
    pub fn can_compress(&self) -> Result<(), Status> {
        if self.account.is_none() {
            return Err(Status::bad("Log in first"));
        }
        match self.compressed {
            true => Err(Status::no("Compression is on already").code(Code::CompressionActive)),
            false => Ok(()),
        }
    }

    /// From now on the stream is compressed.
    pub fn compressed(&mut self) {
        self.compressed = true;
    }

    /// RFC 8437 §3: all is as it was before login, but for TLS.
    pub fn unauthenticate(&mut self) -> Result<(), Status> {
        match self.account {
            None => Err(Status::bad("Nobody is logged in")),
            // Where its end lies in what a client sends compressed nobody can tell (RFC 8437 §4.1), so it is not offered then.
            Some(_) if self.compressed => {
                Err(Status::bad("UNAUTHENTICATE is not offered once COMPRESS is active"))
            }
            Some(_) => {
                let peer = Peer { address: self.peer, private: self.private, tls: self.tls.take() };
                *self = Session::new(self.services.clone(), peer);
                Ok(())
            }
        }
    }

    /// What is offered now: before login only what is needed to log in.
    fn capabilities(&self) -> String {
        let mut list = vec!["IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE", "LANGUAGE"];
        if self.account.is_some() {
            list.extend(["IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN", "SPECIAL-USE"]);
            list.extend(["CREATE-SPECIAL-USE", "CONDSTORE", "MULTIAPPEND", "WITHIN", "ESEARCH"]);
            list.extend(["SEARCHRES", "LIST-EXTENDED", "LIST-STATUS", "QRESYNC"]);
            list.extend(["SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES"]);
            list.extend(["I18NLEVEL=2", "MULTISEARCH", "PARTIAL", "QUOTA", "QUOTA=RES-STORAGE", "UIDONLY"]);
            list.extend(["CATENATE", "URL-PARTIAL", "REPLACE", "INPROGRESS", "UIDBATCHES", "NOTIFY"]);
            if !self.compressed {
                list.extend(["COMPRESS=DEFLATE", "UNAUTHENTICATE"]);
            }
            list.extend([
                "METADATA",
                "LIST-METADATA",
                "FILTERS",
                "SEARCH=FUZZY",
                "CONTEXT=SEARCH",
                "CONTEXT=SORT",
            ]);
            list.extend(["STATUS=SIZE", "BINARY", "OBJECTID", "SAVEDATE", "PREVIEW"]);
            // RFC 7889 §2: every mailbox takes messages of this size.
            return format!("{} APPENDLIMIT={}", list.join(" "), self.services.limits.message_bytes);
        }
        if self.can_start_tls() {
            list.push("STARTTLS");
        }
        if self.private == Private::No {
            list.push("LOGINDISABLED");
        }
        let mut text = list.join(" ");
        mechanisms(self.private).iter().for_each(|name| text.push_str(&format!(" AUTH={name}")));
        text
    }

    /// Executes a command and answers it, untagged data of other sessions' changes included. AUTHENTICATE, IDLE,
    /// STARTTLS, COMPRESS, UNAUTHENTICATE and LOGOUT are the driver's, since they change how the stream is read.
    pub async fn execute(
        &mut self,
        Tagged { tag, command }: Tagged,
        wire: &mut Wire,
    ) -> Result<Status, Fail> {
        let silent = matches!(command, Command::Select { .. } | Command::Close | Command::Unselect);
        let command = match self.with_filters(command).await {
            Ok(command) => command,
            Err(fail) => return self.conclude(&tag, Err(fail), Some(Expunges::Held), wire).await,
        };
        let expunges = (!silent).then(|| expunges_during(&command));
        let by_number = self.uid_only && names_numbers(&command);
        let takes_away = matches!(command, Command::Expunge { .. } | Command::Move { .. });
        let outcome = match by_number {
            true => Err(uid_required().into()),
            false => self.run(&tag, command, wire).await,
        };
        if takes_away && outcome.is_ok() {
            self.tell_taken(wire).await?;
        }
        self.conclude(&tag, outcome, expunges, wire).await
    }

    /// Answers a command, after what has changed meanwhile unless `expunges` is `None`.
    async fn conclude(
        &mut self,
        tag: &Tag,
        outcome: Outcome,
        expunges: Option<Expunges>,
        wire: &mut Wire,
    ) -> Result<Status, Fail> {
        let mut status = match outcome {
            Ok(status) => status,
            Err(Fail::Status(status)) => status,
            Err(fail) => return Err(fail),
        };
        if let Some(expunges) = expunges {
            self.tell(wire, expunges).await?;
        }
        // RFC 7162 §3.2.7: no more than the client has been told of, since it goes on from there next time.
        if let Some(Code::HighestModSeq(modseq)) = &mut status.code {
            match self.selected.as_ref().and_then(|selected| selected.view.told_through()) {
                Some(told) => *modseq = told.min(*modseq),
                None => status.code = None,
            }
        }
        wire.status(Some(tag), &status);
        Ok(status)
    }

    async fn run(&mut self, tag: &Tag, command: Command, wire: &mut Wire) -> Outcome {
        match command {
            Command::Capability => {
                wire.untagged(&Untagged::Capability(&self.capabilities()));
                Ok(Status::ok("Capabilities listed"))
            }
            Command::Noop => Ok(Status::ok("Done")),
            // RFC 3501 §6.4.1.
            Command::Check => self.selected().map(|_| Status::ok("Done")),
            Command::Id(_) => {
                wire.untagged(&Untagged::Id(&[("name", "Gadwall"), ("version", env!("CARGO_PKG_VERSION"))]));
                Ok(Status::ok("Pleased to meet you"))
            }
            Command::Login { user, password } => self.login(&user, &password).await,
            Command::Enable(names) => self.enable(&names, wire),
            Command::Select { mailbox, params, mode } => self.select(&mailbox, &params, mode, wire).await,
            Command::Create { mailbox, special_use } => self.create(&mailbox, &special_use, wire).await,
            Command::Delete { mailbox } => self.delete(&mailbox, wire).await,
            Command::Rename { from, to } => self.rename(&from, &to, wire).await,
            Command::Subscribe { mailbox } => self.subscribe(&mailbox).await,
            Command::Unsubscribe { mailbox } => self.unsubscribe(&mailbox).await,
            Command::List(list) => self.list(&list, wire).await,
            Command::Lsub { reference, pattern } => self.lsub(&reference, &pattern, wire).await,
            Command::Namespace => {
                self.authenticated()?;
                wire.untagged(&Untagged::Namespace);
                Ok(Status::ok("One namespace"))
            }
            Command::Status { mailbox, items } => self.status(&mailbox, &items, wire).await,
            Command::Language(ranges) => self.language(&ranges, wire),
            Command::Comparator(wishes) => self.comparator(&wishes, wire),
            Command::GetMetadata(command) => self.get_metadata(&command, wire).await,
            Command::SetMetadata(command) => self.set_metadata(command).await,
            Command::Notify(command) => self.notify(command, wire).await,
            Command::GetQuota { root } => self.get_quota(&root, wire).await,
            Command::GetQuotaRoot { mailbox } => self.get_quota_root(&mailbox, wire).await,
            Command::Close => self.close().await,
            Command::Unselect => {
                self.selected()?;
                self.selected = None;
                Ok(Status::ok("Mailbox closed"))
            }
            Command::Expunge { uids } => self.expunge(uids.as_ref()).await,
            Command::Search(search) => self.search(tag, &search, wire).await,
            Command::CancelUpdate(tags) => self.cancel_update(&tags),
            Command::MultiSearch(search) => self.multi_search(tag, &search, wire).await,
            Command::Sort(sort) => self.sort(tag, sort, wire).await,
            Command::Thread(thread) => self.thread(tag, thread, wire).await,
            Command::UidBatches { size, batches } => self.uid_batches(tag, size, batches, wire),
            Command::Fetch { by, set, items, modifiers } => {
                self.fetch(by, &set, items, &modifiers, wire).await
            }
            Command::Store { by, set, change, unchanged_since } => {
                self.store(by, &set, &change, unchanged_since, wire).await
            }
            Command::Copy { by, set, to } => self.copy(by, &set, &to).await,
            Command::Move { by, set, to } => self.move_messages(by, &set, &to, wire).await,
            Command::StartTls
            | Command::Logout
            | Command::Authenticate { .. }
            | Command::Idle
            | Command::Compress
            | Command::Unauthenticate
            | Command::Append(_) => Err(Status::bad("Not now").into()),
        }
    }

    /// Announces keywords that are new to the client, before it sees them on a message (RFC 3501 §7.2.6).
    fn learn<'a>(&mut self, flags: impl Iterator<Item = &'a Flags>, wire: &mut Wire) {
        let Some(selected) = &mut self.selected else { return };
        let known = selected.keywords.len();
        for keyword in flags.flat_map(Flags::keywords) {
            if !selected.keywords.contains(keyword) {
                selected.keywords.insert(keyword.clone());
            }
        }
        if selected.keywords.len() > known {
            select::describe_flags(&selected.keywords, selected.mode, wire);
        }
    }

    fn authenticated(&self) -> Result<AccountId, Fail> {
        self.account.ok_or_else(|| Status::bad("Log in first").into())
    }

    fn selected(&mut self) -> Result<&mut Selected, Fail> {
        self.authenticated()?;
        self.selected.as_mut().ok_or_else(|| Status::bad("Select a mailbox first").into())
    }

    /// The selected mailbox, which must not be read-only.
    fn writable(&mut self) -> Result<&mut Selected, Fail> {
        let selected = self.selected()?;
        match selected.mode {
            SelectMode::ReadWrite => Ok(selected),
            SelectMode::ReadOnly => {
                Err(Status::no("The mailbox was opened read-only: SELECT it to change it").into())
            }
        }
    }
}

/// A name that a mailbox can have.
fn named(mailbox: &MailboxArg) -> Result<&MailboxName, Fail> {
    match mailbox {
        MailboxArg::Name(name) | MailboxArg::Denormalised { name, .. } => Ok(name),
        MailboxArg::Invalid { reason, .. } => {
            Err(Status::no(format!("Not a mailbox name: {reason}")).code(Code::Cannot).into())
        }
    }
}

/// RFC 9586 §3.
fn uid_required() -> Status {
    Status::bad("UIDONLY is enabled: name messages by UID").code(Code::UidRequired)
}

/// What a FETCH response calls a message.
fn called(uid_only: bool, number: u32, uid: Uid) -> Called {
    if uid_only { Called::Uid(uid) } else { Called::Number(number) }
}

/// Whether a command names messages by their numbers, or wants to be told them.
fn names_numbers(command: &Command) -> bool {
    use super::types::By;
    match command {
        Command::Fetch { by, .. }
        | Command::Store { by, .. }
        | Command::Copy { by, .. }
        | Command::Move { by, .. } => *by == By::Sequence,
        Command::Search(search) => search.by == By::Sequence || search.key.has_numbers(),
        Command::Sort(sort) => sort.by == By::Sequence || sort.key.has_numbers(),
        Command::Thread(thread) => thread.by == By::Sequence || thread.key.has_numbers(),
        Command::MultiSearch(search) => search.key.has_numbers(),
        Command::Select { params, .. } => {
            params.qresync.as_ref().is_some_and(|known| known.numbered.is_some())
        }
        _ => false,
    }
}

/// RFC 3501 §7.4.1: none while FETCH, STORE or SEARCH is answered; their UID forms don't count, unless a UID SEARCH names
/// numbers (RFC 7162 §3.2.10.2).
pub fn expunges_during(command: &Command) -> Expunges {
    use super::types::{By, SearchCommand, SortCommand, ThreadCommand};
    match command {
        Command::Fetch { by: By::Sequence, .. } | Command::Store { by: By::Sequence, .. } => Expunges::Held,
        Command::MultiSearch(search) if search.key.has_numbers() => Expunges::Held,
        Command::Search(SearchCommand { by, key, .. })
        | Command::Sort(SortCommand { by, key, .. })
        | Command::Thread(ThreadCommand { by, key, .. })
            if *by == By::Sequence || key.has_numbers() =>
        {
            Expunges::Held
        }
        _ => Expunges::Allowed,
    }
}
