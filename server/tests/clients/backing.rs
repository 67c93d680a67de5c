//! What the nodes of a cluster stand on: a database and a Redis, as tests start them.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// As the backend's own tests start it.
#[path = "../../../storage/tests/mongodb/mod.rs"]
pub mod mongodb;

/// Debian's redis-server, on a port of its own; killed with the test.
pub struct Redis(Child, u16);

impl Redis {
    pub fn start() -> Redis {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = listener.local_addr().expect("an address").port();
            drop(listener);
            let args = [
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--requirepass",
                "hunter2",
            ];
            let child = Command::new("redis-server").args(args).stdout(Stdio::null()).spawn();
            let mut redis = Redis(child.expect("it is installed"), port);
            while redis.0.try_wait().expect("it is a child").is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return redis;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }

    pub fn url(&self) -> String {
        format!("redis://:hunter2@127.0.0.1:{}", self.1)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.0.kill().expect("it was running");
        self.0.wait().expect("it is a child");
        assert!(TcpStream::connect(("127.0.0.1", self.1)).is_err(), "something answers on Redis' port");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
