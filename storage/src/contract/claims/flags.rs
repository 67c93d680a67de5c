//! Changing flags.

use crate::contract::*;
use crate::*;
use SystemFlag::{Answered, Deleted, Flagged, Seen};

pub async fn flags_are_added_removed_and_replaced(w: &mut World) {
    let ann = w.user("ann").await;
    let at = ann.inbox;
    w.append_with(at, flags(&[Seen], &["a"])).await;
    let all = UidSet::all();
    w.flag(at, &all, FlagChange::Add(flags(&[Flagged], &["b"]))).await;
    assert_eq!(w.one(at, uid(1)).await.flags, flags(&[Seen, Flagged], &["a", "b"]));
    w.flag(at, &all, FlagChange::Remove(flags(&[Seen, Answered], &["a", "c"]))).await;
    assert_eq!(w.one(at, uid(1)).await.flags, flags(&[Flagged], &["b"]));
    let stored = w.flag(at, &all, FlagChange::Replace(flags(&[Deleted], &["d"]))).await;
    assert_eq!(w.one(at, uid(1)).await.flags, flags(&[Deleted], &["d"]));
    let now =
        FlagsNow { uid: uid(1), modseq: stored.modseq, flags: flags(&[Deleted], &["d"]), changed: true };
    assert_eq!((stored.messages, stored.modified), (vec![now], UidSet::new()));
    w.flag(at, &all, FlagChange::Replace(Flags::new())).await;
    assert!(w.one(at, uid(1)).await.flags.is_empty());
}

pub async fn only_messages_that_change_get_the_modseq(w: &mut World) {
    let at = w.user("ann").await.inbox;
    w.append(at, &["1", "2", "3"]).await;
    w.flag(at, &uids(&[2]), add(&[Seen])).await;
    let stored = w.flag(at, &uids(&[1, 2]), add(&[Seen])).await;
    let told: Vec<_> = stored.messages.iter().map(|m| (m.uid.get(), m.modseq.get(), m.changed)).collect();
    assert_eq!(told, [(1, 4, true), (2, 3, false)], "one that was so already is listed with its old modseq");
    assert!(stored.messages.iter().all(|m| m.flags == flags(&[Seen], &[])));
    let modseqs: Vec<u64> = w.list(at).await.iter().map(|m| m.modseq.get()).collect();
    assert_eq!((modseqs, w.modseq(at).await), (vec![4, 3, 2], 4));
}

