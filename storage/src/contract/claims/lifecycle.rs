//! A store that is open is ready; one that is closed says so.

use crate::contract::*;
use crate::*;

pub async fn an_open_store_is_ready_and_sound(w: &mut World) {
    assert_eq!(w.store().ready().await, Ok(()));
    assert_eq!(w.store().audit().await, Ok(vec![]));
    assert_eq!(w.store().stats().await, Ok(StoreStats::default()));
    assert_eq!(w.store().accounts(None, 10).await, Ok(vec![]));
}

pub async fn a_closed_store_refuses_every_change_as_temporary(w: &mut World) {
    let ann = w.user("ann").await;
    let a = w.create(ann, "a").await;
    w.append(ann.inbox, &["1"]).await;
    w.store().close().await.unwrap();
    w.store().close().await.expect("closing twice does no harm");
    let (store, at, all) = (w.store(), ann.inbox, UidSet::all());
    let seen = add(&[SystemFlag::Seen]);
    let refusals = [
        store.create_account(w.op(), w.new_account("ben")).await.err(),
        store.update_account(w.op(), ann.id, AccountUpdate::default()).await.err(),
        store.add_address(w.op(), ann.id, &address("ada@gadwall.test")).await.err(),
        store.create_mailbox(w.op(), ann.id, &name("b"), None).await.err(),
        store.rename_mailbox(w.op(), a, &name("b")).await.err(),
        store.delete_mailbox(w.op(), a).await.err(),
        store.set_subscribed(w.op(), ann.id, &name("b"), Subscribed::Yes).await.err(),
        store.append(w.op(), at, vec![message(b"x")]).await.err(),
        store.set_flags(w.op(), at, &all, &seen, None).await.err(),
        store.copy(w.op(), at, &all, a.mailbox).await.err(),
        store.move_messages(w.op(), at, &all, a.mailbox).await.err(),
        store.expunge(w.op(), at, &all, Which::All).await.err(),
        store.delete_account(w.op(), ann.id).await.err(),
        store.ready().await.err(),
    ];
    for (i, refusal) in refusals.iter().enumerate() {
        let certain = matches!(refusal, Some(StoreError::Unavailable { outcome_unknown: false, .. }));
        assert!(certain, "refusal {i}: {refusal:?}");
    }
}
