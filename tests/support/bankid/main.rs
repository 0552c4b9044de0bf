//! The stand-in as a program: `bankid-standin FOLDER [PORT [PHONE_PORT [DEMO]]]` writes what a relying party needs into the
//! folder, says where it is, and serves until it is ended. With the address of a demo's start page it also makes the demo
//! use it, and ends with the process that started it.

#![allow(clippy::expect_used, reason = "a test tool fails fast")]

use std::fs;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::time::Duration;

use vaxel_tests::bankid::{BankId, demo};

/// How long the relying party's certificate is good.
const DAYS: u64 = 365;

/// How often it looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().expect("a folder"));
    let mut port = || args.next().map_or(0, |port| port.parse().expect("a port"));
    let (api, phone) = (port(), port());
    let demo = args.next();
    let parent = parent_id();
    let bankid = BankId::start_at(api).await;
    fs::create_dir_all(&folder).expect("a folder");
    let party = bankid.authorities().party("acme", DAYS);
    for (name, pem) in [
        ("api-root.pem", bankid.authorities().api_root()),
        ("people-root.pem", bankid.authorities().people_root()),
        ("party.pem", party.certificate.clone()),
        ("party.key", party.key.clone()),
    ] {
        fs::write(folder.join(name), pem).expect("writing what a relying party needs");
    }
    let phone = bankid.shows_phone(phone).await;
    println!("ready https://localhost:{}", bankid.port);
    println!("ready http://127.0.0.1:{phone}");
    let Some(demo) = demo else {
        return std::future::pending().await;
    };
    fs::write(folder.join("ready"), "").expect("saying that all is there");
    tokio::spawn(async move {
        match demo::prepare(&demo, &party).await {
            Ok(address) => {
                println!("demo a survey behind a BankID that is made up: {address}");
                println!("demo its phone, for another window: http://127.0.0.1:{phone}");
            }
            Err(error) => eprintln!("the demo could not be given a BankID: {error}"),
        }
    });
    while parent_id() == parent {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
