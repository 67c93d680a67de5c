//! A MongoDB for tests: the replica set that `GADWALL_TEST_MONGODB_URI` names, or a server of this process's own.
#![allow(clippy::disallowed_methods, dead_code)] // The tests' own sockets and clock; not every test needs all.

use gadwall_storage::contract::{Backend, Instance};
use gadwall_storage::mongo::{MongoOptions, MongoStore};
use gadwall_storage::{Clock, Entropy, MailStore, SystemEntropy};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Where the server is that the tests of this process use.
pub fn uri() -> String {
    static STARTED: OnceLock<Server> = OnceLock::new();
    match std::env::var("GADWALL_TEST_MONGODB_URI") {
        Ok(uri) if !uri.is_empty() => uri,
        _ => STARTED
            .get_or_init(|| Server::start(&program("RS", "secantusd-rs"), &["--log-file-max", "16MB"]))
            .uri(),
    }
}

/// A server that speaks MongoDB's protocol: named by the environment, or where `./test` puts it.
pub fn program(kind: &str, name: &str) -> PathBuf {
    let variable = format!("GADWALL_TEST_SECANTUS_{kind}");
    if let Some(path) = std::env::var_os(&variable).filter(|path| !path.is_empty()) {
        return path.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).unwrap_or_default().join("gadwall");
    let installed = std::fs::read_dir(&cache).into_iter().flatten().flatten();
    let found = installed.map(|entry| entry.path().join("bin").join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed in {}: run ./test once", cache.display()))
}

/// A server process. It ends with this process.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub fn start(program: &std::path::Path, arguments: &[&str]) -> Self {
        // Not dropped with this value, since one that is static never is.
        let directory = tempfile::tempdir().unwrap().keep();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // A shell in between that ends the server and takes its files away when this process has gone, however it
        // went: its end of the pipe is closed then.
        let script =
            r#""$@" >"$0/log" 2>&1 & server=$!; read -r _; kill -9 $server; wait $server; rm -rf "$0""#;
        let child = Command::new("sh")
            .arg("-c")
            .arg(script)
            .arg(&directory)
            .arg(program)
            .arg("--storage-path")
            .arg(directory.join("data"))
            .args(["--port", &port.to_string()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, port };
        server.await_listening();
        server
    }

    fn await_listening(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the database does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?replicaSet=secantus", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A name for a database that nothing else uses.
pub fn database_name() -> String {
    let entropy: &dyn Entropy = &SystemEntropy;
    format!("gadwall_test_{:016x}", u64::from_be_bytes(entropy.bytes()))
}

/// The MongoDB backend, each store in a database of its own that goes with it.
pub struct MongoBackend;

/// The same on another server, with other options.
pub struct Tuned {
    pub uri: String,
    pub tune: fn(&mut MongoOptions),
}

struct MongoInstance {
    options: MongoOptions,
    store: Option<Arc<MongoStore>>,
}

#[async_trait::async_trait]
impl Backend for MongoBackend {
    async fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance> {
        Tuned { uri: uri(), tune: |_| () }.open(clock, entropy).await
    }
}

#[async_trait::async_trait]
impl Backend for Tuned {
    async fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance> {
        let mut options = MongoOptions::new(&self.uri, database_name(), clock, entropy);
        (self.tune)(&mut options);
        let store = Some(Arc::new(MongoStore::open(options.clone()).await.unwrap()));
        Box::new(MongoInstance { options, store })
    }
}

#[async_trait::async_trait]
impl Instance for MongoInstance {
    fn store(&self) -> Arc<dyn MailStore> {
        self.store.clone().unwrap()
    }

    async fn reopen(&mut self) -> Option<Arc<dyn MailStore>> {
        let store = self.store.take().unwrap();
        assert_eq!(Arc::strong_count(&store), 1, "somebody holds on to the store");
        drop(store);
        self.store = Some(Arc::new(MongoStore::open(self.options.clone()).await.unwrap()));
        Some(self.store())
    }
}

impl Drop for MongoInstance {
    fn drop(&mut self) {
        // On a thread of its own: the runtime that the store lived in may be going down.
        let (uri, database) = (self.options.uri.clone(), self.options.database.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(gadwall_storage::mongo::drop_database(&uri, &database))
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("a database was left behind: {error}");
        }
    }
}
