//! Whom to believe about clients' addresses.

use crate::config::{Config, Networks, StoreKind};
use gadwall_storage::operate::Finding;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const WHAT: &str = "proxy-from";
/// Addresses that no balancer of one's own has: who believes these believes everybody.
const STRANGERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

pub fn examine(config: &Config) -> Option<Finding> {
    let addresses: Vec<IpAddr> = config.doors.iter().map(|(_, addr)| addr.ip()).collect();
    judge(&config.proxy_from, &addresses, config.store == StoreKind::Mongodb)
}

fn judge(from: &Networks, listeners: &[IpAddr], is_cluster: bool) -> Option<Finding> {
    let is_public = listeners.iter().any(|ip| !ip.is_loopback());
    if from.is_empty() {
        return (is_cluster && is_public).then(|| {
            Finding::warn(
                WHAT,
                "nobody: behind a balancer, all clients would have its address, and its limits together",
                "name the balancers, which have to send the PROXY protocol",
            )
        });
    }
    if STRANGERS.iter().any(|stranger| from.contains(*stranger)) {
        return Some(Finding::fail(
            WHAT,
            "it covers addresses of the whole world, so that anybody may claim any address, and limits are void",
            "name the balancers' own addresses",
        ));
    }
    let own_machine = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if !is_public && !own_machine.iter().any(|ip| from.contains(*ip)) {
        return Some(Finding::fail(
            WHAT,
            "it names other machines, which don't reach listeners on loopback",
            "listen on this machine's private address",
        ));
    }
    Some(Finding::ok(WHAT, "balancers are named, nobody else is believed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::operate::Level;

    #[test]
    fn only_balancers_of_ones_own_are_believed() {
        let level = |from: &str, listener: &str, is_cluster| {
            judge(&from.parse().unwrap(), &[listener.parse().unwrap()], is_cluster).map(|f| f.level)
        };
        assert_eq!(level("", "127.0.0.1", false), None);
        assert_eq!(level("", "0.0.0.0", false), None, "one node without a balancer");
        assert_eq!(level("", "10.0.0.1", true), Some(Level::Warn));
        assert_eq!(level("10.0.0.1,10.0.0.2", "10.0.0.1", true), Some(Level::Ok));
        assert_eq!(level("127.0.0.1", "127.0.0.1", true), Some(Level::Ok));
        assert_eq!(level("10.0.0.2", "127.0.0.1", true), Some(Level::Fail));
        for all in ["0.0.0.0/0", "::/0", "10.0.0.1,192.0.0.0/8"] {
            assert_eq!(level(all, "10.0.0.1", true), Some(Level::Fail), "{all}");
        }
    }
}
