//! ESEARCH, which searches several mailboxes (RFC 7377).

use super::contexts::{Asked, Known};
use super::progress::Progress;
use super::search::{Found, Search, Until};
use super::sort::bad_charset;
use super::{Fail, Outcome, Session};
use crate::imap::encode::{Esearch, Numbers, Status, Untagged};
use crate::imap::search::{Context, Prepared};
use crate::imap::types::{By, MailboxArg, MultiSearchCommand, SearchReturns, Source, Tag};
use crate::imap::view::View;
use crate::imap::wire::Wire;
use gadwall_storage::{Mailbox, MailboxName, MailboxRef, StoreError, Subject};

impl Session {
    pub(super) async fn multi_search(
        &mut self,
        tag: &Tag,
        command: &MultiSearchCommand,
        wire: &mut Wire,
    ) -> Outcome {
        let account = self.authenticated()?;
        let wanted = command.returns.unwrap_or(SearchReturns::ALL);
        let has_selected = command.sources.contains(&Source::Selected);
        // §2.2: whose result `$` is has to be clear.
        if wanted.save && command.sources != [Source::Selected] {
            return Err(Status::bad("SAVE is of the selected mailbox alone").into());
        }
        if has_selected || wanted.update {
            self.selected()?;
        }
        if wanted.update {
            self.can_follow(tag)?;
        }
        let mut mailboxes = self.services.store.mailboxes(account).await?;
        let subscriptions = match command.sources.contains(&Source::Subscribed) {
            true => self.services.store.subscriptions(account).await?,
            false => Vec::new(),
        };
        let selected = self.selected.as_ref().filter(|_| has_selected).map(|selected| selected.at.mailbox);
        mailboxes.retain(|mailbox| {
            let is_named = |source: &Source| names(source, &mailbox.name, &subscriptions);
            selected == Some(mailbox.id) || command.sources.iter().any(is_named)
        });
        // A charset that nobody knows is refused even where there is nothing to search.
        let nowhere = View::new(&Default::default(), gadwall_storage::ModSeq::MIN, None);
        let context = Context {
            view: &nowhere,
            now: self.services.env.clock.now(),
            comparator: self.comparator,
            follows: false,
        };
        Prepared::new(&command.key, command.charset.as_deref(), &context).map_err(bad_charset)?;
        let mut names_modseq = false;
        for mailbox in &mailboxes {
            names_modseq |= self.search_in(tag, command, wanted, mailbox, wire).await?;
            wire.relieve().await?;
        }
        if names_modseq {
            self.knows_modseqs(wire);
        }
        Ok(Status::ok("Searched"))
    }

    /// Searches one mailbox, and tells what was found if anything was (§2.1). Whether MODSEQ was among the keys.
    async fn search_in(
        &mut self,
        tag: &Tag,
        command: &MultiSearchCommand,
        wanted: SearchReturns,
        mailbox: &Mailbox,
        wire: &mut Wire,
    ) -> Result<bool, Fail> {
        let services = self.services.clone();
        let at = MailboxRef { account: self.authenticated()?, mailbox: mailbox.id };
        // The selected mailbox as the client knows it; another one as it is.
        let view = match &self.selected {
            Some(selected) if selected.at == at => selected.view.clone(),
            _ => match services.store.uids(at).await {
                Ok((now, uids)) => View::new(&uids, now.modseq, None),
                // Gone since they were listed.
                Err(StoreError::NotFound(Subject::Mailbox)) => return Ok(false),
                Err(e) => return Err(e.into()),
            },
        };
        let context = Context {
            view: &view,
            now: services.env.clock.now(),
            comparator: self.comparator,
            follows: false,
        };
        let key = Prepared::new(&command.key, command.charset.as_deref(), &context).map_err(bad_charset)?;
        let mut found = Found::default();
        let until = if wanted.is_first() { Until::First } else { Until::Last };
        let search = Search { services: &services, at, key: &key, context: &context, details: false, until };
        let mut progress = Progress::uncounted(tag, services.limits.imap_progress, wire);
        let scanned = search.run(&mut progress, |message, relevancy| {
            found.add(message.uid, message.modseq, relevancy);
            Ok(())
        });
        if let Err(fail) = scanned.await {
            // Deleted meanwhile, it has nothing that could be found.
            let gone = matches!(services.store.uids(at).await, Err(StoreError::NotFound(Subject::Mailbox)));
            return if gone { Ok(false) } else { Err(fail) };
        }
        if wanted.save
            && let Some(selected) = &mut self.selected
        {
            selected.view.save(found.saved(wanted));
        }
        let modseq = key.names_modseq().then(|| found.modseq(wanted));
        // §2.2: of the selected mailbox alone.
        let is_selected = self.selected.as_ref().is_some_and(|selected| selected.at == at);
        if wanted.update && is_selected {
            let (charset, known) = (command.charset.as_deref(), Known::Found(found.uids().clone()));
            let followed = Asked { tag, by: By::Uid, items: &command.update_items };
            self.follow(followed, &command.key, charset, known, wire);
        }
        if !found.uids().is_empty() && !wanted.tells_nothing() {
            wire.untagged(&Untagged::Esearch(&Esearch {
                tag,
                mailbox: Some((&mailbox.name, mailbox.uidvalidity)),
                by: By::Uid,
                wanted,
                found: Numbers::Set(found.uids()),
                modseq,
                relevancies: found.relevancies(),
            }));
        }
        Ok(modseq.is_some())
    }
}

/// Whether a source is that mailbox, or holds it (RFC 5465 §6, RFC 7377 §2.2).
pub(super) fn names(source: &Source, name: &MailboxName, subscriptions: &[MailboxName]) -> bool {
    let any = |args: &[MailboxArg], is: fn(&MailboxName, &MailboxName) -> bool| {
        args.iter().filter_map(MailboxArg::name).any(|named| is(named, name))
    };
    match source {
        // Which one that is the session knows.
        Source::Selected => false,
        Source::Inboxes => name.is_inbox(),
        Source::Personal => true,
        Source::Subscribed => subscriptions.binary_search(name).is_ok(),
        Source::Mailboxes(args) => any(args, |named, name| named == name),
        Source::Subtree(args) => any(args, |named, name| named == name || name.is_below(named)),
        Source::SubtreeOne(args) => {
            any(args, |named, name| named == name || name.parent().as_ref() == Some(named))
        }
    }
}
