//! Bodies that are opened before they are asked for: who fetches one message of a list fetches the next ones too, and a
//! store that is reached over a network opens many as fast as one.

use gadwall_storage::{BodyReader, MailStore, MailboxRef, Message, StoreError, Subject, Uid, UidSet};
use std::collections::BTreeMap;

/// Bytes of messages that are open at a time, so that a connection doesn't hold more: a message that is larger is opened
/// by itself, and none of it is held.
const AHEAD: u64 = 256 << 10;

/// The messages of a list, some of them open.
pub(super) struct Ahead<'a> {
    at: MailboxRef,
    listed: &'a [Message],
    opened: BTreeMap<Uid, Box<dyn BodyReader>>,
}

impl<'a> Ahead<'a> {
    pub fn over(at: MailboxRef, listed: &'a [Message]) -> Self {
        Ahead { at, listed, opened: BTreeMap::new() }
    }

    /// The bytes of a listed message; with them, those of the next ones are opened.
    pub async fn open(&mut self, store: &dyn MailStore, uid: Uid) -> Result<Box<dyn BodyReader>, StoreError> {
        if let Some(reader) = self.opened.remove(&uid) {
            return Ok(reader);
        }
        let batch = self.batch(uid);
        if batch.len() <= 1 {
            return store.body(self.at, uid).await;
        }
        self.opened = store.bodies(self.at, &batch).await?;
        self.opened.remove(&uid).ok_or(StoreError::NotFound(Subject::Message))
    }

    /// That message and as many after it as may be open together.
    fn batch(&self, uid: Uid) -> UidSet {
        let mut left = AHEAD;
        let from = self.listed.iter().skip_while(|message| message.uid != uid);
        let fits = from.map_while(|message| {
            left = left.checked_sub(message.size)?;
            Some(message.uid)
        });
        fits.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::contract::{MemoryBackend, User, World, message, read_all, uid, uids};
    use gadwall_storage::{MessageQuery, Which};

    /// Messages of these sizes, listed.
    async fn listed(world: &World, sizes: &[u64]) -> (User, Vec<Message>) {
        let user = world.user("ann").await;
        let new = sizes.iter().map(|size| message(&vec![b'x'; *size as usize])).collect();
        world.store().append(world.op(), user.inbox, new).await.unwrap();
        let listed = world.store().messages(user.inbox, MessageQuery::of(UidSet::all())).await.unwrap();
        (user, listed)
    }

    #[tokio::test]
    async fn no_more_is_open_at_a_time_than_there_is_room_for() {
        let world = World::new(&MemoryBackend).await;
        let (user, listed) = listed(&world, &[10, AHEAD - 10, 11, AHEAD + 1, 5]).await;
        let ahead = Ahead::over(user.inbox, &listed);
        let batch = |n| ahead.batch(uid(n));
        assert_eq!((batch(1), batch(2)), (uids(&[1, 2]), uids(&[2])));
        assert_eq!((batch(3), batch(4), batch(5)), (uids(&[3]), UidSet::new(), uids(&[5])));
    }

    #[tokio::test]
    async fn each_message_is_opened_once_and_those_that_went_are_gone() {
        let world = World::new(&MemoryBackend).await;
        let (user, listed) = listed(&world, &[1, 2, 3, 4]).await;
        world.store().expunge(world.op(), user.inbox, &uids(&[2]), Which::All).await.unwrap();
        let mut ahead = Ahead::over(user.inbox, &listed);
        assert_eq!(read_all(&mut *ahead.open(world.store(), uid(1)).await.unwrap()).await.len(), 1);
        assert_eq!(ahead.opened.keys().copied().collect::<Vec<_>>(), [uid(3), uid(4)]);
        let gone = ahead.open(world.store(), uid(2)).await.err();
        assert_eq!(gone, Some(StoreError::NotFound(Subject::Message)));
        // What is open stays readable, as an open body does.
        world.store().expunge(world.op(), user.inbox, &UidSet::all(), Which::All).await.unwrap();
        assert_eq!(read_all(&mut *ahead.open(world.store(), uid(3)).await.unwrap()).await.len(), 3);
        assert_eq!(read_all(&mut *ahead.open(world.store(), uid(4)).await.unwrap()).await.len(), 4);
    }
}
