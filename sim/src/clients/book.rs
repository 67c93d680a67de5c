//! The accounts that clients know, and their passwords.

use crate::history::Login;
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

    pub fn password(&self, login: &str) -> Option<String> {
        self.lock().passwords.get(login).cloned()
    }

    pub fn logins(&self) -> Vec<Login> {
        self.lock().passwords.keys().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of the lock panics")
    }
}
