//! Nothing happens twice: operation ids.

use crate::contract::*;
use crate::*;
use std::fmt::Debug;

/// Runs a mutation, runs it again under the same id, does something else, and runs it once more: one answer, one
/// effect.
async fn happens_once<T: PartialEq + Debug>(w: &World, user: User, call: impl AsyncFn(OpId) -> Result<T>) {
    let op = w.op();
    let first = call(op).await.expect("the mutation is fine");
    let after = AccountSnapshot::take(w.store(), user.id).await;
    let stats = w.store().stats().await.unwrap();
    let days = w.store().daily_stats(1).await.unwrap();
    assert_eq!(call(op).await.as_ref(), Ok(&first), "a repetition answers what was recorded");
    assert_eq!(AccountSnapshot::take(w.store(), user.id).await, after, "and changes nothing");
    assert_eq!(w.store().stats().await.unwrap(), stats);
    assert_eq!(w.store().daily_stats(1).await.unwrap(), days);
    // Time goes by and the world changes; the record does not.
    w.clock.advance(HOUR);
    let eve = w.user("eve").await;
    w.append(eve.inbox, &["x"]).await;
    if after.is_ok() {
        w.append(user.inbox, &["later"]).await;
        w.expunge(user.inbox, &UidSet::all()).await;
    }
    let after = AccountSnapshot::take(w.store(), user.id).await;
    assert_eq!(call(op).await.as_ref(), Ok(&first), "whatever happened since");
    assert_eq!(AccountSnapshot::take(w.store(), user.id).await, after);
}

pub async fn create_account_happens_once(w: &mut World) {
    let eve = w.user("zoe").await;
    let new = w.new_account("ann");
    happens_once(w, eve, async |op| w.store().create_account(op, new.clone()).await).await;
    assert_eq!(w.store().stats().await.unwrap().accounts, 3);
}

pub async fn update_account_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let update = AccountUpdate { name: Some("Ann".into()), ..AccountUpdate::default() };
    happens_once(w, ann, async |op| w.store().update_account(op, ann.id, update.clone()).await).await;
    // A late repetition does not undo what came after it.
    let op = w.op();
    w.store().update_account(op, ann.id, update.clone()).await.unwrap();
    let later = AccountUpdate { name: Some("Anna".into()), ..AccountUpdate::default() };
    w.store().update_account(w.op(), ann.id, later).await.unwrap();
    w.store().update_account(op, ann.id, update).await.unwrap();
    assert_eq!(w.store().account(ann.id).await.unwrap().name, "Anna");
}

pub async fn delete_account_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    happens_once(w, ann, async |op| w.store().delete_account(op, ann.id).await).await;
}

pub async fn add_address_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let alias = address("ada@gadwall.test");
    happens_once(w, ann, async |op| w.store().add_address(op, ann.id, &alias).await).await;
}

pub async fn remove_address_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let alias = address("ada@gadwall.test");
    w.store().add_address(w.op(), ann.id, &alias).await.unwrap();
    happens_once(w, ann, async |op| w.store().remove_address(op, ann.id, &alias).await).await;
}

pub async fn create_mailbox_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let a = name("a/b");
    happens_once(w, ann, async |op| w.store().create_mailbox(op, ann.id, &a, Some(SpecialUse::Junk)).await)
        .await;
}

pub async fn delete_mailbox_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    w.append(a, &["x"]).await;
    happens_once(w, ann, async |op| w.store().delete_mailbox(op, a).await).await;
}

pub async fn rename_mailbox_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    happens_once(w, ann, async |op| w.store().rename_mailbox(op, a, &name("b/c")).await).await;
}

pub async fn set_subscribed_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let op = w.op();
    let inbox = MailboxName::inbox();
    happens_once(w, ann, async |op| w.store().set_subscribed(op, ann.id, &inbox, Subscribed::No).await).await;
    // A late repetition does not undo what came after it.
    w.store().set_subscribed(op, ann.id, &name("a"), Subscribed::Yes).await.unwrap();
    w.store().set_subscribed(w.op(), ann.id, &name("a"), Subscribed::No).await.unwrap();
    w.store().set_subscribed(op, ann.id, &name("a"), Subscribed::Yes).await.unwrap();
    assert!(!w.store().subscriptions(ann.id).await.unwrap().contains(&name("a")));
}

pub async fn append_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let new = || vec![message(b"Subject: once\r\n\r\n1"), message(b"2")];
    happens_once(w, ann, async |op| w.store().append(op, ann.inbox, new()).await).await;
}

pub async fn set_flags_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "2"]).await;
    let change = FlagChange::Add(flags(&[SystemFlag::Seen], &["k"]));
    // With a condition: the repetition finds the messages above it, and yet answers as before.
    happens_once(w, ann, async |op| {
        w.store().set_flags(op, ann.inbox, &UidSet::all(), &change, Some(2)).await
    })
    .await;
}

pub async fn copy_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "2"]).await;
    happens_once(w, ann, async |op| w.store().copy(op, ann.inbox, &UidSet::all(), to.mailbox).await).await;
    assert_eq!(w.uids(to).await.len(), 2);
}

