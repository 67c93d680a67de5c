//! Hints and counters over Debian's redis-server and redis-sentinel.

mod redis_servers;
#[macro_use]
mod redis_suite;

use redis_servers::{Cluster, Server};
use redis_suite::{Cluster as AnyCluster, Redis};

impl Redis for Server {
    type Cluster = Cluster;

    async fn start() -> Self {
        Server::redis(&[]).await
    }

    async fn start_with_password(password: &str) -> Self {
        Server::redis(&["--requirepass", password]).await
    }

    async fn start_on(port: u16) -> Option<Self> {
        Server::redis_on(port, &[]).await
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn stop(&self) {
        self.signal("STOP");
    }

    fn resume(&self) {
        self.signal("CONT");
    }

    fn kill(&mut self) {
        Server::kill(self);
    }
}

impl AnyCluster for Cluster {
    type Server = Server;

    async fn start(name: &str) -> Self {
        Cluster::start(name).await
    }

    fn master(&mut self) -> &mut Server {
        &mut self.master
    }

    fn replica(&self) -> &Server {
        &self.replica
    }

    fn url(&self, name: &str) -> String {
        Cluster::url(self, name)
    }
}

redis_suite!(Server);
