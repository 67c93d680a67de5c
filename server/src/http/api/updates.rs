//! The event stream: what happens in an account's mailboxes, with ids to go on from after a lost connection.

use super::state::{Mark, State};
use crate::http::app::{App, Shared};
use crate::http::place::MailPlace;
use crate::http::serve::Drain;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use gadwall_storage::{
    Account, Changes, Delta, HintReceiver, Mailbox, MailboxId, MailboxRef, Message, StoreError, SystemFlag,
    UidSet,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

/// Something is said at least this often, and looked for, as a hint may be lost.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// More changes at once than this are told as one RESYNC.
const CHANGES: usize = 1000;

pub async fn updates(
    extract::State(app): extract::State<Shared>,
    place: MailPlace,
    drain: Drain,
    headers: HeaderMap,
) -> Response {
    stream(app, place.account, drain, &headers)
}

/// The stream for one client (WHATWG HTML §9.2, server-sent events).
pub fn stream(app: Shared, account: Account, drain: Drain, headers: &HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(State::decode);
    let follower = Follower {
        hints: app.services.store.hints(account.id),
        drain,
        app,
        account,
        known: last,
        names: None,
        queue: VecDeque::new(),
        ended: false,
        begun: false,
    };
    let events = stream::unfold(follower, |mut f| async move {
        f.next().await.map(|event| (Ok::<_, Infallible>(event), f))
    });
    let mut response = Response::new(Body::from_stream(events));
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    // Some proxies hold back what they think incomplete.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Follower {
    app: Shared,
    account: Account,
    hints: HintReceiver,
    drain: Drain,
    /// What the client knows; `None` until it was told a beginning.
    known: Option<State>,
    names: Option<BTreeMap<MailboxId, String>>,
    queue: VecDeque<String>,
    begun: bool,
    ended: bool,
}

impl Follower {
    /// The next event as it is sent; `None` ends the stream, and the client connects again.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if self.begun {
                self.wait().await?;
            }
            self.begun = true;
            if let Err(e) = self.look().await {
                tracing::debug!(error = %e, "event stream ended");
                if matches!(e, StoreError::NotFound(_)) {
                    self.say(json!({ "command": "GONE" }), None);
                }
                self.ended = true;
            }
        }
    }

    async fn wait(&mut self) -> Option<()> {
        tokio::select! {
            biased;
            () = self.drain.0.cancelled() => return None,
            _ = self.hints.recv() => {}
            () = tokio::time::sleep(HEARTBEAT) => self.queue.push_back(": still here\n\n".into()),
        }
        Some(())
    }

    fn say(&mut self, data: Value, id: Option<String>) {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        self.queue.push_back(format!("{id}data: {data}\n\n"));
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let store = self.app.services.store.clone();
        let account = store.account(self.account.id).await?;
        if account.credentials.password_hash != self.account.credentials.password_hash {
            // Who changes a password wants others out.
            self.ended = true;
            return Ok(());
        }
        let mailboxes = store.mailboxes(self.account.id).await?;
        let Some(mut known) = self.known.take() else {
            self.begin(&mailboxes);
            return Ok(());
        };
        let told = self.tell(&mailboxes, &mut known).await;
        self.known = Some(known);
        told
    }

    /// The first event of a client that knows nothing.
    fn begin(&mut self, mailboxes: &[Mailbox]) {
        let state = State::of(mailboxes);
        let list: Vec<Value> = mailboxes.iter().map(crate::http::view::mailbox).collect();
        self.say(json!({ "command": "STATE", "mailboxes": list }), Some(state.encode()));
        self.names = Some(names(mailboxes));
        self.known = Some(state);
    }

    async fn tell(&mut self, mailboxes: &[Mailbox], known: &mut State) -> Result<(), StoreError> {
        let now = names(mailboxes);
        if self.names.as_ref().is_some_and(|before| *before != now) {
            self.say(json!({ "command": "MAILBOXES" }), None);
        }
        known.0.retain(|id, _| now.contains_key(id));
        self.names = Some(now);
        for mailbox in mailboxes {
            let mark = known.0.get(&mailbox.id).copied().unwrap_or(Mark::START);
            if mailbox.modseq.get() == mark.modseq {
                known.0.insert(mailbox.id, mark);
                continue;
            }
            let at = MailboxRef { account: self.account.id, mailbox: mailbox.id };
            let (counted, mark) = match self.app.services.store.changes_since(at, mark.modseq).await? {
                Changes::Deleted => continue,
                Changes::Delta(delta) if delta.changed.len() <= CHANGES => {
                    self.tell_delta(mailbox.id, mark, &delta);
                    // What is counted must not be older than what was told.
                    (self.app.services.store.mailbox(at).await?, mark.after(&delta))
                }
                Changes::Delta(_) | Changes::Resync => {
                    self.say(json!({ "command": "RESYNC", "mailbox": mailbox.id.to_string() }), None);
                    (mailbox.clone(), Mark::of(mailbox))
                }
            };
            known.0.insert(mailbox.id, mark);
            let counters = json!({
                "command": "COUNTERS",
                "mailbox": mailbox.id.to_string(),
                "total": counted.messages,
                "unseen": counted.unseen,
            });
            self.say(counters, Some(known.encode()));
        }
        Ok(())
    }

    fn tell_delta(&mut self, mailbox: MailboxId, mark: Mark, delta: &Delta) {
        if !delta.vanished.is_empty() {
            let uids = ranges(&delta.vanished);
            self.say(json!({ "command": "EXPUNGE", "mailbox": mailbox.to_string(), "uids": uids }), None);
        }
        for message in &delta.changed {
            let command = if mark.is_new(message.uid.get()) { "EXISTS" } else { "FETCH" };
            self.say(event(&self.app, command, self.account.id, mailbox, message), None);
        }
    }
}

fn event(
    app: &App,
    command: &str,
    account: gadwall_storage::AccountId,
    mailbox: MailboxId,
    message: &Message,
) -> Value {
    json!({
        "command": command,
        "mailbox": mailbox.to_string(),
        "uid": message.uid.get(),
        "modseq": message.modseq.get(),
        "unseen": !message.flags.has(SystemFlag::Seen),
        "flagged": message.flags.has(SystemFlag::Flagged),
        "size": message.size,
        "msgid": app.services.message_ids.sign(MailboxRef { account, mailbox }, message.uid),
    })
}

fn names(mailboxes: &[Mailbox]) -> BTreeMap<MailboxId, String> {
    mailboxes.iter().map(|m| (m.id, m.name.to_string())).collect()
}

/// `1:3,7`.
fn ranges(uids: &UidSet) -> String {
    let range = |r: std::ops::RangeInclusive<u32>| match r.start() == r.end() {
        true => r.start().to_string(),
        false => format!("{}:{}", r.start(), r.end()),
    };
    uids.ranges().map(range).collect::<Vec<_>>().join(",")
}
