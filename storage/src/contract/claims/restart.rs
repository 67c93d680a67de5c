//! What was acknowledged survives a restart without a goodbye. A backend that keeps nothing passes these idly.

use super::bodies::{samples, with_attachment};
use crate::contract::*;
use crate::*;

pub async fn everything_is_as_it_was(w: &mut World) {
    let (ann, ben) = (w.user("ann").await, w.user("ben").await);
    let to = w.create(ann, "a/b").await;
    w.store().add_address(w.op(), ann.id, &address("ada@gadwall.test")).await.unwrap();
    w.store().set_subscribed(w.op(), ann.id, &name("zz"), Subscribed::Yes).await.unwrap();
    w.store().secret("ids", [7; 32]).await.unwrap();
    for of in [Annotated::Account(ann.id), Annotated::Mailbox(to), Annotated::Mailbox(ann.inbox)] {
        let value = AnnotationChanges::from([("/private/comment".into(), Some(b"note".to_vec()))]);
        w.store().annotate(w.op(), of, &value).await.unwrap();
    }
    let delivery = Some(Delivery { via: "smtp".into(), ..Delivery::default() });
    let new =
        NewMessage { delivery, flags: flags(&[SystemFlag::Draft], &["k"]), ..message(b"Subject: x\r\n\r\n") };
    w.store().append(w.op(), ann.inbox, vec![new]).await.unwrap();
    for sample in samples() {
        w.append_bytes(ben.inbox, &sample).await;
    }
    w.append_bytes(ann.inbox, &with_attachment(&["a", "a"])).await;
    w.store().copy(w.op(), ann.inbox, &UidSet::all(), to.mailbox).await.unwrap();
    w.flag(to, &uids(&[2]), add(&[SystemFlag::Seen])).await;
    w.expunge(ann.inbox, &uids(&[1])).await;
    w.store().rename_mailbox(w.op(), to, &name("c/d")).await.unwrap();
    let all = async |w: &World| {
        let stats = (w.store().stats().await.unwrap(), w.store().daily_stats(3).await.unwrap());
        (w.snapshot(ann).await, w.snapshot(ben).await, stats)
    };
    let mut before = all(w).await;
    if !w.reopen().await {
        return;
    }
    let mut after = all(w).await;
    // RECENT needs not survive.
    for snapshot in [&mut before.0, &mut before.1, &mut after.0, &mut after.1] {
        snapshot.mailboxes.iter_mut().for_each(|m| m.mailbox.recent = 0);
    }
    assert_eq!(after, before);
    assert_eq!(w.store().secret("ids", [8; 32]).await.unwrap(), [7; 32]);
    assert_eq!(w.store().account_by_address(&address("ada@gadwall.test")).await.unwrap().id, ann.id);
}

pub async fn numbers_go_on_where_they_were(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    let validity = w.mailbox(a).await.uidvalidity;
    w.append(ann.inbox, &["1", "2"]).await;
    w.expunge(ann.inbox, &uids(&[2])).await;
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    let modseq = w.modseq(ann.inbox).await;
    if !w.reopen().await {
        return;
    }
    assert_eq!(w.append(ann.inbox, &["3"]).await, [uid(3)], "a UID is not used again");
    assert_eq!(w.modseq(ann.inbox).await, modseq + 1);
    let again = w.create(ann, "a").await;
    assert!(w.mailbox(again).await.uidvalidity > validity);
    let mut client = Client { through: 1, ..Client::default() };
    client.apply(&w.delta(ann.inbox, 0).await);
    assert_eq!(client, Client::of(&w.list(ann.inbox).await, modseq + 1));
}

pub async fn operations_are_still_known(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    let (append, moved, create, refused) = (w.op(), w.op(), w.op(), w.op());
    let appended = w.store().append(append, ann.inbox, vec![message(b"1")]).await.unwrap();
    let outcome = w.store().move_messages(moved, ann.inbox, &uids(&[1]), to.mailbox).await.unwrap();
    let made = w.store().create_mailbox(create, ann.id, &name("b"), None).await.unwrap();
    assert!(w.store().create_mailbox(refused, ann.id, &name("b"), None).await.is_err());
    if !w.reopen().await {
        return;
    }
    let before = w.snapshot(ann).await;
    assert_eq!(w.store().append(append, ann.inbox, vec![message(b"1")]).await.unwrap(), appended);
    assert_eq!(w.store().move_messages(moved, ann.inbox, &uids(&[1]), to.mailbox).await.unwrap(), outcome);
    assert_eq!(w.store().create_mailbox(create, ann.id, &name("b"), None).await.unwrap(), made);
    let other = w.store().append(append, ann.inbox, vec![message(b"2")]).await;
    assert_eq!(other, Err(StoreError::OperationMismatch));
    assert_eq!(w.snapshot(ann).await, before);
    w.store().create_mailbox(refused, ann.id, &name("c"), None).await.unwrap();
}

pub async fn what_was_due_is_still_due(w: &mut World) {
    let expires = w.clock.now().after(7 * DAY);
    let ann = w.user("ann").await;
    w.user_with("ben", |new| new.expires_at = Some(expires)).await;
    w.append(ann.inbox, &["1"]).await;
    w.clock.set(expires);
    if !w.reopen().await {
        return;
    }
    let swept = w.sweep().await;
    assert_eq!((swept.messages_expired, swept.accounts_expired), (1, 1));
    assert_eq!(w.delta(ann.inbox, 2).await.vanished, uids(&[1]));
}

pub async fn what_was_written_at_once_is_there_after_any_number_of_restarts(w: &mut World) {
    let ann = w.user("ann").await;
    let mut acknowledged = UidSet::new();
    for _ in 0..3 {
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (store, op) = (w.shared(), w.op());
                tokio::spawn(
                    async move { store.append(op, ann.inbox, vec![message(b"x")]).await.unwrap().uids },
                )
            })
            .collect();
        for task in tasks {
            acknowledged.extend(task.await.unwrap());
        }
        if !w.reopen().await {
            return;
        }
        assert_eq!(w.uids(ann.inbox).await, acknowledged);
        w.assert_sound().await;
    }
}
