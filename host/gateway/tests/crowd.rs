//! Many people at once: presence is right for a thousand, where other servers stop telling it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use support::{House, PATIENCE, Socket};

const PEOPLE: usize = 1_000;

/// Both ends of each connection are in this process.
const FILES: u64 = 2 * PEOPLE as u64 + 500;

const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn presence_is_right_with_a_thousand_connections() {
    let allowed = getrlimit(Resource::Nofile);
    if allowed.current.is_some_and(|current| current < FILES) {
        let current = allowed.maximum;
        setrlimit(Resource::Nofile, Rlimit { current, ..allowed }).expect("more open files");
    }
    let house = House::new().await;
    let (mut anna, _) = house.live(&house.acme, house.anna).await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let user = house.person(&format!("person{n}")).await;
        people.push((user, house.live(&house.acme, user).await.0));
    }
    let mut expected: BTreeSet<String> = people.iter().map(|(user, _)| user.to_string()).collect();
    expected.insert(house.anna.to_string());
    present_are(&mut anna, &expected).await;

    // Most go. One of them has a second device, and stays.
    let second_device = people[0].0;
    let _second = house.live(&house.acme, second_device).await;
    for (user, socket) in people.drain(..600) {
        drop(socket);
        if user != second_device {
            expected.remove(&user.to_string());
        }
    }
    present_are(&mut anna, &expected).await;
}

/// Who goes is seen a moment later.
async fn present_are(asking: &mut Socket, expected: &BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    let until = tokio::time::Instant::now() + PATIENCE;
    for id in 1.. {
        let list = asking.call(id, "presence/list", json!({})).await;
        let items = list["result"]["items"].as_array().expect("a list");
        seen = items
            .iter()
            .map(|item| item["user"].as_str().unwrap().to_owned())
            .collect();
        if seen == *expected || tokio::time::Instant::now() > until {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    assert_eq!(seen.len(), expected.len());
    assert!(seen == *expected, "others are here");
}
