//! Labels of errors that a fail point makes: by code, and by what the command is to a retry.
//!
//! Compared with SecantusDB in Python, which has fail points and whose labels were measured on a mongod, by its authors.
//! Not by the driver, which waits for half a second whenever it hears that a primary may have gone.

use crate::case::*;
use crate::outcome::Outcome;
use crate::server::Server;
use crate::servers::{self, database_name, program};
use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use gadwall::net::{BoxIo, Net, TokioNet};
use gadwall_sim_mongod::engine::Faulty;
use gadwall_sim_mongod::wire;
use tokio::io::AsyncWriteExt;

/// Those that the backend tells apart, and some that must not bear labels.
const CODES: [i32; 23] = [
    2, 6, 7, 24, 43, 50, 89, 91, 100, 112, 134, 189, 239, 246, 251, 262, 267, 9001, 10107, 11600, 11601,
    11602, 13436,
];
/// Of write concerns that were not met. Codes after which a retry may succeed are labelled by MongoDB, not by SecantusDB:
/// `documented.rs` has that.
const CONCERNS: [i32; 2] = [64, 100];

/// A connection, and what came of the commands that were sent over it.
struct Wire {
    io: BoxIo,
    database: String,
    told: Vec<(Document, Outcome)>,
}

impl Wire {
    async fn to(server: &Server, database: &str) -> Self {
        let address = server.uri.trim_start_matches("mongodb://").split('/').next().unwrap();
        let (host, port) = address.rsplit_once(':').unwrap();
        let io = TokioNet.dial(host, port.parse().unwrap()).await.unwrap();
        Wire { io, database: database.to_owned(), told: Vec::new() }
    }

    async fn send(&mut self, command: Document) {
        let is_of_admin = ["configureFailPoint", "commitTransaction", "abortTransaction"];
        let is_of_admin = is_of_admin.iter().any(|name| command.contains_key(name));
        let database = if is_of_admin { "admin" } else { &self.database };
        let whole = with(command.clone(), doc! { "$db": database });
        self.io.write_all(&wire::request(&whole, 1).unwrap()).await.unwrap();
        let reply = wire::read(&mut self.io).await.unwrap().expect("the connection stays").command;
        self.told.push((command, Outcome::of_reply(&reply)));
    }

    /// Sends a command that fails so.
    async fn fail(&mut self, data: Document, command: Document) {
        let name = command.keys().next().cloned().unwrap();
        let data = with(doc! { "failCommands": [name] }, data);
        let mode = doc! { "times": 1 };
        self.send(doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data }).await;
        self.send(command).await;
    }
}

/// In a session.
fn of(session: u8, command: Document) -> Document {
    let id = Binary { subtype: BinarySubtype::Uuid, bytes: vec![session; 16] };
    with(command, doc! { "lsid": { "id": id } })
}

fn increase() -> Document {
    update(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } })
}

async fn by_code(wire: &mut Wire, session: u8, code: i32) {
    let data = || doc! { "errorCode": code };
    wire.fail(data(), increase()).await;
    wire.fail(data(), of(session, numbered(increase(), 1))).await;
    wire.fail(data(), find(doc! {})).await;
    wire.fail(data(), of(session, first(increase(), 2))).await;
    wire.send(of(session, first(increase(), 3))).await;
    wire.fail(data(), of(session, commit(3))).await;
    wire.fail(data(), of(session, abort(3))).await;
    wire.send(of(session, abort(3))).await;
}

async fn by_concern(wire: &mut Wire, session: u8, code: i32) {
    let data = || doc! { "writeConcernError": { "code": code, "errmsg": "who knows" } };
    wire.fail(data(), increase()).await;
    wire.fail(data(), of(session, numbered(increase(), 1))).await;
    wire.send(of(session, numbered(increase(), 1))).await;
    wire.send(of(session, first(increase(), 2))).await;
    wire.fail(data(), of(session, commit(2))).await;
    wire.send(of(session, commit(2))).await;
}

async fn by_hand(wire: &mut Wire, session: u8) {
    for labels in [vec!["Mine"], vec![]] {
        wire.fail(doc! { "errorCode": 91, "errorLabels": labels }, of(session, numbered(increase(), 1)))
            .await;
    }
    let data = doc! { "failCommands": ["update"], "errorCode": 2 };
    wire.send(doc! { "configureFailPoint": "failCommand", "mode": { "skip": 1 }, "data": data }).await;
    wire.send(increase()).await;
    wire.send(increase()).await;
    wire.send(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await;
    wire.send(increase()).await;
}

async fn told(server: &Server, database: &str) -> Vec<(Document, Outcome)> {
    let mut wire = Wire::to(server, database).await;
    wire.send(insert([doc! { "_id": 1, "n": 0 }])).await;
    for (session, code) in (1..).zip(CODES) {
        by_code(&mut wire, session, code).await;
    }
    for (session, code) in (101..).zip(CONCERNS) {
        by_concern(&mut wire, session, code).await;
    }
    by_hand(&mut wire, 201).await;
    wire.send(find(doc! {})).await;
    wire.told
}

fn differences(ours: &[(Document, Outcome)], theirs: &[(Document, Outcome)]) -> Vec<String> {
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.windows(2).zip(theirs.iter().skip(1)).filter(|(ours, theirs)| ours[1].1 != theirs.1);
    let text = |(ours, theirs): (&[(Document, Outcome)], &(Document, Outcome))| {
        format!("{}\n{}\n    simulated: {}\n    elsewhere: {}", ours[0].0, theirs.0, ours[1].1, theirs.1)
    };
    pairs.map(text).collect()
}

#[tokio::test]
async fn errors_bear_the_labels_that_they_bear_elsewhere() {
    let server = servers::Server::start(&program("PY", "secantusd-py"), &["--enable-test-commands"]);
    let (simulated, other) = (Server::simulated(Faulty::default()).await, Server::at(server.uri()).await);
    let name = database_name();
    let theirs = told(&other, &name).await;
    let found = differences(&told(&simulated, &name).await, &theirs);
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}