pub async fn move_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "2"]).await;
    happens_once(w, ann, async |op| w.store().move_messages(op, ann.inbox, &uids(&[1]), to.mailbox).await)
        .await;
    assert_eq!(w.uids(to).await.len(), 1);
}

pub async fn replace_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "2"]).await;
    happens_once(w, ann, async |op| {
        w.store().replace(op, ann.inbox, uid(1), to.mailbox, message(b"Subject: new\r\n\r\n3")).await
    })
    .await;
    assert_eq!(w.uids(to).await, uids(&[1]));
}

pub async fn expunge_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "2"]).await;
    happens_once(w, ann, async |op| w.store().expunge(op, ann.inbox, &uids(&[1]), Which::All).await).await;
}

pub async fn an_outcome_without_effect_is_recorded_too(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1"]).await;
    let op = w.op();
    let nothing = w.store().expunge(op, ann.inbox, &UidSet::all(), Which::Deleted).await.unwrap();
    assert!(nothing.uids.is_empty());
    w.flag(ann.inbox, &UidSet::all(), add(&[SystemFlag::Deleted])).await;
    let again = w.store().expunge(op, ann.inbox, &UidSet::all(), Which::Deleted).await.unwrap();
    assert_eq!((again, w.uids(ann.inbox).await), (nothing, uids(&[1])));
}

