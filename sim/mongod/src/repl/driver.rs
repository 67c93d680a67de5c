//! A member of a replica set at work: the core, and around it the network, the disk and the time.

use super::core::{Core, Identity};
use super::documents;
use super::event::{Input, Output, Recovered, Write};
use super::host::{Host, StateMachine};
use super::journal::{Journal, JournalError};
use super::lane::{Dialer, Lanes};
use super::message::{Answer, Message};
use super::replica_log::{ReplicaLog, Shared};
use super::settings::Id;
use super::witness::Witness;
use crate::disk::Disk;
use crate::member::Internal;
use async_trait::async_trait;
use bson::{Document, doc};
use gadwall::net::Net;
use gadwall_storage::Clock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// What a member runs on.
#[derive(Clone)]
pub struct Machine {
    pub net: Arc<dyn Net>,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
}

/// Why a member dies.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("replication: {0}")]
    Halt(String),
    #[error("the port: {0}")]
    Port(#[from] std::io::Error),
}

/// Replication of a member that is about to start.
pub struct Replication {
    machine: Machine,
    shared: Arc<Shared>,
    gate: Arc<Gate>,
    inputs: UnboundedReceiver<Input>,
    journal: Journal,
    me: Id,
}

impl Replication {
    /// Reads the member's files.
    pub async fn recover(identity: Identity, machine: Machine) -> Result<Self, Fatal> {
        let (journal, recovered): (Journal, Recovered) = Journal::recover(machine.disk.clone()).await?;
        let (sender, inputs) = unbounded_channel();
        let me = identity.me;
        let gate = Gate::new(me, identity.settings.hosts.len(), sender, identity.witness.clone());
        let epoch = Instant::now();
        let now = super::event::Now { elapsed: epoch.elapsed(), wall_ms: machine.clock.now().millis() };
        let core = Core::new(identity, now, recovered);
        let shared = Arc::new(Shared::new(core, epoch, machine.clock.clone()));
        Ok(Replication { machine, shared, gate: Arc::new(gate), inputs, journal, me })
    }

    /// The log, for the member's engine. What was recovered is applied when [`Replication::run`] begins.
    pub fn log(&self) -> ReplicaLog {
        ReplicaLog(self.shared.clone())
    }

    /// Answers the other members' commands.
    pub fn internal(&self) -> Arc<dyn Internal> {
        self.gate.clone()
    }

    /// Runs until the member has to die. Dropping it stops all it does.
    pub async fn run(mut self, host: Arc<dyn Host>) -> Fatal {
        let mut tasks = JoinSet::new();
        let settings = self.shared.core().settings.clone();
        let dialer = Arc::new(Dialer {
            me: self.me,
            settings: settings.clone(),
            net: self.machine.net.clone(),
            inputs: self.gate.inputs.clone(),
        });
        let others = (0..settings.hosts.len()).filter(|id| *id != self.me);
        let lanes = others.map(|id| (id, Lanes::spawn(id, &dialer, &mut tasks))).collect();
        let (writes, queue) = unbounded_channel();
        let pump = Pump { host, shared: self.shared, gate: self.gate.clone(), lanes, writes };
        let journal = keep_journal(self.journal, queue, self.gate.inputs.clone());
        tokio::select! {
            biased;
            error = journal => error.into(),
            why = pump.run(&mut self.inputs) => Fatal::Halt(why),
        }
    }
}

/// Hands inputs to the core, and its outputs to whom they concern.
struct Pump {
    host: Arc<dyn Host>,
    shared: Arc<Shared>,
    gate: Arc<Gate>,
    lanes: BTreeMap<Id, Lanes>,
    writes: UnboundedSender<(u64, Write)>,
}

impl Pump {
    async fn run(&self, inputs: &mut UnboundedReceiver<Input>) -> String {
        let mut input = Some(Input::Tick);
        loop {
            if let Err(why) = self.step(input.take()) {
                return why;
            }
            let deadline = self.shared.core().next_deadline();
            input = tokio::select! {
                biased;
                // It can't end: this side holds a sender, too.
                Some(input) = inputs.recv() => Some(input),
                () = self.shared.wake.notified() => None,
                () = sleep_until(self.shared.moment(deadline)) => Some(Input::Tick),
            };
        }
    }

