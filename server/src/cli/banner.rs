//! What a server says when it serves: where everything is, and how to use it from Nodemailer.

use super::stdio::say;
use crate::config::{Config, StoreKind};
use crate::run::Running;

pub fn show(running: &Running, config: &Config) {
    say(&format!("gadwall {}", env!("CARGO_PKG_VERSION")));
    match config.store {
        StoreKind::Sled => say(&format!("  data    {}", config.data.display())),
        StoreKind::Mongodb => say(&format!("  data    in MongoDB, database {}", config.mongodb_database)),
        StoreKind::Memory => say("  data    in memory: nothing is kept when this process ends"),
    }
    for (door, addr) in &running.addresses {
        say(&format!("  {:<7} {addr}", door.name()));
    }
    if let Some((user, password)) = &running.catchall {
        say("\nMail is taken with any or no credentials. Read it with:");
        say(&format!("  user {user}\n  pass {password}"));
    }
    let web = &running.http.web;
    // Testcontainers and the like wait for this phrase.
    say(&format!("\naccessible via {web}\n"));
    say("With Nodemailer:");
    say(&format!("  ETHEREAL_API={web} ETHEREAL_WEB={web} node your-app.js"));
    say("  const account = await nodemailer.createTestAccount();");
    say("  const { host, port, secure } = account.smtp;");
    say("  const auth = { user: account.user, pass: account.pass };");
    say("  const info = await nodemailer.createTransport({ host, port, secure, auth }).sendMail({ ... });");
    say("  console.log(nodemailer.getTestMessageUrl(info));");
}
