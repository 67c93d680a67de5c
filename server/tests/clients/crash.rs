//! `kill -9` at random moments, again and again on one store: what was acknowledged is there, once, byte for byte.

mod keeper;
mod mail;
mod shared;
mod wire;

use crate::harness::{Account, Gadwall};
use gadwall_storage::contract::read_all;
use gadwall_storage::sled::{SledOptions, SledStore};
use gadwall_storage::{
    AccountId, Address, Directory, Entropy, MailboxName, MailboxRef, Mailboxes, Maintenance, MessageQuery,
    Messages, SystemClock, SystemEntropy, SystemFlag, UidSet,
};
use keeper::{Keeper, Kept, MAILBOXES};
use mail::{Dice, mail, number_of};
use shared::{Clerk, Fate, Fates, Login, submit};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

const ROUNDS: u64 = 20;

#[test]
fn kill_9_loses_nothing_and_doubles_nothing() {
    let given = std::env::var("GADWALL_SEED").ok().and_then(|seed| seed.parse().ok());
    let entropy: &dyn Entropy = &SystemEntropy;
    let seed = given.unwrap_or_else(|| u64::from_le_bytes(entropy.bytes()));
    println!("GADWALL_SEED={seed}");
    let mut dice = Dice::new(seed);
    let server = Gadwall::start();
    let mut world = World::new(&server, &mut dice);
    let mut dir = server.kill();
    world.check(&dir.path().join("data"), &Round::default());
    for _ in 0..ROUNDS {
        let server = Gadwall::on(dir, &[]);
        let (round, left) = world.work(server, &mut dice);
        dir = left;
        world.check(&dir.path().join("data"), &round);
    }
    println!("{} acknowledged", world.acknowledged);
    assert!(world.acknowledged > ROUNDS * 20);
}

/// What is known of the store between two lives of the server.
struct World {
    keepers: Vec<Keeper>,
    /// Several submit to it.
    shared: Login,
    uidvalidity: Option<u32>,
    /// Its mails by UID.
    mails: BTreeMap<u32, u64>,
    last_uid: u32,
    accounts: BTreeSet<Login>,
    gone: BTreeSet<Login>,
    acknowledged: u64,
}

/// What was tried in one life of the server.
#[derive(Default)]
struct Round {
    sent: Vec<Fates<u64>>,
    clerk: Clerk,
}

impl World {
    fn new(server: &Gadwall, dice: &mut Dice) -> Self {
        let mut keepers = Vec::new();
        for _ in 0..2 {
            let Account { user, pass, .. } = server.account();
            keepers.push(Keeper::new(server.port("imap"), &user, &pass, dice.next()));
        }
        let Account { user, pass, .. } = server.account();
        let (shared, accounts) = (Login { user, pass }, BTreeSet::new());
        let (mails, gone) = (BTreeMap::new(), BTreeSet::new());
        Self { keepers, shared, uidvalidity: None, mails, last_uid: 0, accounts, gone, acknowledged: 0 }
    }

    /// Everybody works until the server is killed.
    fn work(&mut self, server: Gadwall, dice: &mut Dice) -> (Round, TempDir) {
        let (smtp, imap, http) = (server.port("smtp"), server.port("imap"), server.port("http"));
        let (tell, told) = mpsc::channel();
        let seeds: Vec<u64> = (0..3).map(|_| dice.next()).collect();
        // Half of what is there is for the clerk to delete.
        let uids = self.mails.keys().copied().filter(|uid| uid % 2 == 0).collect();
        let login = &self.shared;
        std::thread::scope(|scope| {
            let mut keepers = Vec::new();
            for keeper in &mut self.keepers {
                let tell = tell.clone();
                keepers.push(scope.spawn(move || keeper.work(imap, &|| _ = tell.send(()))));
            }
            let submitters: Vec<_> = seeds[..2]
                .iter()
                .map(|seed| {
                    let tell = tell.clone();
                    scope
                        .spawn(move || submit(smtp, (&login.user, &login.pass), *seed, &|| _ = tell.send(())))
                })
                .collect();
            let seed = seeds[2];
            let clerk = scope.spawn(move || Clerk::work(http, login, uids, seed, &|| _ = tell.send(())));
            self.acknowledged += wait_for_the_moment(&told, dice);
            let left = server.kill();
            let sent = submitters.into_iter().map(|s| s.join().expect("a submitter")).collect();
            keepers.into_iter().for_each(|k| k.join().expect("a keeper"));
            (Round { sent, clerk: clerk.join().expect("the clerk") }, left)
        })
    }