    /// The engine learns what concerns it before anybody can see the core's new state.
    fn step(&self, mut input: Option<Input>) -> Result<(), String> {
        let mut outputs = vec![];
        self.host.with(&mut |machine| {
            let mut core = self.shared.core();
            if let Some(input) = input.take() {
                core.handle(self.shared.now(), input);
            }
            let all = core.take_outputs();
            drop(core);
            outputs = all.into_iter().filter_map(|output| tell(machine, output)).collect();
        });
        outputs.into_iter().try_for_each(|output| self.put_out(output))
    }

    fn put_out(&self, output: Output) -> Result<(), String> {
        match output {
            Output::Call { to, call, message } => {
                if let Some(lanes) = self.lanes.get(&to) {
                    lanes.send(call, message);
                }
            }
            Output::Reply { call, message, .. } => self.gate.answer(call, message),
            // The journal's end ends the member.
            Output::Persist { ticket, write } => _ = self.writes.send((ticket, write)),
            Output::Halt(why) => return Err(why),
            _ => {}
        }
        Ok(())
    }
}

/// Tells the engine what is for it; gives back what is not.
fn tell(machine: &mut dyn StateMachine, output: Output) -> Option<Output> {
    match output {
        Output::Apply(entry) => machine.apply(&entry),
        Output::RollBack { to } => machine.rollback_to(to),
        Output::CommitPoint(at) => machine.committed(at),
        Output::SteppedDown => machine.step_down(),
        other => return Some(other),
    }
    None
}

/// Writes what there is, all of it with one sync. Ends when the disk fails: what it then holds is unknown.
async fn keep_journal(
    mut journal: Journal,
    mut queue: UnboundedReceiver<(u64, Write)>,
    inputs: UnboundedSender<Input>,
) -> JournalError {
    loop {
        let Some((mut ticket, mut write)) = queue.recv().await else { std::future::pending().await };
        let written = async {
            loop {
                journal.write(write).await?;
                match queue.try_recv() {
                    Ok(more) => (ticket, write) = more,
                    Err(_) => return journal.sync().await.map(|()| ticket),
                }
            }
        };
        match written.await {
            Ok(ticket) => _ = inputs.send(Input::Persisted { ticket }),
            Err(error) => return error,
        }
    }
}

/// Where other members' commands come in.
struct Gate {
    me: Id,
    members: usize,
    inputs: UnboundedSender<Input>,
    witness: Witness,
    last_call: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Message<Answer>>>>,
}

impl Gate {
    fn new(me: Id, members: usize, inputs: UnboundedSender<Input>, witness: Witness) -> Self {
        Gate { me, members, inputs, witness, last_call: AtomicU64::new(0), waiting: Mutex::default() }
    }

    fn answer(&self, call: u64, message: Message<Answer>) {
        let waiting = self.waiting.lock().expect("nothing panics while it holds this lock").remove(&call);
        if let Some(waiting) = waiting {
            // Whoever asked may have given up.
            let _ = waiting.send(message);
        }
    }
}

#[async_trait]
impl Internal for Gate {
    fn answered(&self, command: &Document, answer: &Document) {
        self.witness.answered(command, answer);
    }

    async fn internal(&self, command: Document) -> Document {
        let known = documents::request_of(&command);
        let Some((from, message)) = known.filter(|(from, _)| *from < self.members && *from != self.me) else {
            return doc! { "ok": 0.0, "code": 9, "codeName": "FailedToParse", "errmsg": "not from a member" };
        };
        let call = self.last_call.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().expect("nothing panics while it holds this lock").insert(call, sender);
        let _ = self.inputs.send(Input::Request { from, call, message });
        match answer.await {
            Ok(message) => documents::reply(&message),
            Err(_) => {
                doc! { "ok": 0.0, "code": 91, "codeName": "ShutdownInProgress", "errmsg": "the member has ended" }
            }
        }
    }
}
