//! Copying, moving, expunging.

use super::bodies::with_attachment;
use crate::contract::*;
use crate::*;
use SystemFlag::{Deleted, Seen};

pub async fn a_copy_keeps_flags_dates_and_email_id(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    let delivery = Some(Delivery { via: "smtp".into(), ..Delivery::default() });
    let new = NewMessage { delivery, ..message(b"Subject: x\r\n\r\nx") };
    w.store().append(w.op(), ann.inbox, vec![message(b"0"), new]).await.unwrap();
    w.flag(ann.inbox, &uids(&[2]), FlagChange::Add(flags(&[Seen], &["k"]))).await;
    w.append(to, &["there before"]).await;
    w.clock.advance(HOUR);
    let copied = w.store().copy(w.op(), ann.inbox, &uids(&[2]), to.mailbox).await.unwrap();
    let target = w.mailbox(to).await;
    assert_eq!(copied.pairs, [(uid(2), uid(2))]);
    assert_eq!(
        (copied.uidvalidity, copied.modseq, copied.source_modseq),
        (target.uidvalidity, target.modseq, None)
    );
    let (source, copy) = (w.one(ann.inbox, uid(2)).await, w.one(to, uid(2)).await);
    assert_eq!(copy.saved_at.secs(), w.clock.now().secs(), "it came here just now");
    assert_eq!(copy, Message { modseq: copied.modseq, saved_at: copy.saved_at, ..source });
    assert_eq!(w.bytes(to, uid(2)).await, w.bytes(ann.inbox, uid(2)).await);
    assert_eq!(target.keywords, [keyword("k")].into(), "the target's keywords now include it");
    assert_eq!((target.messages, target.unseen, w.modseq(ann.inbox).await), (2, 1, 3));
}

pub async fn a_copy_takes_what_exists_in_order_in_one_step(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "2", "3", "4"]).await;
    w.expunge(ann.inbox, &uids(&[2])).await;
    let copied = w.store().copy(w.op(), ann.inbox, &uids(&[1, 2, 4, 7]), to.mailbox).await.unwrap();
    assert_eq!(copied.pairs, [(uid(1), uid(1)), (uid(4), uid(2))]);
    assert!(w.list(to).await.iter().all(|m| m.modseq.get() == 2));
    assert_eq!((w.bytes(to, uid(1)).await, w.bytes(to, uid(2)).await), (b"1".to_vec(), b"4".to_vec()));
    assert_eq!(w.used(ann).await, 5);
}

pub async fn a_copy_or_move_of_nothing_changes_nothing(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1"]).await;
    let before = w.snapshot(ann).await;
    for none in [UidSet::new(), uids(&[2, 3])] {
        let copied = w.store().copy(w.op(), ann.inbox, &none, to.mailbox).await.unwrap();
        assert_eq!((copied.pairs, copied.modseq.get(), copied.source_modseq), (vec![], 1, None));
        let moved = w.store().move_messages(w.op(), ann.inbox, &none, to.mailbox).await.unwrap();
        assert_eq!((moved.pairs, moved.modseq.get(), moved.source_modseq), (vec![], 1, ModSeq::new(2)));
    }
    assert_eq!(w.snapshot(ann).await, before);
    let nowhere = MailboxId::mint(&*w.clock, &*w.entropy);
    assert!(is_not_found(&w.store().copy(w.op(), ann.inbox, &uids(&[1]), nowhere).await));
    assert!(is_not_found(&w.store().move_messages(w.op(), ann.inbox, &uids(&[1]), nowhere).await));
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn a_mailbox_can_be_copied_into_itself(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "2"]).await;
    let copied = w.store().copy(w.op(), ann.inbox, &UidSet::all(), ann.inbox.mailbox).await.unwrap();
    assert_eq!(copied.pairs, [(uid(1), uid(3)), (uid(2), uid(4))]);
    assert_eq!((w.uids(ann.inbox).await, w.modseq(ann.inbox).await), (uids(&[1, 2, 3, 4]), 3));
    assert_eq!(w.bytes(ann.inbox, uid(4)).await, b"2");
    assert_eq!(w.delta(ann.inbox, 2).await.changed.len(), 2);
}

