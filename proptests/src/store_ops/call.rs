//! A step with the ids of one store filled in, and what it answers.

use super::step::flags;
use gadwall_storage::body::Staged;
use gadwall_storage::*;

/// A call of the store.
#[derive(Debug, Clone)]
pub enum Call {
    CreateAccount(NewAccount),
    DeleteAccount(AccountId),
    UpdateAccount(AccountId, AccountUpdate),
    AddAddress(AccountId, Address),
    RemoveAddress(AccountId, Address),
    CreateMailbox(AccountId, MailboxName),
    DeleteMailbox(MailboxRef),
    RenameMailbox(MailboxRef, MailboxName),
    Subscribe(AccountId, MailboxName, Subscribed),
    Append { at: MailboxRef, bodies: Vec<u8>, flags: u8 },
    SetFlags { at: MailboxRef, uids: UidSet, change: FlagChange, unchanged_since: Option<u64> },
    Copy { from: MailboxRef, uids: UidSet, to: MailboxId },
    Move { from: MailboxRef, uids: UidSet, to: MailboxId },
    Replace { from: MailboxRef, uid: Uid, to: MailboxId, body: u8 },
    Expunge { at: MailboxRef, uids: UidSet, which: Which },
}

/// What a store answered.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Nothing,
    Account(Account),
    Mailbox(Mailbox),
    Appended(Appended),
    Flags(FlagsStored),
    Copied(Copied),
    Replaced(Replaced),
    Expunged(Expunged),
}

impl Call {
    pub async fn run(&self, store: &dyn MailStore, op: OpId) -> Result<Answer> {
        Ok(match self {
            Call::CreateAccount(new) => Answer::Account(store.create_account(op, new.clone()).await?),
            Call::UpdateAccount(id, update) => {
                Answer::Account(store.update_account(op, *id, update.clone()).await?)
            }
            Call::CreateMailbox(account, name) => {
                Answer::Mailbox(store.create_mailbox(op, *account, name, None).await?)
            }
            Call::Append { at, bodies, flags } => {
                let messages = bodies.iter().map(|n| message(*n, *flags)).collect();
                Answer::Appended(store.append(op, *at, messages).await?)
            }
            Call::SetFlags { at, uids, change, unchanged_since } => {
                Answer::Flags(store.set_flags(op, *at, uids, change, *unchanged_since).await?)
            }
            Call::Copy { from, uids, to } => Answer::Copied(store.copy(op, *from, uids, *to).await?),
            Call::Move { from, uids, to } => Answer::Copied(store.move_messages(op, *from, uids, *to).await?),
            Call::Replace { from, uid, to, body } => {
                Answer::Replaced(store.replace(op, *from, *uid, *to, message(*body, 0)).await?)
            }
            Call::Expunge { at, uids, which } => {
                Answer::Expunged(store.expunge(op, *at, uids, *which).await?)
            }
            silent => {
                silent.run_silent(store, op).await?;
                Answer::Nothing
            }
        })
    }

    /// The mailbox that gets messages.
    pub fn target(&self) -> Option<MailboxId> {
        match self {
            Call::Append { at, .. } => Some(at.mailbox),
            Call::Copy { to, .. } | Call::Move { to, .. } | Call::Replace { to, .. } => Some(*to),
            _ => None,
        }
    }

    async fn run_silent(&self, store: &dyn MailStore, op: OpId) -> Result<()> {
        match self {
            Call::DeleteAccount(id) => store.delete_account(op, *id).await,
            Call::AddAddress(id, address) => store.add_address(op, *id, address).await,
            Call::RemoveAddress(id, address) => store.remove_address(op, *id, address).await,
            Call::DeleteMailbox(at) => store.delete_mailbox(op, *at).await,
            Call::RenameMailbox(at, name) => store.rename_mailbox(op, *at, name).await,
            Call::Subscribe(id, name, subscribed) => store.set_subscribed(op, *id, name, *subscribed).await,
            other => unreachable!("{other:?} has an answer"),
        }
    }
}

fn message(n: u8, flag_bits: u8) -> NewMessage {
    let internal_date = (n.is_multiple_of(3)).then(|| Timestamp::from_secs(i64::from(n) * 1_000_000));
    let delivery = (n.is_multiple_of(4)).then(|| Delivery { via: "smtp".into(), ..Delivery::default() });
    NewMessage {
        body: Staged::from_bytes(text(n)),
        flags: flags(flag_bits),
        internal_date,
        delivery,
        made_from: None,
    }
}

/// Sixteen texts: some small, some with attachments that others have as well.
fn text(n: u8) -> Vec<u8> {
    let attachment = |seed: u8| {
        let line =
            format!("{}\r\n", "QUJDREVGR0hJSktM".repeat(4) + ["AAAA", "BBBB", "CCCC"][usize::from(seed) % 3]);
        let head = "--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        format!("{head}{}", line.repeat(40 + usize::from(seed)))
    };
    let head = "Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    match n % 16 {
        0 => vec![],
        1 => b"x".to_vec(),
        2 => b"Subject: LF\n\nbody\n".to_vec(),
        3 => b"Subject: 8 bit\r\n\r\n\xff\x00\xe4\r\n".to_vec(),
        4..=8 => format!("{head}{}--b--\r\n", attachment(n % 3)).into(),
        9 | 10 => format!("{head}{0}{0}{1}--b--\r\n", attachment(n % 3), attachment(1)).into(),
        11 => format!("Subject: long\r\n\r\n{}", "All work and no play. ".repeat(4_000)).into(),
        n => format!("Subject: {n}\r\n\r\nHello {n}\r\n").into(),
    }
}
