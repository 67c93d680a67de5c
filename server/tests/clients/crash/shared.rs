//! A mailbox that several submit to and others delete from at the same time, and accounts that come and go.

use super::mail::{Dice, mail};
use super::wire::{Smtp, http};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What became of something that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Acknowledged,
    /// The connection broke before there was an answer: it happened or not.
    Unknown,
}

pub type Fates<T> = BTreeMap<T, Fate>;

/// Submits until the connection breaks: what became of each mail.
pub fn submit(port: u16, (user, pass): (&str, &str), seed: u64, acknowledged: &dyn Fn()) -> Fates<u64> {
    let mut sent = Fates::new();
    let mut dice = Dice::new(seed);
    let mut run = || -> io::Result<()> {
        let mut smtp = Smtp::login(port, user, pass)?;
        loop {
            let number = dice.next() >> 8;
            let mail = mail(number);
            sent.insert(number, Fate::Unknown);
            smtp.submit(&mail)?;
            sent.insert(number, Fate::Acknowledged);
            acknowledged();
        }
    };
    let _broken = run();
    sent
}

/// An account of the store: who it is, and a token where it was made in this life of the server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Login {
    pub user: String,
    pub pass: String,
}

impl Login {
    pub fn token(&self, port: u16) -> io::Result<String> {
        let body = serde_json::json!({ "username": self.user, "password": self.pass });
        let (status, answer) = http(port, "POST", "/authenticate", &body.to_string())?;
        assert_eq!(status, 200, "{answer}");
        Ok(answer["token"].as_str().expect("a token").to_owned())
    }
}

/// What the clerk tried over the API.
#[derive(Default)]
pub struct Clerk {
    pub made: Fates<Login>,
    pub deleted: Fates<Login>,
    pub deleted_uids: Fates<u32>,
}

impl Clerk {
    /// Makes accounts, deletes some of them, and messages of another, until the connection breaks.
    pub fn work(port: u16, owner: &Login, uids: BTreeSet<u32>, seed: u64, acknowledged: &dyn Fn()) -> Self {
        let mut clerk = Self::default();
        let _broken = clerk.run(port, owner, uids, &mut Dice::new(seed), acknowledged);
        clerk
    }

    fn run(
        &mut self,
        port: u16,
        owner: &Login,
        uids: BTreeSet<u32>,
        dice: &mut Dice,
        acknowledged: &dyn Fn(),
    ) -> io::Result<()> {
        let token = owner.token(port)?;
        let mut uids = uids.into_iter();
        loop {
            let login = Login { user: format!("u{:x}@example.org", dice.next()), pass: "secret".into() };
            let body = serde_json::json!({ "address": login.user, "password": login.pass });
            self.made.insert(login.clone(), Fate::Unknown);
            let (status, answer) = http(port, "POST", "/users", &body.to_string())?;
            assert_eq!(status, 200, "{answer}");
            self.made.insert(login.clone(), Fate::Acknowledged);
            acknowledged();
            if let Some(uid) = uids.next() {
                self.deleted_uids.insert(uid, Fate::Unknown);
                let path = format!("/users/me/mailboxes/inbox/messages/{uid}?accessToken={token}");
                let (status, answer) = http(port, "DELETE", &path, "")?;
                assert_eq!(status, 200, "{answer}");
                self.deleted_uids.insert(uid, Fate::Acknowledged);
                acknowledged();
            }
            if dice.below(2) == 0 {
                let own = login.token(port)?;
                self.deleted.insert(login.clone(), Fate::Unknown);
                let (status, answer) = http(port, "DELETE", &format!("/users/me?accessToken={own}"), "")?;
                assert_eq!(status, 200, "{answer}");
                self.deleted.insert(login, Fate::Acknowledged);
                acknowledged();
            }
        }
    }
}
