//! Debian's redis-server and redis-sentinel, a test's own, on free loopback ports.

#![allow(clippy::disallowed_methods)] // These are real processes on real sockets.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long anything awaited here may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed with its owner.
pub struct Server {
    child: Child,
    pub port: u16,
    dir: tempfile::TempDir,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Asks again and again until there is an answer; panics when there is none in time.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = look().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// One command, words separated by spaces, on a connection of its own.
pub async fn say<T: redis::FromRedisValue>(url: &str, words: &str) -> Option<T> {
    let client = redis::Client::open(url).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        command.arg(word);
    });
    command.query_async(&mut connection).await.ok()
}

/// `key:value` of INFO.
pub async fn info(url: &str, key: &str) -> Option<String> {
    let info: String = say(url, "INFO").await?;
    let line = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.to_owned())
}

impl Server {
    pub async fn redis(options: &[&str]) -> Server {
        loop {
            // Another process may have taken the port in between.
            if let Some(server) = Self::redis_on(free_port(), options).await {
                return server;
            }
        }
    }

    /// `None` when the port is taken.
    pub async fn redis_on(port: u16, options: &[&str]) -> Option<Server> {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        // A replica otherwise waits five seconds for others to join its first copy.
        command.args(["--repl-diskless-sync-delay", "0"]).args(options);
        Self::spawn(command, port, dir).await
    }

    /// A Sentinel of the master on `master`, of which two of three must agree.
    pub async fn sentinel(name: &str, master: u16) -> Server {
        loop {
            let (port, dir) = (free_port(), tempfile::tempdir().expect("a scratch directory"));
            let file = dir.path().join("sentinel.conf");
            let config = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {master} 2\n\
                 sentinel down-after-milliseconds {name} 1500\nsentinel failover-timeout {name} 5000\n"
            );
            std::fs::write(&file, config).expect("the configuration is written");
            let mut command = Command::new("redis-sentinel");
            command.arg(&file);
            if let Some(server) = Self::spawn(command, port, dir).await {
                return server;
            }
        }
    }

    async fn spawn(mut command: Command, port: u16, dir: tempfile::TempDir) -> Option<Server> {
        let child = command
            .current_dir(dir.path())
            .stdout(log(dir.path()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}; ./test installs redis-server and redis-sentinel"));
        let mut server = Server { child, port, dir };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if server.child.try_wait().expect("it is a child").is_some() {
                return None;
            }
            // Listening is enough: one with a password answers no PING.
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(server);
            }
            assert!(Instant::now() < deadline, "{} does not start: {}", port, server.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One command, words separated by spaces, on a connection of its own.
    pub async fn say<T: redis::FromRedisValue>(&self, words: &str) -> Option<T> {
        say(&self.url(), words).await
    }

    /// `key:value` of INFO.
    pub async fn info(&self, key: &str) -> Option<String> {
        info(&self.url(), key).await
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it is a child");
    }

    /// `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of the server on port {}:\n{}", self.port, self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log(dir: &Path) -> std::fs::File {
    std::fs::File::create(dir.join("log")).expect("a log file")
}

/// A master, a replica and three Sentinels that know of each other.
pub struct Cluster {
    pub master: Server,
    pub replica: Server,
    pub sentinels: Vec<Server>,
}

impl Cluster {
    pub async fn start(name: &str) -> Cluster {
        let master = Server::redis(&[]).await;
        let replica = Server::redis(&["--replicaof", &format!("127.0.0.1 {}", master.port)]).await;
        until("the replica to follow", async || {
            replica.info("master_link_status").await.filter(|status| status == "up")
        })
        .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Server::sentinel(name, master.port).await);
        }
        for sentinel in &sentinels {
            until("the sentinels to know each other and the replica", async || {
                let master: std::collections::HashMap<String, String> =
                    sentinel.say(&format!("SENTINEL master {name}")).await?;
                let known = |key: &str| master.get(key).map(String::as_str);
                (known("num-other-sentinels") == Some("2") && known("num-slaves") == Some("1")).then_some(())
            })
            .await;
        }
        Cluster { master, replica, sentinels }
    }

    pub fn url(&self, name: &str) -> String {
        let all: Vec<_> = self.sentinels.iter().map(|s| format!("127.0.0.1:{}", s.port)).collect();
        format!("redis+sentinel://{}/{name}", all.join(","))
    }
}
