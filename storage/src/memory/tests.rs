//! What only this backend can be asked: its limits, and the end of the UIDs. Everything else is in the contract.

use super::{Limits, MemoryStore};
use crate::contract::*;
use crate::*;
use async_trait::async_trait;
use std::sync::Arc;

struct Limited(Limits);

struct Open(Arc<MemoryStore>);

#[async_trait]
impl Backend for Limited {
    async fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance> {
        Box::new(Open(Arc::new(MemoryStore::with_limits(clock, entropy, self.0.clone()))))
    }
}

impl Instance for Open {
    fn store(&self) -> Arc<dyn MailStore> {
        self.0.clone()
    }
}

async fn world(change: impl FnOnce(&mut Limits)) -> World {
    let mut limits = Limits::default();
    change(&mut limits);
    World::new(&Limited(limits)).await
}

fn reached<T: std::fmt::Debug>(answer: Result<T>) -> bool {
    matches!(answer, Err(StoreError::LimitReached(_)))
}

#[tokio::test]
async fn a_mailbox_without_uids_left_takes_no_mail() {
    let w = world(|l| l.first_uid = uid(u32::MAX - 1)).await;
    let ann = w.user("ann").await;
    let three = || ["1", "2", "3"].map(|t| message(t.as_bytes())).into();
    assert!(
        reached(w.store().append(w.op(), ann.inbox, three()).await),
        "three do not fit, so none is taken"
    );
    assert_eq!(w.append(ann.inbox, &["1", "2"]).await, [uid(u32::MAX - 1), uid(u32::MAX)]);
    let full = w.snapshot(ann).await;
    assert_eq!(full.mailboxes[0].mailbox.uidnext, None);
    assert!(reached(w.store().append(w.op(), ann.inbox, vec![message(b"x")]).await));
    assert!(reached(w.store().copy(w.op(), ann.inbox, &UidSet::all(), ann.inbox.mailbox).await));
    assert!(reached(w.store().move_messages(w.op(), ann.inbox, &UidSet::all(), ann.inbox.mailbox).await));
    assert_eq!(w.snapshot(ann).await, full);
    w.flag(ann.inbox, &UidSet::all(), add(&[SystemFlag::Seen])).await;
    assert_eq!(w.expunge(ann.inbox, &UidSet::all()).await.uids.len(), 2);
    assert!(reached(w.store().append(w.op(), ann.inbox, vec![message(b"x")]).await), "UIDs do not come back");
    w.assert_sound().await;
}

#[tokio::test]
async fn an_account_holds_so_many_mailboxes_and_no_more() {
    let w = world(|l| l.mailboxes_per_account = 4).await;
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    assert!(reached(w.store().create_mailbox(w.op(), ann.id, &name("b/c"), None).await), "parents count");
    assert!(reached(w.store().rename_mailbox(w.op(), a, &name("x/y/a")).await), "those of a new name too");
    w.create(ann, "b").await;
    assert!(reached(w.store().create_mailbox(w.op(), ann.id, &name("c"), None).await));
    w.store().rename_mailbox(w.op(), a, &name("c")).await.unwrap();
    w.assert_sound().await;
}

#[tokio::test]
async fn a_mailbox_knows_so_many_keywords_and_no_more() {
    let w = world(|l| l.keywords_per_mailbox = 2).await;
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append_with(to, flags(&[], &["c"])).await;
    w.append_with(ann.inbox, flags(&[], &["a", "b"])).await;
    let all = UidSet::all();
    let more = FlagChange::Add(flags(&[], &["c"]));
    assert!(reached(w.store().set_flags(w.op(), ann.inbox, &all, &more, None).await));
    assert!(reached(w.store().copy(w.op(), ann.inbox, &all, to.mailbox).await));
    assert!(reached(w.store().move_messages(w.op(), ann.inbox, &all, to.mailbox).await));
    w.flag(ann.inbox, &all, FlagChange::Replace(flags(&[], &["A"]))).await;
    w.store().copy(w.op(), ann.inbox, &all, to.mailbox).await.unwrap();
    w.assert_sound().await;
}

#[tokio::test]
async fn addresses_and_subscriptions_are_limited() {
    let w = world(|l| (l.addresses_per_account, l.subscriptions_per_account) = (2, 3)).await;
    let ann = w.user("ann").await;
    w.store().add_address(w.op(), ann.id, &address("b@x.test")).await.unwrap();
    assert!(reached(w.store().add_address(w.op(), ann.id, &address("c@x.test")).await));
    w.store().set_subscribed(w.op(), ann.id, &name("a"), Subscribed::Yes).await.unwrap();
    assert!(reached(w.store().set_subscribed(w.op(), ann.id, &name("b"), Subscribed::Yes).await));
    w.store().set_subscribed(w.op(), ann.id, &name("a"), Subscribed::Yes).await.unwrap();
}

#[tokio::test]
async fn a_sweep_expires_no_more_than_its_batch() {
    let w = world(|l| l.sweep_batch = 2).await;
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "2", "3"]).await;
    w.clock.advance(7 * DAY);
    let first = w.store().sweep().await.unwrap();
    assert_eq!((first.messages_expired, first.more), (2, true));
    let second = w.store().sweep().await.unwrap();
    assert_eq!((second.messages_expired, second.more), (1, false));
    w.assert_sound().await;
}

#[tokio::test]
async fn operations_are_forgotten_after_their_time() {
    let w = world(|l| l.operation_retention = DAY).await;
    let ann = w.user("ann").await;
    let op = w.op();
    w.store().append(op, ann.inbox, vec![message(b"1")]).await.unwrap();
    w.clock.advance(DAY);
    assert!(w.sweep().await.records_dropped >= 2);
    w.store().append(op, ann.inbox, vec![message(b"1")]).await.unwrap();
    assert_eq!(w.uids(ann.inbox).await.len(), 2);
}

#[tokio::test]
async fn the_audit_notices_a_counter_that_is_off() {
    let store = MemoryStore::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
    let w = World::new(&MemoryBackend).await;
    let id = store.create_account(w.op(), w.new_account("ann")).await.unwrap().id;
    let inbox = store.mailbox_by_name(id, &MailboxName::inbox()).await.unwrap().id;
    store.append(w.op(), MailboxRef { account: id, mailbox: inbox }, vec![message(b"1")]).await.unwrap();
    assert_eq!(store.audit().await.unwrap(), Vec::<String>::new());
    let spoil: [fn(&mut super::state::MailboxState); 5] = [
        |m| m.unseen += 1,
        |m| m.bytes += 1,
        |m| _ = m.journal.pop_last(),
        |m| m.uidnext = Some(Uid::MIN),
        |m| m.modseq = m.modseq.next(),
    ];
    for spoil in spoil {
        let before = {
            let mut state = store.state();
            let mailbox = state.mailboxes.get_mut(&inbox).unwrap();
            let before = (mailbox.unseen, mailbox.bytes, mailbox.uidnext, mailbox.modseq);
            spoil(mailbox);
            before
        };
        assert!(!store.audit().await.unwrap().is_empty());
        let mut state = store.state();
        let mailbox = state.mailboxes.get_mut(&inbox).unwrap();
        (mailbox.unseen, mailbox.bytes, mailbox.uidnext, mailbox.modseq) = before;
        let changed = mailbox.rows.keys().copied().collect();
        mailbox.journal(Timestamp::default(), changed, UidSet::new());
    }
    assert_eq!(store.audit().await.unwrap(), Vec::<String>::new());
}
