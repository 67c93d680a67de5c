//! `gadwall account`: through the API of the server that holds the store, or on the store itself when none does.

use super::OpenStore;
use super::args::{AccountCommand, NewAccountArgs};
use super::exit::Failure;
use super::readyz::{begin, reachable};
use super::runfile::RunFile;
use super::stdio::say;
use crate::accounts::{self, AccountRequest};
use crate::client::{Answer, Begin, Request, ask};
use crate::config::{Config, StoreKind};
use crate::net::TokioNet;
use crate::time::rfc3339;
use crate::{Backend, Env};
use gadwall_storage::{Account, Address, MailStore, StoreError};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
/// Accounts of a page.
const PAGE: usize = 250;

pub async fn run(
    config: &Config,
    env: &Env,
    open: OpenStore,
    command: AccountCommand,
) -> Result<(), Failure> {
    if config.store == StoreKind::Memory {
        return Err(Failure::new(
            Failure::USAGE,
            "a store in memory has its accounts inside the server: use the API (POST /user)",
        ));
    }
    match open(config, env).await {
        Ok(Backend { store, .. }) => {
            let done = on_store(config, env, &*store, command).await;
            store.close().await?;
            done
        }
        Err(held) if held.status == Failure::HELD => on_server(config, &held, command).await,
        Err(e) => Err(e),
    }
}

async fn on_store(
    config: &Config,
    env: &Env,
    store: &dyn MailStore,
    command: AccountCommand,
) -> Result<(), Failure> {
    match command {
        AccountCommand::Create(args) => {
            let request = AccountRequest {
                address: args.address,
                name: args.name,
                password: args.password,
                quota_bytes: args.quota_of_account.map(|size| size.0),
                lifetime: args.lifetime.map(|span| span.0),
            };
            let made = accounts::create(store, env, &config.defaults, env.op(), request).await?;
            show_new(made.account.address.as_str(), &made.password);
        }
        AccountCommand::List => {
            let mut after = None;
            loop {
                let page = store.accounts(after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                page.iter().for_each(|account| say(&line_of(account)));
            }
        }
        AccountCommand::Delete { address } => {
            let account = store.account_by_address(&address).await.map_err(|e| match e {
                StoreError::NotFound(_) => unknown(&address),
                e => e.into(),
            })?;
            store.delete_account(env.op(), account.id).await?;
        }
    }
    Ok(())
}

fn unknown(address: &Address) -> Failure {
    Failure::failed(format!("there is no account {address}"))
}

/// Scripts read this.
fn show_new(user: &str, password: &str) {
    say(&json!({ "user": user, "pass": password }).to_string());
}

fn line_of(account: &Account) -> String {
    line(account.address.as_str(), account.used_bytes, &account.expires_at.map(rfc3339).unwrap_or_default())
}

fn line(address: &str, used: u64, expires: &str) -> String {
    let expires = if expires.is_empty() { "never" } else { expires };
    format!("{address}\t{used}\t{expires}")
}

/// The API of the server that holds the store.
struct Server {
    addr: SocketAddr,
    token: String,
    begin: Begin,
}

impl Server {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let body = body.map(|body| body.to_string());
        let request = Request { method, path, token: Some(&self.token), body, begin: self.begin };
        let asked = ask(&TokioNet, &self.addr.ip().to_string(), self.addr.port(), &request, PATIENCE).await;
        let Answer { status, body } = asked.map_err(|e| {
            Failure::failed(format!("the server at {} holds the store, but does not answer: {e}", self.addr))
        })?;
        let value: Value = serde_json::from_str(&body).unwrap_or_default();
        if status == 200 {
            return Ok(value);
        }
        Err(Failure::failed(value["error"].as_str().map_or_else(|| format!("HTTP {status}"), str::to_owned)))
    }
}

async fn on_server(config: &Config, held: &Failure, command: AccountCommand) -> Result<(), Failure> {
    let run = RunFile::read(&config.data);
    let Some((addr, token)) = run.and_then(|run| Some((run.http?, run.token))) else {
        return Err(Failure::new(
            Failure::HELD,
            format!("{}; it serves no HTTP, so that it can't be asked: stop it first", held.message),
        ));
    };
    let addr = reachable(addr);
    let server = Server { addr, token, begin: begin(config, &addr.ip().to_string()) };
    match command {
        AccountCommand::Create(args) => create_on(&server, args).await,
        AccountCommand::List => list_on(&server).await,
        AccountCommand::Delete { address } => {
            let found = server.ask("GET", &format!("/users/resolve/{}", escaped(&address)), None).await;
            let found = found.map_err(|_| unknown(&address))?;
            let id = found["id"].as_str().unwrap_or_default();
            server.ask("DELETE", &format!("/users/{id}"), None).await.map(drop)
        }
    }
}

async fn create_on(server: &Server, args: NewAccountArgs) -> Result<(), Failure> {
    let mut body = serde_json::Map::new();
    let mut set = |key: &str, value: Option<Value>| value.map(|value| body.insert(key.into(), value));
    set("address", args.address.map(|a| a.as_str().into()));
    set("name", args.name.map(Into::into));
    set("password", args.password.map(Into::into));
    set("quota", args.quota_of_account.map(|size| size.0.into()));
    // 0: for ever. A lifetime of less than a second is one.
    set("lifetimeSecs", args.lifetime.map(|span| span.0.map_or(0, |d| d.as_secs().max(1)).into()));
    let made = server.ask("POST", "/users", Some(body.into())).await?;
    let text = |key: &str| made[key].as_str().unwrap_or_default();
    show_new(text("address"), text("password"));
    Ok(())
}

async fn list_on(server: &Server) -> Result<(), Failure> {
    let mut path = format!("/users?limit={PAGE}");
    loop {
        let page = server.ask("GET", &path, None).await?;
        for account in page["results"].as_array().into_iter().flatten() {
            let text = |key: &str| account[key].as_str().unwrap_or_default();
            say(&line(text("address"), account["used"].as_u64().unwrap_or_default(), text("expires")));
        }
        match page["nextCursor"].as_str() {
            Some(next) => path = format!("/users?limit={PAGE}&next={next}"),
            None => return Ok(()),
        }
    }
}

/// An address as one segment of a path (RFC 3986 §3.3).
fn escaped(address: &Address) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~@".contains(b);
    address
        .as_str()
        .bytes()
        .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
