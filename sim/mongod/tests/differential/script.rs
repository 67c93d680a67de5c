//! Scripts: commands one after the other, each of a session or of none, run by the official driver.

use crate::outcome::Outcome;
use crate::server::Server;
use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::options::{Acknowledgment, ReadConcern, TransactionOptions, WriteConcern};
use mongodb::{Client, ClientSession, Database};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A step that takes this long hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// A session, by its name in the script.
pub type Who = char;

#[derive(Clone, PartialEq)]
pub enum Step {
    /// Outside of any session that the script names.
    Run(Document),
    /// In the transaction of this session, if it has begun one.
    In(Who, Document),
    Begin(Who),
    Commit(Who),
    Abort(Who),
    /// Goes on behind what follows, until [`Step::Join`].
    Behind(Document),
    Join,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Run(command) => write!(f, "{command}"),
            Step::In(who, command) => write!(f, "{who}: {command}"),
            Step::Begin(who) => write!(f, "{who}: begin"),
            Step::Commit(who) => write!(f, "{who}: commit"),
            Step::Abort(who) => write!(f, "{who}: abort"),
            Step::Behind(command) => write!(f, "behind: {command}"),
            Step::Join => write!(f, "join"),
        }
    }
}

/// A database on one of the servers, and who works on it.
pub struct World {
    database: Database,
    sessions: BTreeMap<Who, ClientSession>,
    /// Transactions that scripts number by hand.
    by_hand: BTreeMap<Who, Vec<i64>>,
    /// What `getMore` goes on with: the last cursor that was left open.
    cursor: i64,
    behind: Option<JoinHandle<Outcome>>,
}

impl World {
    /// `name` is the database's, which has to be the same wherever the script runs, since replies bear it. It has an
    /// empty collection `c`.
    pub async fn new(server: &Server, name: &str) -> Self {
        // A client of its own, whose sessions nobody has used: scripts count their transactions themselves.
        let client = Client::with_uri_str(&server.uri).await.unwrap();
        let database = client.database(name);
        database.create_collection("c").await.unwrap();
        World { database, sessions: BTreeMap::new(), by_hand: BTreeMap::new(), cursor: 0, behind: None }
    }

    /// Runs a whole script. The last outcome is all there is in the end.
    pub async fn play(server: &Server, name: &str, steps: &[Step]) -> Vec<Outcome> {
        let mut world = World::new(server, name).await;
        let mut outcomes = Vec::new();
        for step in steps {
            outcomes.push(world.step(step).await);
        }
        outcomes.push(world.end().await);
        outcomes
    }

    pub async fn step(&mut self, step: &Step) -> Outcome {
        match timeout(LIMIT, self.run(step)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::late(),
        }
    }

    async fn run(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Run(command) => {
                let outcome = run(self.addressed(command), self.filled(command)).await;
                self.noted(outcome)
            }
            Step::In(who, command) => {
                let (database, command) = (self.addressed(command), self.filled(command));
                if command.contains_key("startTransaction") {
                    self.by_hand.entry(*who).or_default().extend(command.get_i64("txnNumber"));
                }
                let reply = database.run_command(command).session(self.session(*who).await).await;
                self.noted(Outcome::of(reply))
            }
            Step::Begin(who) => {
                let session = self.session(*who).await;
                let begun = session.start_transaction().with_options(options()).await;
                Outcome::of(begun.map(|()| Document::new()))
            }
            Step::Commit(who) => {
                let committed = self.session(*who).await.commit_transaction().await;
                Outcome::of(committed.map(|()| Document::new()))
            }
            Step::Abort(who) => {
                let aborted = self.session(*who).await.abort_transaction().await;
                Outcome::of(aborted.map(|()| Document::new()))
            }
            Step::Behind(command) => {
                self.behind = Some(tokio::spawn(run(self.addressed(command), command.clone())));
                Outcome::of(Ok(Document::new()))
            }
            Step::Join => self.behind.take().expect("something runs behind").await.unwrap(),
        }
    }

    async fn session(&mut self, who: Who) -> &mut ClientSession {
        if !self.sessions.contains_key(&who) {
            let session = self.database.client().start_session().await.unwrap();
            self.sessions.insert(who, session);
        }
        self.sessions.get_mut(&who).expect("it has just been made")
    }

    fn addressed(&self, command: &Document) -> Database {
        const OF_ADMIN: [&str; 3] = ["commitTransaction", "abortTransaction", "configureFailPoint"];
        let first = command.keys().next().map(String::as_str).unwrap_or_default();
        if OF_ADMIN.contains(&first) {
            self.database.client().database("admin")
        } else {
            self.database.clone()
        }
    }

    /// With the number of the open cursor where the script can't know it.
    fn filled(&self, command: &Document) -> Document {
        let mut command = command.clone();
        if command.get("getMore") == Some(&Bson::String("it".into())) {
            command.insert("getMore", self.cursor);
        }
        if command.contains_key("killCursors") {
            command.insert("cursors", vec![self.cursor]);
        }
        command
    }

    fn noted(&mut self, outcome: Outcome) -> Outcome {
        if let Some(cursor) = outcome.cursor() {
            self.cursor = cursor;
        }
        outcome
    }

    /// All documents of the collections that scripts write to; then the database goes.
    pub async fn end(mut self) -> Outcome {
        self.end_transactions().await;
        if let Some(behind) = self.behind.take() {
            let _ = timeout(LIMIT, behind).await;
        }
        let mut all = Document::new();
        for name in ["c", "d"] {
            let collection = self.database.collection::<Document>(name);
            let found = async { collection.find(doc! {}).sort(doc! { "_id": 1 }).await?.try_collect().await };
            match found.await as mongodb::error::Result<Vec<Document>> {
                Ok(documents) => _ = all.insert(name, documents),
                Err(error) => return Outcome::of(Err(error)),
            }
        }
        timeout(LIMIT, self.database.drop()).await.expect("a transaction is in the way").unwrap();
        Outcome::of(Ok(all))
    }

    /// One that is left open is in the way of whoever drops what it has written to.
    async fn end_transactions(&mut self) {
        let admin = self.database.client().database("admin");
        for (who, session) in &mut self.sessions {
            let _ = session.abort_transaction().await;
            // Not all servers end one that another follows.
            for number in self.by_hand.get(who).into_iter().flatten() {
                let abort = doc! { "abortTransaction": 1, "txnNumber": *number, "autocommit": false };
                let _ = admin.run_command(abort).session(&mut *session).await;
            }
        }
    }
}

async fn run(database: Database, command: Document) -> Outcome {
    Outcome::of(database.run_command(command).await)
}

/// As the backend begins its transactions.
fn options() -> TransactionOptions {
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
    TransactionOptions::builder().read_concern(ReadConcern::snapshot()).write_concern(durable).build()
}
