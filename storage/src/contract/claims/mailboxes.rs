//! Mailboxes: names, hierarchy, UIDVALIDITY, subscriptions, RECENT.

use crate::contract::*;
use crate::*;
use std::time::Duration;

async fn names(w: &World, user: User) -> Vec<String> {
    w.store().mailboxes(user.id).await.unwrap().iter().map(|m| m.name.to_string()).collect()
}

async fn by_name(w: &World, user: User, text: &str) -> Mailbox {
    w.store().mailbox_by_name(user.id, &name(text)).await.unwrap_or_else(|e| panic!("{text}: {e}"))
}

pub async fn mailboxes_are_listed_by_name(w: &mut World) {
    let ann = w.user("ann").await;
    for made in ["b", "Zoo", "a/x", "ä"] {
        w.create(ann, made).await;
    }
    assert_eq!(names(w, ann).await, ["INBOX", "Trash", "Zoo", "a", "a/x", "b", "ä"]);
    for mailbox in w.store().mailboxes(ann.id).await.unwrap() {
        assert_eq!(w.store().mailbox_by_name(ann.id, &mailbox.name).await.unwrap(), mailbox);
        assert_eq!(w.store().mailbox(ann.at(mailbox.id)).await.unwrap(), mailbox);
    }
    assert!(is_not_found(&w.store().mailbox_by_name(ann.id, &name("z")).await));
}

pub async fn create_makes_missing_parents_and_subscribes_to_none(w: &mut World) {
    let ann = w.user("ann").await;
    let op = w.op();
    let made = w.store().create_mailbox(op, ann.id, &name("a/b/c"), Some(SpecialUse::Archive)).await.unwrap();
    assert_eq!((made.name.as_str(), made.special_use), ("a/b/c", Some(SpecialUse::Archive)));
    assert_eq!((made.uidnext, made.modseq, made.messages), (Some(Uid::MIN), ModSeq::MIN, 0));
    assert_eq!(by_name(w, ann, "a/b/c").await, made);
    assert_eq!(names(w, ann).await, ["INBOX", "Trash", "a", "a/b", "a/b/c"]);
    for created in ["a", "a/b", "a/b/c"] {
        assert!(!by_name(w, ann, created).await.subscribed);
    }
    assert_eq!(by_name(w, ann, "a/b").await.special_use, None);
}

