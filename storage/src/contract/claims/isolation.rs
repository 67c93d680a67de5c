//! No call opens another user's mail, or what is gone.

use crate::contract::*;
use crate::*;

/// No message call finds this mailbox.
pub(super) async fn assert_no_mailbox(w: &World, at: MailboxRef, uids: &UidSet) {
    let (store, uid) = (w.store(), uids.first().unwrap_or(Uid::MIN));
    let change = add(&[SystemFlag::Seen]);
    assert!(is_not_found(&store.mailbox(at).await), "mailbox");
    assert!(is_not_found(&store.delete_mailbox(w.op(), at).await), "delete_mailbox");
    assert!(is_not_found(&store.rename_mailbox(w.op(), at, &name("stolen")).await), "rename_mailbox");
    assert!(is_not_found(&store.claim_recent(at).await), "claim_recent");
    assert!(is_not_found(&store.append(w.op(), at, vec![message(b"x")]).await), "append");
    assert!(is_not_found(&store.uids(at).await), "uids");
    assert!(is_not_found(&store.messages(at, MessageQuery::of(uids.clone())).await), "messages");
    assert!(is_not_found(&store.body(at, uid).await), "body");
    assert!(is_not_found(&store.set_flags(w.op(), at, uids, &change, None).await), "set_flags");
    assert!(is_not_found(&store.copy(w.op(), at, uids, at.mailbox).await), "copy");
    assert!(is_not_found(&store.move_messages(w.op(), at, uids, at.mailbox).await), "move_messages");
    assert!(is_not_found(&store.expunge(w.op(), at, uids, Which::All).await), "expunge");
    let changes = store.changes_since(at, 0).await;
    assert!(is_not_found(&changes) || matches!(changes, Ok(Changes::Deleted)), "changes_since: {changes:?}");
}

/// No call at all finds this account.
pub(super) async fn assert_no_access(w: &World, id: AccountId, at: MailboxRef, uids: &UidSet) {
    assert_no_mailbox(w, at, uids).await;
    let (store, inbox) = (w.store(), MailboxName::inbox());
    assert!(is_not_found(&store.account(id).await), "account");
    assert!(
        is_not_found(&store.update_account(w.op(), id, AccountUpdate::default()).await),
        "update_account"
    );
    assert!(is_not_found(&store.addresses(id).await), "addresses");
    assert!(is_not_found(&store.add_address(w.op(), id, &address("new@gadwall.test")).await), "add_address");
    assert!(
        is_not_found(&store.remove_address(w.op(), id, &address("new@gadwall.test")).await),
        "remove_address"
    );
    assert!(is_not_found(&store.mailboxes(id).await), "mailboxes");
    assert!(is_not_found(&store.mailbox_by_name(id, &inbox).await), "mailbox_by_name");
    assert!(is_not_found(&store.create_mailbox(w.op(), id, &name("new"), None).await), "create_mailbox");
    assert!(is_not_found(&store.set_subscribed(w.op(), id, &inbox, Subscribed::No).await), "set_subscribed");
    assert!(is_not_found(&store.subscriptions(id).await), "subscriptions");
    assert!(!store.accounts(None, 1000).await.unwrap().iter().any(|a| a.id == id), "accounts");
}

pub async fn a_mailbox_of_another_account_is_not_found(w: &mut World) {
    let (ann, eve) = (w.user("ann").await, w.user("eve").await);
    w.append(ann.inbox, &["secret", "too"]).await;
    w.append(eve.inbox, &["mine"]).await;
    let before = (w.snapshot(ann).await, w.snapshot(eve).await);
    assert_no_mailbox(w, eve.at(ann.inbox.mailbox), &UidSet::all()).await;
    assert_eq!((w.snapshot(ann).await, w.snapshot(eve).await), before);
}

pub async fn nothing_is_copied_or_moved_to_another_account(w: &mut World) {
    let (ann, eve) = (w.user("ann").await, w.user("eve").await);
    w.append(ann.inbox, &["secret"]).await;
    let before = (w.snapshot(ann).await, w.snapshot(eve).await);
    let (all, to) = (UidSet::all(), eve.inbox.mailbox);
    assert!(is_not_found(&w.store().copy(w.op(), ann.inbox, &all, to).await));
    assert!(is_not_found(&w.store().move_messages(w.op(), ann.inbox, &all, to).await));
    assert_eq!((w.snapshot(ann).await, w.snapshot(eve).await), before);
}

pub async fn what_one_account_does_another_does_not_see(w: &mut World) {
    let (ann, eve) = (w.user("ann").await, w.user("eve").await);
    w.append(eve.inbox, &["mine"]).await;
    let before = w.snapshot(eve).await;
    w.append(ann.inbox, &["mine", "other"]).await;
    w.create(ann, "a/b").await;
    w.flag(ann.inbox, &UidSet::all(), add(&[SystemFlag::Flagged])).await;
    w.expunge(ann.inbox, &uids(&[1])).await;
    w.store().delete_account(w.op(), ann.id).await.unwrap();
    w.sweep().await;
    assert_eq!(w.snapshot(eve).await, before);
}
