//! What the nodes of a cluster stand on, and the database without any node.

use crate::scenario::cluster::Args;
use crate::server::Place;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, TransactionOptions, WriteConcern};
use mongodb::{Client, ClientSession};
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// A database of its own on a MongoDB.
pub struct Database {
    pub uri: String,
    pub name: String,
    /// What it runs on.
    pub about: String,
    client: Client,
    _server: Option<(Child, tempfile::TempDir)>,
}

impl Database {
    pub async fn start(place: &Place, args: &Args) -> io::Result<Database> {
        let (uri, about, server) = match &args.mongodb_uri {
            // Neither host nor password is for a report.
            Some(uri) => (uri.clone(), "MongoDB by --mongodb-uri".to_owned(), None),
            None => {
                let dir = place.scratch()?;
                let (child, port) = serve(&args.database, dir.path()).await?;
                let uri = format!("mongodb://127.0.0.1:{port}/?replicaSet=secantus");
                (uri, "secantusd-rs, one member, --sync-on-commit".to_owned(), Some((child, dir)))
            }
        };
        let name = format!("gadwall_bench_{}", std::process::id());
        let options = ClientOptions::parse(&uri).await.map_err(io::Error::other)?;
        let client = Client::with_options(options).map_err(io::Error::other)?;
        Ok(Database { uri, name, about, client, _server: server })
    }

    fn bare(&self) -> mongodb::Database {
        self.client.database(&format!("{}_bare", self.name))
    }

    /// Takes away what was written.
    pub async fn clear(&self) -> io::Result<()> {
        self.bare().drop().await.map_err(io::Error::other)?;
        self.client.database(&self.name).drop().await.map_err(io::Error::other)
    }
}

async fn serve(binary: &std::path::Path, dir: &std::path::Path) -> io::Result<(Child, u16)> {
    let mut child = Command::new(binary)
        .args(["--sync-on-commit", "--port", "0", "--log-file-max", "64MB", "--cache-size", "512M"])
        .arg("--storage-path")
        .arg(dir.join("data"))
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(dir.join("log"))?)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| {
            io::Error::new(e.kind(), format!("{}: {e}; name one with --database", binary.display()))
        })?;
    let out = child.stdout.take().ok_or_else(|| io::Error::other("stdout is piped"))?;
    let mut lines = BufReader::new(out).lines();
    while let Some(line) = lines.next_line().await? {
        let port = line.split_once("listening on 127.0.0.1:").map(|(_, rest)| rest);
        let digits = port.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        if let Some(port) = digits.and_then(|digits| digits.parse().ok()) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((child, port));
        }
    }
    let log = std::fs::read_to_string(dir.join("log"))?;
    Err(io::Error::other(format!("the database ended before it listened: {log}")))
}

/// A Redis for the nodes' hints.
pub struct Redis {
    pub url: String,
    port: u16,
    _server: Child,
    _dir: tempfile::TempDir,
}

impl Redis {
    pub async fn start(place: &Place) -> io::Result<Redis> {
        let dir = place.scratch()?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("redis-server: {e}")))?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("redis-server does not start"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Redis { url: format!("redis://127.0.0.1:{port}"), port, _server: server, _dir: dir })
    }

    /// Forgets everything.
    pub async fn flush(&self) -> io::Result<()> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(b"FLUSHALL\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        if &answer == b"+OK\r\n" { Ok(()) } else { Err(io::Error::other("Redis does not forget")) }
    }
}

/// What one delivered message inserts, and what it changes.
const INSERTED: [&str; 5] = ["messages", "contents", "changes", "operations", "deltas"];
const CHANGED: [&str; 2] = ["mailboxes", "accounts"];

/// The writes of a delivery without Gadwall: documents that it has written, with other `_id`s, in another database with
/// the same indexes, by the same driver with the same concerns.
#[derive(Clone)]
pub struct Bare {
    client: Client,
    database: mongodb::Database,
    samples: Arc<Vec<(&'static str, Document)>>,
    next: Arc<AtomicUsize>,
}

impl Bare {
    /// Samples are taken from what nodes have written.
    pub async fn like(database: &Database) -> io::Result<Bare> {
        let (from, to) = (database.client.database(&database.name), database.bare());
        let mut samples = Vec::new();
        for name in INSERTED.into_iter().chain(CHANGED) {
            let collection = from.collection::<Document>(name);
            let latest = collection.find_one(doc! {}).sort(doc! { "_id": -1 });
            match latest.await.map_err(io::Error::other)? {
                Some(sample) => samples.push((name, sample)),
                // These are folded into totals now and then.
                None if name == "deltas" => {
                    samples.push((name, doc! { "day": 1, "messages": 1, "bytes": 1 }))
                }
                None => return Err(io::Error::other(format!("nothing was written to {name}"))),
            }
            to.create_collection(name).await.map_err(io::Error::other)?;
            let listed = collection.list_indexes().await.map_err(io::Error::other);
            let mut indexes = listed?;
            while indexes.advance().await.map_err(io::Error::other)? {
                let index = indexes.deserialize_current().map_err(io::Error::other)?;
                let is_own = index.keys.contains_key("_id");
                if !is_own {
                    to.collection::<Document>(name).create_index(index).await.map_err(io::Error::other)?;
                }
            }
        }
        let (client, next) = (database.client.clone(), Arc::default());
        Ok(Bare { client, database: to, samples: Arc::new(samples), next })
    }

    /// So many transactions, so many at once: how long they took.
    pub async fn run(&self, at_once: usize, count: usize) -> io::Result<Duration> {
        let left = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let writers: Vec<_> = (0..at_once)
            .map(|writer| {
                let (bare, left) = (self.clone(), left.clone());
                tokio::spawn(async move {
                    while left.fetch_add(1, Ordering::Relaxed) < count {
                        bare.deliver(writer).await.map_err(io::Error::other)?;
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        for writer in writers {
            writer.await.map_err(io::Error::other)??;
        }
        Ok(began.elapsed())
    }

    async fn deliver(&self, writer: usize) -> mongodb::error::Result<()> {
        let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        let options = TransactionOptions::builder()
            .read_concern(ReadConcern::snapshot())
            .write_concern(durable)
            .build();
        let mut session = self.client.start_session().await?;
        session.start_transaction().with_options(options).await?;
        for (name, sample) in self.samples.iter() {
            self.write(&mut session, name, sample.clone(), writer).await?;
        }
        session.commit_transaction().await
    }

    async fn write(
        &self,
        session: &mut ClientSession,
        name: &str,
        mut document: Document,
        writer: usize,
    ) -> mongodb::error::Result<()> {
        let collection = self.database.collection::<Document>(name);
        document.remove("_id");
        if CHANGED.contains(&name) {
            // Each writer has a mailbox of its own, as each sender has.
            let (id, set) = (doc! { "_id": writer as i64 }, doc! { "$set": document });
            return collection.update_one(id, set).upsert(true).session(session).await.map(drop);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed) as u128;
        let bytes = number.to_be_bytes().to_vec();
        document.insert("_id", Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes }));
        collection.insert_one(document).session(session).await.map(drop)
    }
}
