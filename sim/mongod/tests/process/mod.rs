//! Members as processes of their own.
#![allow(dead_code)] // Not every test needs all.

use gadwall::net::{Net, TokioNet};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A member's process, killed when this goes.
pub struct Process(Child);

impl Process {
    pub fn start(members: &[String], me: usize, data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gadwall-sim-mongod"));
        command.args(["--listen", &members[me], "--set", "drill", "--members", &members.join(",")]);
        command.arg("--data").arg(data.join(me.to_string())).stdout(Stdio::null());
        Process(command.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Addresses that were free just now.
pub async fn addresses() -> Vec<String> {
    let mut listeners = vec![];
    for _ in 0..3 {
        listeners.push(TokioNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap());
    }
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}
