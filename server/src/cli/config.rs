//! `gadwall config check`.

use super::stdio::say;
use crate::config::{Certificate, Config, StoreKind};
use std::time::Duration;

/// Says what follows from the configuration.
pub fn check(config: &Config) {
    say("The configuration is good.");
    match config.store {
        StoreKind::Sled => say(&format!("  store     {}", config.data.display())),
        StoreKind::Mongodb => say(&format!("  store     MongoDB, database {}", config.mongodb_database)),
        StoreKind::Memory => say("  store     in memory: nothing is kept when the process ends"),
    }
    for (door, addr) in &config.doors {
        say(&format!("  {:<9} {addr}", door.name()));
    }
    if let Some(redis) = &config.redis {
        say(&format!("  redis     {redis}"));
    }
    say(&match &config.certificate {
        Certificate::None => "  TLS       none: STARTTLS is not offered".into(),
        Certificate::SelfSigned => "  TLS       self-signed".into(),
        Certificate::Acme(acme) => {
            format!("  TLS       for {}, from {}", acme.domains.join(", "), acme.directory)
        }
        Certificate::Files { cert, key } => format!("  TLS       {} and {}", cert.display(), key.display()),
    });
    say(&format!("  accounts  {}, for {}", config.defaults.domain, span(config.defaults.lifetime)));
    say(&format!("  messages  for {}", span(config.defaults.retention)));
    let outside: Vec<_> =
        config.doors.iter().filter(|(_, a)| !a.ip().is_loopback()).map(|(d, _)| d.name()).collect();
    if !outside.is_empty() && config.certificate == Certificate::None {
        say(&format!(
            "Note: {} can be reached from other machines, and without a certificate passwords are refused there: \
             give tls-cert and tls-key.",
            outside.join(", ")
        ));
    }
    if !outside.is_empty() && config.accept_anything {
        say("Note: with accept-anything, anybody who reaches SMTP can fill the default account.");
    }
}

fn span(d: Option<Duration>) -> String {
    match d.map(|d| d.as_secs()) {
        None => "ever".into(),
        Some(secs) if secs > 0 && secs % 86_400 == 0 => format!("{} days", secs / 86_400),
        Some(secs) if secs > 0 && secs % 3600 == 0 => format!("{} hours", secs / 3600),
        Some(secs) => format!("{secs} seconds"),
    }
}
