//! The operator's view: whether Sentinel, the master and its channels work, found out on connections of its own.

use super::dial::Dial;
use super::master::{Connection, Finder, Trouble, ask};
use super::url::{Endpoint, RedisUrl, Servers};
use crate::Entropy;
use crate::operate::{Finding, HintStatus};
use futures_util::StreamExt;
use redis::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const WHAT: &str = "Redis";
/// How long a message may take back to the one who sent it.
const LOOP_BACK: Duration = Duration::from_secs(1);

/// Looks at Redis, for an operator.
pub struct RedisExaminer {
    finder: Finder,
    entropy: Arc<dyn Entropy>,
}

impl RedisExaminer {
    pub fn new(url: RedisUrl, dial: Arc<dyn Dial>, entropy: Arc<dyn Entropy>) -> Self {
        Self { finder: Finder { url, dial }, entropy }
    }

    pub async fn status(&self) -> HintStatus {
        let address = self.finder.url.to_string();
        match self.finder.master(None).await {
            Ok(Some((at, connection))) => {
                let replicas = replicas(&at, &connection).await;
                HintStatus { address, master: Some(at.to_string()), replicas, trouble: String::new() }
            }
            Ok(None) => unreachable!("there is no current master to be the same as"),
            Err(trouble) => {
                HintStatus { address, master: None, replicas: None, trouble: trouble.to_string() }
            }
        }
    }

    pub async fn examine(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Servers::Sentinel { sentinels, master } = &self.finder.url.servers {
            findings.push(self.examine_sentinels(sentinels, master).await);
        }
        let (at, connection) = match self.finder.master(None).await {
            Ok(Some(found)) => found,
            Ok(None) => unreachable!("there is no current master to be the same as"),
            Err(trouble) => {
                findings.push(Finding::fail(WHAT, trouble.to_string(), fix_of(&trouble)));
                return findings;
            }
        };
        findings.push(self.examine_master(&at, &connection).await);
        findings.push(self.examine_channels(&at, connection).await);
        findings
    }

    async fn examine_sentinels(&self, sentinels: &[Endpoint], name: &str) -> Finding {
        const WHAT: &str = "Sentinel";
        let (mut named, mut troubles) = (Vec::new(), Vec::new());
        for sentinel in sentinels {
            match self.finder.named_by(sentinel, name).await {
                Ok(at) => named.push(at),
                Err(trouble) => troubles.push(trouble),
            }
        }
        let said = troubles.iter().map(Trouble::to_string).collect::<Vec<_>>().join("; ");
        let fix = troubles.first().map(fix_of).unwrap_or_default();
        let Some(first) = named.first() else {
            return Finding::fail(WHAT, said, fix);
        };
        if named.iter().any(|at| at != first) {
            let all = named.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(", ");
            let fix = "wait for the election to end; if it doesn't, see that the Sentinels reach each other";
            return Finding::warn(WHAT, format!("they name different masters: {all}"), fix);
        }
        if 2 * named.len() <= sentinels.len() {
            let detail = format!("{said}: no majority is left, which another master needs");
            return Finding::fail(WHAT, detail, fix);
        }
        if !troubles.is_empty() {
            return Finding::warn(WHAT, said, fix);
        }
        Finding::ok(WHAT, format!("{} of {} name {first} as master of {name}", named.len(), sentinels.len()))
    }

    async fn examine_master(&self, at: &Endpoint, connection: &Connection) -> Finding {
        let key = format!("gadwall:doctor:{}", self.token());
        let mut write = redis::cmd("SET");
        write.arg(key).arg(1).arg("PX").arg(1000);
        if let Err(trouble) = ask::<()>(at, connection, write).await {
            let fix = "until it takes writes nodes count for themselves: see that its replicas are up (INFO replication)";
            return Finding::fail(WHAT, trouble.to_string(), fix);
        }
        match replicas(at, connection).await {
            Some(0) if matches!(self.finder.url.servers, Servers::Sentinel { .. }) => {
                let fix = "see that the other machines' redis-server runs, with replicaof and masterauth";
                Finding::warn(WHAT, format!("{at} is master and has no replica to take over"), fix)
            }
            n => Finding::ok(WHAT, format!("{at} is master and takes writes, {} replicas", n.unwrap_or(0))),
        }
    }

    async fn examine_channels(&self, at: &Endpoint, connection: Connection) -> Finding {
        const WHAT: &str = "Redis channels";
        let channel = format!("gadwall:{}:doctor:{}", self.finder.url.db, self.token());
        let mut heard = match self.finder.subscribe(at, std::slice::from_ref(&channel)).await {
            Ok(heard) => heard,
            Err(trouble) => return Finding::fail(WHAT, trouble.to_string(), fix_of(&trouble)),
        };
        let began = Instant::now();
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&channel).arg("hello");
        if let Err(trouble) = ask::<i64>(at, &connection, publish).await {
            return Finding::fail(WHAT, trouble.to_string(), "the user needs the right to PUBLISH");
        }
        let came = timeout(LOOP_BACK, heard.on_message().next()).await;
        match came {
            Ok(Some(_)) => {
                Finding::ok(WHAT, format!("a message came back in {} ms", began.elapsed().as_millis()))
            }
            Ok(None) | Err(_) => Finding::fail(
                WHAT,
                format!("a message to {at} did not come back within {} ms", LOOP_BACK.as_millis()),
                "nodes look for changes once a second meanwhile; see INFO clients and the log of that Redis",
            ),
        }
    }

    fn token(&self) -> String {
        let entropy: &dyn Entropy = &*self.entropy;
        format!("{:016x}", u64::from_be_bytes(entropy.bytes()))
    }
}

async fn replicas(at: &Endpoint, connection: &Connection) -> Option<u64> {
    let role: Vec<Value> = ask(at, connection, redis::cmd("ROLE")).await.ok()?;
    match role.get(2) {
        Some(Value::Array(replicas)) => Some(replicas.len() as u64),
        _ => None,
    }
}

fn fix_of(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Redis { error, .. } if is_about_login(error) => {
            "see that the passwords in `redis` are right (percent-encoded): the master's before the @, the \
             Sentinels' as sentinel-password"
        }
        Trouble::Redis { .. } | Trouble::Dial { .. } | Trouble::Silent { .. } => {
            "see that it runs there (systemctl status redis-server redis-sentinel), that bind in its configuration and \
             the firewall let this machine in"
        }
        Trouble::NotMaster { .. } => "wait for the election to end, or name the master in `redis`",
        Trouble::UnknownMaster { .. } => "see that `redis` ends with the name of `sentinel monitor NAME`",
    }
    .to_owned()
}

fn is_about_login(error: &redis::RedisError) -> bool {
    let text = error.to_string();
    ["NOAUTH", "WRONGPASS", "AuthenticationFailed", "uthentication", "NOPERM"]
        .iter()
        .any(|word| text.contains(word))
}
