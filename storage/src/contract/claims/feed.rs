//! The journal of changes.

use crate::contract::*;
use crate::*;
use SystemFlag::{Deleted, Flagged, Seen};

pub async fn a_delta_is_the_net_effect(w: &mut World) {
    let at = w.user("ann").await.inbox;
    w.append(at, &["1", "2", "3"]).await; // modseq 2
    let seen = w.modseq(at).await;
    w.append(at, &["4", "5"]).await; // 3
    w.flag(at, &uids(&[1, 4]), add(&[Seen])).await; // 4
    w.flag(at, &uids(&[1]), add(&[Flagged])).await; // 5
    w.expunge(at, &uids(&[2, 5])).await; // 6
    let delta = w.delta(at, seen).await;
    assert_eq!(delta.through.get(), 6);
    let told: Vec<_> = delta.changed.iter().map(|m| (m.uid.get(), m.modseq.get())).collect();
    assert_eq!(told, [(1, 5), (4, 4)], "each message once, as it is now, ascending; gone ones not at all");
    assert_eq!(delta.changed[0].flags, flags(&[Seen, Flagged], &[]));
    assert!(delta.changed.iter().all(|m| m.structure.is_none()), "without details");
    assert!(delta.vanished.contains(uid(2)));
    assert!(delta.vanished.difference(&uids(&[2, 5])).is_empty());
    let all = w.list(at).await;
    assert!(delta.changed.iter().all(|m| all.contains(m)), "as listed");
}

pub async fn since_zero_is_since_the_beginning(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let empty = Delta { through: ModSeq::MIN, changed: vec![], vanished: UidSet::new() };
    assert_eq!(w.delta(at, 0).await, empty);
    assert_eq!(w.delta(at, 1).await, empty);
    w.append(at, &["1", "2"]).await;
    w.expunge(at, &uids(&[1])).await;
    let delta = w.delta(at, 0).await;
    assert_eq!((delta.through.get(), delta.changed, delta.vanished), (3, w.list(at).await, uids(&[1])));
    assert_eq!(w.delta(at, 1).await, w.delta(at, 0).await);
}

pub async fn a_caller_that_is_up_to_date_gets_an_empty_delta(w: &mut World) {
    let at = w.user("ann").await.inbox;
    w.append(at, &["1"]).await;
    w.flag(at, &uids(&[1]), add(&[Seen])).await;
    let through = w.mailbox(at).await.modseq;
    assert_eq!(w.delta(at, through.get()).await, Delta { through, changed: vec![], vanished: UidSet::new() });
}

pub async fn every_change_takes_exactly_one_modseq(w: &mut World) {
    let ann = w.user("ann").await;
    let (at, to) = (ann.inbox, w.create(ann, "a").await);
    assert_eq!((w.modseq(at).await, w.modseq(to).await), (1, 1));
    w.append(at, &["1", "2", "3", "4"]).await;
    assert_eq!((w.modseq(at).await, w.modseq(to).await), (2, 1));
    w.flag(at, &UidSet::all(), add(&[Seen])).await;
    assert_eq!((w.modseq(at).await, w.modseq(to).await), (3, 1));
    w.store().copy(w.op(), at, &uids(&[1, 2]), to.mailbox).await.unwrap();
    assert_eq!((w.modseq(at).await, w.modseq(to).await), (3, 2), "the source of a copy does not change");
    w.store().move_messages(w.op(), at, &uids(&[3]), to.mailbox).await.unwrap();
    assert_eq!((w.modseq(at).await, w.modseq(to).await), (4, 3));
    w.expunge(at, &uids(&[1, 4])).await;
    assert_eq!((w.modseq(at).await, w.modseq(to).await), (5, 3));
    w.store().rename_mailbox(w.op(), to, &name("b")).await.unwrap();
    w.store().claim_recent(to).await.unwrap();
    assert_eq!(
        (w.modseq(at).await, w.modseq(to).await),
        (5, 3),
        "names and RECENT are no changes of messages"
    );
}

