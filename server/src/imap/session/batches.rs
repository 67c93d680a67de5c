//! UIDBATCHES (RFC 10022): a mailbox cut into ranges of UIDs that hold about as many messages.

use super::{Outcome, Session};
use crate::imap::encode::{Code, Status, Untagged};
use crate::imap::types::Tag;
use crate::imap::wire::Wire;
use gadwall_storage::Uid;
use std::num::NonZeroU32;

/// The smallest batch there is: with less, sequence numbers could be had that way (§3.1.3.2).
const LEAST: u32 = 500;

impl Session {
    /// `batches`: the first and the last one that is wanted, counted from 1 and from the newest message on.
    pub(super) fn uid_batches(
        &mut self,
        tag: &Tag,
        size: u32,
        batches: Option<(NonZeroU32, NonZeroU32)>,
        wire: &mut Wire,
    ) -> Outcome {
        let selected = self.selected()?;
        if size < LEAST {
            return Err(Status::no(format!("Minimum batch size is {LEAST}")).code(Code::TooFew).into());
        }
        let uids: Vec<Uid> = selected.view.uids().iter().collect();
        let (first, last) = batches.map_or((1, u32::MAX), |(first, last)| (first.get(), last.get()));
        let cut = uids.rchunks(size as usize).skip(first as usize - 1).take((last - first) as usize + 1);
        let ranges: Vec<(Uid, Uid)> =
            cut.filter_map(|batch| Some((*batch.last()?, *batch.first()?))).collect();
        wire.untagged(&Untagged::UidBatches { tag, ranges: &ranges });
        Ok(Status::ok("Cut into batches"))
    }
}
