//! `gadwall serve`: opens the store, serves, stops on a signal.

use super::OpenStore;
use super::banner;
use super::descriptors;
use super::exit::Failure;
use super::runfile::RunFile;
use crate::Env;
use crate::config::{Config, Door, StoreKind};
use crate::net::TokioNet;
use crate::run::{self, Running};
use std::net::SocketAddr;

pub async fn run(config: Config, env: Env, open: OpenStore) -> Result<(), Failure> {
    // Before the store: a stop that is asked for while it opens must not be lost.
    let mut signals = Signals::listen()?;
    descriptors::raise();
    let backend = open(&config, &env).await?;
    let store = backend.store.clone();
    let running = match run::start(config.clone(), backend, env, &TokioNet).await {
        Ok(running) => running,
        Err(e) => {
            store.close().await?;
            return Err(e.into());
        }
    };
    let on_disk = config.store == StoreKind::Sled;
    if on_disk {
        announce(&running, &config)?;
    }
    banner::show(&running, &config);
    while let Signal::Reload = signals.next().await {
        running.reload();
    }
    tracing::info!("stopping");
    if on_disk {
        RunFile::remove(&config.data);
    }
    // Asked a second time, it does not wait for its clients any more.
    let stopped = tokio::select! {
        biased;
        stopped = running.stop() => stopped,
        () = signals.stop() => Ok(store.close().await?),
    };
    Ok(stopped?)
}

fn announce(running: &Running, config: &Config) -> Result<(), Failure> {
    let http: Option<SocketAddr> =
        running.addresses.iter().find(|(door, _)| *door == Door::Http).map(|(_, addr)| *addr);
    let file = RunFile { pid: std::process::id(), http, token: running.http.admin_token.clone() };
    file.write(&config.data)
        .map_err(|e| Failure::failed(format!("cannot write to {}: {e}", config.data.display())))
}

enum Signal {
    Stop,
    Reload,
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let on = |kind| signal(kind).map_err(|e| Failure::failed(format!("cannot listen for signals: {e}")));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    async fn stop(&mut self) {
        while !matches!(self.next().await, Signal::Stop) {}
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        let _ = tokio::signal::ctrl_c().await;
        Signal::Stop
    }

    async fn stop(&mut self) {
        self.next().await;
    }
}
