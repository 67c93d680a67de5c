//! The engines on a simulated network: nothing of them had to change for it.

use gadwall::Backend;
use gadwall::net::Net;
use gadwall_sim::{Trace, TracedNet, TurmoilNet, node};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::{Entropy, MailStore, MailboxName, ManualClock, SeededEntropy};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Everything the client hears, in order, in one run with these seeds of the network and of the
/// node, and the trace of the node's connections.
fn run(network: u64, seed: u64) -> (Vec<String>, String) {
    let clock = Arc::new(ManualClock::default());
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
    let store = Arc::new(MemoryStore::new(clock.clone(), entropy));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut sim = turmoil::Builder::new()
        .rng_seed(network)
        .simulation_duration(Duration::from_secs(60))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(50))
        .build();
    let kept = store.clone();
    let trace = Trace::default();
    let traced = trace.clone();
    sim.host("node", move || {
        let (store, clock) = (kept.clone(), clock.clone());
        let net = TracedNet { net: TurmoilNet, trace: traced.clone() };
        async move {
            let entropy = Arc::new(SeededEntropy::new(seed));
            let _running = node::serve(Backend::alone(store), None, clock, entropy, &net).await?;
            std::future::pending().await
        }
    });
    let said = heard.clone();
    sim.client("client", async move { dialogue(&said).await });
    sim.run().expect("the simulation comes to its end");
    assert_eq!(inbox_size(&*store), 1, "the mail that was acknowledged is there, once");
    let heard = std::mem::take(&mut *heard.lock().expect("no panic"));
    (heard, trace.digest())
}

/// Messages in the INBOX of the only account.
fn inbox_size(store: &dyn MailStore) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let account = &store.accounts(None, 1).await.expect("accounts")[0];
        let inbox = store.mailbox_by_name(account.id, &MailboxName::inbox()).await;
        inbox.expect("there is an INBOX").messages
    })
}

async fn dialogue(heard: &Mutex<Vec<String>>) -> Outcome {
    let mut io = loop {
        // The node may not listen yet.
        match TurmoilNet.dial("node", 1025).await {
            Ok(io) => break BufReader::new(io),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    for (say, until) in [
        ("", "220 "),
        ("EHLO client.test\r\n", "250 "),
        ("MAIL FROM:<a@example.org>\r\n", "250 "),
        ("RCPT TO:<b@example.org>\r\n", "250 "),
        ("DATA\r\n", "354 "),
        ("Subject: simulated\r\n\r\nHello\r\n.\r\n", "250 Accepted [STATUS=new MSGID="),
        ("QUIT\r\n", "221 "),
    ] {
        io.get_mut().write_all(say.as_bytes()).await?;
        loop {
            let mut line = String::new();
            if io.read_line(&mut line).await? == 0 {
                return Err("the node closed the connection".into());
            }
            let done = line.starts_with(until);
            heard.lock().expect("no panic").push(line);
            if done {
                break;
            }
        }
    }
    Ok(())
}

#[test]
fn a_mail_is_taken_on_a_simulated_network() {
    let (heard, _) = run(1, 1);
    assert!(heard.iter().any(|line| line.contains("MSGID=")), "{heard:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (once, again) = (run(7, 7), run(7, 7));
    assert_eq!(once, again);
    // The same messages at the same moments, but for what is in them.
    let other_ids = run(7, 8);
    assert_ne!(once.0, other_ids.0, "ids come from the seed");
    assert_ne!(once.1, other_ids.1, "the trace holds what was said");
    let other_times = run(8, 7);
    assert_ne!(once.1, other_times.1, "the trace holds when it was said");
}
