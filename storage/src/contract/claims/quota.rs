//! Quota.

use crate::contract::*;
use crate::*;

async fn tight(w: &World, quota_bytes: u64) -> User {
    w.user_with("ann", |new| new.quota_bytes = quota_bytes).await
}

pub async fn quota_is_exact_to_the_byte(w: &mut World) {
    let ann = tight(w, 10).await;
    w.append(ann.inbox, &["123456", "1234"]).await;
    assert_eq!(w.used(ann).await, 10);
    let before = w.snapshot(ann).await;
    let refused = w.store().append(w.op(), ann.inbox, vec![message(b"x")]).await;
    assert_eq!(refused, Err(StoreError::OverQuota { used_bytes: 10, limit_bytes: 10 }));
    assert_eq!(w.snapshot(ann).await, before);
    w.append(ann.inbox, &[""]).await;
}

pub async fn a_batch_over_quota_leaves_nothing(w: &mut World) {
    let ann = tight(w, 10).await;
    w.append(ann.inbox, &["12"]).await;
    let before = (w.snapshot(ann).await, w.store().stats().await.unwrap());
    let new = vec![message(b"1234"), message(b"12345")];
    let refused = w.store().append(w.op(), ann.inbox, new).await;
    assert_eq!(refused, Err(StoreError::OverQuota { used_bytes: 2, limit_bytes: 10 }));
    assert_eq!((w.snapshot(ann).await, w.store().stats().await.unwrap()), before);
}

pub async fn copies_count_and_moves_do_not(w: &mut World) {
    let ann = tight(w, 10).await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1234"]).await;
    w.store().copy(w.op(), ann.inbox, &UidSet::all(), to.mailbox).await.unwrap();
    assert_eq!(w.used(ann).await, 8, "a copy counts, whatever it shares");
    let refused = w.store().copy(w.op(), ann.inbox, &UidSet::all(), to.mailbox).await;
    assert_eq!(refused, Err(StoreError::OverQuota { used_bytes: 8, limit_bytes: 10 }));
    w.append(ann.inbox, &["12"]).await;
    w.store().move_messages(w.op(), ann.inbox, &UidSet::all(), to.mailbox).await.unwrap();
    assert_eq!((w.used(ann).await, w.uids(to).await.len()), (10, 3));
}

pub async fn a_replacement_needs_room_for_what_it_adds(w: &mut World) {
    let ann = tight(w, 10).await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["12345", "123"]).await;
    let refused = w.store().replace(w.op(), ann.inbox, uid(1), to.mailbox, message(b"12345678")).await;
    assert_eq!(refused, Err(StoreError::OverQuota { used_bytes: 8, limit_bytes: 10 }));
    assert_eq!((w.used(ann).await, w.uids(ann.inbox).await.len()), (8, 2));
    w.store().replace(w.op(), ann.inbox, uid(1), to.mailbox, message(b"1234567")).await.unwrap();
    w.store().replace(w.op(), to, uid(1), to.mailbox, message(b"7654321")).await.unwrap();
    assert_eq!(w.used(ann).await, 10);
}

pub async fn what_goes_makes_room_at_once(w: &mut World) {
    let ann = tight(w, 10).await;
    let a = w.create(ann, "a").await;
    w.append(ann.inbox, &["12345"]).await;
    w.append(a, &["12345"]).await;
    w.expunge(ann.inbox, &UidSet::all()).await;
    w.append(ann.inbox, &["54321"]).await;
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    assert_eq!(w.used(ann).await, 5);
    w.append(ann.inbox, &["12345"]).await;
}

pub async fn a_quota_that_was_lowered_costs_no_mail(w: &mut World) {
    let ann = tight(w, 100).await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["12345", "12345"]).await;
    let update = AccountUpdate { quota_bytes: Some(3), ..AccountUpdate::default() };
    w.store().update_account(w.op(), ann.id, update).await.unwrap();
    assert!(matches!(
        w.store().append(w.op(), ann.inbox, vec![message(b"x")]).await,
        Err(StoreError::OverQuota { used_bytes: 10, limit_bytes: 3 })
    ));
    w.flag(ann.inbox, &UidSet::all(), add(&[SystemFlag::Seen])).await;
    w.store().move_messages(w.op(), ann.inbox, &uids(&[1]), to.mailbox).await.unwrap();
    assert_eq!(w.bytes(to, uid(1)).await, b"12345");
    w.expunge(to, &UidSet::all()).await;
    assert_eq!(w.used(ann).await, 5);
}

pub async fn appends_at_once_do_not_overshoot(w: &mut World) {
    let ann = tight(w, 100).await;
    let other = w.create(ann, "a").await;
    let tasks: Vec<_> = (0..12)
        .map(|i| {
            let (store, op, at) = (w.shared(), w.op(), [ann.inbox, other][i % 2]);
            tokio::spawn(async move { store.append(op, at, vec![message(&[b'x'; 15])]).await.is_ok() })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += u64::from(task.await.unwrap());
    }
    assert_eq!((taken, w.used(ann).await), (6, 90), "as many as fit, no more and no fewer");
}
