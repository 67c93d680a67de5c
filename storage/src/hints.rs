//! Fans hints out to the sessions of one process, by account.

use crate::{AccountId, Hint, HintReceiver};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::broadcast;

/// How many hints a slow session may fall behind before it is told to resynchronise.
const BACKLOG: usize = 64;

/// One broadcast channel per account that has listeners.
#[derive(Default)]
pub struct HintHub {
    channels: Mutex<BTreeMap<AccountId, broadcast::Sender<Hint>>>,
}

impl HintHub {
    pub fn subscribe(&self, account: AccountId) -> HintReceiver {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = channels.entry(account).or_insert_with(|| broadcast::channel(BACKLOG).0);
        HintReceiver::new(sender.subscribe(), account)
    }

    /// The accounts that have listeners.
    pub fn accounts(&self) -> Vec<AccountId> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|_, c| c.receiver_count() > 0);
        channels.keys().copied().collect()
    }

    /// Tells the listeners of the hint's account; `Resync` goes to all.
    pub fn publish(&self, hint: Hint) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        match hint {
            Hint::Mailbox { account, .. } | Hint::Account { account } => {
                // A channel that nobody listens to any more is dropped on its next hint.
                if channels.get(&account).is_some_and(|c| c.send(hint).is_err()) {
                    channels.remove(&account);
                }
            }
            Hint::Resync => channels.retain(|_, c| c.send(hint).is_ok()),
        }
    }
}
