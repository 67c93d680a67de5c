//! CAPA (RFC 2449 §5).

use super::{Encrypted, Session, State};
use crate::auth::{Private, mechanisms};
use crate::pop3::reply::Reply;
use gadwall_storage::{Account, Timestamp};

const DAY: u64 = 24 * 3600;

impl Session {
    /// What is possible now: to be asked again after STLS and after the login.
    pub(super) fn capabilities(&self) -> Reply {
        let mut list = vec![
            "TOP".to_owned(),
            "UIDL".into(),
            "RESP-CODES".into(),
            // RFC 3206 §6.
            "AUTH-RESP-CODE".into(),
            "PIPELINING".into(),
            // RFC 6856 §2.2: names and passwords may be UTF-8, too.
            "UTF8 USER".into(),
            format!("SASL {}", mechanisms(self.private).join(" ")),
        ];
        if self.private == Private::Yes {
            list.push("USER".into());
        }
        match &self.state {
            State::Transaction { account, .. } => {
                list.push(format!("EXPIRE {}", expire(account, self.services.env.clock.now())));
            }
            _ => {
                // RFC 2449 §6.7: the smallest there may be, and that it differs.
                list.push("EXPIRE 1 USER".into());
                // RFC 2595 §4: in AUTHORIZATION state only.
                if self.encrypted == Encrypted::No && self.services.tls.is_some() {
                    list.push("STLS".into());
                }
            }
        }
        list.push("IMPLEMENTATION Gadwall".into());
        Reply::Lines("capabilities follow".into(), list.into_iter().map(|line| line + "\r\n").collect())
    }
}

/// RFC 2449 §6.7: days that a message stays at least, by the account's retention and by its end. Less than a day is
/// said to be one: 0 would mean that messages go as soon as they were retrieved.
fn expire(account: &Account, now: Timestamp) -> String {
    let left = account.expires_at.map(|at| u64::try_from(at.secs() - now.secs()).unwrap_or(0));
    match [account.retention_secs, left].into_iter().flatten().min() {
        Some(secs) => (secs / DAY).max(1).to_string(),
        None => "NEVER".into(),
    }
}
