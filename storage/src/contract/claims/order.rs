//! UIDs and modseqs become visible in order, whoever writes at once.

use crate::contract::*;
use crate::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinHandle;

const WRITERS: usize = 4;
const ROUNDS: usize = 25;
/// How often a reader at least finds something new while they write.
const LOOKS: usize = 50;

/// Writers that append, flag and expunge in one mailbox at once.
struct Writers {
    tasks: Vec<JoinHandle<()>>,
    /// How often the reader has found something new.
    looks: Arc<AtomicUsize>,
    last: ModSeq,
}

impl Writers {
    fn go_on(&self) -> bool {
        !self.tasks.iter().all(JoinHandle::is_finished)
    }

    /// Told by the reader after each look. They go on until it has found something new often enough, however the
    /// machine shares out its time.
    fn seen(&mut self, modseq: ModSeq) {
        if modseq > std::mem::replace(&mut self.last, modseq) {
            self.looks.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn finish(self) {
        finish(self.tasks).await;
    }
}

async fn finish(writers: Vec<JoinHandle<()>>) {
    for writer in writers {
        writer.await.expect("a writer finds nothing wrong");
    }
}

fn writers(w: &World, at: MailboxRef) -> Writers {
    let looks = Arc::new(AtomicUsize::new(0));
    let write = |n: usize| {
        let (store, entropy, looks) = (w.shared(), w.entropy.clone(), looks.clone());
        tokio::spawn(async move {
            let op = || OpId::mint(&*entropy);
            for round in (0..).take_while(|n| *n < ROUNDS || looks.load(Ordering::Relaxed) < LOOKS) {
                let text = format!("writer {n} round {round}");
                let new = (0..1 + round % 3).map(|_| message(text.as_bytes())).collect();
                let mine: UidSet = store.append(op(), at, new).await.unwrap().uids.into_iter().collect();
                // A store that never waits would keep the reader out, here and below.
                tokio::task::yield_now().await;
                let seen = add(&[SystemFlag::Seen]);
                match round % 4 {
                    1 => _ = store.set_flags(op(), at, &mine, &seen, None).await.unwrap(),
                    2 => _ = store.expunge(op(), at, &mine, Which::All).await.unwrap(),
                    3 => _ = store.set_flags(op(), at, &UidSet::all(), &seen, None).await.unwrap(),
                    _ => {}
                }
                tokio::task::yield_now().await;
            }
        })
    };
    Writers { tasks: (0..WRITERS).map(write).collect(), looks, last: ModSeq::MIN }
}

pub async fn no_uid_appears_behind_one_that_was_seen(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let mut writers = writers(w, at);
    let (mut known, mut highest, mut next) = (UidSet::new(), 0, 1);
    while writers.go_on() {
        let (mailbox, there) = w.store().uids(at).await.unwrap();
        let late = there.difference(&known);
        assert!(
            late.first().is_none_or(|uid| uid.get() > highest),
            "{late:?} appeared after {highest} was seen"
        );
        let uidnext = mailbox.uidnext.map_or(0, Uid::get);
        assert!(uidnext >= next, "uidnext never goes back");
        assert!(late.first().is_none_or(|uid| uid.get() >= next), "a UID below a uidnext that was told");
        assert!(there.last().is_none_or(|uid| uid.get() < uidnext), "uidnext is above all there are");
        assert_eq!(mailbox.messages, there.len(), "the mailbox is that of the same moment");
        highest = highest.max(there.last().map_or(0, Uid::get));
        (known, next) = (known.union(&there), uidnext);
        writers.seen(mailbox.modseq);
        tokio::task::yield_now().await;
    }
    writers.finish().await;
}

pub async fn no_change_appears_behind_a_modseq_that_was_seen(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let mut writers = writers(w, at);
    // The client only ever asks for what came after what it has seen: what appears behind that it misses for good.
    let mut client = Client { through: 1, ..Client::default() };
    while writers.go_on() {
        let delta = w.delta(at, client.through).await;
        client.apply(&delta);
        writers.seen(delta.through);
        tokio::task::yield_now().await;
    }
    writers.finish().await;
    client.apply(&w.delta(at, client.through).await);
    assert_eq!(client, Client::of(&w.list(at).await, w.modseq(at).await));
}

pub async fn a_mailbox_is_listed_as_of_one_moment(w: &mut World) {
    let at = w.user("ann").await.inbox;
    w.append(at, &["1", "2", "3", "4"]).await;
    let toggler = {
        let (store, entropy) = (w.shared(), w.entropy.clone());
        tokio::spawn(async move {
            for round in 0..40 {
                let change = if round % 2 == 0 { FlagChange::Add } else { FlagChange::Remove };
                let change = change(flags(&[SystemFlag::Flagged], &[]));
                store.set_flags(OpId::mint(&*entropy), at, &UidSet::all(), &change, None).await.unwrap();
            }
        })
    };
    while !toggler.is_finished() {
        let all = w.list(at).await;
        assert!(all.windows(2).all(|m| m[0].modseq == m[1].modseq && m[0].flags == m[1].flags), "{all:?}");
        let delta = w.delta(at, 2).await;
        assert!(delta.changed.iter().all(|m| m.modseq == delta.through), "a delta is of one moment as well");
        tokio::task::yield_now().await;
    }
    toggler.await.unwrap();
}

pub async fn writers_at_once_lose_nothing_and_leave_no_gap(w: &mut World) {
    let ann = w.user("ann").await;
    let at = ann.inbox;
    let before = w.modseq(at).await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (store, entropy) = (w.shared(), w.entropy.clone());
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for round in 0..10 {
                    let text = format!("{n} {round}");
                    let op = OpId::mint(&*entropy);
                    let appended = store.append(op, at, vec![message(text.as_bytes())]).await.unwrap();
                    taken.push((appended.uids[0], appended.modseq.get(), text));
                }
                taken
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        let taken = task.await.unwrap();
        assert!(taken.windows(2).all(|t| t[0].0 < t[1].0 && t[0].1 < t[1].1));
        all.extend(taken);
    }
    all.sort();
    assert_eq!(all.iter().map(|t| t.0.get()).collect::<Vec<_>>(), (1..=80).collect::<Vec<_>>());
    assert_eq!(all.iter().map(|t| t.1).collect::<Vec<_>>(), (before + 1..=before + 80).collect::<Vec<_>>());
    for (uid, modseq, text) in all {
        assert_eq!(w.bytes(at, uid).await, text.as_bytes());
        assert_eq!(w.one(at, uid).await.modseq.get(), modseq);
    }
}

pub async fn what_was_acknowledged_is_visible_to_everybody(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let (store, entropy): (Arc<dyn MailStore>, _) = (w.shared(), w.entropy.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let op = OpId::mint(&*entropy);
                    let appended = store.append(op, at, vec![message(b"x")]).await.unwrap();
                    let (mailbox, there) = store.uids(at).await.unwrap();
                    assert!(there.contains(appended.uids[0]) && mailbox.modseq >= appended.modseq);
                    let Changes::Delta(delta) =
                        store.changes_since(at, appended.modseq.get() - 1).await.unwrap()
                    else {
                        panic!("the journal reaches back that far");
                    };
                    assert!(delta.changed.iter().any(|m| m.uid == appended.uids[0]));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

pub async fn moves_in_both_directions_at_once_come_to_an_end_and_lose_nothing(w: &mut World) {
    let ann = w.user("ann").await;
    let (a, b) = (ann.inbox, w.create(ann, "b").await);
    w.append(a, &["x"; 10]).await;
    w.append(b, &["x"; 10]).await;
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let (store, entropy) = (w.shared(), w.entropy.clone());
            let (from, to) = if i % 2 == 0 { (a, b) } else { (b, a) };
            tokio::spawn(async move {
                for _ in 0..8 {
                    let some: UidSet = store.uids(from).await.unwrap().1.iter().take(3).collect();
                    store.move_messages(OpId::mint(&*entropy), from, &some, to.mailbox).await.unwrap();
                }
            })
        })
        .collect();
    finish(tasks).await;
    assert_eq!(w.uids(a).await.len() + w.uids(b).await.len(), 20);
    assert_eq!((w.used(ann).await, w.store().stats().await.unwrap().messages), (20, 20));
}

pub async fn what_is_deleted_under_its_writers_is_gone_with_all_they_wrote(w: &mut World) {
    let (ann, ben) = (w.user("ann").await, w.user("ben").await);
    let a = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "2", "3"]).await;
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let (store, entropy) = (w.shared(), w.entropy.clone());
            let at = if i % 2 == 0 { a } else { ben.inbox };
            tokio::spawn(async move {
                for round in 0..20 {
                    let op = OpId::mint(&*entropy);
                    let outcome = match round % 4 {
                        0 if at == a => store.copy(op, ann.inbox, &UidSet::all(), a.mailbox).await.map(drop),
                        _ => store.append(op, at, vec![message(b"x")]).await.map(drop),
                    };
                    assert!(
                        outcome.is_ok() || matches!(outcome, Err(StoreError::NotFound(_))),
                        "{outcome:?}"
                    );
                }
            })
        })
        .collect();
    while w
        .store()
        .changes_since(ben.inbox, 4)
        .await
        .is_ok_and(|c| matches!(c, Changes::Delta(d) if d.changed.is_empty()))
    {
        tokio::task::yield_now().await;
    }
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    w.store().delete_account(w.op(), ben.id).await.unwrap();
    finish(tasks).await;
    w.sweep().await;
    let stats = w.store().stats().await.unwrap();
    assert_eq!((w.used(ann).await, stats.messages, stats.bytes, stats.accounts), (3, 3, 3, 1));
}
