//! A whole member of a replica set: the engine, replication beneath it, and one port for drivers and other members.
//!
//! It runs wherever its [`Machine`] comes from: on real ports and files, or on those of a simulation.

use crate::engine::Engine;
use crate::member::{Member, serve_on};
use crate::oplog::{Entry, OpTime};
use crate::repl::{Fatal, Host, Identity, Machine, Replication, StateMachine};
use gadwall::net::Listener;
use std::net::SocketAddr;
use std::sync::Arc;

/// A member that has read its files and is about to start.
pub struct Replica {
    member: Arc<Member>,
    replication: Replication,
    machine: Machine,
}

impl Replica {
    /// Reads the member's files. `lifetime_secs`: how long a transaction may stay open.
    pub async fn recover(identity: Identity, machine: Machine, lifetime_secs: u32) -> Result<Self, Fatal> {
        let replication = Replication::recover(identity, machine.clone()).await?;
        let (log, internal) = (Box::new(replication.log()), replication.internal());
        let member = Member::new(Engine::new(lifetime_secs), log, machine.clock.clone(), Some(internal));
        Ok(Replica { member, replication, machine })
    }

    /// For whoever wants to look inside. What was recovered is in its documents once it runs.
    pub fn member(&self) -> Arc<Member> {
        self.member.clone()
    }

    /// Runs until it has to die. Dropping it stops all it does and closes all connections.
    pub async fn run(self, listen: SocketAddr) -> Fatal {
        match self.machine.net.bind(listen).await {
            Ok(listener) => self.run_on(listener).await,
            Err(error) => error.into(),
        }
    }

    /// As [`Replica::run`], on a listener that is there already.
    pub async fn run_on(self, listener: Box<dyn Listener>) -> Fatal {
        tokio::select! {
            biased;
            // First, since its first step applies what was recovered: nobody is served before.
            why = self.replication.run(self.member.clone()) => why,
            Err(error) = serve_on(listener, self.member) => error.into(),
        }
    }
}

/// Recovers and runs a member.
pub async fn run_replica(
    identity: Identity,
    machine: Machine,
    listen: SocketAddr,
    lifetime_secs: u32,
) -> Fatal {
    match Replica::recover(identity, machine, lifetime_secs).await {
        Ok(replica) => replica.run(listen).await,
        Err(why) => why,
    }
}

impl StateMachine for Engine {
    fn apply(&mut self, entry: &Entry) {
        self.apply(entry);
    }

    fn rollback_to(&mut self, at: OpTime) {
        self.rollback_to(at);
    }

    fn committed(&mut self, at: OpTime) {
        self.committed(at);
    }

    fn step_down(&mut self) {
        self.step_down();
    }
}

impl Host for Member {
    fn with(&self, work: &mut dyn FnMut(&mut dyn StateMachine)) {
        // What replication works on is the same log, which it locks within: the member first, the core second.
        self.with(|engine, _| work(engine));
    }
}
