//! Accounts, addresses, secrets, statistics.

use crate::contract::*;
use crate::*;
use std::time::Duration;

pub async fn a_new_account_has_inbox_and_what_was_asked_for(w: &mut World) {
    let mut new = w.new_account("ann");
    new.mailboxes = vec![(name("Sent"), Some(SpecialUse::Sent)), (name("Lists/Rust"), None)];
    let account = w.store().create_account(w.op(), new.clone()).await.unwrap();
    assert_eq!((account.id, &account.address, &account.name), (new.id, &new.address, &new.name));
    assert_eq!((account.quota_bytes, account.used_bytes), (new.quota_bytes, 0));
    assert_eq!((account.expires_at, account.retention_secs), (new.expires_at, new.retention_secs));
    assert_eq!((account.created_at, &account.credentials), (w.clock.now(), &new.credentials));
    assert_eq!(w.store().account(account.id).await.unwrap(), account);
    let mailboxes = w.store().mailboxes(account.id).await.unwrap();
    let names: Vec<&str> = mailboxes.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["INBOX", "Lists", "Lists/Rust", "Sent"], "INBOX always, parents as well");
    for m in &mailboxes {
        assert_eq!(m.subscribed, m.name.as_str() != "Lists", "{} is subscribed if it was asked for", m.name);
        let wanted = (m.name.as_str() == "Sent").then_some(SpecialUse::Sent);
        assert_eq!(m.special_use, wanted);
        assert_eq!((m.messages, m.unseen, m.deleted, m.bytes, m.recent), (0, 0, 0, 0, 0));
        assert_eq!((m.uidnext, m.modseq), (Some(Uid::MIN), ModSeq::MIN));
        assert!(m.keywords.is_empty());
    }
    assert!(all_distinct(mailboxes.iter().map(|m| m.id)));
}

pub async fn an_address_belongs_to_one_account(w: &mut World) {
    let ann = w.user("ann").await;
    let second = w.new_account("ann");
    let refused = w.store().create_account(w.op(), second.clone()).await;
    assert_eq!(refused, Err(StoreError::AlreadyExists(Subject::Address)));
    assert!(is_not_found(&w.store().account(second.id).await), "nothing was made");
    assert_eq!(w.store().account_by_address(&address("ann@gadwall.test")).await.unwrap().id, ann.id);
    assert_eq!(w.store().stats().await.unwrap().accounts, 1);
}

pub async fn an_address_is_found_however_it_is_written(w: &mut World) {
    let ann = w.user("ann").await;
    for written in ["ANN@gadwall.test", " Ann@GADWALL.Test "] {
        assert_eq!(w.store().account_by_address(&address(written)).await.unwrap().id, ann.id);
    }
    assert!(is_not_found(&w.store().account_by_address(&address("anne@gadwall.test")).await));
}

pub async fn an_alias_finds_its_account_and_is_taken(w: &mut World) {
    let (ann, ben) = (w.user("ann").await, w.user("ben").await);
    for alias in ["zoe@gadwall.test", "ada@gadwall.test"] {
        w.store().add_address(w.op(), ann.id, &address(alias)).await.unwrap();
    }
    let taken = Err(StoreError::AlreadyExists(Subject::Address));
    for alias in ["ada@gadwall.test", "ann@gadwall.test"] {
        assert_eq!(w.store().account_by_address(&address(alias)).await.unwrap().id, ann.id);
        assert_eq!(w.store().add_address(w.op(), ben.id, &address(alias)).await, taken);
    }
    let refused = w.store().create_account(w.op(), w.new_account("ada")).await;
    assert_eq!(refused, Err(StoreError::AlreadyExists(Subject::Address)));
    let all: Vec<String> = w.store().addresses(ann.id).await.unwrap().iter().map(|a| a.to_string()).collect();
    assert_eq!(
        all,
        ["ann@gadwall.test", "ada@gadwall.test", "zoe@gadwall.test"],
        "the primary one, then sorted"
    );
}

pub async fn an_alias_can_be_taken_away_and_the_primary_address_not(w: &mut World) {
    let (ann, ben) = (w.user("ann").await, w.user("ben").await);
    let alias = address("ada@gadwall.test");
    w.store().add_address(w.op(), ann.id, &alias).await.unwrap();
    assert!(is_not_found(&w.store().remove_address(w.op(), ben.id, &alias).await), "it is not Ben's");
    w.store().remove_address(w.op(), ann.id, &alias).await.unwrap();
    assert!(is_not_found(&w.store().account_by_address(&alias).await));
    assert!(is_not_found(&w.store().remove_address(w.op(), ann.id, &alias).await));
    w.store().add_address(w.op(), ben.id, &alias).await.unwrap();
    let primary = w.store().remove_address(w.op(), ann.id, &address("ann@gadwall.test")).await;
    assert!(matches!(primary, Err(StoreError::NotPermitted(_))), "{primary:?}");
}

pub async fn an_address_with_detail_is_looked_up_without(w: &mut World) {
    let ann = w.user("ann").await;
    let detailed = address("ann+shop@gadwall.test");
    assert!(is_not_found(&w.store().account_by_address(&detailed).await), "the caller takes the detail off");
    let plain = detailed.without_detail().unwrap();
    assert_eq!(w.store().account_by_address(&plain).await.unwrap().id, ann.id);
}