/// One random change of a mailbox, drawn from the world's entropy.
async fn disturb(w: &World, at: MailboxRef, other: MailboxRef) {
    let [what, a, b, ..]: [u8; 8] = (&*w.entropy as &dyn Entropy).bytes();
    let last = w.mailbox(at).await.uidnext.map_or(1, Uid::get);
    let pick = |n: u8| uid(1 + u32::from(n) % last);
    let some: UidSet = [pick(a), pick(b)].into_iter().collect();
    match what % 8 {
        0..=2 => _ = w.append(at, &["x", "y"][..1 + usize::from(a % 2)]).await,
        3 => _ = w.flag(at, &some, add(&[Seen, Deleted])).await,
        4 => _ = w.flag(at, &some, FlagChange::Remove(flags(&[Seen], &[]))).await,
        5 => _ = w.expunge(at, &UidSet::single(pick(a))).await,
        6 => _ = w.store().copy(w.op(), at, &some, at.mailbox).await.unwrap(),
        _ => _ = w.store().move_messages(w.op(), at, &UidSet::single(pick(b)), other.mailbox).await.unwrap(),
    }
}

pub async fn a_client_that_follows_from_any_point_knows_the_mailbox(w: &mut World) {
    let ann = w.user("ann").await;
    let (at, other) = (ann.inbox, w.create(ann, "a").await);
    let mut clients = vec![Client { through: 1, ..Client::default() }];
    for _ in 0..80 {
        disturb(w, at, other).await;
        clients.push(Client::of(&w.list(at).await, w.modseq(at).await));
    }
    let truth = clients[clients.len() - 1].clone();
    let starts: Vec<u64> = clients.iter().map(|c| c.through).collect();
    for (start, mut client) in starts.into_iter().zip(clients) {
        client.apply(&w.delta(at, start).await);
        assert_eq!(client, truth, "from modseq {start}");
    }
    // Moving into one mailbox only appends there.
    let mut client = Client { through: 1, ..Client::default() };
    client.apply(&w.delta(other, 0).await);
    assert_eq!(client, Client::of(&w.list(other).await, w.modseq(other).await));
}

pub async fn a_client_that_follows_step_by_step_knows_the_mailbox(w: &mut World) {
    let ann = w.user("ann").await;
    let (at, other) = (ann.inbox, w.create(ann, "a").await);
    let mut client = Client { through: 1, ..Client::default() };
    for step in 0..60 {
        disturb(w, at, other).await;
        let modseq = w.modseq(at).await;
        assert!(modseq <= client.through + 1, "one change, one modseq at most");
        client.apply(&w.delta(at, client.through).await);
        assert_eq!(client, Client::of(&w.list(at).await, modseq), "after step {step}");
    }
}

pub async fn of_a_deleted_mailbox_the_journal_says_so(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    w.append(a, &["1"]).await;
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    w.create(ann, "a").await;
    assert_eq!(w.store().changes_since(a, 1).await.unwrap(), Changes::Deleted);
    w.sweep().await;
    assert_eq!(w.store().changes_since(a, 1).await.unwrap(), Changes::Deleted);
}

pub async fn the_journal_is_kept_for_seven_days(w: &mut World) {
    let ann = w.user_with("ann", |new| new.retention_secs = None).await;
    w.append(ann.inbox, &["1", "2"]).await;
    w.expunge(ann.inbox, &uids(&[1])).await;
    w.clock.advance(7 * DAY - HOUR);
    w.sweep().await;
    assert_eq!(w.delta(ann.inbox, 0).await.vanished, uids(&[1]));
}

pub async fn behind_the_journal_the_answer_is_to_resynchronise(w: &mut World) {
    let ann = w.user_with("ann", |new| new.retention_secs = None).await;
    let at = ann.inbox;
    w.append(at, &["1", "2"]).await;
    w.expunge(at, &uids(&[1])).await;
    w.clock.advance(30 * DAY);
    w.flag(at, &uids(&[2]), add(&[Seen])).await; // modseq 4
    w.sweep().await;
    assert_eq!(w.store().changes_since(at, 0).await.unwrap(), Changes::Resync);
    assert_eq!(w.store().changes_since(at, 2).await.unwrap(), Changes::Resync, "never a partial answer");
    let delta = w.delta(at, 3).await;
    assert_eq!((delta.through.get(), delta.changed.len()), (4, 1), "what is still journaled is still told");
    assert!(w.delta(at, 4).await.changed.is_empty());
    assert_eq!((w.modseq(at).await, w.list(at).await.len()), (4, 1), "trimming changes nothing else");
}
