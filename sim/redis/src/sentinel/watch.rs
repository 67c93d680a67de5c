//! What a Sentinel says: to the servers it watches, and to the other Sentinels.

use super::state::Failover;
use super::{Opinion, Shared, TICK};
use crate::address::Address;
use crate::info::Info;
use crate::peer::Peer;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// PING and INFO, once a second. The real one reads INFO every ten seconds while all is well.
const PING: Duration = Duration::from_secs(1);
const GREETING: Duration = Duration::from_secs(2);

/// Watches a server for ever.
pub async fn watch(shared: &Shared, server: &Address) {
    let options = &shared.options;
    loop {
        options.handle.running().await;
        let password = options.server_password.as_deref();
        if let Ok(mut peer) = Peer::connect(&*shared.net, server, password, options.down_after).await {
            let ended = attend(shared, server, &mut peer).await;
            tracing::trace!(at = %options.address, %server, ?ended, "sentinel: connection ended");
        }
        sleep(TICK).await;
    }
}

async fn attend(shared: &Shared, server: &Address, peer: &mut Peer) -> io::Result<()> {
    let mut next_ping = Instant::now();
    loop {
        shared.options.handle.running().await;
        let orders = shared.state().orders.remove(server).unwrap_or_default();
        for order in &orders {
            peer.ask(order).await?;
        }
        if !orders.is_empty() || Instant::now() >= next_ping {
            peer.ask(&["PING"]).await?;
            let answer = peer.ask(&["INFO"]).await?;
            let info = answer.text().and_then(Info::parse).ok_or(io::ErrorKind::InvalidData)?;
            shared.options.handle.running().await;
            shared.state().heard(server, info, Instant::now());
            next_ping = Instant::now() + PING.min(shared.options.down_after);
        }
        sleep(TICK).await;
    }
}

/// Greets another Sentinel for ever, and asks what it thinks while the master seems down.
pub async fn greet(shared: &Shared, other: &Address) {
    let options = &shared.options;
    loop {
        options.handle.running().await;
        let password = options.password.as_deref();
        if let Ok(mut peer) = Peer::connect(&*shared.net, other, password, PING).await {
            let ended = talk(shared, other, &mut peer).await;
            tracing::trace!(at = %options.address, %other, ?ended, "sentinel: connection ended");
        }
        sleep(TICK).await;
    }
}

async fn talk(shared: &Shared, other: &Address, peer: &mut Peer) -> io::Result<()> {
    let (mut next_greeting, mut next_question) = (Instant::now(), Instant::now());
    // A configuration and an election are told at once.
    let (mut told, mut asked) = (None, None);
    loop {
        shared.options.handle.running().await;
        let now = Instant::now();
        let (hello, config_epoch, question, election) = {
            let state = shared.state();
            let election = match state.failover {
                Failover::Election { epoch, since } if now >= since => Some(epoch),
                _ => None,
            };
            let question = state.master_is_down(now).then(|| question(&state, election));
            (hello(shared, &state), state.kept.config_epoch, question, election)
        };
        if now >= next_greeting || told != Some(config_epoch) {
            peer.ask(&["PUBLISH", "__sentinel__:hello", &hello]).await?;
            (next_greeting, told) = (now + GREETING, Some(config_epoch));
        }
        if let Some(question) = question
            && (now >= next_question || asked != election)
        {
            let opinion = Opinion::parse(&peer.ask(&question).await?).ok_or(io::ErrorKind::InvalidData)?;
            shared.state().opinions.insert(other.clone(), (Instant::now(), opinion));
            (next_question, asked) = (now + PING, election);
        }
        sleep(TICK).await;
    }
}

/// `host,port,id,epoch,name,master host,master port,config epoch`.
fn hello(shared: &Shared, state: &super::State) -> String {
    let (me, kept) = (&shared.options.address, &state.kept);
    let (master, name) = (&kept.master, &shared.options.name);
    format!(
        "{},{},{},{},{name},{},{},{}",
        me.host, me.port, state.id, kept.epoch, master.host, master.port, kept.config_epoch
    )
}

/// Whether the master is down; with an id, for a vote too.
fn question(state: &super::State, election: Option<u64>) -> Vec<String> {
    let (master, epoch) = (&state.kept.master, election.unwrap_or(state.kept.epoch));
    let id = if election.is_some() { state.id.clone() } else { "*".to_owned() };
    let sub = "is-master-down-by-addr".to_owned();
    vec!["SENTINEL".to_owned(), sub, master.host.clone(), master.port.to_string(), epoch.to_string(), id]
}
