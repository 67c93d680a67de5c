//! Whole dialogues over an in-memory pipe and the memory store.

mod chunks;
mod exchanger;
mod grammar;
mod limits;
mod submission;
mod tls;

use super::*;
use crate::Limits;
use crate::testing::{Talk, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::*;

fn connect(world: &World, role: Role) -> Talk {
    let (conn, talk) = world.connection();
    tokio::spawn(serve(conn, world.services.clone(), role));
    talk
}

async fn kept(world: &World) -> Vec<(Message, String)> {
    let store = &world.services.store;
    let inbox = store.mailbox_by_name(world.account.id, &MailboxName::inbox()).await.unwrap();
    let at = MailboxRef { account: world.account.id, mailbox: inbox.id };
    let mut all = Vec::new();
    for message in store.messages(at, MessageQuery::of(UidSet::all()).with_details()).await.unwrap() {
        let mut body = store.body(at, message.uid).await.unwrap();
        let size = body.size();
        let bytes = read_range(&mut *body, 0..size).await.unwrap();
        all.push((message, String::from_utf8_lossy(&bytes).into_owned()));
    }
    all
}

impl Talk {
    /// One reply, all its lines.
    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().await;
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    async fn say(&mut self, text: &str) -> String {
        self.send(text).await;
        self.send("\r\n").await;
        self.reply().await
    }

    async fn expect(&mut self, text: &str, start: &str) -> String {
        let reply = self.say(text).await;
        assert!(reply.starts_with(start), "{text:?} was answered {reply:?}, not {start:?}");
        reply
    }

    async fn login(&mut self) {
        assert!(self.reply().await.starts_with("220 mx.test ESMTP"));
        self.expect("EHLO client.test", "250-mx.test\r\n").await;
        let token = STANDARD.encode("\0ann@example.org\0secret");
        self.expect(&format!("AUTH PLAIN {token}"), "235 2.7.0").await;
    }
}

const SUBMISSION: Role = Role::Submission { accept_anything: None };