    /// Looks into the store that was left.
    fn check(&mut self, data: &Path, round: &Round) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let options = SledOptions::new(Arc::new(SystemClock), Arc::new(SystemEntropy));
            let store = SledStore::open(data, options).expect("a killed server's store opens");
            let complaints = store.audit().await.expect("an audit");
            assert!(complaints.is_empty(), "the audit: {complaints:#?}");
            for keeper in &mut self.keepers {
                let id = account(&store, &keeper.user).await.expect("the keeper's account");
                let mut found: [Kept; 2] = Default::default();
                for (name, found) in MAILBOXES.iter().zip(&mut found) {
                    *found = kept(&store, id, name).await;
                }
                keeper.reconcile(&found);
            }
            self.check_shared(&store, round).await;
            self.check_accounts(&store, &round.clerk).await;
            store.close().await.expect("it closes");
        });
    }

    async fn check_shared(&mut self, store: &SledStore, round: &Round) {
        let id = account(store, &self.shared.user).await.expect("the shared account");
        let found = contents(store, id, "INBOX").await;
        assert_eq!(*self.uidvalidity.get_or_insert(found.uidvalidity), found.uidvalidity);
        let mut fates: Fates<u64> =
            round.sent.iter().flatten().map(|(number, fate)| (*number, *fate)).collect();
        let mut here = BTreeMap::new();
        for (uid, (message, _)) in &found.messages {
            let number = number_of(message);
            // One line of the server's stands before what was sent.
            assert!(message.ends_with(&mail(number)), "UID {uid} is not what was sent");
            match self.mails.remove(uid) {
                Some(known) => assert_eq!(known, number, "UID {uid} was another message"),
                None => {
                    assert!(*uid > self.last_uid, "UID {uid} appears after {} was seen", self.last_uid);
                    assert!(fates.remove(&number).is_some(), "UID {uid} was never sent, or is here twice");
                }
            }
            let deleted = round.clerk.deleted_uids.get(uid);
            assert_ne!(deleted, Some(&Fate::Acknowledged), "UID {uid} was deleted");
            here.insert(*uid, number);
        }
        let lost: Vec<_> = fates.iter().filter(|(_, fate)| **fate == Fate::Acknowledged).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:x?}");
        // What is left of what was known has gone: somebody must have asked for it.
        let asked = |uid: &u32| round.clerk.deleted_uids.contains_key(uid);
        assert!(self.mails.keys().all(asked), "lost since the last round: {:?}", self.mails);
        self.last_uid = found.uidnext - 1;
        self.mails = here;
    }

    async fn check_accounts(&mut self, store: &SledStore, clerk: &Clerk) {
        self.accounts.extend(clerk.made.keys().cloned());
        for login in std::mem::take(&mut self.accounts) {
            let is_here = account(store, &login.user).await.is_some();
            match (clerk.made.get(&login), clerk.deleted.get(&login)) {
                (_, Some(Fate::Acknowledged)) => assert!(!is_here, "{} was deleted", login.user),
                (_, Some(Fate::Unknown)) | (Some(Fate::Unknown), None) => {}
                (_, None) => assert!(is_here, "{} is lost", login.user),
            }
            let side = if is_here { &mut self.accounts } else { &mut self.gone };
            side.insert(login);
        }
        for login in &self.gone {
            assert!(account(store, &login.user).await.is_none(), "{} is back", login.user);
        }
    }
}

/// The moment to kill: after some acknowledgements, and then at any time. How many there were.
fn wait_for_the_moment(told: &mpsc::Receiver<()>, dice: &mut Dice) -> u64 {
    let count = 20 + dice.below(100);
    for _ in 0..count {
        told.recv_timeout(Duration::from_secs(60)).expect("somebody gets on");
    }
    // Not a wait for anything: the moment is anywhere within an operation.
    std::thread::sleep(Duration::from_micros(dice.below(30_000)));
    count
}

/// A mailbox with the bytes of its messages and whether they are flagged.
struct Found {
    uidvalidity: u32,
    uidnext: u32,
    messages: BTreeMap<u32, (Vec<u8>, bool)>,
}

async fn account(store: &SledStore, user: &str) -> Option<AccountId> {
    store.account_by_address(&Address::parse(user).expect("an address")).await.ok().map(|account| account.id)
}

async fn contents(store: &SledStore, account: AccountId, name: &str) -> Found {
    let name = MailboxName::parse(name).expect("a name");
    let mailbox = store.mailbox_by_name(account, &name).await.expect("the mailbox is there");
    let at = MailboxRef { account, mailbox: mailbox.id };
    let mut messages = BTreeMap::new();
    for message in store.messages(at, MessageQuery::of(UidSet::all())).await.expect("a list") {
        let mut body = store.body(at, message.uid).await.expect("a body");
        let bytes = read_all(&mut *body).await;
        messages.insert(message.uid.get(), (bytes, message.flags.has(SystemFlag::Flagged)));
    }
    let uidnext = mailbox.uidnext.expect("UIDs are not used up").get();
    Found { uidvalidity: mailbox.uidvalidity.0.get(), uidnext, messages }
}

/// A keeper's mailbox: its messages come back exactly.
async fn kept(store: &SledStore, account: AccountId, name: &str) -> Kept {
    let Found { uidvalidity, uidnext, messages } = contents(store, account, name).await;
    let messages = messages.into_iter().map(|(uid, (bytes, flagged))| {
        let number = number_of(&bytes);
        assert!(bytes == mail(number), "{name}, UID {uid}: not what was appended");
        (uid, (number, flagged))
    });
    Kept { uidvalidity, uidnext, messages: messages.collect() }
}
