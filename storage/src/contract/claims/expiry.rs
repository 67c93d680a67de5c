//! Everything ends.

use crate::contract::*;
use crate::*;
use std::time::Duration;

pub async fn a_message_goes_when_its_time_has_come(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1"]).await;
    w.clock.advance(DAY);
    w.append(ann.inbox, &["2"]).await;
    w.clock.advance(6 * DAY - Duration::from_secs(1));
    let early = w.sweep().await;
    assert_eq!((early.messages_expired, w.uids(ann.inbox).await), (0, uids(&[1, 2])));
    w.clock.advance(Duration::from_secs(1));
    let due = w.sweep().await;
    assert_eq!((due.messages_expired, due.accounts_expired, due.more), (1, 0, false));
    assert_eq!(w.uids(ann.inbox).await, uids(&[2]));
    assert_eq!(w.store().body(ann.inbox, uid(1)).await.err(), Some(StoreError::NotFound(Subject::Message)));
}

pub async fn expiry_is_journaled_like_any_expunge(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "22"]).await;
    w.clock.advance(3 * DAY);
    w.append(ann.inbox, &["333"]).await;
    let seen = w.modseq(ann.inbox).await;
    w.clock.advance(4 * DAY);
    w.sweep().await;
    let delta = w.delta(ann.inbox, seen).await;
    assert_eq!((delta.through.get(), delta.vanished, delta.changed), (seen + 1, uids(&[1, 2]), vec![]));
    let m = w.mailbox(ann.inbox).await;
    assert_eq!((m.messages, m.unseen, m.bytes, m.recent, w.used(ann).await), (1, 1, 3, 1, 3));
    let stats = w.store().stats().await.unwrap();
    assert_eq!((stats.messages, stats.bytes, stats.appended_total), (1, 3, 3));
}

pub async fn messages_without_retention_stay(w: &mut World) {
    let ann = w.user_with("ann", |new| new.retention_secs = None).await;
    w.append(ann.inbox, &["1"]).await;
    assert_eq!(w.list(ann.inbox).await[0].expires_at, None);
    w.clock.advance(1_000 * DAY);
    assert_eq!(w.sweep().await.messages_expired, 0);
    assert_eq!(w.bytes(ann.inbox, uid(1)).await, b"1");
}

pub async fn retention_counts_from_when_a_message_came(w: &mut World) {
    let ann = w.user_with("ann", |new| new.retention_secs = None).await;
    w.append(ann.inbox, &["old"]).await;
    let update = AccountUpdate { retention_secs: Some(Some(3600)), ..AccountUpdate::default() };
    w.store().update_account(w.op(), ann.id, update).await.unwrap();
    let new = NewMessage { internal_date: Some(Timestamp::from_secs(1)), ..message(b"new") };
    w.store().append(w.op(), ann.inbox, vec![new]).await.unwrap();
    let expires: Vec<_> = w.list(ann.inbox).await.iter().map(|m| m.expires_at).collect();
    assert_eq!(expires, [None, Some(w.clock.now().after(HOUR))], "whatever its date says");
    w.clock.advance(HOUR);
    w.sweep().await;
    assert_eq!(w.uids(ann.inbox).await, uids(&[1]));
}

pub async fn a_copy_goes_with_its_original(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1"]).await;
    w.clock.advance(6 * DAY);
    w.store().copy(w.op(), ann.inbox, &uids(&[1]), to.mailbox).await.unwrap();
    w.store().move_messages(w.op(), ann.inbox, &uids(&[1]), to.mailbox).await.unwrap();
    w.clock.advance(DAY);
    // Or copying would keep a message for ever.
    assert_eq!(w.sweep().await.messages_expired, 2);
    assert_eq!((w.uids(to).await.len(), w.used(ann).await), (0, 0));
}

pub async fn an_expired_account_is_gone_swept_or_not(w: &mut World) {
    let expires = w.clock.now().after(2 * DAY);
    let ann = w.user_with("ann", |new| new.expires_at = Some(expires)).await;
    let ben = w.user("ben").await;
    w.store().add_address(w.op(), ann.id, &address("ada@gadwall.test")).await.unwrap();
    w.append(ann.inbox, &["1"]).await;
    w.append(ben.inbox, &["22"]).await;
    w.clock.set(Timestamp(expires.millis() - 1));
    w.sweep().await;
    assert_eq!(w.store().account_by_address(&address("ada@gadwall.test")).await.unwrap().id, ann.id);
    w.clock.set(expires);
    for swept in [0, 1] {
        super::isolation::assert_no_access(w, ann.id, ann.inbox, &uids(&[1])).await;
        for gone in ["ann@gadwall.test", "ada@gadwall.test"] {
            assert!(is_not_found(&w.store().account_by_address(&address(gone)).await));
        }
        assert_eq!(w.sweep().await.accounts_expired, 1 - swept);
    }
    let stats = w.store().stats().await.unwrap();
    assert_eq!((stats.accounts, stats.messages, stats.bytes), (1, 1, 2));
    assert_eq!(w.uids(ben.inbox).await, uids(&[1]));
}

