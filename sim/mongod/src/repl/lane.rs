//! Connections to another member. Every call ends within its time, whatever the network does.

use super::documents;
use super::event::Input;
use super::message::{Message, Request};
use super::settings::{Id, Settings};
use crate::wire::{self, WireError};
use bson::Document;
use gadwall::net::{BoxIo, Net};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What is sent over one connection, one after the other. A fetch waits for news and a vote for a disk: neither may
/// hold up a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Control,
    Vote,
    Fetch,
}

struct Call {
    number: u64,
    message: Message<Request>,
}

/// All lanes to one member.
pub(super) struct Lanes([UnboundedSender<Call>; 3]);

pub(super) struct Dialer {
    pub me: Id,
    pub settings: Arc<Settings>,
    pub net: Arc<dyn Net>,
    pub inputs: UnboundedSender<Input>,
}

impl Lanes {
    pub fn spawn(to: Id, dialer: &Arc<Dialer>, tasks: &mut JoinSet<()>) -> Self {
        Lanes([Kind::Control, Kind::Vote, Kind::Fetch].map(|kind| {
            let (calls, queue) = unbounded_channel();
            let lane = Lane { to, kind, dialer: dialer.clone(), connection: None, sent: 0 };
            tasks.spawn(lane.run(queue));
            calls
        }))
    }

    pub fn send(&self, number: u64, message: Message<Request>) {
        let kind = match message.body {
            Request::Vote { .. } => Kind::Vote,
            Request::Fetch { .. } => Kind::Fetch,
            _ => Kind::Control,
        };
        // A lane that is gone takes the whole member with it.
        let _ = self.0[kind as usize].send(Call { number, message });
    }
}

struct Lane {
    to: Id,
    kind: Kind,
    dialer: Arc<Dialer>,
    connection: Option<BoxIo>,
    sent: i32,
}

impl Lane {
    async fn run(mut self, mut queue: UnboundedReceiver<Call>) {
        while let Some(mut call) = queue.recv().await {
            // Of votes only the newest election's matters.
            while self.kind == Kind::Vote
                && let Ok(newer) = queue.try_recv()
            {
                self.say(Input::Failed { to: self.to, call: call.number });
                call = newer;
            }
            let input = self.call(call).await;
            self.say(input);
        }
    }

    fn say(&self, input: Input) {
        let _ = self.dialer.inputs.send(input);
    }

    async fn call(&mut self, call: Call) -> Input {
        let patience = match call.message.body {
            Request::Fetch { patience, .. } => patience,
            _ => Duration::ZERO,
        };
        let command = documents::command(self.dialer.me, &call.message);
        let deadline = patience + self.dialer.settings.call_timeout;
        let reply = timeout(deadline, self.exchange(&command)).await;
        let answer = reply.ok().and_then(Result::ok).and_then(|reply| documents::answer_of(&reply));
        match answer {
            Some(message) => Input::Answer { from: self.to, call: call.number, message },
            None => {
                // An answer that comes later must not be taken for that of another call.
                self.connection = None;
                Input::Failed { to: self.to, call: call.number }
            }
        }
    }

    /// Asks over the connection there is; if that one turns out to be dead, once more over a new one: all requests
    /// may be repeated.
    async fn exchange(&mut self, command: &Document) -> Result<Document, WireError> {
        if self.connection.is_some()
            && let Ok(reply) = self.ask(command).await
        {
            return Ok(reply);
        }
        self.connection = None;
        let host = self.dialer.settings.hosts.get(self.to).and_then(|host| host.rsplit_once(':'));
        let (host, port) = host.ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
        let port = port.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.connection = Some(self.dialer.net.dial(host, port).await?);
        self.ask(command).await
    }

    async fn ask(&mut self, command: &Document) -> Result<Document, WireError> {
        let connection = self.connection.as_mut().ok_or(io::Error::from(io::ErrorKind::NotConnected))?;
        self.sent = self.sent.wrapping_add(1);
        connection.write_all(&wire::request(command, self.sent)?).await?;
        connection.flush().await?;
        let reply = wire::read(connection).await?;
        Ok(reply.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?.command)
    }
}
