//! The stand-in as a program: `bankid-standin FOLDER [PORT [PHONE_PORT]]` writes what a relying party needs into the
//! folder, says where it is, and serves until it is ended.

#![allow(clippy::expect_used, reason = "a test tool fails fast")]

use std::fs;
use std::path::PathBuf;

use vaxel_tests::bankid::BankId;

/// How long the relying party's certificate is good.
const DAYS: u64 = 365;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().expect("a folder"));
    let mut port = || args.next().map_or(0, |port| port.parse().expect("a port"));
    let (api, phone) = (port(), port());
    let bankid = BankId::start_at(api).await;
    fs::create_dir_all(&folder).expect("a folder");
    let party = bankid.authorities().party("acme", DAYS);
    for (name, pem) in [
        ("api-root.pem", bankid.authorities().api_root()),
        ("people-root.pem", bankid.authorities().people_root()),
        ("party.pem", party.certificate),
        ("party.key", party.key),
    ] {
        fs::write(folder.join(name), pem).expect("writing what a relying party needs");
    }
    let phone = bankid.shows_phone(phone).await;
    println!("ready https://localhost:{}", bankid.port);
    println!("ready http://127.0.0.1:{phone}");
    std::future::pending::<()>().await;
}
