//! A router over the memory store, and requests to it.

use crate::Limits;
use crate::accounts::AccountDefaults;
use crate::http::serve::Drain;
use crate::http::{Endpoint, HttpConfig, router};
use crate::testing::World;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::body::Staged;
use gadwall_storage::{Flags, MailboxName, MailboxRef, NewMessage, Uid};
use http_body_util::BodyExt;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::sync::watch;
use tower::ServiceExt;

pub struct Site {
    pub world: World,
    pub router: Router,
    pub serving: watch::Sender<bool>,
    pub peer: SocketAddr,
    pub drain: Drain,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub const ADMIN: &str = "the admin token";

pub fn config() -> HttpConfig {
    let at = |port| Endpoint { host: "localhost".into(), port, secure: false };
    HttpConfig {
        defaults: AccountDefaults::default(),
        smtp: at(1025),
        imap: at(1143),
        pop3: at(1110),
        web: "http://localhost:8025".into(),
        mx_enabled: false,
        api_key: None,
        admin_token: ADMIN.into(),
        accounts_per_hour: 2,
        trust_forwarded_for: false,
    }
}

impl Site {
    pub async fn new() -> Site {
        Self::with(config()).await
    }

    pub async fn with(config: HttpConfig) -> Site {
        Self::over(World::new().await, config)
    }

    pub async fn with_quota(quota: u64) -> Site {
        Self::over(World::with(Limits::default(), quota).await, config())
    }

    pub async fn with_message_limit(message_bytes: u64) -> Site {
        let limits = Limits { message_bytes, ..Limits::default() };
        Self::over(World::with(limits, 100_000_000).await, config())
    }

    pub fn over(world: World, config: HttpConfig) -> Site {
        let (serving, is_serving) = watch::channel(true);
        let router = router(world.services.clone(), config, is_serving);
        Site { world, router, serving, peer: "127.0.0.1:5".parse().unwrap(), drain: Drain::default() }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.raw(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn raw(&self, mut request: Request<Body>) -> axum::response::Response {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(self.drain.clone());
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// As ann, with her password.
    pub async fn ann(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(as_ann(method, path).body(body.into()).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn inbox(&self) -> MailboxRef {
        let account = self.world.account.id;
        let inbox = self.world.services.store.mailbox_by_name(account, &MailboxName::inbox()).await.unwrap();
        MailboxRef { account, mailbox: inbox.id }
    }

    /// Puts a message into ann's INBOX.
    pub async fn deliver(&self, message: impl AsRef<[u8]>) -> Uid {
        let new = NewMessage {
            body: Staged::from_bytes(message.as_ref().to_vec()),
            flags: Flags::new(),
            internal_date: None,
            delivery: None,
            made_from: None,
        };
        let at = self.inbox().await;
        let op = self.world.services.env.op();
        self.world.services.store.append(op, at, vec![new]).await.unwrap().uids[0]
    }
}

pub fn as_ann(method: &str, path: &str) -> axum::http::request::Builder {
    basic(method, path, "ann@example.org", "secret")
}

pub fn basic(method: &str, path: &str, user: &str, password: &str) -> axum::http::request::Builder {
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Basic {credentials}"))
}

pub fn bearer(method: &str, path: &str, token: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {token}"))
}
