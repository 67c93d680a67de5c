//! Look-ups that all nodes share, behind those that this node remembers itself.
//!
//! A look-up spares one short read of the database, so it must not wait for long: a Redis that is late is left alone for
//! a while. Being late is no reason to give the connection up, which counters may still be patient with.

use super::bus::RedisBus;
use super::master::Connection;
use crate::{LOOKUP_LIMIT, Lookups};
use async_trait::async_trait;
use redis::{FromRedisValue, RedisResult};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

/// How long Redis may take: about as long as the read that it spares.
const PATIENCE: Duration = Duration::from_millis(5);
/// After so long the connection is given up: the look-up never waits for that.
const NEVER: Duration = Duration::from_secs(3600);
/// How long it is not asked after it was late: then lateness costs half a percent of the time at most.
const LEFT_ALONE: Duration = Duration::from_secs(1);
/// How long this node keeps what it has from Redis, which does not say how long it would.
const KEPT_HERE: Duration = Duration::from_secs(600);

#[async_trait]
impl Lookups for RedisBus {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        if let Some(known) = self.known.get(key).await {
            return Some(known);
        }
        let mut get = redis::cmd("GET");
        get.arg(name(key));
        let value = self.spare::<Option<Vec<u8>>>(get).await??;
        self.known.put(key, value.clone(), KEPT_HERE).await;
        Some(value)
    }

    async fn put(&self, key: &str, value: Vec<u8>, keep: Duration) {
        if key.len() + value.len() > LOOKUP_LIMIT {
            return;
        }
        let millis = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2);
        let mut set = redis::cmd("SET");
        set.arg(name(key)).arg(&value).arg("PX").arg(millis);
        self.known.put(key, value, keep).await;
        self.spare::<()>(set).await;
    }

    async fn forget(&self, key: &str) {
        self.known.forget(key).await;
        let mut delete = redis::cmd("DEL");
        delete.arg(name(key));
        self.spare::<u64>(delete).await;
    }
}

fn name(key: &str) -> String {
    format!("gadwall:look:{key}")
}

impl RedisBus {
    /// Asks, unless Redis was late a moment ago.
    async fn spare<T: FromRedisValue>(&self, cmd: redis::Cmd) -> Option<T> {
        if Instant::now() < *self.left_alone_until.lock().unwrap_or_else(PoisonError::into_inner) {
            return None;
        }
        let ask = |connection: Connection| async move {
            let answer: RedisResult<T> = cmd.query_async(&mut connection.channel()).await;
            answer
        };
        let asked = tokio::time::timeout(PATIENCE, self.core.links.ask(NEVER, ask)).await;
        if asked.is_err() {
            let until = Instant::now() + LEFT_ALONE;
            *self.left_alone_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
        asked.ok().flatten()
    }
}
