//! The one mapping from errors to replies.

use crate::smtp::CommandError;
use crate::smtp::delivery::Refusal;
use crate::smtp::reply::Reply;
use gadwall_storage::{StoreError, Subject};

pub fn refusal_of(error: &CommandError) -> Reply {
    match error {
        CommandError::Unknown => Reply::new(500, "5.5.2", "Unknown command"),
        CommandError::NotImplemented => Reply::new(502, "5.5.1", "That command is not offered"),
        CommandError::Syntax(syntax) => Reply::new(501, "5.5.2", format!("Syntax: {syntax}")),
        CommandError::BadChunk => {
            Reply::new(501, "5.5.4", "Syntax: BDAT size [LAST]; closing, as what follows is unknown")
        }
        CommandError::BadSender => Reply::new(501, "5.1.7", "That is not an address"),
        CommandError::BadAddress => Reply::new(501, "5.1.3", "That is not an address"),
        CommandError::UnknownParameter(name) => {
            Reply::new(555, "5.5.4", format!("The parameter {name} is not offered"))
        }
        CommandError::BadParameter(name) => Reply::new(501, "5.5.4", format!("Bad value of {name}")),
    }
}

pub fn no_transaction() -> Reply {
    Reply::new(503, "5.5.1", "Say MAIL first")
}

pub fn not_ascii() -> Reply {
    // RFC 6531 §3.5.
    Reply::new(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8")
}

pub fn too_large(limit: u64) -> Reply {
    Reply::new(552, "5.3.4", format!("Message too large: at most {limit} bytes"))
}

pub fn over_quota() -> Reply {
    Reply::new(552, "5.2.2", "The mailbox is full: delete messages or ask for a larger quota")
}

/// What another server is told of a full mailbox: to come again, as its owner may make room.
pub fn full_for_now() -> Reply {
    Reply::new(452, "4.2.2", "The mailbox is full, try again later")
}

pub fn delivered(outcome: &Result<(), StoreError>) -> Reply {
    match outcome {
        Ok(()) => Reply::new(250, "2.6.0", "Delivered"),
        Err(StoreError::OverQuota { .. }) => full_for_now(),
        Err(e) => store_refusal(e),
    }
}

pub fn refused(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Store(e) => store_refusal(e),
        Refusal::Loop => Reply::new(554, "5.4.6", "Too many hops: this message goes in circles"),
    }
}

/// What a client is told of a store that refused.
pub fn store_refusal(error: &StoreError) -> Reply {
    match error {
        StoreError::OverQuota { .. } => over_quota(),
        StoreError::TooLarge { limit_bytes } => too_large(*limit_bytes),
        StoreError::NotFound(Subject::Account | Subject::Address) => {
            Reply::new(550, "5.2.1", "The account has expired or was deleted")
        }
        StoreError::NotFound(_) => Reply::new(450, "4.2.0", "The mailbox is not there"),
        StoreError::LimitReached(_) => Reply::new(452, "4.2.2", error.to_string()),
        StoreError::StorageFull(_) => {
            tracing::error!(%error, "message refused");
            Reply::new(452, "4.3.1", "Not enough storage, try again later")
        }
        _ => {
            tracing::error!(%error, "message refused");
            Reply::new(451, "4.3.0", "The store is unavailable, try again later")
        }
    }
}
