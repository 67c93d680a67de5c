//! `gadwall cluster`: prepares a database that several nodes share, and shows who works on it.

use super::Backends;
use super::args::{ClusterCommand, StatusArgs};
use super::exit::Failure;
use super::stdio::say;
use crate::Env;
use crate::config::Config;
use crate::run::SECRETS;
use crate::time::rfc3339;
use gadwall_storage::operate::{ClusterStatus, HintStatus, Member, Node};
use gadwall_storage::{MailStore, Timestamp};

/// A node that has said nothing for so long has gone: it says something every few seconds.
const SILENT_MS: i64 = 20_000;

pub async fn run(
    config: &Config,
    env: &Env,
    backends: &Backends,
    command: ClusterCommand,
) -> Result<(), Failure> {
    let cluster = (backends.cluster)(config, env).await?;
    match command {
        ClusterCommand::Init => {
            let mut done = cluster.prepare().await?;
            let store = (backends.open)(config, env).await?.store;
            let secrets = make_secrets(&*store, env).await;
            store.close().await?;
            done.extend(secrets?);
            done.iter().for_each(|step| say(&format!("made {step}")));
            say(if done.is_empty() { "Everything was there already." } else { "The database is ready." });
            Ok(())
        }
        ClusterCommand::Status(StatusArgs { json }) => {
            let status = cluster.status().await?;
            if json {
                let text = serde_json::to_string(&status);
                say(&text.map_err(|e| Failure::failed(e.to_string()))?);
            } else {
                as_text(&status, env.clock.now()).iter().for_each(|line| say(line));
            }
            Ok(())
        }
    }
}

/// Secrets that all nodes have to agree on. They do so by themselves; made here, a node that starts finds them.
async fn make_secrets(store: &dyn MailStore, env: &Env) -> Result<Vec<String>, Failure> {
    let mut made = Vec::new();
    for name in SECRETS {
        let fresh = env.entropy.bytes();
        if store.secret(name, fresh).await? == fresh {
            made.push(format!("secret {name:?}"));
        }
    }
    Ok(made)
}

fn as_text(status: &ClusterStatus, now: Timestamp) -> Vec<String> {
    let mut lines = vec!["database".to_owned()];
    lines.extend(status.members.iter().map(member));
    if !status.members.is_empty() && !status.members.iter().any(|m| m.state == "primary") {
        lines.push("  no primary: mail is refused until a majority of the members is back".into());
    }
    lines.push("redis".to_owned());
    lines.push(
        status.hints.as_ref().map_or_else(|| "  none: nodes look for changes themselves".into(), hints),
    );
    lines.push("leases".to_owned());
    lines.extend(status.leases.iter().map(|lease| {
        let over = if lease.until < now { " (over)" } else { "" };
        format!("  {:<20} {} until {}{over}", lease.name, lease.holder, rfc3339(lease.until))
    }));
    lines.push("nodes".to_owned());
    lines.extend(status.nodes.iter().map(|n| node(n, now)));
    if status.nodes.is_empty() {
        lines.push("  none has said anything lately: gadwall serve, with this configuration".into());
    }
    lines.extend(status.notes.iter().map(|note| format!("note: {note}")));
    lines
}

fn member(m: &Member) -> String {
    let health = if m.healthy { "" } else { ", NOT REACHED" };
    let lag = m.lag_ms.map_or_else(String::new, |ms| format!(", {:.1} s behind", ms as f64 / 1000.0));
    format!("  {:<28} {}{lag}{health}", m.name, m.state)
}

fn hints(hints: &HintStatus) -> String {
    match &hints.master {
        Some(master) => {
            let replicas = hints.replicas.map_or_else(String::new, |n| format!(", {n} replicas"));
            format!("  {master} is master{replicas}")
        }
        None => format!("  {}: {}", hints.address, hints.trouble),
    }
}

fn node(node: &Node, now: Timestamp) -> String {
    let silent_ms = now.millis() - node.seen.millis();
    let state = match (silent_ms > SILENT_MS, node.draining) {
        (true, _) => format!("SILENT for {} s", silent_ms / 1000),
        (false, true) => "draining".into(),
        (false, false) => "serving".into(),
    };
    format!(
        "  {} {} gadwall {}, {state}, since {}, {}",
        node.hostname,
        node.id,
        node.version,
        rfc3339(node.since),
        node.listeners.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_node(seen: i64, draining: bool) -> Node {
        Node {
            id: "0a".into(),
            hostname: "a.example".into(),
            version: "1".into(),
            listeners: vec!["imap 10.0.0.1:10143".into()],
            since: Timestamp(0),
            seen: Timestamp(seen),
            draining,
        }
    }

    #[test]
    fn a_node_that_says_nothing_is_said_to() {
        let now = Timestamp(100_000);
        assert!(node(&some_node(95_000, false), now).contains("serving"));
        assert!(node(&some_node(95_000, true), now).contains("draining"));
        assert!(node(&some_node(70_000, true), now).contains("SILENT for 30 s"));
    }

    #[test]
    fn a_database_without_a_primary_says_what_follows() {
        let member = |state: &str| Member {
            name: "10.0.0.1:27017".into(),
            state: state.into(),
            healthy: true,
            lag_ms: Some(1500),
        };
        let mut status = ClusterStatus { members: vec![member("secondary")], ..ClusterStatus::default() };
        let text = |status: &ClusterStatus| as_text(status, Timestamp(0)).join("\n");
        assert!(text(&status).contains("no primary") && text(&status).contains("1.5 s behind"));
        status.members.push(member("primary"));
        assert!(!text(&status).contains("no primary"));
    }
}
