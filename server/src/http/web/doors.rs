//! How clients are told to connect.

use crate::http::Endpoint;
use crate::http::app::App;

/// One row of the table of services.
pub struct DoorRow<'a> {
    pub name: &'static str,
    pub host: &'a str,
    pub port: u16,
    pub security: &'static str,
}

impl App {
    /// The services that listen.
    pub fn door_rows(&self) -> Vec<DoorRow<'_>> {
        let all = [("SMTP", &self.config.smtp), ("IMAP", &self.config.imap), ("POP3", &self.config.pop3)];
        all.into_iter()
            .filter(|(_, door)| door.port != 0)
            .map(|(name, door)| DoorRow {
                name,
                host: &door.host,
                port: door.port,
                security: self.security(door),
            })
            .collect()
    }

    /// What protects a connection to a door.
    pub fn security(&self, door: &Endpoint) -> &'static str {
        match (door.secure, self.services.tls.is_some()) {
            (true, _) => "TLS",
            (false, true) => "STARTTLS",
            (false, false) => "none",
        }
    }
}
