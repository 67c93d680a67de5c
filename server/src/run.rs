//! A running server: everything wired together, started and stopped.

use crate::accounts::{self, AccountRequest};
use crate::acme::{AlpnAnswers, Keeper, Shelf};
use crate::auth::{Authenticator, verify};
use crate::config::{Certificate, Config, Door, PublicDoor};
use crate::http::{self, Endpoint, HttpConfig};
use crate::listen::Doors;
use crate::msgid::MessageIds;
use crate::net::{Listener, Net, TlsUpgrade};
use crate::pop3::Maildrops;
use crate::presence::Announcer;
use crate::tls::{Tls, TlsError};
use crate::{Backend, Env, Services};
use gadwall_storage::body::SpoolConfig;
use gadwall_storage::{Account, AccountUpdate, Address, StoreError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Longest pause between two rounds of expiry.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Shortest, when the store has trouble.
const SWEEP_RETRY: Duration = Duration::from_secs(5);

/// Of the store's secrets, the one that signs message ids, and the one that the default account's password is made of.
const MESSAGE_IDS: &str = "msgid";
const CATCHALL: &str = "catchall password";
/// The secrets that nodes on one store share.
pub const SECRETS: [&str; 2] = [MESSAGE_IDS, CATCHALL];

/// Why the server did not start. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "{door} cannot listen on {addr}: {error}; choose another address with --{door} or free this one",
        door = door.name()
    )]
    Bind { door: Door, addr: SocketAddr, error: std::io::Error },
    #[error("no certificate: {0}")]
    Tls(#[from] TlsError),
    #[error("the store: {0}")]
    Store(#[from] StoreError),
}

/// A server that serves.
pub struct Running {
    pub services: Arc<Services>,
    /// Where each listener really listens.
    pub addresses: Vec<(Door, SocketAddr)>,
    pub http: HttpConfig,
    /// Login and password of the account that takes mail without credentials.
    pub catchall: Option<(Address, String)>,
    doors: Arc<Doors>,
    serving: watch::Sender<bool>,
    reload: Arc<Notify>,
    drain_delay: Duration,
    announcer: Option<Announcer>,
}

/// Starts every listener of `config` on `net`, over `backend`.
pub async fn start(config: Config, backend: Backend, env: Env, net: &dyn Net) -> Result<Running, StartError> {
    let mut bound = Vec::new();
    for &(door, addr) in &config.doors {
        let listener = net.bind(addr).await.map_err(|error| StartError::Bind { door, addr, error })?;
        let addr = listener.local_addr().map_err(|error| StartError::Bind { door, addr, error })?;
        bound.push((door, addr, listener));
    }
    let addresses: Vec<_> = bound.iter().map(|b| (b.0, b.1)).collect();

    let Backend { store, counters, documents, presence } = backend;
    let maildrops = match &presence {
        Some(_) => Maildrops::shared(documents.clone(), env.clone()),
        None => Maildrops::default(),
    };
    let shelf = Shelf::new(documents);
    let tls = certificate(&config, &shelf)?.map(Arc::new);
    let secret = store.secret(MESSAGE_IDS, env.entropy.bytes()).await?;
    let services = Arc::new(Services {
        auth: Arc::new(Authenticator::new(store.clone(), counters.clone(), env.clone())),
        acme: config.acme().map(|_| shelf.clone()),
        message_ids: MessageIds::new(secret),
        maildrops: Arc::new(maildrops),
        tls: tls.clone().map(|t| t as Arc<dyn TlsUpgrade>),
        spool: SpoolConfig {
            message_limit_bytes: config.limits.message_bytes,
            // A file is worked on by threads.
            directory: env.has_threads().then(std::env::temp_dir),
            ..SpoolConfig::default()
        },
        limits: config.limits.clone(),
        hostname: config.hostname.clone(),
        store,
        counters,
        env,
    });
    let catchall =
        if config.accept_anything { Some(catchall_account(&services, &config).await?) } else { None };

    let http = http_config(&config, &addresses, admin_token(&services.env));
    let (serving, is_serving) = watch::channel(false);
    let router = http::router(services.clone(), http.clone(), is_serving.clone());
    let account = catchall.as_ref().map(|(account, _)| account.id);
    let doors = Arc::new(Doors::new(services.clone(), router, account, &config));
    spawn_listeners(&doors, bound);

    let reload = Arc::new(Notify::new());
    if let (Some(tls), Some(acme)) = (&tls, config.acme()) {
        let keeper = Keeper::new(acme.clone(), shelf, services.env.clone(), tls.clone());
        tokio::spawn(until(doors.draining().clone(), keeper.keep()));
    }
    if let Some(tls) = tls {
        tokio::spawn(until(doors.draining().clone(), tls.watch(reload.clone())));
    }
    tokio::spawn(until(doors.draining().clone(), sweep_for_ever(services.clone())));
    serving.send_replace(true);
    let announcer =
        presence.map(|presence| Announcer::start(presence, services.env.clone(), &addresses, is_serving));
    let catchall = catchall.map(|(account, password)| (account.address, password));
    Ok(Running {
        services,
        addresses,
        http,
        catchall,
        doors,
        serving,
        reload,
        drain_delay: config.drain_delay,
        announcer,
    })
}

fn spawn_listeners(doors: &Arc<Doors>, bound: Vec<(Door, SocketAddr, Box<dyn Listener>)>) {
    for (door, _, listener) in bound {
        tokio::spawn(doors.clone().serve(door, listener));
    }
}

async fn until(token: tokio_util::sync::CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = token.cancelled() => {}
        () = task => {}
    }
}

