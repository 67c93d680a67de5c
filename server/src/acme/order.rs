//! One order, from the account to the certificate.

use super::shelf::{Answer, Issued, KnownAccount, Lease, Shelf};
use super::{AcmeConfig, Challenge};
use gadwall_storage::{StoreError, Timestamp};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::time::Duration;

/// How long the authority may take for one of its steps.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the authority: {0}")]
    Authority(#[from] instant_acme::Error),
    /// It has looked and was not content.
    #[error("the authority refused: {0}")]
    Refused(String),
    #[error("the authority took too long")]
    TooSlow,
    #[error("the certificate is of no use: {0}")]
    Certificate(String),
    /// Another node has the lease by now.
    #[error("another node has taken over")]
    Superseded,
}

/// Orders a certificate. The answers to the authority's challenges are put where every node finds them.
pub async fn order(config: &AcmeConfig, shelf: &Shelf, lease: Lease) -> Result<Issued, AcmeError> {
    let account = account(config, shelf, lease).await?;
    let names: Vec<_> = config.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let issued = fulfil(config, shelf, lease, &mut order).await;
    // Whatever came of it, the answers have been given.
    shelf.put_answers(lease, &[]).await?;
    issued
}

async fn account(config: &AcmeConfig, shelf: &Shelf, lease: Lease) -> Result<Account, AcmeError> {
    let builder = match &config.ca_root {
        Some(file) => Account::builder_with_root(file)?,
        None => Account::builder()?,
    };
    if let Some(known) = shelf.account().await?
        && (&known.directory, &known.email) == (&config.directory, &config.email)
    {
        let credentials: AccountCredentials =
            serde_json::from_value(known.credentials).map_err(instant_acme::Error::from)?;
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact = config.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, config.directory.clone(), None).await?;
    let known = KnownAccount {
        directory: config.directory.clone(),
        email: config.email.clone(),
        credentials: serde_json::to_value(credentials).map_err(instant_acme::Error::from)?,
    };
    shelf.put_account(lease, &known).await?;
    Ok(account)
}

async fn fulfil(
    config: &AcmeConfig,
    shelf: &Shelf,
    lease: Lease,
    order: &mut Order,
) -> Result<Issued, AcmeError> {
    answer(config, shelf, lease, order).await?;
    let retry = RetryPolicy::new().timeout(PATIENCE);
    match order.poll_ready(&retry).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => return Err(AcmeError::Refused(reasons(order).await)),
        Err(instant_acme::Error::Api(problem)) => {
            return Err(AcmeError::Refused(format!("{problem}; {}", reasons(order).await)));
        }
        Err(e) => return Err(e.into()),
    }
    let key_pem = order.finalize().await?;
    let chain_pem = order.poll_certificate(&retry).await?;
    let (not_before, not_after) = validity(&chain_pem)?;
    Ok(Issued {
        directory: config.directory.clone(),
        domains: config.domains.clone(),
        chain_pem,
        key_pem,
        not_before,
        not_after,
    })
}

/// Lays out the answers, then tells the authority that they are there.
async fn answer(
    config: &AcmeConfig,
    shelf: &Shelf,
    lease: Lease,
    order: &mut Order,
) -> Result<(), AcmeError> {
    let kind = match config.challenge {
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    };
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            // From an order not long ago.
            AuthorizationStatus::Valid => continue,
            status => return Err(AcmeError::Refused(format!("an authorization is {status:?}"))),
        }
        let Some(mut challenge) = authorization.challenge(kind.clone()) else {
            return Err(AcmeError::Refused(format!("it does not offer {kind:?}")));
        };
        let domain = match challenge.identifier().identifier {
            Identifier::Dns(name) => name.clone(),
            other => return Err(AcmeError::Refused(format!("an authorization is for {other:?}"))),
        };
        let key_authorization = challenge.key_authorization().as_str().to_owned();
        answers.push(Answer { domain, key_authorization });
        shelf.put_answers(lease, &answers).await?;
        challenge.set_ready().await?;
    }
    Ok(())
}

/// What the authority says was wrong with the challenges.
async fn reasons(order: &mut Order) -> String {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        for error in authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref()) {
            reasons.push(error.to_string());
        }
    }
    if reasons.is_empty() { "without a reason".into() } else { reasons.join("; ") }
}

/// From when to when the first certificate of a chain is valid.
fn validity(chain_pem: &str) -> Result<(Timestamp, Timestamp), AcmeError> {
    let bad = |e: String| AcmeError::Certificate(e);
    let der = CertificateDer::from_pem_slice(chain_pem.as_bytes()).map_err(|e| bad(e.to_string()))?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|e| bad(e.to_string()))?;
    let validity = certificate.validity();
    let at = |time: x509_parser::time::ASN1Time| Timestamp::from_secs(time.timestamp());
    Ok((at(validity.not_before), at(validity.not_after)))
}
