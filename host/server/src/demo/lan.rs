//! The demo on the local network: the address that other devices reach, as a code to point a phone at.

use std::io::IsTerminal as _;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use vaxel_core::TenantId;

use super::script::{Organization, host_of};
use crate::house::House;
use crate::output;

/// An address of the documentation network: nothing is sent to it, the kernel only says by which way it would.
const ELSEWHERE: &str = "192.0.2.1:9";

/// Where this machine is reached from its network.
pub(super) struct Address {
    ip: IpAddr,
    port: u16,
    authority: PathBuf,
}

impl Address {
    /// The address by which this machine reaches others; nothing where it reaches nobody.
    pub(super) fn find(data: &Path, port: u16) -> Option<Self> {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect(ELSEWHERE).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        let usable = !ip.is_unspecified() && !ip.is_loopback();
        usable.then(|| Self {
            ip,
            port,
            authority: data.join("tls/ca.pem"),
        })
    }

    fn url(&self) -> String {
        format!("https://{}:{}", self.ip, self.port)
    }

    /// Tells the address, and shows it where there is a terminal to show it on.
    pub(super) fn say(&self) {
        let url = self.url();
        output::say(&format!(
            "demo on the local network at {url}; other devices trust it once they have {}",
            self.authority.display()
        ));
        if std::io::stdout().is_terminal()
            && let Some(code) = drawn(&url)
        {
            output::say(&code);
        }
    }
}

/// A text as a QR code of half blocks, light on dark as terminals are; nothing if it is too long for one.
fn drawn(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(drawn)
}

/// Serves an organization at `address` too, first of its names so that links lead there; without one, at its own alone.
pub(super) async fn give_hosts(
    house: &House,
    organization: &Organization,
    tenant: TenantId,
    address: Option<&Address>,
) -> anyhow::Result<()> {
    let mut hosts: Vec<String> = address.iter().map(|at| at.ip.to_string()).collect();
    hosts.push(host_of(organization));
    let held = house.identity.tenant(tenant).map(|held| held.hosts.clone());
    // Somebody who gave the organization names of their own keeps them, unless an address comes or goes.
    let ours = held.is_some_and(|held| {
        held == hosts
            || (address.is_none() && held.iter().all(|host| host.parse::<IpAddr>().is_err()))
    });
    if !ours {
        house.identity.set_tenant_hosts(tenant, &hosts).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_code_with_a_quiet_border() {
        let code = drawn("https://192.168.1.20:8443").unwrap();
        let lines: Vec<&str> = code.lines().collect();
        // 25 modules and a border of four on each side, two of them in a line.
        assert_eq!(lines.len(), 33_usize.div_ceil(2));
        assert!(lines.iter().all(|line| line.chars().count() == 33));
        let border = lines[0].chars().next().unwrap();
        assert!(
            lines[..2]
                .iter()
                .all(|line| line.chars().all(|c| c == border))
        );
        assert!(drawn(&"x".repeat(5_000)).is_none());
    }
}
