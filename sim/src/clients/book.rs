//! The accounts that clients know, and their passwords.

use crate::history::{Login, Terms};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// All accounts. Cheap to clone; all clones are one book.
#[derive(Debug, Clone, Default)]
pub struct Book {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    passwords: BTreeMap<Login, String>,
    terms: BTreeMap<Login, Terms>,
    /// The account that gets what is sent without a login.
    catchall: Option<Login>,
}

impl Book {
    pub fn add(&self, login: &str, password: &str) {
        self.lock().passwords.insert(login.to_owned(), password.to_owned());
    }

    /// Notes which account gets mail that is sent without a login, as a node says when it starts.
    pub fn add_catchall(&self, login: &str, password: &str) {
        self.add(login, password);
        self.lock().catchall = Some(login.to_owned());
    }

    pub fn catchall(&self) -> Option<Login> {
        self.lock().catchall.clone()
    }

    /// Notes what ends by itself in an account.
    pub fn set_terms(&self, login: &str, terms: Terms) {
        self.lock().terms.insert(login.to_owned(), terms);
    }

    /// Of all accounts in which something ends by itself.
    pub fn terms(&self) -> BTreeMap<Login, Terms> {
        self.lock().terms.clone()
    }

    /// Whether the account ends by itself.
    pub fn ends(&self, login: &str) -> bool {
        self.lock().terms.get(login).is_some_and(|terms| terms.ends.is_some())
    }

    pub fn password(&self, login: &str) -> Option<String> {
        self.lock().passwords.get(login).cloned()
    }

    /// Those that end by themselves come last.
    pub fn logins(&self) -> Vec<Login> {
        let mut logins: Vec<Login> = self.lock().passwords.keys().cloned().collect();
        logins.sort_by_key(|login| self.ends(login));
        logins
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of the lock panics")
    }
}
