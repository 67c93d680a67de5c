//! Changing messages: flags, moving, deleting.

use crate::http::app::{App, Shared};
use crate::http::error::{ApiError, Result};
use crate::http::input::JsonBody;
use crate::http::place::{MailboxPlace, Op};
use axum::Json;
use axum::extract::{Path, State};
use gadwall_storage::{
    Copied, FlagChange, Flags, Keyword, MailboxRef, OpId, StoreError, Subject, SystemFlag, Uid, UidSet, Which,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Most ranges in a set of messages.
const RANGES: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// `all`, or UIDs and ranges as `1,3:5`; only where the path names no message.
    message: Option<String>,
    seen: Option<bool>,
    flagged: Option<bool>,
    answered: Option<bool>,
    deleted: Option<bool>,
    draft: Option<bool>,
    #[serde(default)]
    add_keywords: Vec<String>,
    #[serde(default)]
    remove_keywords: Vec<String>,
    /// A mailbox, by id or name.
    move_to: Option<String>,
}

impl Change {
    /// The flags that are set and those that are taken away.
    fn flags(&self) -> Result<(Flags, Flags)> {
        let (mut add, mut remove) = (Flags::new(), Flags::new());
        for (flag, wanted) in [
            (SystemFlag::Seen, self.seen),
            (SystemFlag::Flagged, self.flagged),
            (SystemFlag::Answered, self.answered),
            (SystemFlag::Deleted, self.deleted),
            (SystemFlag::Draft, self.draft),
        ] {
            match wanted {
                Some(true) => add.insert(flag),
                Some(false) => remove.insert(flag),
                None => {}
            }
        }
        for (names, flags) in [(&self.add_keywords, &mut add), (&self.remove_keywords, &mut remove)] {
            for name in names {
                let bad = || ApiError::input(format!("keyword {name:?}: not an atom"));
                flags.insert_keyword(Keyword::new(name).ok_or_else(bad)?);
            }
        }
        Ok((add, remove))
    }
}

pub async fn update(
    State(app): State<Shared>,
    place: MailboxPlace,
    op: Op,
    JsonBody(change): JsonBody<Change>,
) -> Result<Json<Value>> {
    let named = change.message.as_deref().ok_or_else(|| ApiError::input("message: say which, or \"all\""))?;
    app.change(place.at(), op.id, &uids(named)?, &change).await.map(Json)
}

pub async fn update_one(
    State(app): State<Shared>,
    place: MailboxPlace,
    op: Op,
    Path((_, _, uid)): Path<(String, String, String)>,
    JsonBody(change): JsonBody<Change>,
) -> Result<Json<Value>> {
    let uids = UidSet::single(one(&uid)?);
    let reply = app.change(place.at(), op.id, &uids, &change).await?;
    // A message that was moved by this operation before is told as moved again, not as missing.
    if reply["updated"] == 0 { Err(missing()) } else { Ok(Json(reply)) }
}

pub async fn delete_one(
    State(app): State<Shared>,
    place: MailboxPlace,
    op: Op,
    Path((_, _, uid)): Path<(String, String, String)>,
) -> Result<Json<Value>> {
    let uids = UidSet::single(one(&uid)?);
    let gone = app.services.store.expunge(op.id, place.at(), &uids, Which::All).await?;
    if gone.uids.is_empty() { Err(missing()) } else { Ok(Json(json!({ "success": true, "deleted": 1 }))) }
}

pub async fn clear(State(app): State<Shared>, place: MailboxPlace, op: Op) -> Result<Json<Value>> {
    let gone = app.services.store.expunge(op.id, place.at(), &UidSet::all(), Which::All).await?;
    Ok(Json(json!({ "success": true, "deleted": gone.uids.len() })))
}

impl App {
    /// Sets flags, takes flags away, moves: each one step of the store, with an operation id of its own.
    async fn change(&self, at: MailboxRef, op: OpId, uids: &UidSet, change: &Change) -> Result<Value> {
        let (add, remove) = change.flags()?;
        let target = match &change.move_to {
            Some(name) => Some(self.mailbox_named(at.account, name).await?.id),
            None => None,
        };
        let store = &self.services.store;
        let mut reply = json!({ "success": true, "updated": 0 });
        let mut updated = 0;
        for (number, flags, change) in
            [(1, &add, FlagChange::Add(add.clone())), (2, &remove, FlagChange::Remove(remove.clone()))]
        {
            if !flags.is_empty() {
                let stored = store.set_flags(step(op, number), at, uids, &change, None).await?;
                updated = updated.max(stored.messages.len());
                reply["modseq"] = stored.modseq.get().into();
            }
        }
        if let Some(target) = target {
            let moved = store.move_messages(step(op, 3), at, uids, target).await?;
            updated = updated.max(moved.pairs.len());
            reply["mailbox"] = target.to_string().into();
            reply["moved"] = pairs(&moved);
        } else if add.is_empty() && remove.is_empty() {
            return Err(ApiError::input("nothing to change: give flags or moveTo"));
        }
        reply["updated"] = updated.into();
        Ok(reply)
    }
}

fn pairs(moved: &Copied) -> Value {
    moved.pairs.iter().map(|(from, to)| json!([from.get(), to.get()])).collect()
}

/// The id of one of several steps that one request takes.
fn step(op: OpId, number: u8) -> OpId {
    let mut id = op.0;
    id[15] ^= number;
    OpId(id)
}

fn missing() -> ApiError {
    StoreError::NotFound(Subject::Message).into()
}

fn one(text: &str) -> Result<Uid> {
    text.parse().ok().and_then(Uid::new).ok_or_else(missing)
}

/// `all`, or `1,3:5`.
fn uids(text: &str) -> Result<UidSet> {
    if text == "all" {
        return Ok(UidSet::all());
    }
    let bad = || ApiError::input(format!("message {text:?}: UIDs and ranges such as 1,3:5, or all"));
    let number = |n: &str| n.trim().parse().ok().and_then(Uid::new).ok_or_else(bad);
    let mut set = UidSet::new();
    for (i, item) in text.split(',').enumerate() {
        if i >= RANGES {
            return Err(bad());
        }
        match item.split_once(':') {
            Some((a, b)) => {
                let (a, b) = (number(a)?, number(b)?);
                set.insert_range(a.min(b), a.max(b));
            }
            None => set.insert(number(item)?),
        }
    }
    Ok(set)
}
