//! FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4).

use super::ahead::Ahead;
use super::copy::resolved;
use super::section::{self, Place};
use super::{Fail, Outcome, Session, binary, called};
use crate::imap::encode::{
    Code, Extensions, Status, body_structure, date_time, email_id, envelope, flags, string,
};
use crate::imap::types::{
    By, FetchItem, FetchModifiers, Partial, Section, SectionText, SelectMode, SequenceSet,
};
use crate::imap::wire::Wire;
use gadwall_storage::mime::Structure;
use gadwall_storage::{
    BodyReader, FlagChange, Flags, MailboxRef, Message, MessageQuery, SystemFlag, Uid, UidSet,
};
use std::ops::Range;

/// Messages looked up at a time.
const PAGE: usize = 100;
/// How much of a body is read at a time.
pub(super) const PIECE: usize = 64 << 10;

/// What a FETCH needs to know of its items.
struct Plan {
    items: Vec<FetchItem>,
    /// ENVELOPE, BODY, BODYSTRUCTURE, PREVIEW, sections: what needs the parsed form.
    details: bool,
    /// Sections that set `\Seen`.
    sees: bool,
    changed_since: Option<u64>,
}

/// Whether the client knows mod-sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condstore {
    On,
    Off,
}

/// Some of the messages a FETCH names.
struct Page {
    messages: Vec<Message>,
    /// Those that are gone.
    missing: UidSet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Told,
    /// Expunged in the meantime: nothing was said of it.
    Gone,
    /// A part is in an encoding that nobody knows (RFC 3516 §4.3): nothing was said of the message.
    Undecodable,
}

impl Plan {
    fn new(
        mut items: Vec<FetchItem>,
        by: By,
        modifiers: &FetchModifiers,
        condstore: Condstore,
        uid_only: bool,
    ) -> Self {
        // RFC 3501 §6.4.8: UID FETCH answers with UIDs whatever was asked; RFC 9586 §3: unless each response begins with one.
        if by == By::Uid && !uid_only && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        let sees = items.iter().any(|item| {
            matches!(
                item,
                FetchItem::Section { peek: false, .. }
                    | FetchItem::Binary { peek: false, .. }
                    | FetchItem::Rfc822
                    | FetchItem::Rfc822Text
            )
        });
        // RFC 7162 §3.1: flags that change come with their modseq; §3.1.4.1: so does what CHANGEDSINCE lets through.
        let changes = condstore == Condstore::On && sees && items.contains(&FetchItem::Flags);
        if (changes || modifiers.changed_since.is_some()) && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        let mut seen = std::collections::BTreeSet::new();
        items.retain(|item| seen.insert(format!("{item:?}")));
        let details = items.iter().any(|item| {
            !matches!(
                item,
                FetchItem::Uid
                    | FetchItem::Flags
                    | FetchItem::InternalDate
                    | FetchItem::Size
                    | FetchItem::ModSeq
                    | FetchItem::EmailId
                    | FetchItem::ThreadId
                    | FetchItem::SaveDate
            )
        });
        Plan { items, details, sees, changed_since: modifiers.changed_since }
    }
}

impl Session {
    pub(super) async fn fetch(
        &mut self,
        by: By,
        set: &SequenceSet,
        items: Vec<FetchItem>,
        modifiers: &FetchModifiers,
        wire: &mut Wire,
    ) -> Outcome {
        let selected = self.selected()?;
        let (at, mode) = (selected.at, selected.mode);
        let mut wanted = resolved(selected, set, by)?;
        if let Some(range) = modifiers.partial {
            // RFC 9394 §3.4: before CHANGEDSINCE.
            let places = range.of(wanted.len() as usize);
            wanted = wanted.iter().skip(places.start).take(places.len()).collect();
        }
        if modifiers.vanished {
            self.vanished_earlier(at, set, modifiers.changed_since.unwrap_or_default(), wire).await?;
        }
        // RFC 7162 §3.1: MODSEQ and CHANGEDSINCE enable CONDSTORE.
        if modifiers.changed_since.is_some() || items.contains(&FetchItem::ModSeq) {
            self.knows_modseqs(wire);
        }
        let condstore = if self.condstore { Condstore::On } else { Condstore::Off };
        let plan = Plan::new(items, by, modifiers, condstore, self.uid_only);
        let mut left = wanted.clone();
        let (mut missing, mut undecodable) = (UidSet::new(), false);
        while let Some(first) = left.first() {
            let page: UidSet = left.iter().take(PAGE).collect();
            left = left.difference(&page);
            debug_assert!(page.contains(first));
            let found = self.page(at, &page, &plan, mode).await?;
            missing.extend(found.missing.iter());
            if plan.items.contains(&FetchItem::Flags) {
                self.learn(found.messages.iter().map(|m| &m.flags), wire);
            }
            let mut ahead = Ahead::over(at, &found.messages);
            for message in &found.messages {
                match self.answer_fetch(message, &plan, &mut ahead, wire).await? {
                    Answered::Told => {}
                    Answered::Gone => missing.extend([message.uid]),
                    Answered::Undecodable => undecodable = true,
                }
            }
        }
        Ok(if undecodable {
            Status::no("A part is in a transfer encoding that is not known: fetch it as BODY")
                .code(Code::UnknownCte)
        } else if missing.is_empty() {
            Status::ok("Fetched")
        } else {
            // RFC 2180 §4.1.2: what is gone is left out, and EXPUNGE will follow.
            Status::ok("Some messages are gone").code(Code::ExpungeIssued)
        })
    }

