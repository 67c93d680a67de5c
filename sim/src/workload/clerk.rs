//! The clerk: makes the accounts before anybody else begins, and tells what ends in them.

use super::{Expiry, MAYFLY};
use crate::clients::http::{self, Request};
use crate::clients::{Client, now};
use crate::history::{Login, Terms};
use crate::node::API_KEY;
use serde_json::{Value, json};
use std::time::Duration;

/// Pause before a request is made again.
const RETRY: Duration = Duration::from_millis(500);

/// Asks one host after another, until one serves.
pub struct Clerk<'a> {
    pub client: Client,
    pub hosts: &'a [String],
    pub seed: u64,
}

impl Clerk<'_> {
    pub async fn run(mut self, accounts: &[Login], expiry: Option<Expiry>) {
        for (n, login) in accounts.iter().enumerate() {
            let password = self.password(login, n);
            self.make(json!({ "address": login, "password": password })).await;
        }
        let Some(Expiry { retention, accounts: fading, lifetime }) = expiry else { return };
        for login in accounts.iter().take(fading.min(accounts.len() - 1)) {
            self.change(login, json!({ "retentionSecs": retention.as_secs() })).await;
            self.client.shared.book.set_terms(login, Terms { retention: Some(retention), ends: None });
        }
        if let Some(lifetime) = lifetime {
            let password = self.password(MAYFLY, accounts.len());
            let wanted =
                json!({ "address": MAYFLY, "password": password, "lifetimeSecs": lifetime.as_secs() });
            let asked = now();
            self.make(wanted).await;
            let ends = Some((asked + lifetime, now() + lifetime));
            self.client.shared.book.set_terms(MAYFLY, Terms { retention: None, ends });
        }
    }

    fn password(&self, login: &str, n: usize) -> String {
        let password = format!("password {n} of {}", self.seed);
        self.client.shared.book.add(login, &password);
        password
    }

    /// 409: it was made, by a request whose answer got lost.
    async fn make(&mut self, wanted: Value) {
        let body = wanted.to_string().into_bytes();
        let request = Request { operator: Some(API_KEY), ..Request::post("/users", body) };
        self.persist(&request, |status| status / 100 == 2 || status == 409).await;
    }

    async fn change(&mut self, login: &str, wanted: Value) {
        let (path, body) = (format!("/users/{login}"), wanted.to_string().into_bytes());
        let request = Request { method: "PUT", operator: Some(API_KEY), ..Request::post(&path, body) };
        self.persist(&request, |status| status / 100 == 2).await;
    }

    async fn persist(&mut self, request: &Request<'_>, done: impl Fn(u16) -> bool) {
        for host in self.hosts.iter().cycle() {
            self.client.via.clone_from(host);
            let asked = http::ask(&mut self.client, request).await;
            if asked.is_ok_and(|response| done(response.status)) || self.client.stopping() {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
