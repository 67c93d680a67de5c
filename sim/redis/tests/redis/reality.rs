//! The same commands to Debian's redis-server and to the simulated one: the same answers, byte for byte but for the
//! wording of errors and what depends on the moment.

use crate::redis_servers::Server as Real;
use crate::redis_suite::Redis;
use crate::simulated::{Server as Simulated, local};
use gadwall::net::{BoxIo, Net, TokioNet};
use gadwall_sim_redis::{ADD, COUNT};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Says a command on the raw connection and hears all that comes for it.
async fn say(io: &mut BoxIo, words: &[&str]) -> String {
    let mut request = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| request += &format!("${}\r\n{word}\r\n", word.len()));
    io.write_all(request.as_bytes()).await.expect("it listens");
    hear(io).await
}

/// Everything that comes until nothing has come for a moment.
async fn hear(io: &mut BoxIo) -> String {
    let mut heard = Vec::new();
    let mut patience = Duration::from_secs(20);
    while let Ok(Ok(1..)) = timeout(patience, io.read_buf(&mut heard)).await {
        patience = Duration::from_millis(100);
    }
    String::from_utf8(heard).expect("text")
}

/// Without what differs from moment to moment: the wording of an error, and the last digits of a remaining time.
fn essence(answer: &str) -> String {
    let line = |line: &str| match line.split_once(' ') {
        Some((code, _)) if code.starts_with('-') => code.to_owned(),
        _ => match line.strip_prefix(':').and_then(|number| number.parse::<u64>().ok()) {
            Some(number @ 10_000..) => format!(":about {}", number.div_ceil(10_000) * 10_000),
            _ => line.to_owned(),
        },
    };
    answer.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n")
}

/// Says all to both, and compares.
async fn compare(real: u16, simulated: u16, script: &[&[&str]]) {
    let mut a = TokioNet.dial("127.0.0.1", real).await.expect("it listens");
    let mut b = TokioNet.dial("127.0.0.1", simulated).await.expect("it listens");
    for words in script {
        let (real, simulated) = (say(&mut a, words).await, say(&mut b, words).await);
        assert!(!real.is_empty(), "{words:?} was answered");
        assert_eq!(essence(&simulated), essence(&real), "{words:?}: {simulated:?} instead of {real:?}");
    }
}

#[tokio::test]
async fn keys_and_scripts_answer_alike() {
    let (real, simulated) = (Real::redis(&[]).await, Simulated::start().await);
    let script: &[&[&str]] = &[
        &["PING"],
        &["GET", "k"],
        &["DEL", "k"],
        &["PTTL", "k"],
        &["SET", "k", "v"],
        &["get", "k"],
        &["PTTL", "k"],
        &["SET", "k", "v", "PX", "50000"],
        &["PTTL", "k"],
        &["SET", "k", "v", "PX", "0"],
        &["EVAL", ADD, "1", "k", "60000", "first"],
        &["DEL", "k"],
        &["EVAL", COUNT, "1", "k"],
        &["EVAL", ADD, "1", "k", "60000", "first"],
        &["EVAL", ADD, "1", "k", "30000", "first"],
        &["EVAL", COUNT, "1", "k"],
        &["EVAL", ADD, "1", "k", "30000", "latest"],
        &["EVAL", COUNT, "1", "k"],
        &["SET", "k", "7"],
        &["EVAL", ADD, "1", "k", "60000", "first"],
        &["SELECT", "1"],
        &["GET", "k"],
        &["SELECT", "16"],
        &["SELECT", "x"],
        &["SELECT", "0"],
        &["GET", "k"],
        &["PUBLISH", "c", "nobody"],
        &["AUTH", "x"],
        &["CLIENT", "KILL", "TYPE", "pubsub"],
        &["REPLICAOF", "NO", "ONE"],
    ];
    compare(real.port, simulated.port(), script).await;
}

#[tokio::test]
async fn a_password_is_asked_alike() {
    let real = Real::redis(&["--requirepass", "secret"]).await;
    let simulated = Simulated::start_with_password("secret").await;
    let script: &[&[&str]] = &[
        &["PING"],
        &["SUBSCRIBE", "c"],
        &["AUTH", "wrong"],
        &["AUTH", "somebody", "secret"],
        &["PING"],
        &["AUTH", "default", "secret"],
        &["PING"],
        &["AUTH", "wrong"],
        &["PING"],
    ];
    compare(real.port, simulated.port(), script).await;
}

#[tokio::test]
async fn subscribers_hear_alike() {
    let (real, simulated) = (Real::redis(&[]).await, Simulated::start().await);
    let mut heard = Vec::new();
    for port in [real.port, simulated.port()] {
        let mut listener = TokioNet.dial("127.0.0.1", port).await.expect("it listens");
        let mut speaker = TokioNet.dial("127.0.0.1", port).await.expect("it listens");
        let mut all = vec![say(&mut listener, &["SUBSCRIBE", "a", "b", "a"]).await];
        all.push(say(&mut speaker, &["PUBLISH", "a", "one"]).await);
        all.push(say(&mut speaker, &["PUBLISH", "c", "two"]).await);
        all.push(say(&mut speaker, &["PUBLISH", "b", ""]).await);
        all.push(hear(&mut listener).await);
        all.push(essence(&say(&mut listener, &["GET", "k"]).await));
        all.push(say(&mut speaker, &["CLIENT", "KILL", "TYPE", "pubsub"]).await);
        all.push(hear(&mut listener).await);
        all.push(say(&mut speaker, &["PUBLISH", "a", "gone"]).await);
        heard.push(all);
    }
    assert_eq!(heard[1], heard[0]);
}

#[tokio::test]
async fn a_replica_answers_alike() {
    let (real, simulated) = (Real::redis(&[]).await, Simulated::start().await);
    let script: &[&[&str]] = &[
        &["ROLE"],
        &["EVAL", ADD, "1", "k", "60000", "first"],
        &["ROLE"],
        // Nobody listens there: the link stays down, and the old data is answered.
        &["REPLICAOF", "127.0.0.1", "1"],
        &["ROLE"],
        &["SET", "k", "v"],
        &["DEL", "k"],
        &["EVAL", ADD, "1", "k", "60000", "first"],
        &["EVAL", COUNT, "1", "k"],
        &["GET", "k"],
        &["PUBLISH", "c", "heard here only"],
        &["SLAVEOF", "no", "one"],
        &["EVAL", ADD, "1", "k", "60000", "first"],
        &["REPLICAOF", "127.0.0.1", "x"],
    ];
    compare(real.port, simulated.port(), script).await;
}

#[tokio::test]
async fn a_master_without_replicas_refuses_alike() {
    let real = Real::redis(&["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"]).await;
    let simulated = Simulated::but(|options| options.min_replicas = 1).await;
    let script: &[&[&str]] = &[
        &["SET", "k", "v"],
        &["EVAL", ADD, "1", "k", "60000", "first"],
        &["EVAL", COUNT, "1", "k"],
        &["DEL", "k"],
        &["PUBLISH", "c", "all the same"],
    ];
    compare(real.port, simulated.port(), script).await;
    let config = gadwall_sim_redis::ConfigFile::replica_of(local(simulated.port()));
    let _replica = Simulated::but(|options| options.config = config.clone()).await;
    crate::redis_servers::until("the replica to count", async || simulated.say::<String>("SET k v").await)
        .await;
}
