//! The last look: a client that asks one node for everything that every account has, once nothing changes any more.

use crate::clients::imap::{Depth, Session};
use crate::clients::{Client, Fault, http, pop3};
use crate::history::ClientId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Number of the client that looks at the first node; the one for the next has the next number.
pub const LOOKERS: ClientId = 9001;

/// How often each look is taken before it counts as failed.
const TRIES: u32 = 40;
/// Pause before it is taken again.
const RETRY: Duration = Duration::from_secs(1);

/// Looks at one node.
pub struct Looker {
    pub client: Client,
    /// RFC 1939 §4: a maildrop is one session's at a time, so lookers take turns.
    pub maildrops: Arc<Mutex<()>>,
}

/// By what protocol it looks.
#[derive(Debug, Clone, Copy)]
enum Look {
    Imap,
    Pop3,
    Http,
}

impl Looker {
    pub async fn run(mut self) {
        for login in self.client.shared.book.logins() {
            if self.client.shared.book.ends(&login) {
                self.look_once(&login).await;
                continue;
            }
            for look in [Look::Imap, Look::Pop3, Look::Http] {
                self.persist(look, &login).await;
            }
        }
    }

    /// Looks for what should have ended, by one protocol on each node: refused logins are counted.
    async fn look_once(&mut self, login: &str) {
        let look = [Look::Imap, Look::Pop3, Look::Http][(self.client.id - LOOKERS) as usize % 3];
        // What is shown is noted; whether it may be is for the checkers to say.
        let _ = self.look(look, login).await;
    }

    async fn look(&mut self, look: Look, login: &str) -> Result<(), Fault> {
        match look {
            Look::Imap => {
                let ended = self.mailboxes(login).await;
                self.client.ended(ended.clone());
                ended
            }
            Look::Pop3 => self.maildrop(login).await,
            Look::Http => http::list(&mut self.client, login, "INBOX").await.map(|_| ()),
        }
    }

    /// Looks until it has seen everything. What can't be seen when all is well is a finding.
    async fn persist(&mut self, look: Look, login: &str) {
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.look(look, login).await {
                Ok(()) => return,
                Err(Fault::Lost(why) | Fault::Refused(why)) => last = why,
            }
            tokio::time::sleep(RETRY).await;
        }
        self.client.violated(format!("{} does not show {login} by {look:?}: {last}", self.client.via));
    }

    /// Every mailbox wholly, with the bytes of every message.
    async fn mailboxes(&mut self, login: &str) -> Result<(), Fault> {
        let client = &mut self.client;
        let mut session = Session::open(client, login).await?;
        session.enable(client, "CONDSTORE").await?;
        for name in session.list(client).await? {
            let selected = session.select(client, &name, "").await?;
            if !session.fetch_all(client, &selected, Depth::Whole).await?.still {
                return Err(Fault::Lost(format!("{name} changed while it was listed")));
            }
        }
        session.logout(client).await;
        Ok(())
    }

    async fn maildrop(&mut self, login: &str) -> Result<(), Fault> {
        let maildrops = self.maildrops.clone();
        let _turn = maildrops.lock().await;
        let mut session = match pop3::Session::open(&mut self.client, login).await {
            // RFC 1939 §3: a session whose client the network has swallowed lives for ten minutes at least, and §4: it
            // has the maildrop for itself.
            Err(Fault::Refused(why)) if why.contains("[IN-USE]") => return Ok(()),
            opened => opened?,
        };
        session.list(&mut self.client).await?;
        session.quit(&mut self.client, &[]).await
    }
}