pub async fn the_address_of_an_expired_account_is_free(w: &mut World) {
    let expires = w.clock.now().after(DAY);
    let ann = w.user_with("ann", |new| new.expires_at = Some(expires)).await;
    w.append(ann.inbox, &["old"]).await;
    w.clock.set(expires);
    let again = w.user("ann").await;
    assert_eq!(w.store().account_by_address(&address("ann@gadwall.test")).await.unwrap().id, again.id);
    w.append(again.inbox, &["new"]).await;
    w.sweep().await;
    assert_eq!(w.store().account_by_address(&address("ann@gadwall.test")).await.unwrap().id, again.id);
    assert_eq!(w.bytes(again.inbox, uid(1)).await, b"new");
    let stats = w.store().stats().await.unwrap();
    assert_eq!((stats.accounts, stats.messages), (1, 1));
}

pub async fn an_account_can_be_given_more_time(w: &mut World) {
    let first = w.clock.now().after(DAY);
    let ann = w.user_with("ann", |new| new.expires_at = Some(first)).await;
    let update = AccountUpdate { expires_at: Some(Some(first.after(DAY))), ..AccountUpdate::default() };
    w.store().update_account(w.op(), ann.id, update).await.unwrap();
    w.clock.set(first);
    assert_eq!(w.sweep().await.accounts_expired, 0);
    w.append(ann.inbox, &["1"]).await;
    w.clock.advance(DAY);
    assert_eq!(w.sweep().await.accounts_expired, 1);
    assert!(is_not_found(&w.store().account(ann.id).await));
}

pub async fn a_sweep_tells_when_the_next_is_due(w: &mut World) {
    assert_eq!(w.sweep().await.next_due, None);
    let now = w.clock.now();
    let ann = w.user_with("ann", |new| new.expires_at = Some(now.after(8 * DAY))).await;
    assert_due(w, now.after(8 * DAY)).await;
    w.append(ann.inbox, &["1"]).await;
    assert_due(w, now.after(7 * DAY)).await;
    w.clock.advance(7 * DAY);
    assert_due(w, now.after(8 * DAY)).await;
    w.clock.advance(DAY);
    assert_eq!(w.sweep().await.accounts_expired, 1);
}

async fn assert_due(w: &World, due: Timestamp) {
    // "If known": a store may not know, but must not be wrong.
    let swept = w.sweep().await;
    assert!(swept.next_due.is_none_or(|at| at.secs() == due.secs()), "{:?}, not {due:?}", swept.next_due);
    assert!(!swept.more);
}

pub async fn a_sweep_with_nothing_due_changes_nothing(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "2"]).await;
    w.expunge(ann.inbox, &uids(&[1])).await;
    let before = w.snapshot(ann).await;
    let swept = w.sweep().await;
    assert_eq!((swept.messages_expired, swept.accounts_expired), (0, 0));
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn many_messages_go_in_bounded_rounds(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &vec!["x"; 1_200]).await;
    w.store().copy(w.op(), ann.inbox, &UidSet::all(), to.mailbox).await.unwrap();
    let mut client = Client::of(&w.list(to).await, w.modseq(to).await);
    w.clock.advance(7 * DAY);
    let mut expired = 0;
    loop {
        let round = w.store().sweep().await.unwrap();
        expired += round.messages_expired;
        let left = w.uids(ann.inbox).await.len() + w.uids(to).await.len();
        assert_eq!(left + expired, 2_400, "what is said to have gone has gone");
        assert_eq!(round.more, left > 0, "more is due as long as something is left");
        w.assert_sound().await;
        if !round.more {
            break;
        }
        assert!(round.messages_expired > 0, "each round gets somewhere");
    }
    let stats = w.store().stats().await.unwrap();
    assert_eq!((stats.messages, stats.bytes, w.used(ann).await), (0, 0, 0));
    client.apply(&w.delta(to, client.through).await);
    assert!(client.messages.is_empty(), "a client that follows hears of all of it");
}

pub async fn sweeps_at_once_expire_each_message_once(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["x"; 50]).await;
    w.clock.advance(7 * DAY);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let store = w.shared();
            tokio::spawn(async move { store.sweep().await.unwrap().messages_expired })
        })
        .collect();
    let mut expired = 0;
    for task in tasks {
        expired += task.await.unwrap();
    }
    expired += w.sweep().await.messages_expired;
    assert_eq!((expired, w.used(ann).await), (50, 0));
}
