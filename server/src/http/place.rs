//! What a path names: an account, a mailbox, a message. A handler that has one of these need not ask whether its
//! caller may see it.

use super::access::Caller;
use super::app::{App, Shared};
use super::error::{ApiError, Result};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use gadwall_storage::{
    Account, AccountId, Address, Mailbox, MailboxId, MailboxName, MailboxRef, Message, MessageQuery, OpId,
    StoreError, Subject, Uid, UidSet,
};

/// `{user}` where the account itself is dealt with: its owner, the API key and the admin may.
pub struct AccountPlace {
    pub caller: Caller,
    pub account: Account,
}

/// `{user}` where its mail is dealt with: its owner and the admin may.
pub struct MailPlace {
    pub account: Account,
}

/// `{user}` and `{mailbox}` (an id or a name).
pub struct MailboxPlace {
    pub account: Account,
    pub mailbox: Mailbox,
}

/// `{user}`, `{mailbox}` and `{uid}` (a number or `latest`), with details.
pub struct MessagePlace {
    pub account: Account,
    pub mailbox: Mailbox,
    pub message: Message,
}

impl MailboxPlace {
    pub fn at(&self) -> MailboxRef {
        MailboxRef { account: self.account.id, mailbox: self.mailbox.id }
    }
}

impl MessagePlace {
    pub fn at(&self) -> MailboxRef {
        MailboxRef { account: self.account.id, mailbox: self.mailbox.id }
    }
}

async fn param(parts: &mut Parts, app: &Shared, name: &str) -> Result<String> {
    let params = RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(|e| ApiError::input(format!("the path: {}", e.body_text())))?;
    let value = params.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_owned());
    value.ok_or_else(|| ApiError::input(format!("the path lacks {name}")))
}

impl FromRequestParts<Shared> for AccountPlace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let user = param(parts, app, "user").await?;
        let account = app.account_named(&caller, &user).await?;
        Ok(AccountPlace { caller, account })
    }
}

impl FromRequestParts<Shared> for MailPlace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self> {
        let AccountPlace { caller, account } = AccountPlace::from_request_parts(parts, app).await?;
        match caller {
            Caller::ApiKey => {
                Err(ApiError::forbidden("the API key makes accounts, it does not read their mail"))
            }
            Caller::Admin | Caller::Account(_) => Ok(MailPlace { account }),
        }
    }
}

impl FromRequestParts<Shared> for MailboxPlace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self> {
        let MailPlace { account } = MailPlace::from_request_parts(parts, app).await?;
        let name = param(parts, app, "mailbox").await?;
        let mailbox = app.mailbox_named(account.id, &name).await?;
        Ok(MailboxPlace { account, mailbox })
    }
}

impl FromRequestParts<Shared> for MessagePlace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self> {
        let place = MailboxPlace::from_request_parts(parts, app).await?;
        let uid = param(parts, app, "uid").await?;
        let message = app.message_named(place.at(), &uid).await?;
        Ok(MessagePlace { account: place.account, mailbox: place.mailbox, message })
    }
}

impl App {
    /// `me`, an id or an address, as far as `caller` may know of it.
    async fn account_named(&self, caller: &Caller, user: &str) -> Result<Account> {
        let own = match caller {
            Caller::Account(own) => Some(own),
            _ => None,
        };
        if user == "me" {
            let message = "\"me\" is for callers that log in as an account";
            return own.map(|a| (**a).clone()).ok_or_else(|| ApiError::input(message));
        }
        if let Some(own) = own {
            let is_own = user.parse() == Ok(own.id) || Address::parse(user).is_ok_and(|a| a == own.address);
            let message = "this is not your account";
            return if is_own { Ok((**own).clone()) } else { Err(ApiError::forbidden(message)) };
        }
        match (user.parse::<AccountId>(), Address::parse(user)) {
            (Ok(id), _) => Ok(self.services.store.account(id).await?),
            (_, Ok(address)) => Ok(self.services.store.account_by_address(&address).await?),
            _ => Err(StoreError::NotFound(Subject::Account).into()),
        }
    }

    /// A mailbox by its id or its name.
    pub async fn mailbox_named(&self, account: AccountId, name: &str) -> Result<Mailbox> {
        if let Ok(mailbox) = name.parse::<MailboxId>() {
            match self.services.store.mailbox(MailboxRef { account, mailbox }).await {
                Err(StoreError::NotFound(Subject::Mailbox)) => {}
                found => return Ok(found?),
            }
        }
        let missing = || ApiError::from(StoreError::NotFound(Subject::Mailbox));
        let name = MailboxName::parse(name).map_err(|_| missing())?;
        Ok(self.services.store.mailbox_by_name(account, &name).await?)
    }

    /// A message with its details, by UID or as `latest`.
    pub async fn message_named(&self, at: MailboxRef, uid: &str) -> Result<Message> {
        let uids = match uid {
            "latest" => UidSet::all(),
            number => {
                let uid = number.parse().ok().and_then(Uid::new);
                UidSet::single(uid.ok_or_else(|| ApiError::from(StoreError::NotFound(Subject::Message)))?)
            }
        };
        let query = MessageQuery::of(uids).newest_first().limit(1).with_details();
        let mut found = self.services.store.messages(at, query).await?;
        found.pop().ok_or_else(|| StoreError::NotFound(Subject::Message).into())
    }
}

/// The operation id of a request: that of its `Idempotency-Key`, or a fresh one.
pub struct Op {
    pub id: OpId,
}

impl FromRequestParts<Shared> for Op {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self> {
        let Some(key) = parts.headers.get("idempotency-key").cloned() else {
            return Ok(Op { id: app.services.env.op() });
        };
        if key.is_empty() || key.len() > 255 {
            return Err(ApiError::input("Idempotency-Key must have 1 to 255 characters"));
        }
        let AccountPlace { account, .. } = AccountPlace::from_request_parts(parts, app).await?;
        let line = format!("{} {}", parts.method, parts.uri.path());
        Ok(Op { id: app.op_of_key(account.id, &line, key.as_bytes()).await? })
    }
}
