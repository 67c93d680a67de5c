//! SEARCH (RFC 3501 §6.4.4).

use super::{Outcome, Session};
use crate::imap::encode::{Code, Status, Untagged};
use crate::imap::search::{Context, Needs, Prepared};
use crate::imap::types::{By, SearchCommand};
use crate::imap::wire::Wire;
use gadwall_storage::{Message, MessageQuery, UidSet};

/// Messages looked at between two looks at the rest of the world.
const PAGE: usize = 200;

impl Session {
    pub(super) async fn search(&mut self, command: &SearchCommand, wire: &mut Wire) -> Outcome {
        let services = self.services.clone();
        let selected = self.selected()?;
        let at = selected.at;
        let context = Context { view: &selected.view, now: services.env.clock.now() };
        let key = match Prepared::new(&command.key, command.charset.as_deref(), &context) {
            Ok(key) => key,
            Err(charset) => {
                let status = Status::no(format!("The charset {charset} is not known"));
                return Err(status.code(Code::BadCharset).into());
            }
        };
        let (mut numbers, mut highest) = (Vec::new(), 0);
        let mut left = key.candidates(&selected.view.uids());
        while !left.is_empty() {
            let page: UidSet = left.iter().take(PAGE).collect();
            left = left.difference(&page);
            let mut query = MessageQuery::of(page);
            if key.needs() >= Needs::Details {
                query = query.with_details();
            }
            for message in services.store.messages(at, query).await? {
                let Some(number) = selected.view.number(message.uid) else { continue };
                if key.matches(&message, &*services.store, at, &context).await? {
                    numbers.push(found(command.by, number, &message));
                    highest = highest.max(message.modseq.get());
                }
            }
        }
        let modseq = key.names_modseq().then_some(highest);
        self.condstore |= modseq.is_some();
        wire.untagged(&Untagged::Search { numbers: &numbers, modseq });
        Ok(Status::ok("Searched"))
    }
}

fn found(by: By, number: u32, message: &Message) -> u32 {
    match by {
        By::Sequence => number,
        By::Uid => message.uid.get(),
    }
}