pub async fn a_copy_outlives_its_original(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    // One message that holds the same attachment twice: a reference count that is lowered once per part, or once
    // per message, goes wrong here.
    let text = with_attachment(&["same", "same"]);
    w.append_bytes(ann.inbox, &text).await;
    w.store().copy(w.op(), ann.inbox, &uids(&[1]), to.mailbox).await.unwrap();
    w.store().copy(w.op(), ann.inbox, &uids(&[1]), to.mailbox).await.unwrap();
    w.expunge(ann.inbox, &uids(&[1])).await;
    w.clock.advance(DAY);
    w.sweep().await;
    assert_eq!(w.bytes(to, uid(1)).await, text);
    w.expunge(to, &uids(&[1])).await;
    w.clock.advance(DAY);
    w.sweep().await;
    assert_eq!(w.bytes(to, uid(2)).await, text);
    w.append_bytes(ann.inbox, &with_attachment(&["same"])).await;
    w.store().delete_mailbox(w.op(), to).await.unwrap();
    w.clock.advance(DAY);
    w.sweep().await;
    assert_eq!(w.bytes(ann.inbox, uid(2)).await, with_attachment(&["same"]));
}

pub async fn a_move_takes_the_message_along_in_one_step(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "2", "3"]).await;
    w.flag(ann.inbox, &uids(&[3]), FlagChange::Add(flags(&[Seen], &["k"]))).await;
    let before = w.one(ann.inbox, uid(3)).await;
    w.append(to, &["0"]).await;
    let moved = w.store().move_messages(w.op(), ann.inbox, &uids(&[1, 3, 9]), to.mailbox).await.unwrap();
    assert_eq!(moved.pairs, [(uid(1), uid(2)), (uid(3), uid(3))]);
    assert_eq!((moved.modseq.get(), moved.source_modseq), (3, ModSeq::new(4)));
    assert_eq!(moved.uidvalidity, w.mailbox(to).await.uidvalidity);
    assert_eq!((w.uids(ann.inbox).await, w.uids(to).await), (uids(&[2]), uids(&[1, 2, 3])));
    let after = w.one(to, uid(3)).await;
    assert_eq!(after, Message { modseq: after.modseq, saved_at: after.saved_at, ..before });
    assert_eq!((w.used(ann).await, w.modseq(ann.inbox).await, w.modseq(to).await), (4, 4, 3));
    let (source, target) = (w.delta(ann.inbox, 3).await, w.delta(to, 2).await);
    assert_eq!((source.vanished, source.changed.len()), (uids(&[1, 3]), 0));
    assert_eq!((target.vanished, target.changed.len()), (UidSet::new(), 2));
    assert_eq!(w.bytes(to, uid(2)).await, b"1");
    assert_eq!(w.store().body(ann.inbox, uid(1)).await.err(), Some(StoreError::NotFound(Subject::Message)));
}

pub async fn a_move_within_one_mailbox_gives_new_uids(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "2"]).await;
    let moved = w.store().move_messages(w.op(), ann.inbox, &uids(&[1]), ann.inbox.mailbox).await.unwrap();
    assert_eq!(moved.pairs, [(uid(1), uid(3))]);
    assert_eq!(moved.source_modseq, Some(moved.modseq), "one step, one modseq");
    assert_eq!(
        (w.uids(ann.inbox).await, w.modseq(ann.inbox).await, w.used(ann).await),
        (uids(&[2, 3]), 3, 2)
    );
    let delta = w.delta(ann.inbox, 2).await;
    assert_eq!((delta.changed[0].uid, delta.vanished), (uid(3), uids(&[1])));
}

