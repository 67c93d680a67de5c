//! Appending and listing messages.

use crate::contract::*;
use crate::*;

pub async fn an_append_takes_ascending_uids_and_one_modseq(w: &mut World) {
    let ann = w.user("ann").await;
    let validity = w.mailbox(ann.inbox).await.uidvalidity;
    let new = ["1", "2", "3"].map(|t| message(t.as_bytes())).into();
    let first = w.store().append(w.op(), ann.inbox, new).await.unwrap();
    assert_eq!(
        first,
        Appended {
            uidvalidity: validity,
            uids: vec![uid(1), uid(2), uid(3)],
            modseq: ModSeq::new(2).unwrap()
        }
    );
    let second = w.store().append(w.op(), ann.inbox, vec![message(b"4")]).await.unwrap();
    assert_eq!((second.uids, second.modseq.get()), (vec![uid(4)], 3));
    let mailbox = w.mailbox(ann.inbox).await;
    assert_eq!((mailbox.uidnext, mailbox.modseq.get(), mailbox.messages), (Some(uid(5)), 3, 4));
    let modseqs: Vec<u64> = w.list(ann.inbox).await.iter().map(|m| m.modseq.get()).collect();
    assert_eq!(modseqs, [2, 2, 2, 3]);
    for (n, text) in (1..=4).zip(["1", "2", "3", "4"]) {
        assert_eq!(w.bytes(ann.inbox, uid(n)).await, text.as_bytes(), "in order");
    }
}

pub async fn an_append_of_nothing_changes_nothing(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1"]).await;
    let before = w.snapshot(ann).await;
    let nothing = w.store().append(w.op(), ann.inbox, vec![]).await.unwrap();
    assert_eq!((nothing.uids, nothing.modseq.get()), (vec![], 2));
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn identical_mails_are_two_mails(w: &mut World) {
    let ann = w.user("ann").await;
    let text = "Subject: twice\r\n\r\nthe same\r\n";
    w.append(ann.inbox, &[text]).await;
    w.append(ann.inbox, &[text]).await;
    w.append(ann.inbox, &[text, text]).await;
    let all = w.list(ann.inbox).await;
    assert_eq!(all.len(), 4);
    assert!(all_distinct(all.iter().map(|m| m.email_id)), "each is a message of its own");
    assert_eq!(w.used(ann).await, 4 * text.len() as u64);
    w.expunge(ann.inbox, &uids(&[1, 3])).await;
    for left in [2, 4] {
        assert_eq!(w.bytes(ann.inbox, uid(left)).await, text.as_bytes());
    }
}

pub async fn what_is_said_of_a_message_comes_back(w: &mut World) {
    let ann = w.user("ann").await;
    let delivery = Delivery {
        via: "smtp".into(),
        mail_from: "ben@example.test".into(),
        recipients: vec![Recipient {
            address: "ann@gadwall.test".into(),
            params: vec!["NOTIFY=NEVER".into()],
        }],
        mail_params: vec!["BODY=8BITMIME".into()],
        client_address: "192.0.2.1:2525".into(),
        helo: "client.example".into(),
        tls: Some("TLSv1.3".into()),
        authenticated_as: None,
        received_at: w.clock.now(),
    };
    let flags = flags(&[SystemFlag::Seen, SystemFlag::Draft], &["$Label1"]);
    let text = b"Subject: all of it\r\n\r\nbody\r\n";
    let new = NewMessage {
        flags: flags.clone(),
        internal_date: Some(Timestamp(1_000_000_999)),
        delivery: Some(delivery.clone()),
        ..message(text)
    };
    w.store().append(w.op(), ann.inbox, vec![new, message(text)]).await.unwrap();
    let (one, two) = (w.one(ann.inbox, uid(1)).await, w.one(ann.inbox, uid(2)).await);
    assert_eq!((one.flags, one.size), (flags, text.len() as u64));
    assert_eq!(one.internal_date, Timestamp(1_000_000_000), "to the second");
    assert_eq!(one.delivery.as_deref(), Some(&delivery));
    assert_eq!(one.structure.as_deref(), Some(&crate::mime::scan(text)));
    assert_eq!((two.flags, two.delivery), (Flags::new(), None));
    assert_eq!(two.internal_date, Timestamp::from_secs(w.clock.now().secs()), "now, unless told otherwise");
    for message in w.list(ann.inbox).await {
        assert_eq!((message.structure, message.delivery), (None, None), "details only on request");
        assert_eq!(message.saved_at.secs(), w.clock.now().secs());
        assert_eq!(message.expires_at.map(Timestamp::secs), Some(w.clock.now().after(7 * DAY).secs()));
    }
}

pub async fn counters_follow_the_messages(w: &mut World) {
    use SystemFlag::{Deleted, Seen};
    let ann = w.user("ann").await;
    w.append_with(ann.inbox, flags(&[Seen], &["a"])).await;
    w.append_with(ann.inbox, flags(&[Deleted], &["B"])).await;
    w.append_with(ann.inbox, flags(&[], &[])).await;
    let size = w.list(ann.inbox).await[0].size;
    let m = w.mailbox(ann.inbox).await;
    assert_eq!((m.messages, m.unseen, m.deleted, m.bytes, m.recent), (3, 2, 1, 3 * size, 3));
    assert_eq!(m.keywords, [keyword("a"), keyword("b")].into());
    w.flag(ann.inbox, &uids(&[2, 3]), add(&[Seen])).await;
    w.flag(ann.inbox, &uids(&[1]), FlagChange::Replace(flags(&[Deleted], &["c"]))).await;
    let m = w.mailbox(ann.inbox).await;
    assert_eq!((m.unseen, m.deleted), (1, 2));
    assert_eq!(m.keywords.len(), 3, "in use now or before");
    w.expunge(ann.inbox, &uids(&[1])).await;
    let m = w.mailbox(ann.inbox).await;
    assert_eq!((m.messages, m.unseen, m.deleted, m.bytes, m.recent), (2, 0, 1, 2 * size, 2));
    assert_eq!(w.used(ann).await, 2 * size);
}

pub async fn messages_are_paged_in_either_order(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["x"; 10]).await;
    w.expunge(ann.inbox, &uids(&[3, 10])).await;
    let pages = [
        (MessageQuery::of(UidSet::all()).limit(3), vec![1, 2, 4]),
        (MessageQuery::of(UidSet::from(uid(5))).limit(3), vec![5, 6, 7]),
        (MessageQuery::of(UidSet::all()).newest_first().limit(2), vec![9, 8]),
        (MessageQuery::of(UidSet::range(uid(1), uid(7))).newest_first().limit(3), vec![7, 6, 5]),
        (MessageQuery::of(uids(&[3, 9, 10, 77])), vec![9]),
        (MessageQuery::of(uids(&[2, 8, 9])).newest_first(), vec![9, 8, 2]),
        (MessageQuery::of(UidSet::all()).limit(0), vec![]),
        (MessageQuery::of(UidSet::new()), vec![]),
    ];
    for (query, wanted) in pages {
        let found = w.store().messages(ann.inbox, query.clone()).await.unwrap();
        assert_eq!(found.iter().map(|m| m.uid.get()).collect::<Vec<_>>(), wanted, "{query:?}");
        let detailed = w.store().messages(ann.inbox, query.with_details()).await.unwrap();
        assert_eq!(detailed.iter().map(|m| m.uid.get()).collect::<Vec<_>>(), wanted);
        assert!(detailed.iter().all(|m| m.structure.is_some()));
    }
}

