//! What a Sentinel answers.

use super::{Opinion, Shared};
use crate::address::Address;
use crate::resp::{Reply, Words, take_command};
use gadwall::net::BoxIo;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

pub async fn serve(shared: &Shared, mut io: BoxIo) {
    let ended = talk(shared, &mut io).await;
    tracing::trace!(at = %shared.options.address, ?ended, "sentinel: a client left");
}

async fn talk(shared: &Shared, io: &mut BoxIo) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut authenticated = shared.options.password.is_none();
    while io.read_buf(&mut buffer).await? > 0 {
        while let Some(words) = take_command(&mut buffer).map_err(|_| io::ErrorKind::InvalidData)? {
            shared.options.handle.running().await;
            let reply = if is_login(&words) {
                let reply = log_in(shared.options.password.as_deref(), &words);
                authenticated |= reply == Reply::ok();
                reply
            } else if authenticated {
                answer(shared, &words)
            } else {
                Reply::Error("NOAUTH Authentication required.".into())
            };
            io.write_all(&reply.encode()).await?;
        }
    }
    Ok(())
}

fn is_login(words: &Words) -> bool {
    words[0].eq_ignore_ascii_case(b"AUTH")
}

fn log_in(password: Option<&str>, words: &Words) -> Reply {
    match (password, &words[1..]) {
        (None, _) => Reply::Error(
            "ERR AUTH <password> called without any password configured for the default user.".into(),
        ),
        (Some(right), [.., given]) if given == right.as_bytes() => Reply::ok(),
        _ => Reply::Error("WRONGPASS invalid username-password pair or user is disabled.".into()),
    }
}

fn answer(shared: &Shared, words: &Words) -> Reply {
    let text: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let text: Vec<&str> = text.iter().map(String::as_str).collect();
    let (name, sub) = (text[0].to_uppercase(), text.get(1).map(|sub| sub.to_lowercase()).unwrap_or_default());
    match (&*name, &*sub, text.get(2..).unwrap_or_default()) {
        ("PING", "", []) => Reply::Simple("PONG".into()),
        ("CLIENT", "setinfo", [_, _]) => Reply::ok(),
        ("SENTINEL", "get-master-addr-by-name", [name]) if *name == shared.options.name => {
            let state = shared.state();
            let Address { host, port } = &state.kept.master;
            Reply::Array(vec![Reply::bulk(host), Reply::bulk(port.to_string())])
        }
        ("SENTINEL", "get-master-addr-by-name", [_]) => Reply::NilArray,
        ("SENTINEL", "master", [name]) if *name == shared.options.name => master(shared),
        ("SENTINEL", "is-master-down-by-addr", [host, port, epoch, id]) => {
            let address = Address::from_words(host.as_bytes(), port.as_bytes());
            match (address, epoch.parse()) {
                (Some(address), Ok(epoch)) => opinion(shared, &address, epoch, id).reply(),
                _ => Reply::Error("ERR Invalid port or epoch".into()),
            }
        }
        ("PUBLISH", "__sentinel__:hello", [hello]) => match heard(shared, hello) {
            Some(()) => Reply::Int(1),
            None => Reply::Error("ERR that is no greeting".into()),
        },
        _ => {
            shared.options.handle.refuse(text.join(" "));
            Reply::Error(format!("ERR unknown command '{}': it is not simulated", text.join(" ")))
        }
    }
}

/// What is known of the master, as the real one names it, without what nobody asks for.
fn master(shared: &Shared) -> Reply {
    let state = shared.state();
    let Address { host, port } = &state.kept.master;
    let fields = [
        ("name", shared.options.name.clone()),
        ("ip", host.clone()),
        ("port", port.to_string()),
        ("num-slaves", state.kept.replicas.len().to_string()),
        ("num-other-sentinels", shared.options.others.len().to_string()),
        ("quorum", shared.options.quorum.to_string()),
    ];
    Reply::Array(fields.iter().flat_map(|(name, value)| [Reply::bulk(name), Reply::bulk(value)]).collect())
}

fn opinion(shared: &Shared, master: &Address, epoch: u64, id: &str) -> Opinion {
    let (mut state, now) = (shared.state(), Instant::now());
    let down = state.kept.master == *master && state.master_is_down(now);
    let vote = (id != "*").then(|| state.vote(id, epoch, now, &*shared.options.entropy)).flatten();
    Opinion { down, vote }
}

fn heard(shared: &Shared, hello: &str) -> Option<()> {
    let fields: Vec<&str> = hello.split(',').collect();
    let [_, _, _, epoch, name, host, port, config_epoch] = fields[..] else { return None };
    if name == shared.options.name {
        let master = Address::new(host, port.parse().ok()?);
        shared.state().greeted(epoch.parse().ok()?, master, config_epoch.parse().ok()?);
    }
    Some(())
}
