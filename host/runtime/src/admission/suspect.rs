//! Whose faults are counted together.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use vaxel_core::UserId;

/// The bits of an IPv6 address that name a network; one subscriber has all addresses behind them.
const NETWORK_BITS: u32 = 64;

/// The network that somebody calls from who is not signed in: an address, or the /64 of an IPv6 one. Nobody prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl Origin {
    /// Of the address that a request came from.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let mask = u128::MAX << (128 - NETWORK_BITS);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
            v4 => v4,
        })
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin(…)")
    }
}

/// Who may have made a plugin fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Suspect {
    User(UserId),
    /// Somebody who is not signed in, by their network if it is known.
    Stranger(Option<Origin>),
    /// The host itself: jobs, events, moments in the life of a plugin.
    Host,
}

impl Suspect {
    pub(crate) fn is_stranger(self) -> bool {
        matches!(self, Self::Stranger(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_origin_and_are_not_shown() {
        let of = |text: &str| Origin::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert!(!format!("{:?}", of("192.0.2.1")).contains("192"));
    }
}
