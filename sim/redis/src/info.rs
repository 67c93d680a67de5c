//! INFO and ROLE: how a server describes itself, and how Sentinel reads it.

use crate::address::Address;
use crate::resp::Reply;
use crate::state::State;
use std::fmt::Write;

/// The lines of INFO that Sentinel and the tests read.
pub fn info(state: &State, at: &Address) -> String {
    let role = if state.master.is_some() { "slave" } else { "master" };
    let mut out = format!("# Server\r\nrun_id:{}\r\ntcp_port:{}\r\n", state.run_id, at.port);
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        write!(out, "{name}:{value}\r\n").expect("a string takes any amount of text");
    };
    line("role", &role);
    if let Some(master) = &state.master {
        line("master_host", &master.host);
        line("master_port", &master.port);
        line("master_link_status", &if state.link_up { "up" } else { "down" });
        line("slave_repl_offset", &state.offset);
    }
    line("connected_slaves", &state.replicas().count());
    for (n, replica) in state.replicas().enumerate() {
        let Address { host, port } = &replica.address;
        let value = format!("ip={host},port={port},state=online,offset={},lag=0", replica.offset);
        line(&format!("slave{n}"), &value);
    }
    line("master_repl_offset", &state.offset);
    out
}

/// <https://redis.io/docs/latest/commands/role/>
pub fn role(state: &State) -> Reply {
    let offset = Reply::Int(state.offset as i64);
    let copied = if state.link_up { offset.clone() } else { Reply::Int(-1) };
    match &state.master {
        Some(master) => Reply::Array(vec![
            Reply::bulk("slave"),
            Reply::bulk(&master.host),
            Reply::Int(master.port.into()),
            Reply::bulk(if state.link_up { "connected" } else { "connect" }),
            copied,
        ]),
        None => {
            let replica = |replica: &crate::state::Replica| {
                let Address { host, port } = &replica.address;
                let words = [host.clone(), port.to_string(), replica.offset.to_string()];
                Reply::Array(words.iter().map(Reply::bulk).collect())
            };
            let replicas = Reply::Array(state.replicas().map(replica).collect());
            Reply::Array(vec![Reply::bulk("master"), offset, replicas])
        }
    }
}

/// What a Sentinel learns from INFO.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info {
    pub run_id: String,
    /// Whom it follows; a master follows nobody.
    pub master: Option<Address>,
    pub link_up: bool,
    pub offset: u64,
    pub replicas: Vec<Address>,
}

impl Info {
    pub fn parse(text: &str) -> Option<Info> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let master = match value("role")? {
            "slave" => Some(Address::new(value("master_host")?, value("master_port")?.parse().ok()?)),
            _ => None,
        };
        let replica = |line: &str| {
            let field =
                |name: &str| line.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            Some(Address::new(field("ip")?, field("port")?.parse().ok()?))
        };
        let lines = (0..).map_while(|n| value(&format!("slave{n}")));
        Some(Info {
            run_id: value("run_id")?.to_owned(),
            link_up: value("master_link_status") == Some("up"),
            offset: value("slave_repl_offset").or(value("master_repl_offset"))?.parse().ok()?,
            replicas: lines.filter_map(replica).collect(),
            master,
        })
    }
}