pub async fn a_replacement_takes_a_message_for_another_in_one_step(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "22", "3"]).await;
    w.append(to, &["0"]).await;
    let old = w.one(ann.inbox, uid(2)).await;
    let new = NewMessage { flags: flags(&[Seen], &["k"]), ..message(b"4444") };
    let Replaced { appended, expunged } =
        w.store().replace(w.op(), ann.inbox, uid(2), to.mailbox, new).await.unwrap();
    assert_eq!((appended.uids, appended.modseq.get()), (vec![uid(2)], 3));
    assert_eq!(appended.uidvalidity, w.mailbox(to).await.uidvalidity);
    assert_eq!((expunged.uids, expunged.modseq.get()), (uids(&[2]), 3));
    assert_eq!((w.uids(ann.inbox).await, w.uids(to).await), (uids(&[1, 3]), uids(&[1, 2])));
    assert_eq!((w.bytes(to, uid(2)).await, w.used(ann).await), (b"4444".to_vec(), 7));
    let (source, target) = (w.delta(ann.inbox, 2).await, w.delta(to, 2).await);
    assert_eq!((source.vanished, source.changed.len()), (uids(&[2]), 0));
    assert_eq!((target.vanished, target.changed[0].uid), (UidSet::new(), uid(2)));
    let now = w.one(to, uid(2)).await;
    assert!(now.email_id != old.email_id && now.flags.has(Seen), "{now:?}");
}

pub async fn a_replacement_within_one_mailbox_has_the_next_uid(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "2"]).await;
    let at = ann.inbox;
    let replaced = w.store().replace(w.op(), at, uid(1), at.mailbox, message(b"1")).await.unwrap();
    assert_eq!((replaced.appended.uids, replaced.expunged.uids), (vec![uid(3)], uids(&[1])));
    assert_eq!((w.uids(at).await, w.used(ann).await), (uids(&[2, 3]), 2));
    assert_eq!(w.bytes(at, uid(3)).await, b"1", "content that comes and goes at once");
    assert_eq!(w.modseq(at).await, replaced.expunged.modseq.get().max(replaced.appended.modseq.get()));
    let delta = w.delta(at, 2).await;
    assert_eq!((delta.changed[0].uid, delta.vanished), (uid(3), uids(&[1])));
}

pub async fn a_replacement_of_nothing_changes_nothing(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &["1"]).await;
    let before = (w.snapshot(ann).await, w.store().stats().await.unwrap());
    let missing = w.store().replace(w.op(), ann.inbox, uid(2), to.mailbox, message(b"x")).await;
    assert_eq!(missing, Err(StoreError::NotFound(Subject::Message)));
    let nowhere = MailboxId::mint(&*w.clock, &*w.entropy);
    let from = MailboxRef { mailbox: nowhere, ..ann.inbox };
    for (from, to) in [(ann.inbox, nowhere), (from, to.mailbox)] {
        let missing = w.store().replace(w.op(), from, uid(1), to, message(b"x")).await;
        assert_eq!(missing, Err(StoreError::NotFound(Subject::Mailbox)));
    }
    assert_eq!((w.snapshot(ann).await, w.store().stats().await.unwrap()), before);
}

