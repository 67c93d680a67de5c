//! Where a listener listens.

use serde::{Deserialize, Deserializer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// `127.0.0.1:1025`, `[::1]:1025`, a bare port (on loopback), or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenOn {
    Addr(SocketAddr),
    Off,
}

impl ListenOn {
    /// A port on loopback.
    pub const fn loopback(port: u16) -> Self {
        ListenOn::Addr(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    pub fn addr(self) -> Option<SocketAddr> {
        match self {
            ListenOn::Addr(addr) => Some(addr),
            ListenOn::Off => None,
        }
    }
}

impl FromStr for ListenOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(ListenOn::Off);
        }
        if let Ok(port) = text.parse() {
            return Ok(ListenOn::loopback(port));
        }
        text.parse().map(ListenOn::Addr).map_err(|_| {
            format!("{text:?} is not where to listen: write 127.0.0.1:1025, [::1]:1025, a port, or off")
        })
    }
}

impl<'de> Deserialize<'de> for ListenOn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Port(u16),
            Text(String),
        }
        match Form::deserialize(d)? {
            Form::Port(port) => Ok(ListenOn::loopback(port)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// How a client is told to reach a door: `mail.example.org:993`, with `tls` if it is so from the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicDoor {
    pub host: String,
    pub port: u16,
    pub secure: bool,
}

impl FromStr for PublicDoor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a public address: write host:port or tls://host:port");
        let (secure, rest) = match text.strip_prefix("tls://") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        if host.is_empty() || host.contains('/') {
            return Err(bad());
        }
        Ok(PublicDoor { host: host.into(), port, secure })
    }
}

impl<'de> Deserialize<'de> for PublicDoor {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_on_loopback() {
        assert_eq!("1025".parse(), Ok(ListenOn::loopback(1025)));
        assert_eq!("OFF".parse(), Ok(ListenOn::Off));
        assert!("localhost".parse::<ListenOn>().unwrap_err().contains("write 127.0.0.1:1025"));
    }

    #[test]
    fn a_public_door_says_whether_it_is_tls() {
        let door: PublicDoor = "tls://imap.example.org:993".parse().unwrap();
        assert_eq!((door.host.as_str(), door.port, door.secure), ("imap.example.org", 993, true));
        assert!("example.org".parse::<PublicDoor>().is_err());
    }
}
