//! Counters that all nodes share; the node's own while Redis does not answer in time.

use super::bus::RedisBus;
use super::master::Connection;
use crate::{Count, Counters, Window};
use async_trait::async_trait;
use redis::RedisResult;
use std::time::Duration;

/// Counts and dates in one step, so that no count is ever left without an end.
const ADD: &str = "local n = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 or ARGV[2] == 'latest' then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {n, left}";

const COUNT: &str = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}";

#[async_trait]
impl Counters for RedisBus {
    async fn add(&self, key: &str, window: Window) -> Count {
        let millis =
            u64::try_from(window.length().as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2);
        let kind = match window {
            Window::AfterFirst(_) => "first",
            Window::AfterLatest(_) => "latest",
        };
        let mut script = redis::cmd("EVAL");
        script.arg(ADD).arg(1).arg(self.key(key)).arg(millis).arg(kind);
        match self.query::<(u64, u64)>(script).await {
            Some((events, left)) => Count { events, remembered_for: Duration::from_millis(left) },
            None => self.local.add(key, window).await,
        }
    }

    async fn count(&self, key: &str) -> Option<Count> {
        let mut script = redis::cmd("EVAL");
        script.arg(COUNT).arg(1).arg(self.key(key));
        match self.query::<(Option<u64>, i64)>(script).await {
            Some((events, left)) => {
                let remembered_for =
                    Duration::from_millis(u64::try_from(left).ok().filter(|left| *left > 0)?);
                Some(Count { events: events?, remembered_for })
            }
            None => self.local.count(key).await,
        }
    }

    async fn forget(&self, key: &str) {
        // Here as well: what was counted while Redis was away.
        self.local.forget(key).await;
        let mut delete = redis::cmd("DEL");
        delete.arg(self.key(key));
        self.query::<u64>(delete).await;
    }
}

impl RedisBus {
    fn key(&self, key: &str) -> String {
        format!("gadwall:count:{key}")
    }

    async fn query<T: redis::FromRedisValue>(&self, cmd: redis::Cmd) -> Option<T> {
        let ask = |connection: Connection| async move {
            let answer: RedisResult<T> = cmd.query_async(&mut connection.channel()).await;
            answer
        };
        self.core.links.ask(self.counter_patience, ask).await
    }
}