    /// Messages to be shown, marked as seen if what is asked of them does that; what CHANGEDSINCE leaves out is neither.
    async fn page(
        &mut self,
        at: MailboxRef,
        uids: &UidSet,
        plan: &Plan,
        mode: SelectMode,
    ) -> Result<Page, Fail> {
        let store = self.services.store.clone();
        let there = |messages: &[Message]| messages.iter().map(|m| m.uid).collect::<UidSet>();
        let mut wanted = uids.clone();
        let mut missing = UidSet::new();
        if let Some(since) = plan.changed_since {
            let listed = store.messages(at, MessageQuery::of(uids.clone())).await?;
            missing = uids.difference(&there(&listed));
            wanted = listed.iter().filter(|m| m.modseq.get() > since).map(|m| m.uid).collect();
        }
        if plan.sees && mode == SelectMode::ReadWrite && !wanted.is_empty() {
            let change = FlagChange::Add(Flags::new().with(SystemFlag::Seen));
            store.set_flags(self.services.env.op(), at, &wanted, &change, None).await?;
        }
        let mut query = MessageQuery::of(wanted.clone());
        if plan.details {
            query = query.with_details();
        }
        let messages = store.messages(at, query).await?;
        missing = missing.union(&wanted.difference(&there(&messages)));
        Ok(Page { messages, missing })
    }

    async fn answer_fetch(
        &mut self,
        message: &Message,
        plan: &Plan,
        ahead: &mut Ahead<'_>,
        wire: &mut Wire,
    ) -> Result<Answered, Fail> {
        let Some(selected) = &mut self.selected else { return Ok(Answered::Gone) };
        let Some(number) = selected.view.number(message.uid) else { return Ok(Answered::Gone) };
        let recent = selected.view.recent(message.uid);
        let called = called(self.uid_only, number, message.uid);
        if let Some(structure) = &message.structure
            && !plan.items.iter().all(|item| binary::is_decodable(item, structure))
        {
            return Ok(Answered::Undecodable);
        }
        let mut body = Body { ahead, uid: message.uid, reader: None };
        let start = wire.out().len();
        wire.out().extend_from_slice(format!("* {called} (").as_bytes());
        let mut is_first = true;
        for item in &plan.items {
            if !std::mem::take(&mut is_first) {
                wire.out().push(b' ');
            }
            if plain_item(item, message, recent, wire.out()) {
                continue;
            }
            let Some(structure) = &message.structure else {
                return Err(std::io::Error::other("the store left a structure out").into());
            };
            match self.section_item(item, structure, &mut body, wire).await {
                // Many sections of one message are not held in memory together. From here on nothing is taken back.
                Ok(()) if body.reader.is_some() => wire.relieve().await?,
                Ok(()) => {}
                // Gone since it was listed; nothing of it has been sent yet.
                Err(Fail::Status(_)) if wire.out().len() >= start && body.reader.is_none() => {
                    wire.out().truncate(start);
                    return Ok(Answered::Gone);
                }
                // An answer can't be taken back once it has begun.
                Err(Fail::Status(status)) => return Err(std::io::Error::other(status.text).into()),
                Err(other) => return Err(other),
            }
        }
        wire.out().extend_from_slice(b")\r\n");
        let has_flags = plan.items.contains(&FetchItem::Flags);
        if has_flags && let Some(selected) = &mut self.selected {
            selected.view.told(message.uid, message.modseq);
        }
        wire.relieve().await?;
        Ok(Answered::Told)
    }

