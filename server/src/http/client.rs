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

impl Client {
    fn new(peer: IpAddr, headers: &HeaderMap) -> Self {
        let peer = peer.to_canonical();
        if !peer.is_loopback() {
            return Self { ip: peer, is_local: false };
        }
        // A proxy on this machine says for whom it asks; its own entry is the last one. From anywhere else the
        // header is the client's own claim and counts for nothing.
        match headers.get_all("x-forwarded-for").iter().next_back() {
            Some(chain) => {
                let last = chain.to_str().ok().and_then(|c| c.rsplit(',').next()?.trim().parse().ok());
                let ip: IpAddr = last.unwrap_or(peer);
                Self { ip: ip.to_canonical(), is_local: false }
            }
            None => Self { ip: peer, is_local: !headers.contains_key("forwarded") },
        }
    }
}

impl FromRequestParts<Shared> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
        Ok(Self::new(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_on_this_machine_is_believed() {
        let mut headers = HeaderMap::new();
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let far: IpAddr = "192.0.2.9".parse().unwrap();
        assert!(Client::new(local, &headers).is_local);
        headers.insert("x-forwarded-for", "10.0.0.1, 198.51.100.7".parse().unwrap());
        let proxied = Client::new(local, &headers);
        assert_eq!((proxied.ip, proxied.is_local), ("198.51.100.7".parse().unwrap(), false));
        assert_eq!(Client::new(far, &headers).ip, far);
    }
}
