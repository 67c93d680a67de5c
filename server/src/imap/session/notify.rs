//! NOTIFY (RFC 5465): what a client is told of without asking, in the selected mailbox and in the others.

mod known;

use self::known::{Depth, Known, Own, mailbox_of};
use super::list::attributes;
use super::multisearch::names;
use super::{Fail, Outcome, Session};
use crate::imap::encode::{Code, ListEntry, Status, Untagged};
use crate::imap::types::{EventGroup, Events, FetchItem, NotifyCommand, SelectedEvents, StatusItem, Watched};
use crate::imap::view::Expunges;
use crate::imap::wire::Wire;
use gadwall_storage::{
    Annotated, Hint, HintReceiver, Mailbox, MailboxId, MailboxName, ModSeq, StoreError, Subject, Uid,
};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How often the mailboxes are looked at even without a hint, since a hint may get lost.
const POLL: Duration = Duration::from_secs(30);
/// Groups of one command.
const MOST_GROUPS: usize = 100;
/// What the client has asked for, and what it knows.
pub(super) struct Notify {
    hints: HintReceiver,
    looked_at: Instant,
    due: Option<Depth>,
    selected: Option<SelectedEvents>,
    groups: Vec<EventGroup>,
    known: Known,
    own: Own,
}

impl Session {
    /// §3.1.
    pub(super) async fn notify(&mut self, command: NotifyCommand, wire: &mut Wire) -> Outcome {
        let account = self.authenticated()?;
        let store = self.services.store.clone();
        // Before the look at the store: what happens in between makes a hint.
        let hints = store.hints(account);
        let NotifyCommand::Set(Watched { status, selected, groups }) = command else {
            self.notify = Some(Notify::new(hints, None, Vec::new(), Known::default()));
            return Ok(Status::ok("Nothing will be told unless it is asked for"));
        };
        let of_selected = selected.iter().map(|selected| selected.events);
        if of_selected.chain(groups.iter().map(|group| group.events)).any(|events| events.unknown) {
            return Err(Status::no("There are no such events").code(Code::BadEvent).into());
        }
        if groups.len() > MOST_GROUPS {
            return Err(overflow(Status::no).into());
        }
        let known = Known::read(&*store, account, &groups, None).await?;
        let known = known.ok_or_else(|| overflow(Status::no))?;
        // Whatever has not been told of the selected mailbox.
        self.notify = None;
        self.sync(wire, Expunges::Allowed).await?;
        let notify = Notify::new(hints, selected, groups, known);
        if status {
            self.tell_status(&notify, wire).await?;
        }
        self.notify = Some(notify);
        Ok(Status::ok("Changes will be told"))
    }

    /// §3.1: how the other mailboxes stand.
    async fn tell_status(&self, notify: &Notify, wire: &mut Wire) -> Result<(), Fail> {
        for mailbox in &notify.known.mailboxes {
            let events = notify.events(&mailbox.name);
            if !events.messages || self.is_selected(mailbox.id) {
                continue;
            }
            let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
            items.extend(events.flags.then_some(StatusItem::HighestModSeq));
            self.tell_how_it_stands(mailbox, &items, wire);
            wire.relieve().await?;
        }
        Ok(())
    }

    fn tell_how_it_stands(&self, mailbox: &Mailbox, items: &[StatusItem], wire: &mut Wire) {
        let (name, append_limit) = (&mailbox.name, self.services.limits.message_bytes);
        wire.untagged(&Untagged::Status { name, mailbox, items, append_limit, deleted_bytes: 0 });
    }

