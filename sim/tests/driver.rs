//! The database driver on the simulated network: it has no other.

use gadwall::net::Net;
use gadwall_sim::TurmoilNet;
use gadwall_storage::mongo::{MongoOptions, MongoStore};
use gadwall_storage::{ManualClock, SeededEntropy};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

/// What a member that never answers is asked first. The store is being opened on another host meanwhile.
fn first_bytes() -> Vec<u8> {
    let mut sim = turmoil::Builder::new().simulation_duration(Duration::from_secs(60)).build();
    let (said, mut heard) = mpsc::unbounded_channel();
    sim.host("mongo", move || {
        let said = said.clone();
        async move {
            let mut listener = TurmoilNet.bind("0.0.0.0:27017".parse()?).await?;
            let mut open = Vec::new();
            loop {
                let (mut io, _) = listener.accept().await?;
                let mut asked = [0; 256];
                let len = io.read(&mut asked).await?;
                let _ = said.send(asked[..len].to_vec());
                open.push(io);
            }
        }
    });
    sim.client("node", async {
        let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
        let mut options = MongoOptions::new("mongodb://mongo/?replicaSet=sim", "gadwall", clock, entropy);
        options.deadline = Duration::from_secs(5);
        let opened = tokio::time::timeout(Duration::from_secs(30), MongoStore::open(options)).await;
        let refused = opened.expect("it gives up in time").err().expect("nobody answered");
        assert!(refused.to_string().contains("mongodb://mongo"), "{refused}");
        Ok(())
    });
    sim.run().expect("the simulation comes to its end");
    heard.try_recv().expect("the member was asked something")
}

#[test]
fn the_driver_asks_a_simulated_member_and_gives_up_on_its_silence() {
    let asked = first_bytes();
    let text = String::from_utf8_lossy(&asked);
    assert!(text.contains("hello") || text.contains("isMaster") || text.contains("ismaster"), "{text:?}");
}