    async fn section_item(
        &self,
        item: &FetchItem,
        structure: &Structure,
        body: &mut Body<'_, '_>,
        wire: &mut Wire,
    ) -> Result<(), Fail> {
        let whole = |text| Section { path: Vec::new(), text };
        let (name, section, partial) = match item {
            FetchItem::Envelope => {
                wire.out().extend_from_slice(b"ENVELOPE ");
                envelope(&structure.envelope, wire.out());
                return Ok(());
            }
            FetchItem::Body => {
                wire.out().extend_from_slice(b"BODY ");
                body_structure(&structure.root, Extensions::No, wire.out());
                return Ok(());
            }
            FetchItem::BodyStructure => {
                wire.out().extend_from_slice(b"BODYSTRUCTURE ");
                body_structure(&structure.root, Extensions::Yes, wire.out());
                return Ok(());
            }
            FetchItem::Preview { .. } => {
                wire.out().extend_from_slice(b"PREVIEW ");
                string(structure.preview.as_bytes(), wire.out());
                return Ok(());
            }
            FetchItem::Binary { path, partial, .. } => {
                return self.binary(path, *partial, structure, body, wire).await;
            }
            FetchItem::BinarySize { path } => return self.binary_size(path, structure, body, wire).await,
            FetchItem::Rfc822 => (Some("RFC822"), whole(SectionText::All), None),
            FetchItem::Rfc822Header => (Some("RFC822.HEADER"), whole(SectionText::Header), None),
            FetchItem::Rfc822Text => (Some("RFC822.TEXT"), whole(SectionText::Text), None),
            FetchItem::Section { section, partial, .. } => (None, section.clone(), *partial),
            _ => return Ok(()),
        };
        let place = section::locate(structure, &section);
        let content = match place {
            Place::Nowhere => None,
            Place::Range(range) => Some(Source::Message(section::cut(&range, partial))),
            Place::Fields(header, fields) => {
                let chosen = section::read_fields(body.open(self).await?, &header, &fields).await?;
                Some(Source::Memory(cut_bytes(chosen, partial)))
            }
        };
        if let Some(Source::Message(range)) = &content
            && !range.is_empty()
        {
            body.open(self).await?;
        }
        match name {
            Some(name) => wire.out().extend_from_slice(name.as_bytes()),
            None => section::write_name(&section, partial, wire.out()),
        }
        wire.out().push(b' ');
        match content {
            None => wire.out().extend_from_slice(b"NIL"),
            Some(Source::Memory(bytes)) => {
                wire.out().extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
                wire.out().extend_from_slice(&bytes);
            }
            Some(Source::Message(range)) => self.stream(range, body, wire).await?,
        }
        Ok(())
    }

    /// A literal in pieces: announced size and what comes agree, or the connection ends.
    async fn stream(&self, range: Range<u64>, body: &mut Body<'_, '_>, wire: &mut Wire) -> Result<(), Fail> {
        wire.out().extend_from_slice(format!("{{{}}}\r\n", range.end - range.start).as_bytes());
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(PIECE as u64) as usize;
            let piece = body.open(self).await?.read_at(at, len).await.map_err(std::io::Error::other)?;
            if piece.is_empty() {
                return Err(std::io::Error::other("a body ends before its size").into());
            }
            at += piece.len() as u64;
            wire.out().extend_from_slice(&piece);
            wire.relieve().await?;
        }
        Ok(())
    }
}

/// A message's bytes, opened when they are needed.
pub(super) struct Body<'a, 'b> {
    ahead: &'a mut Ahead<'b>,
    uid: Uid,
    reader: Option<Box<dyn BodyReader>>,
}

impl Body<'_, '_> {
    pub async fn open(&mut self, session: &Session) -> Result<&mut dyn BodyReader, Fail> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.ahead.open(&*session.services.store, self.uid).await?,
        };
        Ok(&mut **self.reader.insert(reader))
    }
}

enum Source {
    Memory(Vec<u8>),
    Message(Range<u64>),
}

fn cut_bytes(mut bytes: Vec<u8>, partial: Option<Partial>) -> Vec<u8> {
    let range = section::cut(&(0..bytes.len() as u64), partial);
    bytes.truncate(range.end as usize);
    bytes.drain(..range.start as usize);
    bytes
}

/// Items that need no more than what is listed; whether this was one.
fn plain_item(
    item: &FetchItem,
    message: &Message,
    recent: crate::imap::encode::Recent,
    out: &mut Vec<u8>,
) -> bool {
    match item {
        FetchItem::Uid => out.extend_from_slice(format!("UID {}", message.uid).as_bytes()),
        FetchItem::Size => out.extend_from_slice(format!("RFC822.SIZE {}", message.size).as_bytes()),
        FetchItem::ModSeq => out.extend_from_slice(format!("MODSEQ ({})", message.modseq).as_bytes()),
        FetchItem::Flags => {
            out.extend_from_slice(b"FLAGS ");
            flags(&message.flags, recent, out);
        }
        FetchItem::InternalDate => {
            out.extend_from_slice(b"INTERNALDATE ");
            date_time(message.internal_date, out);
        }
        FetchItem::EmailId => {
            out.extend_from_slice(format!("EMAILID ({})", email_id(message.email_id)).as_bytes());
        }
        // RFC 8474 §5.2: threads have no ids here.
        FetchItem::ThreadId => out.extend_from_slice(b"THREADID NIL"),
        FetchItem::SaveDate => {
            out.extend_from_slice(b"SAVEDATE ");
            date_time(message.saved_at, out);
        }
        _ => return false,
    }
    true
}