    fn is_selected(&self, mailbox: MailboxId) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.at.mailbox == mailbox)
    }

    /// What the client wants to know of the selected mailbox: all there is, unless it has said something else.
    pub(super) fn selected_events(&self) -> Events {
        match &self.notify {
            None => Events { messages: true, flags: true, ..Events::default() },
            Some(notify) => notify.selected.as_ref().map_or(Events::default(), |selected| selected.events),
        }
    }

    /// What is told of each new message (§5.2).
    pub(super) fn items_of_new(&self) -> Vec<FetchItem> {
        let selected = self.notify.as_ref().and_then(|notify| notify.selected.as_ref());
        selected.map_or(Vec::new(), |selected| selected.new.clone())
    }

    /// Whether flags that are told of come with UIDs (§5.1).
    pub(super) fn has_notify(&self) -> bool {
        self.notify.is_some()
    }

    /// Pends until there may be something that the client wants to be told between its commands. Cancel safe.
    pub async fn noticed(&mut self) {
        match &mut self.notify {
            Some(notify) if notify.watches() => {
                let heard = tokio::time::timeout(POLL, notify.hints.recv()).await;
                notify.heard(heard.unwrap_or(Hint::Resync));
            }
            _ => std::future::pending().await,
        }
    }

    /// Tells of it.
    pub async fn tell_noticed(&mut self, wire: &mut Wire) -> Result<(), Fail> {
        let selected = self.notify.as_ref().and_then(|notify| notify.selected.as_ref());
        let expunges = match selected.is_some_and(|selected| selected.delayed) {
            // §6.1.2.
            true => Expunges::Held,
            false => Expunges::Allowed,
        };
        self.tell(wire, expunges).await
    }

    /// Tells the client what it wants to know and may be told now.
    pub async fn tell(&mut self, wire: &mut Wire, expunges: Expunges) -> Result<(), Fail> {
        // Before anything is looked at: a hint that comes from here on is of something that may not be seen now.
        if let Some(notify) = &mut self.notify {
            notify.hear_all();
        }
        if self.selected_events().messages {
            self.sync(wire, expunges).await?;
        }
        self.look(wire).await
    }

    /// After a command that takes messages away: tells what has changed in the selected mailbox also a client that does not
    /// want to be told of it, since it has asked for this. Other clients hear of it with the answer.
    pub(super) async fn tell_taken(&mut self, wire: &mut Wire) -> Result<(), Fail> {
        match self.selected_events().messages {
            true => Ok(()),
            false => self.sync(wire, Expunges::Allowed).await,
        }
    }

    /// Looks at the other mailboxes if anything may have changed. A store that can't be asked costs delay, nothing else.
    async fn look(&mut self, wire: &mut Wire) -> Result<(), Fail> {
        let (Some(account), Some(notify)) = (self.account, &mut self.notify) else { return Ok(()) };
        let Some(depth) = notify.due() else { return Ok(()) };
        let store = self.services.store.clone();
        let now = match Known::read(&*store, account, &notify.groups, Some((&notify.known, depth))).await {
            Ok(Some(now)) => now,
            Ok(None) => {
                // §5.8.
                wire.status(None, &overflow(Status::ok));
                let hints = store.hints(account);
                self.notify = Some(Notify::new(hints, None, Vec::new(), Known::default()));
                return Ok(());
            }
            Err(error @ StoreError::NotFound(Subject::Account)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "changes are told later");
                notify.due = Some(depth);
                return Ok(());
            }
        };
        notify.looked_at = Instant::now();
        let before = std::mem::replace(&mut notify.known, now);
        let own = std::mem::take(&mut notify.own);
        let Some(notify) = &self.notify else { return Ok(()) };
        self.tell_names(notify, &before, &own, wire).await?;
        for mailbox in &notify.known.mailboxes {
            if let Some(items) = self.news_of(mailbox, notify, &before) {
                self.tell_how_it_stands(mailbox, &items, wire);
                wire.relieve().await?;
            }
        }
        notify.tell_annotations(&before, &own, wire).await
    }

    /// §5.4, §5.5.
    async fn tell_names(
        &self,
        notify: &Notify,
        before: &Known,
        own: &Own,
        wire: &mut Wire,
    ) -> Result<(), Fail> {
        let now = &notify.known;
        let mut affected = match notify.groups.iter().any(|group| group.events.names) {
            true => now.affected(before, own),
            false => BTreeMap::new(),
        };
        affected.retain(|name, old| {
            notify.events(name).names || old.as_ref().is_some_and(|old| notify.events(old).names)
        });
        for name in changed(&before.subscriptions, &now.subscriptions) {
            if notify.events(name).subscriptions && !own.subscriptions.contains(name) {
                affected.entry(name.clone()).or_insert(None);
            }
        }
        for (name, old) in &affected {
            let mailbox = now.named(name);
            let mut attributes = attributes(name, mailbox, &now.mailboxes);
            let is_subscribed = mailbox.is_some_and(|mailbox| mailbox.subscribed)
                || now.subscriptions.binary_search(name).is_ok();
            attributes.extend(is_subscribed.then_some("\\Subscribed"));
            let (name, old_name) = (name.as_str(), old.as_ref().map(MailboxName::as_str));
            let entry = ListEntry { name, attributes, has_subscribed_below: false, old_name };
            wire.untagged(&Untagged::List(&entry));
            wire.relieve().await?;
        }
        Ok(())
    }

    /// What is to be told of a mailbox that is not selected, if anything (§5.1 to §5.3).
    fn news_of(&self, mailbox: &Mailbox, notify: &Notify, before: &Known) -> Option<Vec<StatusItem>> {
        let events = notify.events(&mailbox.name);
        if !events.messages || self.is_selected(mailbox.id) {
            return None;
        }
        let old = before.same(mailbox);
        let is_another = old.is_none() && before.named(&mailbox.name).is_some();
        let (messages, uidnext, unseen, modseq) = match old {
            Some(old) => (old.messages, old.uidnext, old.unseen, old.modseq),
            None => (0, Uid::new(1), 0, ModSeq::MIN),
        };
        let comes_or_goes = messages != mailbox.messages || uidnext != mailbox.uidnext;
        if !is_another && modseq == mailbox.modseq {
            return None;
        }
        let mut items = vec![StatusItem::UidValidity];
        if comes_or_goes || is_another {
            items.extend([StatusItem::UidNext, StatusItem::Messages]);
        }
        items.extend(self.condstore.then_some(StatusItem::HighestModSeq));
        let flags = events.flags && unseen != mailbox.unseen;
        items.extend(flags.then_some(StatusItem::Unseen));
        let tells = comes_or_goes || flags || events.flags && (is_another || self.condstore);
        tells.then_some(items)
    }

    /// This session has created, deleted or renamed it itself.
    pub(super) fn own_name(&mut self, name: &MailboxName) {
        if let Some(own) = self.own() {
            own.names.extend(std::iter::successors(Some(name.clone()), MailboxName::parent));
        }
    }

    /// This session has subscribed to it, or no longer does.
    pub(super) fn own_subscription(&mut self, name: &MailboxName) {
        if let Some(own) = self.own() {
            own.subscriptions.insert(name.clone());
        }
    }

    /// This session has changed an annotation.
    pub(super) fn own_annotation(&mut self, of: Annotated, entry: &str) {
        if let Some(own) = self.own() {
            own.annotations.insert((mailbox_of(of), entry.to_owned()));
        }
    }

    /// This session has put messages into a mailbox, and nobody else anything in between (if so, that is told).
    pub(super) fn own_messages(&mut self, mailbox: MailboxId, uids: &[Uid], modseq: ModSeq) {
        if let Some(selected) = self.selected.as_mut().filter(|selected| selected.at.mailbox == mailbox) {
            selected.own.extend(uids.iter().copied());
        }
        let Some(notify) = &mut self.notify else { return };
        let known = notify.known.mailboxes.iter_mut().find(|known| known.id == mailbox);
        if let (Some(known), [first, .., last] | [first @ last]) = (known, uids)
            && known.uidnext == Some(*first)
            && known.modseq.get() + 1 == modseq.get()
        {
            known.uidnext = last.get().checked_add(1).and_then(Uid::new);
            known.messages += uids.len() as u64;
            known.modseq = modseq;
        }
    }

    fn own(&mut self) -> Option<&mut Own> {
        let notify = self.notify.as_mut().filter(|notify| !notify.groups.is_empty());
        notify.map(|notify| &mut notify.own)
    }
}

