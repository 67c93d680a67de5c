//! Annotations of mailboxes and accounts (RFC 5464).

use crate::contract::*;
use crate::*;

fn changes(changes: &[(&str, Option<&str>)]) -> AnnotationChanges {
    changes.iter().map(|(name, value)| ((*name).into(), value.map(|v| v.as_bytes().to_vec()))).collect()
}

async fn of(w: &World, of: Annotated) -> Vec<(String, String)> {
    let found = w.store().annotations(of).await.unwrap();
    found.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

pub async fn annotations_are_set_changed_and_taken_away(w: &mut World) {
    let ann = w.user("ann").await;
    let at = Annotated::Mailbox(ann.inbox);
    assert_eq!(of(w, at).await, []);
    let set = async |w: &World, what: &[(&str, Option<&str>)]| {
        w.store().annotate(w.op(), at, &changes(what)).await.unwrap();
    };
    set(w, &[("/private/b", Some("2")), ("/private/a", Some(""))]).await;
    assert_eq!(of(w, at).await, pairs(&[("/private/a", ""), ("/private/b", "2")]), "an empty value is one");
    set(w, &[("/private/b", Some("3")), ("/private/a", None), ("/private/c", None)]).await;
    assert_eq!(of(w, at).await, pairs(&[("/private/b", "3")]));
    set(w, &[("/private/b", None)]).await;
    assert_eq!(of(w, at).await, []);
    let octets = AnnotationChanges::from([("/private/x".into(), Some(vec![0, 255, 13, 10]))]);
    w.store().annotate(w.op(), at, &octets).await.unwrap();
    assert_eq!(w.store().annotations(at).await.unwrap()["/private/x"], [0, 255, 13, 10]);
}

pub async fn each_mailbox_and_each_account_has_its_own(w: &mut World) {
    let (ann, ben) = (w.user("ann").await, w.user("ben").await);
    let to = w.create(ann, "a").await;
    let places = [
        Annotated::Account(ann.id),
        Annotated::Mailbox(ann.inbox),
        Annotated::Mailbox(to),
        Annotated::Account(ben.id),
    ];
    for (n, place) in places.iter().enumerate() {
        w.store().annotate(w.op(), *place, &changes(&[("/private/n", Some(&n.to_string()))])).await.unwrap();
    }
    for (n, place) in places.iter().enumerate() {
        assert_eq!(of(w, *place).await, pairs(&[("/private/n", &n.to_string())]));
    }
    let of_others = Annotated::Mailbox(MailboxRef { account: ben.id, ..ann.inbox });
    assert_eq!(w.store().annotations(of_others).await, Err(StoreError::NotFound(Subject::Mailbox)));
    let refused = w.store().annotate(w.op(), of_others, &changes(&[("/private/n", None)])).await;
    assert_eq!(refused, Err(StoreError::NotFound(Subject::Mailbox)));
}

pub async fn annotations_go_with_their_mailbox(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    w.store().annotate(w.op(), Annotated::Mailbox(a), &changes(&[("/private/x", Some("1"))])).await.unwrap();
    w.store().rename_mailbox(w.op(), a, &name("b")).await.unwrap();
    assert_eq!(of(w, Annotated::Mailbox(a)).await, pairs(&[("/private/x", "1")]));
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    let gone = w.store().annotations(Annotated::Mailbox(a)).await;
    assert_eq!(gone, Err(StoreError::NotFound(Subject::Mailbox)));
    let again = w.create(ann, "b").await;
    assert_eq!(of(w, Annotated::Mailbox(again)).await, []);
    // And with their account; the audit sees what is left behind.
    w.store()
        .annotate(w.op(), Annotated::Account(ann.id), &changes(&[("/private/x", Some("1"))]))
        .await
        .unwrap();
    w.store()
        .annotate(w.op(), Annotated::Mailbox(again), &changes(&[("/private/x", Some("1"))]))
        .await
        .unwrap();
    w.store().delete_account(w.op(), ann.id).await.unwrap();
    let gone = w.store().annotations(Annotated::Account(ann.id)).await;
    assert_eq!(gone, Err(StoreError::NotFound(Subject::Account)));
}

pub async fn too_many_annotations_are_refused_as_a_whole(w: &mut World) {
    let ann = w.user("ann").await;
    let at = Annotated::Mailbox(ann.inbox);
    let many = |count: usize| -> AnnotationChanges {
        (0..count).map(|n| (format!("/private/{n:03}"), Some(vec![b'x']))).collect()
    };
    w.store().annotate(w.op(), at, &many(MOST_ANNOTATIONS)).await.unwrap();
    let before = w.snapshot(ann).await;
    let reached = |outcome: Result<()>| matches!(outcome, Err(StoreError::LimitReached(_)));
    assert!(reached(w.store().annotate(w.op(), at, &many(MOST_ANNOTATIONS + 1)).await));
    let large = changes(&[("/private/000", None), ("/private/001", Some(&"x".repeat(ANNOTATION_BYTES)))]);
    assert!(reached(w.store().annotate(w.op(), at, &large).await));
    assert_eq!(w.snapshot(ann).await, before);
    let swap = changes(&[("/private/000", None), ("/private/new", Some("1"))]);
    w.store().annotate(w.op(), at, &swap).await.unwrap();
}

pub async fn annotate_happens_once(w: &mut World) {
    let ann = w.user("ann").await;
    let (at, op) = (Annotated::Mailbox(ann.inbox), w.op());
    let first = changes(&[("/private/x", Some("1"))]);
    w.store().annotate(op, at, &first).await.unwrap();
    w.store().annotate(w.op(), at, &changes(&[("/private/x", Some("2"))])).await.unwrap();
    // A late repetition does not undo what came after it.
    w.store().annotate(op, at, &first).await.unwrap();
    assert_eq!(of(w, at).await, pairs(&[("/private/x", "2")]));
    let other = w.store().annotate(op, at, &changes(&[("/private/x", None)])).await;
    assert_eq!(other, Err(StoreError::OperationMismatch));
}
