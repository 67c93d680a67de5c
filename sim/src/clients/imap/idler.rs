//! The idler: waits to be told, as telephones do, and writes down how long it took.

use super::listing::Depth;
use super::session::Session;
use crate::clients::{Client, Fault};
use crate::history::*;
use rand::RngExt;
use std::time::Duration;

pub struct Idler {
    pub client: Client,
    pub login: Login,
    pub mailbox: Name,
    /// How long it idles at most before it says IDLE anew. More than the server's polling, or a lost hint would be
    /// made up for by this client's own doing.
    pub longest: Duration,
}

impl Idler {
    pub async fn run(mut self) {
        while self.client.think(Duration::from_secs(1)).await {
            let ended = self.session().await;
            self.client.ended(ended);
        }
    }

    async fn session(&mut self) -> Result<(), Fault> {
        let client = &mut self.client;
        let mut session = Session::open(client, &self.login).await?;
        if client.rng.random() {
            session.enable(client, "CONDSTORE").await?;
        }
        let selected = session.select(client, &self.mailbox, "").await?;
        session.fetch_all(client, &selected, Depth::Token).await?;
        session.take_news(client).await?;
        while !client.stopping() && !session.news.closed {
            session.idle(client, self.longest).await?;
            session.take_news(client).await?;
        }
        session.logout(client).await;
        Ok(())
    }
}
