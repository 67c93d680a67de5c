//! Password hashes and verifiers.

use gadwall_storage::{Credentials, Entropy};

/// Hashes a password. CPU heavy: call it on a blocking thread.
pub fn make_credentials(_password: &str, _entropy: &dyn Entropy) -> Credentials {
    unimplemented!()
}

/// A password of 18 characters from `[A-Za-z0-9]` (107 bits).
pub fn generate_password(_entropy: &dyn Entropy) -> String {
    unimplemented!()
}
