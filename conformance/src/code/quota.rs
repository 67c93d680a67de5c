//! What needs sums.

use super::{Doing, case};
use crate::case::Case;
use crate::response::{Response, Value};
use crate::runner::{Running, Wrong};
use std::ops::Range;

/// Octets of the message that is appended.
const MESSAGE: u64 = 1 << 20;
/// By how much STORAGE then grows, in units of 1024 octets. Other cases fill and empty mailboxes meanwhile; in octets it
/// would be a million.
const GROWTH: Range<u64> = MESSAGE / 1024 / 4..MESSAGE / 10;

pub fn cases() -> Vec<Case> {
    vec![case(
        "rfc9208-5.1-storage-is-counted-in-kilobytes",
        "RFC 9208 §5.1 storage",
        "QUOTA=RES-STORAGE",
        in_kilobytes,
    )]
}

fn in_kilobytes<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        let before = used(running).await?;
        let mailbox = running.filled("{box}");
        let line = format!("{}\\r\\n", "x".repeat(62));
        let message = format!("Subject: x\\r\\n\\r\\n{}", line.repeat(MESSAGE as usize / 64));
        running.session("a").await?.expect_ok(&format!("APPEND {mailbox} {{{{{message}}}}}")).await?;
        let after = used(running).await?;
        match after.checked_sub(before) {
            Some(grown) if GROWTH.contains(&grown) => Ok(()),
            _ => Err(format!("a message of {MESSAGE} octets makes {after} of {before}").into()),
        }
    })
}

/// What GETQUOTAROOT says is used.
async fn used(running: &mut Running<'_>) -> Result<u64, Wrong> {
    let mailbox = running.filled("{box}");
    let answer = running.session("a").await?.expect_ok(&format!("GETQUOTAROOT {mailbox}")).await?;
    let storage = answer.untagged.iter().find_map(|untagged| match &untagged.response {
        Response::Data { kind, data } if kind == "QUOTA" => storage(data.get(1)?.list()?),
        _ => None,
    });
    storage.ok_or_else(|| "GETQUOTAROOT tells of no STORAGE".into())
}

/// The first number of STORAGE in `(STORAGE used limit …)`.
fn storage(resources: &[Value]) -> Option<u64> {
    let mut triples = resources.chunks(3);
    let is_storage = |triple: &&[Value]| {
        triple.first().and_then(Value::word).is_some_and(|name| name.eq_ignore_ascii_case("STORAGE"))
    };
    triples.find(is_storage)?.get(1)?.number()
}