pub async fn uids_come_with_the_mailbox_of_that_moment(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["x"; 5]).await;
    w.expunge(ann.inbox, &uids(&[2, 5])).await;
    let (mailbox, there) = w.store().uids(ann.inbox).await.unwrap();
    assert_eq!(there, uids(&[1, 3, 4]));
    assert_eq!(mailbox, w.mailbox(ann.inbox).await);
    assert_eq!((mailbox.messages, mailbox.uidnext), (3, Some(uid(6))));
}

pub async fn a_uid_is_not_used_again(w: &mut World) {
    let ann = w.user("ann").await;
    let trash = w.create(ann, "a").await;
    w.append(ann.inbox, &["1", "2"]).await;
    w.expunge(ann.inbox, &uids(&[2])).await;
    assert_eq!(w.append(ann.inbox, &["3"]).await, [uid(3)]);
    w.store().move_messages(w.op(), ann.inbox, &uids(&[3]), trash.mailbox).await.unwrap();
    assert_eq!(w.append(ann.inbox, &["4"]).await, [uid(4)]);
    w.expunge(ann.inbox, &UidSet::all()).await;
    assert_eq!(w.append(ann.inbox, &["5"]).await, [uid(5)]);
}

pub async fn too_many_keywords_are_refused(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1"]).await;
    let before = w.snapshot(ann).await;
    let mut many = Flags::new();
    (0..20_000).for_each(|i| many.insert_keyword(keyword(&format!("k{i}"))));
    let new = vec![message(b"fits"), NewMessage { flags: many.clone(), ..message(b"does not") }];
    let appended = w.store().append(w.op(), ann.inbox, new).await;
    assert!(matches!(appended, Err(StoreError::LimitReached(_))), "{appended:?}");
    let stored = w.store().set_flags(w.op(), ann.inbox, &UidSet::all(), &FlagChange::Add(many), None).await;
    assert!(matches!(stored, Err(StoreError::LimitReached(_))));
    assert_eq!(w.snapshot(ann).await, before);
}

pub async fn what_is_not_there_is_not_found(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1"]).await;
    let missing = w.store().body(ann.inbox, uid(2)).await.err();
    assert_eq!(missing, Some(StoreError::NotFound(Subject::Message)));
    let nowhere = ann.at(MailboxId::mint(&*w.clock, &*w.entropy));
    super::isolation::assert_no_mailbox(w, nowhere, &UidSet::all()).await;
    let nobody = AccountId::mint(&*w.clock, &*w.entropy);
    super::isolation::assert_no_access(
        w,
        nobody,
        MailboxRef { account: nobody, ..ann.inbox },
        &UidSet::all(),
    )
    .await;
}