pub async fn a_moving_message_is_never_missing_and_never_twice(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    let count = 60;
    w.append(ann.inbox, &vec!["x"; count as usize]).await;
    let mover = {
        let (store, entropy) = (w.shared(), w.entropy.clone());
        tokio::spawn(async move {
            for n in 1..=count {
                store.move_messages(OpId::mint(&*entropy), ann.inbox, &uids(&[n]), to.mailbox).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    loop {
        let done = mover.is_finished();
        let source_first = w.uids(ann.inbox).await.len() + w.uids(to).await.len();
        assert!(source_first >= u64::from(count), "a message that has left must have arrived");
        let target_first = w.uids(to).await.len() + w.uids(ann.inbox).await.len();
        assert!(target_first <= u64::from(count), "a message that has arrived must have left");
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    mover.await.unwrap();
    assert_eq!((w.uids(ann.inbox).await.len(), w.uids(to).await.len()), (0, u64::from(count)));
}

pub async fn of_movers_of_one_message_one_gets_it(w: &mut World) {
    let ann = w.user("ann").await;
    let targets = [w.create(ann, "a").await, w.create(ann, "b").await];
    w.append(ann.inbox, &["1", "2", "3"]).await;
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let (store, op, to) = (w.shared(), w.op(), targets[i % 2].mailbox);
            tokio::spawn(async move {
                store.move_messages(op, ann.inbox, &uids(&[2]), to).await.unwrap().pairs.len()
            })
        })
        .collect();
    let mut moved = 0;
    for task in tasks {
        moved += task.await.unwrap();
    }
    assert_eq!(moved, 1);
    let there = w.uids(targets[0]).await.len() + w.uids(targets[1]).await.len();
    assert_eq!((there, w.uids(ann.inbox).await, w.used(ann).await), (1, uids(&[1, 3]), 3));
}

pub async fn expunge_takes_the_deleted_ones_or_all(w: &mut World) {
    let ann = w.user("ann").await;
    let at = ann.inbox;
    w.append(at, &["1", "2", "3", "4"]).await;
    w.flag(at, &uids(&[1, 2, 4]), add(&[Deleted])).await;
    let op = w.op();
    let gone = w.store().expunge(op, at, &uids(&[1, 3, 4, 9]), Which::Deleted).await.unwrap();
    assert_eq!((gone.uids, gone.modseq.get()), (uids(&[1, 4]), 4));
    assert_eq!(w.uids(at).await, uids(&[2, 3]));
    let gone = w.store().expunge(w.op(), at, &uids(&[3, 4]), Which::All).await.unwrap();
    assert_eq!((gone.uids, gone.modseq.get()), (uids(&[3]), 5));
    let m = w.mailbox(at).await;
    assert_eq!((m.messages, m.deleted, m.bytes, w.used(ann).await), (1, 1, 1, 1));
}

pub async fn an_expunge_of_nothing_changes_nothing(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1"]).await;
    let before = w.snapshot(ann).await;
    for (some, which) in
        [(UidSet::all(), Which::Deleted), (uids(&[2]), Which::All), (UidSet::new(), Which::All)]
    {
        let gone = w.store().expunge(w.op(), ann.inbox, &some, which).await.unwrap();
        assert_eq!((gone.uids, gone.modseq.get()), (UidSet::new(), 2));
    }
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn a_batch_is_all_or_nothing(w: &mut World) {
    let ann = w.user_with("ann", |new| new.quota_bytes = 1_500).await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &vec!["x"; 1_000]).await;
    let before = w.snapshot(ann).await;
    let refused = w.store().copy(w.op(), ann.inbox, &UidSet::all(), to.mailbox).await;
    assert_eq!(refused, Err(StoreError::OverQuota { used_bytes: 1_000, limit_bytes: 1_500 }));
    assert_eq!(w.snapshot(ann).await, before);
    let moved = w.store().move_messages(w.op(), ann.inbox, &UidSet::all(), to.mailbox).await.unwrap();
    assert_eq!((moved.pairs.len(), w.uids(to).await.len(), w.modseq(to).await), (1_000, 1_000, 2));
    let stored = w.flag(to, &UidSet::all(), add(&[Seen])).await;
    assert_eq!((stored.messages.len(), stored.modseq.get()), (1_000, 3));
    assert_eq!((w.expunge(to, &UidSet::all()).await.uids.len(), w.used(ann).await), (1_000, 0));
}

pub async fn ten_thousand_messages_are_one_batch(w: &mut World) {
    let ann = w.user("ann").await;
    let to = w.create(ann, "a").await;
    w.append(ann.inbox, &vec!["x"; 2_500]).await;
    w.store().copy(w.op(), ann.inbox, &UidSet::all(), ann.inbox.mailbox).await.unwrap();
    w.store().copy(w.op(), ann.inbox, &UidSet::all(), ann.inbox.mailbox).await.unwrap();
    let all = UidSet::range(uid(1), uid(10_000));
    let stored = w.flag(ann.inbox, &UidSet::all(), add(&[Seen])).await;
    assert_eq!((stored.messages.len(), stored.modseq.get()), (10_000, 5));
    let moved = w.store().move_messages(w.op(), ann.inbox, &UidSet::all(), to.mailbox).await.unwrap();
    assert_eq!((moved.pairs.len(), w.uids(to).await, w.modseq(to).await), (10_000, all.clone(), 2));
    assert_eq!(w.delta(ann.inbox, 5).await.vanished, all);
    let gone = w.expunge(to, &UidSet::all()).await;
    assert_eq!((gone.uids, w.used(ann).await, w.modseq(to).await), (all, 0, 3));
}