impl Running {
    /// Reads the certificate files again now.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Stops: readiness fails; once balancers have had time to see that, nothing new is accepted; sessions are asked to
    /// leave, what is in flight is finished within the drain time; the store is closed.
    pub async fn stop(self) -> Result<(), StoreError> {
        self.serving.send_replace(false);
        tokio::time::sleep(self.drain_delay).await;
        self.doors.drain().await;
        if let Some(announcer) = self.announcer {
            announcer.leave().await;
        }
        self.services.store.close().await
    }
}

fn certificate(config: &Config, shelf: &Shelf) -> Result<Option<Tls>, TlsError> {
    match &config.certificate {
        Certificate::None => Ok(None),
        Certificate::Files { cert, key } => Tls::from_files(cert, key).map(Some),
        Certificate::Acme(acme) => Tls::ordered(&acme.domains, AlpnAnswers::new(shelf.clone())).map(Some),
        Certificate::SelfSigned => {
            let mut names = vec![config.hostname.clone()];
            names.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
            names.dedup();
            Tls::self_signed(&names, &config.data).map(Some)
        }
    }
}

/// The account behind "accept anything". Its password follows from a secret of the store, so that it can be
/// shown at every start.
async fn catchall_account(services: &Services, config: &Config) -> Result<(Account, String), StoreError> {
    use base64::Engine;
    let secret = services.store.secret(CATCHALL, services.env.entropy.bytes()).await?;
    let mut password = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret);
    password.retain(|c| c.is_ascii_alphanumeric());
    password.truncate(18);
    let address = Address::parse(&format!("catchall@{}", config.defaults.domain))
        .map_err(|e| StoreError::unavailable(e.to_string()))?;
    match services.store.account_by_address(&address).await {
        Ok(account) => {
            let hash = account.credentials.password_hash.clone();
            let (env, tried) = (&services.env, password.clone());
            if env.heavy(move || verify(&tried, &hash)).await? {
                return Ok((account, password));
            }
            // Somebody took the address before the switch was set, or changed the password. What comes in here is
            // for the one who runs the server.
            let credentials = env.credentials(password.clone()).await?;
            let update = AccountUpdate { credentials: Some(credentials), ..AccountUpdate::default() };
            Ok((services.store.update_account(env.op(), account.id, update).await?, password))
        }
        Err(StoreError::NotFound(_)) => {
            let request = AccountRequest {
                address: Some(address),
                name: Some("Everything".into()),
                password: Some(password.clone()),
                lifetime: Some(None),
                ..AccountRequest::default()
            };
            let (store, env) = (&*services.store, &services.env);
            let made = accounts::create(store, env, &config.defaults, env.op(), request).await?;
            Ok((made.account, password))
        }
        Err(e) => Err(e),
    }
}

async fn sweep_for_ever(services: Arc<Services>) {
    loop {
        let pause = match services.store.sweep().await {
            Ok(swept) if swept.more => Duration::ZERO,
            Ok(swept) => swept.next_due.map_or(SWEEP_EVERY, |due| {
                let wait = (due.millis() - services.env.clock.now().millis()).max(100);
                Duration::from_millis(wait.unsigned_abs()).min(SWEEP_EVERY)
            }),
            Err(e) => {
                tracing::warn!(error = %e, "expiry had to be put off");
                SWEEP_RETRY
            }
        };
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
    }
}

/// A fresh one for each start.
fn admin_token(env: &Env) -> String {
    env.entropy.bytes::<24>().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn http_config(config: &Config, addresses: &[(Door, SocketAddr)], admin_token: String) -> HttpConfig {
    let endpoint = |public: &Option<PublicDoor>, tls: Door, plain: Door| match public {
        Some(p) => Endpoint { host: p.host.clone(), port: p.port, secure: p.secure },
        None => local_endpoint(config, addresses, tls, plain),
    };
    let web = config.web_url.clone().unwrap_or_else(|| {
        let door = local_endpoint(config, addresses, Door::Https, Door::Http);
        let scheme = if door.secure { "https" } else { "http" };
        let host = if door.host.contains(':') { format!("[{}]", door.host) } else { door.host };
        format!("{scheme}://{host}:{}", door.port)
    });
    HttpConfig {
        defaults: config.defaults.clone(),
        smtp: endpoint(&config.public_smtp, Door::Smtps, Door::Smtp),
        imap: endpoint(&config.public_imap, Door::Imaps, Door::Imap),
        pop3: endpoint(&config.public_pop3, Door::Pop3s, Door::Pop3),
        web,
        mx_enabled: addresses.iter().any(|(d, _)| *d == Door::Mx),
        api_key: config.api_key.clone(),
        admin_token,
        accounts_per_hour: config.accounts_per_hour,
        trust_forwarded_for: config.trust_forwarded_for,
    }
}

/// Where a client on this machine finds a door: the plain one if it listens, else the one with TLS.
fn local_endpoint(config: &Config, addresses: &[(Door, SocketAddr)], tls: Door, plain: Door) -> Endpoint {
    let listening = |door| addresses.iter().find(|(d, _)| *d == door).map(|(_, a)| *a);
    let (addr, secure) = match (listening(plain), listening(tls)) {
        (Some(addr), _) => (Some(addr), false),
        (None, tls) => (tls, tls.is_some()),
    };
    let host = match addr {
        Some(a) if a.ip().is_unspecified() => config.hostname.clone(),
        Some(a) => a.ip().to_string(),
        None => config.hostname.clone(),
    };
    Endpoint { host, port: addr.map_or(0, |a| a.port()), secure }
}
