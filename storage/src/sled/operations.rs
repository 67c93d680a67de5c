//! Operation ids: a mutation that has been run before is answered from its record.

use super::keys;
use super::look::Look;
use super::records::{OperationRecord, decode, encode};
use super::tx::Tx;
use crate::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::records::Fingerprint;

/// Operations are kept in periods this long.
const PERIOD_SECS: i64 = 12 * 3600;

fn period(at: Timestamp) -> u32 {
    (at.secs().max(0) / PERIOD_SECS).min(i64::from(u32::MAX)) as u32
}

/// How many periods a record is looked for in.
fn periods(tx: &Tx) -> u32 {
    (tx.limits.operation_retention.as_secs() / PERIOD_SECS as u64) as u32 + 1
}

/// Periods before this one are forgotten.
pub fn horizon(tx: &Tx) -> u32 {
    period(tx.now).saturating_sub(periods(tx))
}

/// Runs a mutation under its id, or answers what it answered before.
pub fn once<T: Serialize + DeserializeOwned>(
    tx: &mut Tx,
    op: OpId,
    print: Fingerprint,
    mutation: impl FnOnce(&mut Tx) -> Result<T>,
) -> Result<T> {
    if let Some(known) = find(tx, op)? {
        return if known.print == print.0 {
            decode(&known.outcome)
        } else {
            Err(StoreError::OperationMismatch)
        };
    }
    let outcome = mutation(tx)?;
    let record = OperationRecord { print: print.0, outcome: encode(&outcome)? };
    tx.put_long(keys::operation(period(tx.now), op), &record)?;
    Ok(outcome)
}

fn find(tx: &Tx, op: OpId) -> Result<Option<OperationRecord>> {
    let now = period(tx.now);
    // The clock may have been set back since: one period ahead is looked at too.
    for period in (now.saturating_sub(periods(tx))..=now.saturating_add(1)).rev() {
        if let Some(known) = tx.get_long(&keys::operation(period, op))? {
            return Ok(Some(known));
        }
    }
    Ok(None)
}
