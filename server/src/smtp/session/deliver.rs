//! What becomes of a message once it is there.

use super::Session;
use super::refusal::{delivered, full_for_now, no_transaction, store_refusal};
use crate::smtp::delivery::{self, Kept, Target, Transaction};
use crate::smtp::reply::Reply;
use crate::smtp::{Path, Role};
use gadwall_storage::body::Staged;
use gadwall_storage::{AccountId, Delivery, StoreError};

impl Session {
    /// One copy into the sender's INBOX, whatever the envelope says.
    pub(super) async fn submit(&self, transaction: &Transaction, staged: Staged) -> Reply {
        let Some(account) = self.account else { return no_transaction() };
        let recipients: Vec<&Path> = transaction.recipients.iter().map(|(path, _)| path).collect();
        let delivery = self.delivery(transaction, &recipients);
        let (services, op) = (&self.services, self.services.env.op());
        match delivery::keep(services, op, account, staged, delivery).await {
            Ok(Kept { at, uid }) => {
                let msgid = services.message_ids.sign(at, uid);
                tracing::info!(login = self.login, %account, %uid, "message kept");
                // Nodemailer's getTestMessageUrl reads this: no enhanced code, nothing after the bracket.
                Reply::plain(250, format!("Accepted [STATUS=new MSGID={msgid}]"))
            }
            Err(e) => store_refusal(&e),
        }
    }

    /// One reply for all, so whoever can't take it is found out before anybody has a copy. A failure after that makes
    /// the sender try again: a second copy for some is better than none.
    pub(super) async fn exchange_mail(&self, transaction: &Transaction, staged: Staged) -> Reply {
        if let Some(refusal) = self.refused_by_any(transaction, staged.size()).await {
            return refusal;
        }
        let outcomes = self.deliver(transaction, staged).await;
        let failed = outcomes.iter().find(|o| o.as_ref().is_err_and(StoreError::is_temporary));
        match failed.or_else(|| outcomes.iter().find(|o| o.is_err())) {
            Some(outcome) => delivered(outcome),
            None => Reply::new(250, "2.6.0", "Delivered"),
        }
    }

    async fn refused_by_any(&self, transaction: &Transaction, size: u64) -> Option<Reply> {
        for (_, target) in &transaction.recipients {
            let Target::Account(account) = target else { continue };
            match self.services.store.account(account.id).await {
                Ok(now) if now.used_bytes.saturating_add(size) > now.quota_bytes => {
                    return Some(full_for_now());
                }
                Ok(_) => {}
                // It was there at RCPT. The others should not lose the message by that: at the next attempt RCPT
                // tells which address is gone.
                Err(StoreError::NotFound(_)) if transaction.recipients.len() > 1 => {
                    return Some(Reply::new(451, "4.2.1", "An account has just expired, try again"));
                }
                Err(e) => return Some(store_refusal(&e)),
            }
        }
        None
    }

    /// One copy for each account; the outcome for each recipient, in order.
    pub(super) async fn deliver(
        &self,
        transaction: &Transaction,
        staged: Staged,
    ) -> Vec<Result<(), StoreError>> {
        let mut done: Vec<(AccountId, Result<(), StoreError>)> = Vec::new();
        let mut outcomes = Vec::with_capacity(transaction.recipients.len());
        for (_, target) in &transaction.recipients {
            let Target::Account(account) = target else { continue };
            if let Some((_, outcome)) = done.iter().find(|(id, _)| *id == account.id) {
                outcomes.push(outcome.clone());
                continue;
            }
            let same = |target: &Target| matches!(target, Target::Account(a) if a.id == account.id);
            let recipients: Vec<&Path> =
                transaction.recipients.iter().filter(|(_, t)| same(t)).map(|(path, _)| path).collect();
            let delivery = self.delivery(transaction, &recipients);
            let op = self.services.env.op();
            let kept = delivery::keep(&self.services, op, account.id, staged.clone(), delivery).await;
            if let Ok(kept) = &kept {
                tracing::info!(account = %account.address, uid = %kept.uid, "message delivered");
            }
            let outcome = kept.map(|_| ());
            done.push((account.id, outcome.clone()));
            outcomes.push(outcome);
        }
        outcomes
    }

    fn delivery(&self, transaction: &Transaction, recipients: &[&Path]) -> Delivery {
        Delivery {
            via: match self.role {
                Role::Submission { .. } => "smtp".into(),
                Role::Exchanger => "mx".into(),
                Role::Lmtp => "lmtp".into(),
            },
            mail_from: transaction.from.address.clone(),
            recipients: delivery::shown(recipients),
            mail_params: transaction.from.params.clone(),
            client_address: self.peer.ip().to_canonical().to_string(),
            helo: self.helo.as_ref().map_or(String::new(), |h| h.name.clone()),
            tls: self.tls.as_ref().map(|tls| format!("{} {}", tls.version, tls.cipher)),
            authenticated_as: self.login.clone(),
            received_at: self.services.env.clock.now(),
        }
    }
}