pub async fn a_taken_name_is_refused(w: &mut World) {
    let ann = w.user("ann").await;
    w.create(ann, "a").await;
    let before = w.snapshot(ann).await;
    for taken in ["a", "INBOX", "inBox", "Trash"] {
        let refused = w.store().create_mailbox(w.op(), ann.id, &name(taken), None).await;
        assert_eq!(refused, Err(StoreError::AlreadyExists(Subject::Mailbox)), "{taken}");
    }
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn names_differ_by_case_and_keep_their_unicode(w: &mut World) {
    let ann = w.user("ann").await;
    for made in ["Entwürfe/日本", "entwürfe", "Foo", "foo", "a%b*c", "INBOX/x"] {
        w.create(ann, made).await;
        assert_eq!(by_name(w, ann, made).await.name.as_str(), made);
    }
    assert_eq!(by_name(w, ann, "Entwu\u{308}rfe/日本").await.name.as_str(), "Entwürfe/日本");
}

pub async fn inbox_and_parents_can_not_be_deleted(w: &mut World) {
    let ann = w.user("ann").await;
    let child = w.create(ann, "a/b").await;
    let parent = ann.at(by_name(w, ann, "a").await.id);
    for at in [ann.inbox, parent] {
        let refused = w.store().delete_mailbox(w.op(), at).await;
        assert!(matches!(refused, Err(StoreError::NotPermitted(_))), "{refused:?}");
    }
    w.store().delete_mailbox(w.op(), child).await.unwrap();
    w.store().delete_mailbox(w.op(), parent).await.unwrap();
    assert_eq!(names(w, ann).await, ["INBOX", "Trash"]);
}

pub async fn a_deleted_mailbox_is_gone_with_its_messages_and_its_bytes(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    let kept = w.append(ann.inbox, &["kept"]).await[0];
    let gone = w.append(a, &["gone", "too"]).await;
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    super::isolation::assert_no_mailbox(w, a, &gone.into_iter().collect()).await;
    assert_eq!(w.used(ann).await, 4);
    w.sweep().await;
    let stats = w.store().stats().await.unwrap();
    assert_eq!((stats.messages, stats.bytes), (1, 4));
    assert_eq!(w.bytes(ann.inbox, kept).await, b"kept");
}

pub async fn uidvalidity_never_repeats_for_a_name(w: &mut World) {
    let ann = w.user("ann").await;
    let mut seen = Vec::new();
    for round in 0..12 {
        let at = w.create(ann, "a").await;
        seen.push(w.mailbox(at).await.uidvalidity);
        w.store().delete_mailbox(w.op(), at).await.unwrap();
        match round {
            4 => w.clock.set(Timestamp(w.clock.now().millis() - 60_000)),
            8 => w.clock.advance(Duration::from_secs(3)),
            _ => {}
        }
    }
    assert!(seen.windows(2).all(|v| v[0] < v[1]), "{seen:?} ascends, though the clock stood or was set back");
}

pub async fn uidvalidity_does_not_repeat_where_a_renamed_mailbox_was(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    let first = w.mailbox(a).await.uidvalidity;
    w.store().rename_mailbox(w.op(), a, &name("b")).await.unwrap();
    let second = w.create(ann, "a").await;
    assert_ne!(w.mailbox(second).await.uidvalidity, first);
    assert_ne!(second.mailbox, a.mailbox);
    w.store().delete_mailbox(w.op(), second).await.unwrap();
    let third = w.create(ann, "a").await;
    assert!(all_distinct(
        [first, w.mailbox(third).await.uidvalidity, w.mailbox(a).await.uidvalidity].iter().skip(1)
    ));
}

pub async fn uidvalidity_does_not_repeat_for_an_account_made_anew(w: &mut World) {
    let ann = w.user("ann").await;
    let first = w.mailbox(ann.inbox).await.uidvalidity;
    w.store().delete_account(w.op(), ann.id).await.unwrap();
    let again = w.user("ann").await;
    // A client knows the server, the login name and the mailbox's name, no more.
    assert_ne!(w.mailbox(again.inbox).await.uidvalidity, first);
}

pub async fn rename_moves_the_hierarchy_and_keeps_what_is_in_it(w: &mut World) {
    let ann = w.user("ann").await;
    let (deep, other) = (w.create(ann, "a/b/c").await, w.create(ann, "ab").await);
    let a = ann.at(by_name(w, ann, "a").await.id);
    let uids = w.append(deep, &["one", "two"]).await;
    w.expunge(deep, &UidSet::single(uids[1])).await;
    let before = w.mailbox(deep).await;
    w.store().rename_mailbox(w.op(), a, &name("x/y")).await.unwrap();
    assert_eq!(names(w, ann).await, ["INBOX", "Trash", "ab", "x", "x/y", "x/y/b", "x/y/b/c"]);
    assert_eq!(w.mailbox(deep).await, Mailbox { name: name("x/y/b/c"), ..before });
    assert_eq!(by_name(w, ann, "x/y").await.id, a.mailbox);
    assert_eq!(w.mailbox(other).await.name.as_str(), "ab", "a name that only begins alike is another");
    assert_eq!(w.bytes(deep, uids[0]).await, b"one");
    w.create(ann, "a/b/c").await;
}

pub async fn rename_within_its_own_parent_works(w: &mut World) {
    let ann = w.user("ann").await;
    let b = w.create(ann, "a/b").await;
    w.create(ann, "a/b/c").await;
    w.store().rename_mailbox(w.op(), b, &name("a/bb")).await.unwrap();
    assert_eq!(names(w, ann).await, ["INBOX", "Trash", "a", "a/bb", "a/bb/c"]);
    w.store().rename_mailbox(w.op(), b, &name("b")).await.unwrap();
    assert_eq!(names(w, ann).await, ["INBOX", "Trash", "a", "b", "b/c"]);
}

pub async fn a_rename_that_makes_no_sense_is_refused(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    w.create(ann, "a/b").await;
    let before = w.snapshot(ann).await;
    for (at, to) in [(ann.inbox, "old"), (a, "a/b/c"), (a, "a/c")] {
        let refused = w.store().rename_mailbox(w.op(), at, &name(to)).await;
        assert!(matches!(refused, Err(StoreError::NotPermitted(_))), "to {to}: {refused:?}");
    }
    for to in ["Trash", "INBOX", "a"] {
        let refused = w.store().rename_mailbox(w.op(), a, &name(to)).await;
        assert_eq!(refused, Err(StoreError::AlreadyExists(Subject::Mailbox)), "to {to}");
    }
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn a_rename_that_makes_a_name_too_long_is_refused(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    w.create(ann, &format!("a/{}", "b".repeat(400))).await;
    let before = w.snapshot(ann).await;
    let refused = w.store().rename_mailbox(w.op(), a, &name(&"c".repeat(400))).await;
    assert!(refused.is_err(), "the child's name would have {} bytes", 801);
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn too_many_mailboxes_are_refused(w: &mut World) {
    let mut new = w.new_account("ann");
    new.mailboxes = (0..20_000).map(|i| (name(&format!("m{i}")), None)).collect();
    let refused = w.store().create_account(w.op(), new.clone()).await;
    assert!(matches!(refused, Err(StoreError::LimitReached(_))), "{:?}", refused.map(|a| a.id));
    assert!(is_not_found(&w.store().account(new.id).await), "nothing was made");
}

pub async fn subscriptions_are_names_whether_there_is_a_mailbox_or_not(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    for subscribed in ["zz/not/there", "a"] {
        w.store().set_subscribed(w.op(), ann.id, &name(subscribed), Subscribed::Yes).await.unwrap();
    }
    assert!(w.mailbox(a).await.subscribed);
    let all = ["INBOX", "Trash", "a", "zz/not/there"].map(name);
    assert_eq!(w.store().subscriptions(ann.id).await.unwrap(), all);
    // RFC 3501 §6.3.6: not taken away when the mailbox goes.
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    assert_eq!(w.store().subscriptions(ann.id).await.unwrap(), all);
    let again = w.create(ann, "a").await;
    assert!(w.mailbox(again).await.subscribed);
    w.store().set_subscribed(w.op(), ann.id, &name("a"), Subscribed::No).await.unwrap();
    w.store().set_subscribed(w.op(), ann.id, &name("never"), Subscribed::No).await.unwrap();
    assert!(!w.mailbox(again).await.subscribed);
    assert_eq!(w.store().subscriptions(ann.id).await.unwrap(), ["INBOX", "Trash", "zz/not/there"].map(name));
}

pub async fn a_rename_leaves_the_subscriptions_alone(w: &mut World) {
    let ann = w.user("ann").await;
    let trash = ann.at(by_name(w, ann, "Trash").await.id);
    w.store().rename_mailbox(w.op(), trash, &name("Bin")).await.unwrap();
    assert_eq!(w.store().subscriptions(ann.id).await.unwrap(), ["INBOX", "Trash"].map(name));
    assert!(!w.mailbox(trash).await.subscribed);
    assert_eq!(w.mailbox(trash).await.special_use, Some(SpecialUse::Trash), "its use stays");
}

pub async fn of_creators_of_one_name_at_once_one_makes_it(w: &mut World) {
    let ann = w.user("ann").await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, op) = (w.shared(), w.op());
            tokio::spawn(async move { store.create_mailbox(op, ann.id, &name("p/a"), None).await })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(e) => assert_eq!(e, StoreError::AlreadyExists(Subject::Mailbox)),
        }
    }
    assert_eq!((made, names(w, ann).await.len()), (1, 4));
}

