//! The scripts that the product runs, known by their text. Their effect is written here once more, by hand: there is no
//! Lua. A script of another text is refused, so that this page can't fall behind unnoticed.

use crate::data::{Data, Entry, Key};
use crate::resp::Reply;
use gadwall_storage::Timestamp;

/// Counts, and dates what it counts (storage/src/redis/counters.rs).
pub const ADD: &str = "local n = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 or ARGV[2] == 'latest' then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {n, left}";

/// The count, and how long it will last.
pub const COUNT: &str = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    Add,
    Count,
}

impl Script {
    pub fn of(text: &[u8]) -> Option<Self> {
        match text {
            text if text == ADD.as_bytes() => Some(Script::Add),
            text if text == COUNT.as_bytes() => Some(Script::Count),
            _ => None,
        }
    }

    pub fn writes(self) -> bool {
        self == Script::Add
    }

    /// Runs it on one key.
    pub fn run(self, data: &mut Data, key: &Key, args: &[Vec<u8>], now: Timestamp) -> Reply {
        match (self, args) {
            (Script::Add, [millis, kind]) => add(data, key, millis, kind, now),
            (Script::Count, []) => {
                let value = data.get(key, now).map_or(Reply::Nil, |entry| Reply::bulk(&entry.value));
                Reply::Array(vec![value, Reply::Int(data.pttl(key, now))])
            }
            _ => Reply::Error("ERR the script is called with other arguments than the product's".into()),
        }
    }
}

fn add(data: &mut Data, key: &Key, millis: &[u8], kind: &[u8], now: Timestamp) -> Reply {
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<i64>().ok());
    let before = data.get(key, now).cloned();
    let (count, expires) = match before {
        None => (Some(0), None),
        Some(entry) => (number(&entry.value), entry.expires),
    };
    let not_a_number = || Reply::Error("ERR value is not an integer or out of range".into());
    let Some(count) = count.and_then(|n| n.checked_add(1)) else { return not_a_number() };
    let Some(millis) = number(millis) else { return not_a_number() };
    let (left, expires) = match expires {
        Some(at) if kind != b"latest" => (at.millis() - now.millis(), Some(at)),
        _ => (millis, Some(Timestamp(now.millis().saturating_add(millis)))),
    };
    data.set(key.clone(), Entry { value: count.to_string().into_bytes(), expires });
    Reply::Array(vec![Reply::Int(count), Reply::Int(left)])
}