pub async fn a_change_without_effect_takes_no_modseq(w: &mut World) {
    let ann = w.user("ann").await;
    w.append_with(ann.inbox, flags(&[Seen], &["Foo"])).await;
    let before = w.snapshot(ann).await;
    let no_effect = [
        add(&[Seen]),
        FlagChange::Add(flags(&[], &["fOO"])),
        FlagChange::Remove(flags(&[Flagged], &["x"])),
        FlagChange::Replace(flags(&[Seen], &["foo"])),
    ];
    for change in no_effect {
        let stored = w.flag(ann.inbox, &UidSet::all(), change).await;
        assert_eq!(stored.modseq.get(), 2);
        assert_eq!(stored.messages.len(), 1);
        assert!(!stored.messages[0].changed);
    }
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn keywords_are_compared_without_case_and_kept_as_first_written(w: &mut World) {
    let at = w.user("ann").await.inbox;
    w.append_with(at, flags(&[], &["$Phishing"])).await;
    w.flag(at, &UidSet::all(), FlagChange::Add(flags(&[], &["$PHISHING", "new"]))).await;
    let kept: Vec<String> =
        w.one(at, uid(1)).await.flags.keywords().iter().map(|k| k.as_str().to_string()).collect();
    assert_eq!(kept, ["$Phishing", "new"]);
    let of_mailbox: Vec<String> =
        w.mailbox(at).await.keywords.iter().map(|k| k.as_str().to_string()).collect();
    assert_eq!(of_mailbox, ["$Phishing", "new"]);
    w.flag(at, &UidSet::all(), FlagChange::Remove(flags(&[], &["$phishing"]))).await;
    assert_eq!(w.one(at, uid(1)).await.flags, flags(&[], &["new"]));
}

pub async fn uids_that_do_not_exist_are_passed_over(w: &mut World) {
    let ann = w.user("ann").await;
    let at = ann.inbox;
    w.append(at, &["1", "2", "3"]).await;
    w.expunge(at, &uids(&[2])).await;
    let stored = w.flag(at, &uids(&[2, 3, 4, 4_000_000_000]), add(&[Seen])).await;
    assert_eq!(stored.messages.iter().map(|m| m.uid.get()).collect::<Vec<_>>(), [3]);
    assert!(stored.modified.is_empty());
    let before = w.snapshot(ann).await;
    let none = w.flag(at, &uids(&[2, 9]), add(&[Seen])).await;
    assert_eq!((none.messages, none.modified, none.modseq), (vec![], UidSet::new(), stored.modseq));
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn unchanged_since_leaves_newer_messages_alone(w: &mut World) {
    let at = w.user("ann").await.inbox;
    w.append(at, &["1"]).await; // modseq 2
    w.append(at, &["2"]).await; // 3
    w.append(at, &["3"]).await; // 4
    let set = async |since| {
        let (op, uids, change) = (w.op(), uids(&[1, 2, 3, 9]), add(&[Seen]));
        w.store().set_flags(op, at, &uids, &change, Some(since)).await.unwrap()
    };
    let none = set(0).await;
    assert_eq!((none.messages.len(), none.modified, none.modseq.get()), (0, uids(&[1, 2, 3]), 4));
    let some = set(3).await;
    assert_eq!(some.messages.iter().map(|m| m.uid.get()).collect::<Vec<_>>(), [1, 2], "up to and with 3");
    assert_eq!((some.modified, some.modseq.get()), (uids(&[3]), 5));
    assert!(!w.one(at, uid(3)).await.flags.has(Seen));
    // RFC 7162 §3.1.3: the condition counts even where the flags are as wanted.
    let after = set(4).await;
    assert_eq!((after.modified, after.modseq.get()), (uids(&[1, 2]), 6));
    assert!(w.one(at, uid(3)).await.flags.has(Seen));
}

pub async fn of_conditional_changes_at_once_one_wins(w: &mut World) {
    let at = w.user("ann").await.inbox;
    w.append(at, &["1"]).await;
    for round in 0..5 {
        let since = w.one(at, uid(1)).await.modseq.get();
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let (store, op) = (w.shared(), w.op());
                let change = FlagChange::Replace(flags(&[], &[&format!("winner{round}_{i}")]));
                tokio::spawn(async move {
                    store.set_flags(op, at, &UidSet::all(), &change, Some(since)).await.unwrap()
                })
            })
            .collect();
        let mut won = Vec::new();
        for task in tasks {
            let stored = task.await.unwrap();
            assert_eq!(stored.messages.len() + stored.modified.len() as usize, 1);
            won.extend(stored.messages);
        }
        assert_eq!(won.len(), 1, "the condition is decided inside the change");
        let now = w.one(at, uid(1)).await;
        assert_eq!((now.flags, now.modseq), (won[0].flags.clone(), won[0].modseq));
    }
}

pub async fn flag_changes_at_once_all_have_their_effect(w: &mut World) {
    let at = w.user("ann").await.inbox;
    w.append(at, &["x"; 5]).await;
    let tasks: Vec<_> = (0..12)
        .map(|i| {
            let (store, op) = (w.shared(), w.op());
            let change = FlagChange::Add(flags(&[], &[&format!("k{i}")]));
            tokio::spawn(async move {
                store.set_flags(op, at, &UidSet::all(), &change, None).await.unwrap().modseq
            })
        })
        .collect();
    let mut modseqs = Vec::new();
    for task in tasks {
        modseqs.push(task.await.unwrap().get());
    }
    modseqs.sort_unstable();
    assert_eq!(modseqs, (3..15).collect::<Vec<u64>>(), "each took a modseq of its own");
    assert!(w.list(at).await.iter().all(|m| m.flags.keywords().len() == 12));
}