pub async fn each_recent_message_is_told_once(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "2", "3"]).await;
    assert_eq!(w.mailbox(ann.inbox).await.recent, 3);
    w.expunge(ann.inbox, &uids(&[2])).await;
    let before = w.modseq(ann.inbox).await;
    assert_eq!(w.store().claim_recent(ann.inbox).await.unwrap(), uids(&[1, 3]));
    assert_eq!(w.store().claim_recent(ann.inbox).await.unwrap(), UidSet::new());
    assert_eq!((w.mailbox(ann.inbox).await.recent, w.modseq(ann.inbox).await), (0, before));
    w.append(ann.inbox, &["4"]).await;
    w.store().copy(w.op(), ann.inbox, &uids(&[1]), a.mailbox).await.unwrap();
    w.store().move_messages(w.op(), ann.inbox, &uids(&[3]), a.mailbox).await.unwrap();
    assert_eq!(w.store().claim_recent(ann.inbox).await.unwrap(), uids(&[4]));
    assert_eq!(
        w.store().claim_recent(a).await.unwrap(),
        uids(&[1, 2]),
        "copies are recent where they arrive"
    );
}

pub async fn sessions_that_claim_at_once_share_out_the_recent_messages(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["x"; 40]).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = w.shared();
            tokio::spawn(async move { store.claim_recent(ann.inbox).await.unwrap() })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        told.extend(task.await.unwrap().iter());
    }
    told.sort();
    assert_eq!(told, (1..=40).map(uid).collect::<Vec<_>>());
}
