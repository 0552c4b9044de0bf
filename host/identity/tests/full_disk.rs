//! While the disk counts as full people stay signed in, sign in and are signed out; nothing else is written.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected fails"
)]

use crate::support;

use std::sync::atomic::Ordering;

use support::{FREE_MIN, House, PASSWORD};
use vaxel_core::Reason;
use vaxel_identity::{IdentityError, Outcome, TokenError};

/// How long an access token is good.
const ACCESS_TTL_MS: u64 = 10 * 60_000;

fn is_full<T>(done: Result<T, IdentityError>) -> bool {
    done.is_err_and(|error| error.reason() == Reason::Unavailable)
}

#[tokio::test]
async fn people_stay_signed_in_while_the_disk_counts_as_full() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let anna = house.user(acme, "anna", false).await;
    let mut held = house.login(acme, "anna").await;
    house.fill_disk(FREE_MIN - 1).await;

    // A working day of tokens.
    for _ in 0..50 {
        house.clock.advance_ms(ACCESS_TTL_MS);
        assert_eq!(
            house.identity.verify(&held.access_token),
            Err(TokenError::Expired)
        );
        held = house
            .identity
            .refresh(acme, held.refresh_token.expose())
            .await
            .unwrap();
        house.identity.verify(&held.access_token).unwrap();
    }
    let other = house.login(acme, "anna").await;
    house
        .identity
        .logout(acme, other.refresh_token.expose())
        .await
        .unwrap();
    assert_eq!(
        house.identity.verify(&other.access_token),
        Err(TokenError::Revoked)
    );
    // Reads go on, ordinary writes do not.
    let read = house.identity.user(acme, anna.id).unwrap().unwrap();
    assert_eq!(read.login, "anna");
    let renamed = house
        .identity
        .update_me(acme, anna.id, Some("Anna A"), None)
        .await;
    assert!(is_full(renamed));

    house.fill_disk(FREE_MIN / 4 - 1).await;
    house.clock.advance_ms(ACCESS_TTL_MS);
    let refused = house
        .identity
        .refresh(acme, held.refresh_token.expose())
        .await;
    assert!(is_full(refused));
    let refused = house.login_with(acme, "anna", PASSWORD, "192.0.2.1").await;
    assert!(is_full(refused));

    house.disk.0.store(u64::MAX, Ordering::SeqCst);
    house
        .identity
        .refresh(acme, held.refresh_token.expose())
        .await
        .unwrap();
}

#[tokio::test]
async fn guesses_are_counted_and_refusals_written_down_while_the_disk_counts_as_full() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let boss = house.user(acme, "boss", true).await;
    let anna = house.user(acme, "anna", false).await;
    let held = house.login(acme, "anna").await;
    house.fill_disk(FREE_MIN / 4).await;

    for _ in 0..5 {
        let wrong = house
            .login_with(acme, "anna", "fel lösen", "192.0.2.9")
            .await;
        assert!(matches!(wrong, Err(IdentityError::BadCredentials)));
    }
    let slowed = house.login_with(acme, "anna", PASSWORD, "192.0.2.9").await;
    assert!(matches!(slowed, Err(IdentityError::Throttled { .. })));

    let as_anna = house.cx(acme, anna.id);
    let refused = house.identity.deactivate(&as_anna, boss.id).await;
    assert!(matches!(refused, Err(IdentityError::NotAdmin)));
    let as_boss = house.cx(acme, boss.id);
    house.identity.deactivate(&as_boss, anna.id).await.unwrap();
    assert_eq!(
        house.identity.verify(&held.access_token),
        Err(TokenError::Revoked)
    );
    // Letting somebody in again can wait.
    assert!(is_full(house.identity.reactivate(&as_boss, anna.id).await));

    let audit = house.identity.audit(&as_boss, None, 50).await.unwrap();
    let count = |action: &str, outcome: Outcome| {
        let entries = audit.items.iter();
        entries
            .filter(|entry| entry.action == action && entry.outcome == outcome)
            .count()
    };
    assert_eq!(count("session.login", Outcome::Refused), 5);
    assert_eq!(count("session.login", Outcome::Throttled), 1);
    assert_eq!(count("users.deactivate", Outcome::Refused), 1);
    assert_eq!(count("users.deactivate", Outcome::Done), 1);
}