impl Notify {
    fn new(
        hints: HintReceiver,
        selected: Option<SelectedEvents>,
        groups: Vec<EventGroup>,
        known: Known,
    ) -> Self {
        let own = Own::default();
        Self { hints, looked_at: Instant::now(), due: None, selected, groups, known, own }
    }

    /// Whether there is anything that the client could be told between its commands.
    fn watches(&self) -> bool {
        !self.groups.is_empty() || self.selected.as_ref().is_some_and(|selected| selected.events.messages)
    }

    fn heard(&mut self, hint: Hint) {
        let depth = if matches!(hint, Hint::Mailbox { .. }) { Depth::Messages } else { Depth::All };
        self.due = self.due.max(Some(depth));
    }

    fn hear_all(&mut self) {
        while let Some(hint) = self.hints.try_recv() {
            self.heard(hint);
        }
    }

    /// What has to be looked at now, if anything.
    fn due(&mut self) -> Option<Depth> {
        if self.looked_at.elapsed() >= POLL {
            self.due = Some(Depth::All);
        }
        self.due.take().filter(|_| !self.groups.is_empty())
    }

    /// What is wanted of a mailbox that is not selected (§6).
    fn events(&self, name: &MailboxName) -> Events {
        let subscriptions = &self.known.subscriptions;
        let covers = |group: &&EventGroup| names(&group.source, name, subscriptions);
        self.groups.iter().filter(covers).map(|group| group.events).fold(Events::default(), Events::union)
    }

    /// §5.6, §5.7.
    async fn tell_annotations(&self, before: &Known, own: &Own, wire: &mut Wire) -> Result<(), Fail> {
        let none = BTreeMap::new();
        for (of, now) in &self.known.annotations {
            let Some(then) = before.annotations.get(of).or(of.map(|_| &none)) else { continue };
            let entries = now.keys().chain(then.keys().filter(|entry| !now.contains_key(*entry)));
            let changed: Vec<&str> = entries
                .filter(|entry| now.get(*entry) != then.get(*entry))
                .filter(|entry| !own.annotations.contains(&(*of, (*entry).clone())))
                .map(String::as_str)
                .collect();
            let mailbox = self.known.mailboxes.iter().find(|mailbox| Some(mailbox.id) == *of);
            if !changed.is_empty() {
                let name = mailbox.map(|mailbox| &mailbox.name);
                wire.untagged(&Untagged::MetadataChanged { name, entries: &changed });
                wire.relieve().await?;
            }
        }
        Ok(())
    }
}

/// What is in one and not in the other; both are sorted.
fn changed<'a>(before: &'a [MailboxName], now: &'a [MailboxName]) -> impl Iterator<Item = &'a MailboxName> {
    let gone = before.iter().filter(|name| now.binary_search(name).is_err());
    gone.chain(now.iter().filter(|name| before.binary_search(name).is_err()))
}

/// §5.8.
fn overflow(kind: fn(&'static str) -> Status) -> Status {
    kind("That is more than can be watched").code(Code::NotificationOverflow)
}
