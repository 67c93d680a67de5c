//! Who is at the other end.

use super::app::Shared;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address of the client.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub ip: IpAddr,
    /// Whether the request was made on this machine, and not through a proxy on it.
    pub is_local: bool,
}

/// Who is believed when it says for whom it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Nobody,
    LocalProxy,
}

/// What a request that came through a proxy has, and one made on this machine has not.
const PROXIED: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

impl Client {
    fn new(peer: IpAddr, headers: &HeaderMap, trust: Trust) -> Self {
        let peer = peer.to_canonical();
        if !peer.is_loopback() {
            return Self { ip: peer, is_local: false };
        }
        if trust == Trust::Nobody {
            let proxied = PROXIED.iter().any(|name| headers.contains_key(*name));
            return Self { ip: peer, is_local: !proxied };
        }
        // A proxy on this machine says for whom it asks; its own entry is the last one. From anywhere else the
        // header is the client's own claim and counts for nothing.
        match headers.get_all("x-forwarded-for").iter().next_back() {
            Some(chain) => {
                let last = chain.to_str().ok().and_then(|c| c.rsplit(',').next()?.trim().parse().ok());
                let ip: IpAddr = last.unwrap_or(peer);
                Self { ip: ip.to_canonical(), is_local: false }
            }
            None => Self { ip: peer, is_local: !PROXIED.iter().any(|name| headers.contains_key(*name)) },
        }
    }
}

impl FromRequestParts<Shared> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
        let trust = if app.config.trust_forwarded_for { Trust::LocalProxy } else { Trust::Nobody };
        Ok(Self::new(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), &parts.headers, trust))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_on_this_machine_is_believed_and_only_if_that_was_asked_for() {
        let mut headers = HeaderMap::new();
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let far: IpAddr = "192.0.2.9".parse().unwrap();
        assert!(Client::new(local, &headers, Trust::LocalProxy).is_local);
        assert!(Client::new(local, &headers, Trust::Nobody).is_local);
        headers.insert("x-forwarded-for", "10.0.0.1, 198.51.100.7".parse().unwrap());
        let proxied = Client::new(local, &headers, Trust::LocalProxy);
        assert_eq!((proxied.ip, proxied.is_local), ("198.51.100.7".parse().unwrap(), false));
        assert_eq!(Client::new(far, &headers, Trust::LocalProxy).ip, far);
        let unasked = Client::new(local, &headers, Trust::Nobody);
        assert_eq!((unasked.ip, unasked.is_local), (local, false), "nor does it count as local");
    }
}