pub async fn an_id_is_good_for_one_operation_only(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    let (store, at) = (w.store(), ann.inbox);
    let op = w.op();
    store.append(op, at, vec![message(b"1"), message(b"2")]).await.unwrap();
    let before = w.snapshot(ann).await;
    let no = StoreError::OperationMismatch;
    assert_eq!(store.append(op, to, vec![message(b"1"), message(b"2")]).await.err(), Some(no.clone()));
    assert_eq!(store.append(op, at, vec![message(b"1")]).await.err(), Some(no.clone()));
    assert_eq!(store.append(op, at, vec![message(b"1"), message(b"3")]).await.err(), Some(no.clone()));
    assert_eq!(store.expunge(op, at, &UidSet::all(), Which::All).await.err(), Some(no.clone()));
    assert_eq!(store.copy(op, at, &UidSet::all(), to.mailbox).await.err(), Some(no.clone()));
    assert_eq!(store.move_messages(op, at, &UidSet::all(), to.mailbox).await.err(), Some(no.clone()));
    assert_eq!(store.replace(op, at, uid(1), to.mailbox, message(b"1")).await.err(), Some(no.clone()));
    assert_eq!(
        store.set_flags(op, at, &uids(&[1]), &add(&[SystemFlag::Seen]), None).await.err(),
        Some(no.clone())
    );
    assert_eq!(store.create_mailbox(op, ann.id, &name("b"), None).await.err(), Some(no.clone()));
    assert_eq!(store.delete_mailbox(op, to).await.err(), Some(no.clone()));
    assert_eq!(store.rename_mailbox(op, to, &name("b")).await.err(), Some(no.clone()));
    assert_eq!(store.set_subscribed(op, ann.id, &name("b"), Subscribed::Yes).await.err(), Some(no.clone()));
    assert_eq!(store.add_address(op, ann.id, &address("b@gadwall.test")).await.err(), Some(no.clone()));
    assert_eq!(store.remove_address(op, ann.id, &address("b@gadwall.test")).await.err(), Some(no.clone()));
    assert_eq!(store.update_account(op, ann.id, AccountUpdate::default()).await.err(), Some(no.clone()));
    assert_eq!(store.create_account(op, w.new_account("ben")).await.err(), Some(no.clone()));
    assert_eq!(store.delete_account(op, ann.id).await.err(), Some(no.clone()));
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn a_message_is_known_again_by_what_it_was_made_from(w: &mut World) {
    let ann = w.user("ann").await;
    let (store, at) = (w.store(), ann.inbox);
    let made = |from: u8, bytes: &[u8]| NewMessage { made_from: Some([from; 32]), ..message(bytes) };
    let op = w.op();
    let first = store.append(op, at, vec![made(1, b"built at one")]).await.unwrap();
    // Built anew: what was stored stays.
    assert_eq!(store.append(op, at, vec![made(1, b"built at two o'clock")]).await, Ok(first.clone()));
    assert_eq!(w.bytes(at, first.uids.first().copied().unwrap()).await, b"built at one");
    // Gone, and known all the same.
    w.expunge(at, &uids(&[1])).await;
    assert_eq!(store.append(op, at, vec![made(1, b"built at three")]).await, Ok(first));
    let no = Some(StoreError::OperationMismatch);
    assert_eq!(store.append(op, at, vec![made(2, b"built at one")]).await.err(), no);
    assert_eq!(store.append(op, at, vec![message(b"built at one")]).await.err(), no);
    assert_eq!(w.uids(at).await, uids(&[]));
}

pub async fn an_id_is_good_for_one_set_of_arguments_only(w: &mut World) {
    let ann = w.user("ann").await;
    let (at, to) = (ann.inbox, w.create(ann, "a").await);
    let (store, no) = (w.store(), Some(StoreError::OperationMismatch));
    w.append(at, &["1", "2", "3"]).await;
    let seen = add(&[SystemFlag::Seen]);
    let op = w.op();
    store.set_flags(op, at, &uids(&[1]), &seen, None).await.unwrap();
    assert_eq!(store.set_flags(op, at, &uids(&[2]), &seen, None).await.err(), no);
    assert_eq!(store.set_flags(op, at, &uids(&[1]), &add(&[SystemFlag::Draft]), None).await.err(), no);
    assert_eq!(store.set_flags(op, at, &uids(&[1]), &seen, Some(9)).await.err(), no);
    let op = w.op();
    store.copy(op, at, &uids(&[1]), to.mailbox).await.unwrap();
    assert_eq!(store.copy(op, at, &uids(&[2]), to.mailbox).await.err(), no);
    assert_eq!(store.copy(op, at, &uids(&[1]), at.mailbox).await.err(), no);
    let op = w.op();
    store.expunge(op, at, &uids(&[1]), Which::All).await.unwrap();
    assert_eq!(store.expunge(op, at, &uids(&[2]), Which::All).await.err(), no);
    assert_eq!(store.expunge(op, at, &uids(&[1]), Which::Deleted).await.err(), no);
    let op = w.op();
    store.rename_mailbox(op, to, &name("b")).await.unwrap();
    assert_eq!(store.rename_mailbox(op, to, &name("c")).await.err(), no);
    let op = w.op();
    store.set_subscribed(op, ann.id, &name("b"), Subscribed::Yes).await.unwrap();
    assert_eq!(store.set_subscribed(op, ann.id, &name("b"), Subscribed::No).await.err(), no);
    assert_eq!((w.uids(at).await, w.uids(to).await), (uids(&[2, 3]), uids(&[1])));
}

pub async fn a_refusal_is_not_recorded(w: &mut World) {
    let ann = w.user_with("ann", |new| new.quota_bytes = 3).await;
    let (append, create, copy) = (w.op(), w.op(), w.op());
    let over = w.store().append(append, ann.inbox, vec![message(b"12345")]).await;
    assert_eq!(over, Err(StoreError::OverQuota { used_bytes: 0, limit_bytes: 3 }));
    let taken = w.store().create_mailbox(create, ann.id, &name("Trash"), None).await;
    assert_eq!(taken, Err(StoreError::AlreadyExists(Subject::Mailbox)));
    let nowhere = MailboxId::mint(&*w.clock, &*w.entropy);
    assert!(is_not_found(&w.store().copy(copy, ann.inbox, &UidSet::all(), nowhere).await));
    let update = AccountUpdate { quota_bytes: Some(100), ..AccountUpdate::default() };
    w.store().update_account(w.op(), ann.id, update).await.unwrap();
    w.store().append(append, ann.inbox, vec![message(b"12345")]).await.unwrap();
    let made = w.store().create_mailbox(create, ann.id, &name("a"), None).await.unwrap();
    let copied = w.store().copy(copy, ann.inbox, &UidSet::all(), made.id).await.unwrap();
    assert_eq!(copied.pairs.len(), 1);
}

pub async fn retries_that_overlap_happen_once(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    for round in 1..=5u64 {
        let (append, copy) = (w.op(), w.op());
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let store = w.shared();
                tokio::spawn(async move {
                    let appended = store.append(append, ann.inbox, vec![message(b"x")]).await.unwrap();
                    let uids = appended.uids.iter().copied().collect();
                    let copied = store.copy(copy, ann.inbox, &uids, to.mailbox).await.unwrap();
                    (appended, copied)
                })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        assert!(answers.windows(2).all(|a| a[0] == a[1]), "all hear of the same outcome");
        assert_eq!((w.uids(ann.inbox).await.len(), w.uids(to).await.len()), (round, round));
    }
}

pub async fn a_repetition_is_answered_though_all_it_was_about_is_gone(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    let (append, copy, flag) = (w.op(), w.op(), w.op());
    let (all, seen) = (UidSet::all(), add(&[SystemFlag::Seen]));
    let appended = w.store().append(append, a, vec![message(b"1")]).await.unwrap();
    let copied = w.store().copy(copy, a, &all, ann.inbox.mailbox).await.unwrap();
    let stored = w.store().set_flags(flag, a, &all, &seen, None).await.unwrap();
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    for account_is_gone in [false, true] {
        if account_is_gone {
            w.store().delete_account(w.op(), ann.id).await.unwrap();
            w.sweep().await;
        }
        assert_eq!(w.store().append(append, a, vec![message(b"1")]).await.as_ref(), Ok(&appended));
        assert_eq!(w.store().copy(copy, a, &all, ann.inbox.mailbox).await.as_ref(), Ok(&copied));
        assert_eq!(w.store().set_flags(flag, a, &all, &seen, None).await.as_ref(), Ok(&stored));
    }
    assert_eq!(w.store().stats().await.unwrap().messages, 0);
}
