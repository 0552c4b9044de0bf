//! Which addresses are outside: everything that is not some inner network's, a machine's own, or a cloud's door to secrets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a cloud answers its machines with their secrets, though the address is a public one: Azure's wire server.
const METADATA: [Ipv4Addr; 1] = [Ipv4Addr::new(168, 63, 129, 16)];

/// Whether an address is one that anybody on the internet could reach. In doubt it is not.
pub(crate) fn is_outside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_outside_v4(v4),
        IpAddr::V6(v6) => is_outside_v6(v6),
    }
}

fn is_outside_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let is_inner = match (a, b, c) {
        // This network, private use, loopback (RFC 1122, RFC 1918).
        (0 | 10 | 127, ..) | (172, 16..=31, _) | (192, 168, _) => true,
        // Carriers' inner networks (RFC 6598), one cloud's metadata among them.
        (100, 64..=127, _) => true,
        // Link-local (RFC 3927), most clouds' metadata among them.
        (169, 254, _) => true,
        // Protocol assignments, examples, old relays, benchmarks (RFC 6890).
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            true
        }
        // Multicast, reserved, broadcast.
        (224..=255, ..) => true,
        _ => false,
    };
    !is_inner && !METADATA.contains(&v4)
}

fn is_outside_v6(v6: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_outside_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b, c, d, e, f) {
        // An IPv4 address in a mapped coat is never written by a name server in earnest (RFC 4291 section 2.5.5.2).
        (0, 0, 0, 0, 0, 0xffff) => false,
        // NAT64 (RFC 6052): what the translator would connect to counts.
        (0x64, 0xff9b, 0, 0, 0, 0) => embedded(g, h),
        // 6to4 (RFC 3056): so does the relay's end.
        (0x2002, high, low, ..) => embedded(high, low),
        // Teredo, benchmarks, ORCHID and other protocol assignments (RFC 6890), examples (RFC 3849, RFC 9637).
        (0x2001, 0..=0x1ff | 0xdb8, ..) | (0x3fff, 0..=0xfff, ..) => false,
        // What is given out to networks at all. Everything else is loopback, unspecified, link-local, unique-local,
        // multicast, discarded or nobody's yet.
        (0x2000..=0x3fff, ..) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(address: &str) -> bool {
        is_outside(address.parse().unwrap())
    }

    #[test]
    fn what_anybody_can_reach_is_outside() {
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(says(outside), "{outside}");
        }
    }

    #[test]
    fn every_form_of_an_inner_address_is_not() {
        for inner in [
            // Private, loopback, link-local, carriers', unspecified, multicast, broadcast.
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            // Clouds' metadata.
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            // The same things in IPv6.
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "100::1",
            "2001:db8::1",
            "3fff::1",
            // IPv4 in a coat: mapped, compatible, NAT64, 6to4, Teredo.
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        ] {
            assert!(!says(inner), "{inner}");
        }
    }
}
