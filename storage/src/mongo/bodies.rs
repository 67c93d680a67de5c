//! Opening messages to be read.
//!
//! An account, a mailbox and a message never come back once they are gone, and a content never changes. So the parts of
//! one answer need not be of one moment: what each of them showed by itself was true of all at the first of them.

use super::content::Chunks;
use super::fail::Step;
use super::keys;
use super::lookups::latest_account;
use super::records::{BodyRecord, mailbox_of, row_of};
use super::schema::*;
use super::store::{MongoStore, Shared, reading, trying};
use super::view::expired;
use crate::body::ManifestReader;
use crate::*;
use std::collections::BTreeMap;

impl MongoStore {
    /// Two round trips, where a transaction would take five.
    pub(super) async fn open_body(&self, at: MailboxRef, uid: Uid) -> Result<Box<dyn BodyReader>> {
        let shared = &self.shared;
        let record = trying!(shared, {
            let content = latest_content(shared, at, uid).await?;
            // By majority alone, a new primary might not know yet that it has what was just seen.
            let fields = Some(BodyRecord::fields());
            let found = shared.db.latest(CONTENTS, keys::content(content, 0), fields).await?;
            BodyRecord::from_document(&found.ok_or_else(missing)?)
        })?;
        Ok(self.reader(record))
    }

    /// Four round trips and the commit, for all of them.
    pub(super) async fn open_bodies(
        &self,
        at: MailboxRef,
        uids: &UidSet,
    ) -> Result<BTreeMap<Uid, Box<dyn BodyReader>>> {
        let found: Vec<(Uid, BodyRecord)> = reading!(self, |view| {
            view.mailbox(at).await?;
            let rows = view.rows(at.mailbox, uids).await?;
            let contents: Vec<EmailId> = rows.iter().map(|(_, row)| row.email_id).collect();
            let records = view.bodies(&contents).await?;
            let record = |id| records.get(id).cloned().ok_or_else(missing);
            rows.iter().map(|(uid, row)| Ok((*uid, record(&row.email_id)?))).collect::<Step<_>>()
        })?;
        Ok(found.into_iter().map(|(uid, record)| (uid, self.reader(record))).collect())
    }

    fn reader(&self, record: BodyRecord) -> Box<dyn BodyReader> {
        let source = Chunks { shared: self.shared.clone(), inline: record.inline };
        Box::new(ManifestReader::new(record.manifest, source))
    }
}

/// Which content a message has that is there now.
async fn latest_content(shared: &Shared, at: MailboxRef, uid: Uid) -> Step<EmailId> {
    let now = shared.clock.now();
    let mailbox = async { Ok(shared.db.latest(MAILBOXES, keys::mailbox(at.mailbox), None).await?) };
    let row = async { Ok(shared.db.latest(MESSAGES, keys::row(at.mailbox, uid.get()), None).await?) };
    let (owner, mailbox, row) = tokio::try_join!(latest_account(shared, at.account), mailbox, row)?;
    let gone = |subject| StoreError::NotFound(subject);
    owner.filter(|a| !expired(&a.account, now)).ok_or(gone(Subject::Account))?;
    let mailbox = mailbox.as_ref().map(mailbox_of).transpose()?;
    mailbox.filter(|(_, m)| m.account == at.account).ok_or(gone(Subject::Mailbox))?;
    Ok(row_of(&row.ok_or(gone(Subject::Message))?)?.1.email_id)
}

fn missing() -> StoreError {
    StoreError::Corrupt("a message without content".into())
}
