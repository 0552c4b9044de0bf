//! How many connections are open, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use vaxel_ops::Metrics;

/// Files of the house's own: the log, the database, plugins, listeners, the operator's probes and the admin socket.
const OWN_FILES: u64 = 512;

/// How many connections there may be, so that the process never runs out of file descriptors before.
pub(crate) fn affordable(wanted: usize) -> usize {
    let files_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let chosen = within(wanted, files_max);
    if chosen < wanted {
        tracing::warn!(
            wanted,
            chosen,
            files_max,
            "fewer connections than limits.connections_max: the process may not open so many files"
        );
    } else {
        tracing::info!(chosen, files_max, "the most connections at once");
    }
    chosen
}

/// Where files are very few, half of them are the house's.
fn within(wanted: usize, files_max: u64) -> usize {
    let spare = files_max - OWN_FILES.min(files_max / 2);
    wanted.min(usize::try_from(spare).unwrap_or(usize::MAX))
}

/// The open connections of all listeners.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    max: usize,
    per_address_max: usize,
    metrics: Metrics,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    // Holds only addresses with open connections, so it is as bounded as they are.
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; it is free again when this is dropped.
pub(crate) struct Place {
    connections: Connections,
    address: Option<IpAddr>,
}

impl Connections {
    pub(crate) fn new(max: usize, per_address_max: usize, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            max,
            per_address_max,
            metrics,
            open: Mutex::default(),
        }))
    }

    /// A place for a connection from `peer`, if there is one.
    pub(crate) fn enter(&self, peer: IpAddr) -> Option<Place> {
        let address = network(peer);
        let mut open = self.0.open.lock();
        if open.all >= self.0.max {
            return None;
        }
        if let Some(address) = address {
            let held = open.by_address.entry(address).or_default();
            if *held >= self.0.per_address_max {
                return None;
            }
            *held += 1;
        }
        open.all += 1;
        drop(open);
        self.0.metrics.connections_changed(1);
        Some(Place {
            connections: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.0.open.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(held) = open.by_address.get_mut(&address)
        {
            *held -= 1;
            if *held == 0 {
                open.by_address.remove(&address);
            }
        }
        drop(open);
        self.connections.0.metrics.connections_changed(-1);
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has. Loopback counts as none.
pub(crate) fn network(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    Some(match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_house() {
        for (files_max, chosen) in [
            (u64::MAX, 20_000),
            (65_536, 20_000),
            (20_512, 20_000),
            (20_511, 19_999),
            (1_024, 512),
            (256, 128),
            (0, 0),
        ] {
            assert_eq!(within(20_000, files_max), chosen, "{files_max}");
        }
    }

    #[test]
    fn places_are_bounded_per_address_and_in_all_and_come_back() {
        let connections = Connections::new(3, 2, Metrics::new());
        let one: IpAddr = "198.51.100.1".parse().unwrap();
        let other: IpAddr = "198.51.100.2".parse().unwrap();
        let first = connections.enter(one).unwrap();
        let _second = connections.enter(one).unwrap();
        assert!(connections.enter(one).is_none());
        let _third = connections.enter(other).unwrap();
        assert!(connections.enter("127.0.0.1".parse().unwrap()).is_none());
        drop(first);
        assert!(connections.enter(one).is_some());
    }

    #[test]
    fn neighbours_in_one_ipv6_network_count_as_one() {
        let a = network("2001:db8::1".parse().unwrap());
        assert_eq!(a, network("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(a, network("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(network("::ffff:127.0.0.1".parse().unwrap()), None);
    }
}
