//! The plain reader: knows nothing of mod-sequences, lists mailboxes wholly, comes back again and again.

use super::listing::Depth;
use super::session::Session;
use crate::clients::{Client, Fault};
use crate::history::*;
use rand::RngExt;
use std::time::Duration;

pub struct Reader {
    pub client: Client,
    pub login: Login,
    /// Longest pause between two looks.
    pub pace: Duration,
}

impl Reader {
    pub async fn run(mut self) {
        while self.client.think(self.pace).await {
            let ended = self.session().await;
            self.client.ended(ended);
        }
    }

    async fn session(&mut self) -> Result<(), Fault> {
        let client = &mut self.client;
        let mut session = Session::open(client, &self.login).await?;
        for _ in 0..client.rng.random_range(1..5) {
            let Some(mailbox) = pick(client, &mut session).await? else { continue };
            let selected = match session.select(client, &mailbox, "").await {
                // Another client may have deleted it since it was listed.
                Err(Fault::Refused(_)) => continue,
                other => other?,
            };
            let depth = if client.rng.random_bool(0.4) { Depth::Whole } else { Depth::Token };
            session.fetch_all(client, &selected, depth).await?;
            session.take_news(client).await?;
            let uids = session.view.uids();
            if depth == Depth::Token && !uids.is_empty() && !session.news.closed {
                let uid = uids[client.rng.random_range(0..uids.len())];
                session.fetch_some(client, &[uid], Depth::Whole).await?;
                session.take_news(client).await?;
            }
            while client.rng.random_bool(0.6) && !session.news.closed {
                if !client.think(self.pace).await {
                    break;
                }
                session.noop(client).await?;
            }
        }
        if client.rng.random_bool(0.7) {
            session.logout(client).await;
        }
        Ok(())
    }
}

/// INBOX, most of the time; or any mailbox there is.
async fn pick(client: &mut Client, session: &mut Session) -> Result<Option<Name>, Fault> {
    if client.rng.random_bool(0.6) {
        return Ok(Some("INBOX".into()));
    }
    let names = session.list(client).await?;
    if !names.iter().any(|name| name == "INBOX") {
        client.violated("LIST does not tell of INBOX");
    }
    let Some(at) = names.len().checked_sub(1) else { return Ok(None) };
    let name = names[client.rng.random_range(0..=at)].clone();
    if client.rng.random_bool(0.5) {
        match session.status(client, &name).await {
            Err(Fault::Refused(_)) | Ok(()) => {}
            other => other?,
        }
    }
    Ok(Some(name))
}
