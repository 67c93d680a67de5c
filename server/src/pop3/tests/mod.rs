//! Whole dialogues over an in-memory pipe and the memory store.

mod login;
mod maildrop;
mod wire;

use super::serve;
use crate::Limits;
use crate::testing::{Talk, TrickyStore, World};
use gadwall_storage::body::Staged;
use gadwall_storage::*;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

const ONE: &str = "Subject: one\r\n\r\nfirst\r\n";
const TWO: &str = "Subject: two\r\n\r\n.\r\n..dots\r\n.";
const THREE: &str = "Subject: three\r\n\r\na\r\nb\r\nc\r\n";

/// A client that speaks POP3.
struct Client(Talk);

impl Deref for Client {
    type Target = Talk;
    fn deref(&self) -> &Talk {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Talk {
        &mut self.0
    }
}

fn connect(world: &World) -> Client {
    let (conn, talk) = world.connection();
    tokio::spawn(serve(conn, world.services.clone()));
    Client(talk)
}

/// From another machine.
fn connect_from_afar(world: &World) -> Client {
    let (mut conn, talk) = world.connection();
    conn.peer = "192.0.2.1:4000".parse().unwrap();
    tokio::spawn(serve(conn, world.services.clone()));
    Client(talk)
}

async fn inbox(world: &World) -> MailboxRef {
    let account = world.account.id;
    let inbox = world.services.store.mailbox_by_name(account, &MailboxName::inbox()).await.unwrap();
    MailboxRef { account, mailbox: inbox.id }
}

async fn deliver(world: &World, message: impl AsRef<[u8]>) {
    deliver_as(world, message, None).await;
}

async fn deliver_as(world: &World, message: impl AsRef<[u8]>, delivery: Option<Delivery>) {
    let body = Staged::from_bytes(message.as_ref().to_vec());
    let new = NewMessage { body, flags: Flags::new(), internal_date: None, delivery, made_from: None };
    let at = inbox(world).await;
    world.services.store.append(world.services.env.op(), at, vec![new]).await.unwrap();
}

/// A world whose INBOX has three messages.
async fn three() -> World {
    let world = World::new().await;
    for message in [ONE, TWO, THREE] {
        deliver(&world, message).await;
    }
    world
}

/// The same over a store that can be made to fail.
async fn tricky() -> (World, Arc<TrickyStore>) {
    let (world, store) = World::tricky(Limits::default(), 100_000_000).await;
    for message in [ONE, TWO, THREE] {
        deliver(&world, message).await;
    }
    (world, store)
}

/// How many messages the INBOX has.
async fn kept(world: &World) -> u64 {
    world.services.store.mailbox(inbox(world).await).await.unwrap().messages
}

async fn expunge(world: &World, uid: u32) {
    let uid = Uid::new(uid).unwrap();
    let (store, op) = (&world.services.store, world.services.env.op());
    store.expunge(op, inbox(world).await, &UidSet::range(uid, uid), Which::All).await.unwrap();
}

impl Client {
    async fn say(&mut self, text: &str) -> String {
        self.send(format!("{text}\r\n")).await;
        self.line().await
    }

    async fn expect(&mut self, text: &str, start: &str) -> String {
        let reply = self.say(text).await;
        assert!(reply.starts_with(start), "{text:?} was answered {reply:?}, not {start:?}");
        reply
    }

    /// The lines after the first one of a multi-line response, without its end.
    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        loop {
            match self.line().await.as_str() {
                ".\r\n" => return rest,
                line => rest.push_str(line),
            }
        }
    }

    async fn lines(&mut self, text: &str) -> String {
        self.expect(text, "+OK").await;
        self.rest().await
    }

    /// What RETR or TOP bring, dots taken off as RFC 1939 has it.
    async fn message(&mut self, text: &str) -> Vec<u8> {
        self.expect(text, "+OK ").await;
        let mut message = Vec::new();
        let mut line = String::new();
        loop {
            line.push_str(&self.line().await);
            // Only CRLF ends a line.
            if !line.ends_with("\r\n") {
                continue;
            }
            if line == ".\r\n" {
                return message;
            }
            message.extend_from_slice(line.strip_prefix('.').unwrap_or(&line).as_bytes());
            line.clear();
        }
    }

    async fn greeted(mut self) -> Self {
        assert_eq!(self.line().await, "+OK mx.test POP3 server ready\r\n");
        self
    }

    async fn login(&mut self, start: &str) -> String {
        self.expect("USER ann@example.org", "+OK").await;
        self.expect("PASS secret", start).await
    }
}

/// A connection that is logged in.
async fn session(world: &World) -> Client {
    let mut talk = connect(world).greeted().await;
    talk.login("+OK ").await;
    talk
}