pub async fn an_update_changes_what_it_names_and_nothing_else(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["x"]).await;
    let before = w.store().account(ann.id).await.unwrap();
    let update = AccountUpdate { name: Some("Ann".into()), ..AccountUpdate::default() };
    let after = w.store().update_account(w.op(), ann.id, update).await.unwrap();
    assert_eq!(after, Account { name: "Ann".into(), ..before });
    let expires_at = Some(w.clock.now().after(DAY));
    let update = AccountUpdate {
        credentials: Some(credentials(9)),
        quota_bytes: Some(5),
        expires_at: Some(expires_at),
        retention_secs: Some(None),
        ..AccountUpdate::default()
    };
    let all = w.store().update_account(w.op(), ann.id, update).await.unwrap();
    let wanted =
        Account { credentials: credentials(9), quota_bytes: 5, expires_at, retention_secs: None, ..after };
    assert_eq!(all, wanted);
    assert_eq!(w.store().account(ann.id).await.unwrap(), wanted);
    let nobody = AccountId::mint(&*w.clock, &*w.entropy);
    assert!(is_not_found(&w.store().update_account(w.op(), nobody, AccountUpdate::default()).await));
}

pub async fn a_deleted_account_is_gone_for_every_call(w: &mut World) {
    let ann = w.user("ann").await;
    w.store().add_address(w.op(), ann.id, &address("ada@gadwall.test")).await.unwrap();
    let uids = UidSet::single(w.append(ann.inbox, &["x"]).await[0]);
    w.store().delete_account(w.op(), ann.id).await.unwrap();
    super::isolation::assert_no_access(w, ann.id, ann.inbox, &uids).await;
    for gone in ["ann@gadwall.test", "ada@gadwall.test"] {
        assert!(is_not_found(&w.store().account_by_address(&address(gone)).await));
    }
    assert!(is_not_found(&w.store().delete_account(w.op(), ann.id).await));
    assert!(w.store().accounts(None, 10).await.unwrap().is_empty());
}

pub async fn a_deleted_account_leaves_no_space_taken_and_a_free_address(w: &mut World) {
    let ben = w.user("ben").await;
    w.append(ben.inbox, &["stays"]).await;
    let before = w.store().stats().await.unwrap();
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["one", "two"]).await;
    w.store().delete_account(w.op(), ann.id).await.unwrap();
    w.sweep().await;
    let after = w.store().stats().await.unwrap();
    assert_eq!(after, StoreStats { appended_total: before.appended_total + 2, ..before });
    let again = w.user("ann").await;
    assert_eq!((w.used(again).await, w.uids(again.inbox).await), (0, UidSet::new()));
    assert_eq!(w.list(ben.inbox).await.len(), 1);
}

pub async fn accounts_are_paged_by_id(w: &mut World) {
    let mut ids = Vec::new();
    for i in 0..7 {
        w.clock.advance(Duration::from_secs(1));
        ids.push(w.user(&format!("user{i}")).await.id);
    }
    ids.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = w.store().accounts(after, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|a| a.id));
    }
    assert_eq!(seen, ids);
}

pub async fn a_secret_is_made_once(w: &mut World) {
    assert_eq!(w.store().secret("ids", [1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(w.store().secret("ids", [2; 32]).await.unwrap(), [1; 32]);
    assert_eq!(w.store().secret("other", [3; 32]).await.unwrap(), [3; 32]);
}

pub async fn statistics_count_what_there_is_and_what_ever_came(w: &mut World) {
    let (ann, ben) = (w.user("ann").await, w.user("ben").await);
    assert_eq!(w.store().stats().await.unwrap(), StoreStats { accounts: 2, ..StoreStats::default() });
    let uids: UidSet = w.append(ann.inbox, &["12345", "123"]).await.into_iter().collect();
    w.append(ben.inbox, &["1"]).await;
    w.store().copy(w.op(), ann.inbox, &uids, ann.inbox.mailbox).await.unwrap();
    let wanted = StoreStats { accounts: 2, messages: 5, bytes: 17, appended_total: 3 };
    assert_eq!(w.store().stats().await.unwrap(), wanted, "copies are messages but did not come from outside");
    w.expunge(ann.inbox, &uids).await;
    let wanted = StoreStats { messages: 3, bytes: 9, ..wanted };
    assert_eq!(w.store().stats().await.unwrap(), wanted);
}

pub async fn daily_statistics_include_quiet_days(w: &mut World) {
    let ann = w.user("ann").await;
    w.append(ann.inbox, &["1", "2"]).await;
    w.clock.advance(3 * DAY);
    w.user("ben").await;
    w.append(ann.inbox, &["3"]).await;
    let days = w.store().daily_stats(5).await.unwrap();
    let today = (w.clock.now().secs() / 86_400) as u32;
    let counted: Vec<_> = days.iter().map(|d| (d.day, d.accounts, d.messages)).collect();
    let wanted = [(today - 4, 0, 0), (today - 3, 1, 2), (today - 2, 0, 0), (today - 1, 0, 0), (today, 1, 1)];
    assert_eq!(counted, wanted, "oldest first");
    assert_eq!(w.store().daily_stats(1).await.unwrap(), days[4..]);
    assert!(w.store().daily_stats(0).await.unwrap().is_empty());
}

pub async fn of_accounts_that_want_one_address_at_once_one_gets_it(w: &mut World) {
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, op, new) = (w.shared(), w.op(), w.new_account("ann"));
            tokio::spawn(async move { store.create_account(op, new).await })
        })
        .collect();
    let mut made = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(account) => made.push(account.id),
            Err(e) => assert_eq!(e, StoreError::AlreadyExists(Subject::Address)),
        }
    }
    assert_eq!(made.len(), 1);
    assert_eq!(w.store().account_by_address(&address("ann@gadwall.test")).await.unwrap().id, made[0]);
    assert_eq!(w.store().stats().await.unwrap().accounts, 1);
}
