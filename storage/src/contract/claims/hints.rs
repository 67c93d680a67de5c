//! Hints arrive, at those they concern.

use crate::contract::*;
use crate::*;

fn mailbox_at(at: MailboxRef, modseq: u64) -> impl Fn(&Hint) -> bool {
    move |hint| {
        matches!(hint, Hint::Mailbox { account, mailbox, modseq: m }
            if *account == at.account && *mailbox == at.mailbox && m.get() == modseq)
    }
}

fn of_account(id: AccountId) -> impl Fn(&Hint) -> bool {
    move |hint| *hint == Hint::Account { account: id }
}

pub async fn every_change_of_messages_is_hinted_at(w: &mut World) {
    let ann = w.user("ann").await;
    let (at, to) = (ann.inbox, w.create(ann, "a").await);
    let mut hints = w.store().hints(ann.id);
    w.append(at, &["1", "2"]).await;
    w.hint(&mut hints, mailbox_at(at, 2)).await;
    w.flag(at, &uids(&[1]), add(&[SystemFlag::Seen])).await;
    w.hint(&mut hints, mailbox_at(at, 3)).await;
    w.store().copy(w.op(), at, &uids(&[1]), to.mailbox).await.unwrap();
    w.hint(&mut hints, mailbox_at(to, 2)).await;
    let mut other = w.store().hints(ann.id);
    w.store().move_messages(w.op(), at, &uids(&[2]), to.mailbox).await.unwrap();
    w.hint(&mut hints, mailbox_at(at, 4)).await;
    w.hint(&mut other, mailbox_at(to, 3)).await;
    w.expunge(at, &uids(&[1])).await;
    w.hint(&mut hints, mailbox_at(at, 5)).await;
}

pub async fn changes_of_the_list_of_mailboxes_and_of_the_account_are_hinted_at(w: &mut World) {
    let ann = w.user("ann").await;
    let mut hints = w.store().hints(ann.id);
    let a = w.create(ann, "a").await;
    w.hint(&mut hints, of_account(ann.id)).await;
    w.store().rename_mailbox(w.op(), a, &name("b")).await.unwrap();
    w.hint(&mut hints, of_account(ann.id)).await;
    w.store().set_subscribed(w.op(), ann.id, &name("b"), Subscribed::Yes).await.unwrap();
    w.hint(&mut hints, of_account(ann.id)).await;
    let changes = AnnotationChanges::from([("/private/a".into(), Some(vec![1]))]);
    w.store().annotate(w.op(), Annotated::Mailbox(a), &changes).await.unwrap();
    w.hint(&mut hints, of_account(ann.id)).await;
    w.store().delete_mailbox(w.op(), a).await.unwrap();
    w.hint(&mut hints, of_account(ann.id)).await;
    let update = AccountUpdate { quota_bytes: Some(1), ..AccountUpdate::default() };
    w.store().update_account(w.op(), ann.id, update).await.unwrap();
    w.hint(&mut hints, of_account(ann.id)).await;
    w.store().delete_account(w.op(), ann.id).await.unwrap();
    w.hint(&mut hints, of_account(ann.id)).await;
}

pub async fn what_a_hint_announces_can_be_read(w: &mut World) {
    let ann = w.user("ann").await;
    let mut hints = w.store().hints(ann.id);
    let writer = {
        let (store, entropy) = (w.shared(), w.entropy.clone());
        tokio::spawn(async move {
            for _ in 0..20 {
                store.append(OpId::mint(&*entropy), ann.inbox, vec![message(b"x")]).await.unwrap();
            }
        })
    };
    let mut reached = 1;
    while reached < 21 {
        if let Hint::Mailbox { modseq, .. } = within(hints.recv(), "a hint").await {
            reached = reached.max(modseq.get());
            assert!(w.modseq(ann.inbox).await >= modseq.get());
            assert!(w.list(ann.inbox).await.len() as u64 + 1 >= modseq.get());
        }
    }
    writer.await.unwrap();
}

pub async fn hints_go_to_the_account_they_concern(w: &mut World) {
    let (ann, eve) = (w.user("ann").await, w.user("eve").await);
    let mut hints = w.store().hints(eve.id);
    w.append(ann.inbox, &["1"]).await;
    w.create(ann, "a").await;
    w.append(eve.inbox, &["1"]).await;
    // Eve's own is the first she hears of.
    loop {
        match within(hints.recv(), "a hint").await {
            Hint::Resync => {}
            Hint::Account { account } => assert_eq!(account, eve.id),
            Hint::Mailbox { account, mailbox, .. } => {
                assert_eq!((account, mailbox), (eve.id, eve.inbox.mailbox));
                break;
            }
        }
    }
}

pub async fn a_lagging_receiver_is_told_to_resync(w: &mut World) {
    let ann = w.user("ann").await;
    let mut hints = w.store().hints(ann.id);
    for round in 0..400 {
        let change = if round % 2 == 0 { FlagChange::Add } else { FlagChange::Remove };
        if round == 0 {
            w.append(ann.inbox, &["1"]).await;
        }
        w.flag(ann.inbox, &uids(&[1]), change(flags(&[SystemFlag::Seen], &[]))).await;
    }
    let mut before_resync = 0;
    while within(hints.recv(), "a hint").await != Hint::Resync {
        before_resync += 1;
        assert!(before_resync < 400, "the channel must not grow without limit");
    }
    // And it goes on from there.
    w.append(ann.inbox, &["2"]).await;
    w.hint(&mut hints, mailbox_at(ann.inbox, 403)).await;
}

pub async fn a_dropped_receiver_is_in_nobodys_way(w: &mut World) {
    let ann = w.user("ann").await;
    drop(w.store().hints(ann.id));
    let mut stays = w.store().hints(ann.id);
    drop(w.store().hints(ann.id));
    w.append(ann.inbox, &["1"]).await;
    w.hint(&mut stays, mailbox_at(ann.inbox, 2)).await;
    drop(stays);
    w.append(ann.inbox, &["2"]).await;
    let mut late = w.store().hints(ann.id);
    w.append(ann.inbox, &["3"]).await;
    w.hint(&mut late, mailbox_at(ann.inbox, 4)).await;
}

pub async fn expiry_is_hinted_at(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1"]).await;
    let mut hints = w.store().hints(ann.id);
    w.clock.advance(8 * DAY);
    w.sweep().await;
    w.hint(&mut hints, mailbox_at(ann.inbox, 3)).await;
}
