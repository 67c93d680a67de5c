//! The engines over the memory store, and a client that says what it is given.

use gadwall::auth::Authenticator;
use gadwall::msgid::MessageIds;
use gadwall::net::Conn;
use gadwall::{Env, Limits, Services};
use gadwall_storage::body::SpoolConfig;
use gadwall_storage::contract::credentials;
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::{
    Account, AccountId, Address, Credentials, LocalCounters, MailStore, MailboxName, MailboxRef, ManualClock,
    MessageQuery, NewAccount, SeededEntropy, SpecialUse, UidSet, read_range,
};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::sync::CancellationToken;

/// `secret`, hashed as weakly as can be: a session of every case begins with it.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$Z2Fkd2FsbCB0ZXN0cw$HRmBRXMD4lKSXymJHMZEoscEWmttHq/iL4zkvyy+QFU";

fn ann(id: AccountId) -> NewAccount {
    NewAccount {
        id,
        address: Address::parse("ann@example.org").expect("an address"),
        name: "Ann".into(),
        credentials: Credentials { password_hash: HASH.into(), ..credentials(0) },
        quota_bytes: 1 << 30,
        expires_at: None,
        retention_secs: None,
        mailboxes: vec![
            (MailboxName::inbox(), None),
            (MailboxName::parse("Archive").expect("a name"), Some(SpecialUse::Archive)),
        ],
    }
}

/// Services with one account: `ann@example.org`, password `secret`.
pub struct World {
    pub services: Arc<Services>,
    pub account: Account,
}

impl World {
    pub async fn new() -> World {
        let clock = Arc::new(ManualClock::default());
        let env = Env::inline(clock, Arc::new(SeededEntropy::new(1)));
        let store: Arc<dyn MailStore> = Arc::new(MemoryStore::new(env.clock.clone(), env.entropy.clone()));
        let id = AccountId::mint(&*env.clock, &*env.entropy);
        let account = store.create_account(env.op(), ann(id)).await;
        let limits = Limits { bad_commands: 1000, ..Limits::default() };
        let counters = Arc::new(LocalCounters::default());
        let services = Services {
            auth: Arc::new(Authenticator::new(store.clone(), counters.clone(), env.clone())),
            counters,
            acme: None,
            message_ids: MessageIds::new([7; 32]),
            maildrops: Arc::default(),
            tls: None,
            spool: SpoolConfig { message_limit_bytes: limits.message_bytes, ..SpoolConfig::default() },
            limits,
            hostname: "mx.test".into(),
            store,
            env,
        };
        World { services: Arc::new(services), account: account.expect("an empty store takes an account") }
    }

    /// A connection from this machine: the server's end and the client's.
    pub fn connection(&self) -> (Conn, DuplexStream) {
        // So small that neither side ever has all the other says.
        let (client, server) = tokio::io::duplex(4096);
        let address = "127.0.0.1:1".parse().expect("an address");
        let conn = Conn {
            io: Box::new(server),
            peer: address,
            local: address,
            tls: None,
            id: 1,
            drain: CancellationToken::new(),
        };
        (conn, client)
    }

    /// Says all `pieces`, each in a write of its own, and answers what the server says until it closes.
    pub async fn converse<F: Future<Output = ()> + Send + 'static>(
        &self,
        pieces: Vec<&[u8]>,
        serve: impl FnOnce(Conn) -> F,
    ) -> Vec<u8> {
        let (conn, client) = self.connection();
        let server = tokio::spawn(serve(conn));
        let (mut from, mut to) = tokio::io::split(client);
        let say = async {
            for piece in pieces {
                // A server that closes before all is said is seen by what it answered.
                if to.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let mut heard = Vec::new();
        let (_, read) = tokio::join!(say, from.read_to_end(&mut heard));
        read.expect("a pipe can be read");
        server.await.expect("the server does not panic");
        heard
    }

    /// All messages in the INBOX, in order.
    pub async fn inbox(&self) -> Vec<Vec<u8>> {
        let (store, account) = (&self.services.store, self.account.id);
        let inbox = store.mailbox_by_name(account, &MailboxName::inbox()).await.expect("there is an INBOX");
        let at = MailboxRef { account, mailbox: inbox.id };
        let mut all = Vec::new();
        for message in store.messages(at, MessageQuery::of(UidSet::all())).await.expect("a list") {
            let mut body = store.body(at, message.uid).await.expect("a listed message");
            let size = body.size();
            all.push(read_range(&mut *body, 0..size).await.expect("its bytes").to_vec());
        }
        all
    }
}
