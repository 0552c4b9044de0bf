//! Signing in: who gets in, who does not, and that guessing costs time without locking anybody out for good.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected fails"
)]

use crate::support;

use support::{House, PASSWORD};
use vaxel_core::Reason;
use vaxel_identity::{IdentityError, SignedIn};

fn kind(outcome: &Result<SignedIn, IdentityError>) -> String {
    match outcome {
        Ok(_) => "in".to_owned(),
        Err(error) => format!("{:?}", error.problem()),
    }
}

#[tokio::test]
async fn a_person_signs_in_with_their_login_in_any_spelling() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let anna = house.user(acme, "anna@acme.example", true).await;
    let signed_in = house
        .login_with(acme, "  Anna@ACME.example ", PASSWORD, "192.0.2.1")
        .await
        .unwrap();
    let claims = house
        .identity
        .verify_for(acme, &signed_in.access_token)
        .unwrap();
    assert_eq!(
        (claims.user, claims.session, claims.admin),
        (anna.id, signed_in.session, true)
    );
    assert_eq!(signed_in.expires_in_s, 600);
    assert_eq!(signed_in.user.last_login_at, Some(claims.issued_at));
    let shown = format!("{signed_in:?} {anna:?}");
    assert!(
        !shown.contains("anna") && !shown.contains(&signed_in.access_token),
        "{shown}"
    );
}

#[tokio::test]
async fn every_way_of_not_getting_in_looks_the_same() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let globex = house.tenant("globex").await;
    let admin = house.user(acme, "admin", true).await;
    let bertil = house.user(acme, "bertil", false).await;
    house.user(acme, "anna", false).await;
    house.user(globex, "greta", false).await;
    house
        .identity
        .create_user(acme, support::somebody("nobody.yet"))
        .await
        .unwrap();
    house
        .identity
        .deactivate(&house.cx(acme, admin.id), bertil.id)
        .await
        .unwrap();

    let mut seen = std::collections::BTreeSet::new();
    for (login, password) in [
        ("anna", "wrong password"),
        ("stranger", PASSWORD),
        ("bertil", PASSWORD),
        ("greta", PASSWORD),
        ("nobody.yet", ""),
        ("Åsa \0 no login at all", PASSWORD),
        ("", ""),
    ] {
        seen.insert(kind(
            &house.login_with(acme, login, password, "192.0.2.1").await,
        ));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen.first().unwrap().contains("bad_credentials"));
}

#[tokio::test]
async fn guessing_at_a_known_and_an_unknown_login_is_slowed_down_alike() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    for _ in 0..9 {
        let known = kind(&house.login_with(acme, "anna", "wrong", "192.0.2.1").await);
        let unknown = kind(
            &house
                .login_with(acme, "stranger", "wrong", "192.0.2.1")
                .await,
        );
        assert_eq!(known, unknown);
        house.clock.advance_ms(100);
    }
    // Five were free; the sixth and on wait, the right password too.
    let refused = house
        .login_with(acme, "anna", PASSWORD, "192.0.2.1")
        .await
        .unwrap_err();
    let IdentityError::Throttled { retry_after_ms } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refused.reason(), Reason::LimitReached);
    assert_eq!(refused.problem().retry_after_ms, Some(retry_after_ms));
    assert!((1..=1_000).contains(&retry_after_ms), "{retry_after_ms}");

    house.clock.advance_ms(u64::from(retry_after_ms));
    house
        .login_with(acme, "anna", PASSWORD, "192.0.2.1")
        .await
        .unwrap();
    // A success wipes the slate.
    for _ in 0..5 {
        let outcome = house.login_with(acme, "anna", "wrong", "192.0.2.1").await;
        assert!(matches!(outcome, Err(IdentityError::BadCredentials)));
    }
}

#[tokio::test]
async fn the_wait_doubles_and_a_restart_does_not_shorten_it() {
    let mut house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let mut waits = Vec::new();
    for _ in 0..5 {
        house
            .login_with(acme, "anna", "wrong", "192.0.2.1")
            .await
            .unwrap_err();
    }
    for _ in 0..4 {
        house = house.restart().await;
        match house.login_with(acme, "anna", "wrong", "192.0.2.1").await {
            Err(IdentityError::Throttled { retry_after_ms }) => {
                waits.push(retry_after_ms);
                house.clock.advance_ms(u64::from(retry_after_ms));
                let counted = house.login_with(acme, "anna", "wrong", "192.0.2.1").await;
                assert!(matches!(counted, Err(IdentityError::BadCredentials)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000]);
}

#[tokio::test]
async fn a_stranger_elsewhere_cannot_lock_the_true_person_out() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    house.user(acme, "bertil", false).await;
    house.login(acme, "anna").await;
    // Guesses from many addresses, as fast as they are taken.
    for n in 0..60 {
        for login in ["anna", "bertil"] {
            let _ = house
                .login_with(acme, login, "wrong", &format!("198.51.100.{n}"))
                .await;
        }
    }
    // Anna signed in from here before: nothing holds her up.
    house.login(acme, "anna").await;
    // Bertil never did: he waits half a minute at most.
    let refused = house
        .login_with(acme, "bertil", PASSWORD, "192.0.2.1")
        .await
        .unwrap_err();
    let IdentityError::Throttled { retry_after_ms } = refused else {
        panic!("{refused:?}")
    };
    assert!(retry_after_ms <= 30_000, "{retry_after_ms}");
    house.clock.advance_ms(u64::from(retry_after_ms));
    house
        .login_with(acme, "bertil", PASSWORD, "192.0.2.1")
        .await
        .unwrap();
}

#[tokio::test]
async fn one_address_cannot_try_everybody() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let mut taken = 0;
    for n in 0..130 {
        let outcome = house
            .login_with(acme, &format!("user{n}"), "wrong", "192.0.2.9")
            .await;
        taken += usize::from(matches!(outcome, Err(IdentityError::BadCredentials)));
    }
    assert_eq!(taken, 100);
}

#[tokio::test]
async fn attempts_at_once_cannot_slip_past_the_count() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let identity = house.identity.clone();
        tasks.spawn(async move {
            let address = "192.0.2.1".parse().unwrap();
            identity
                .login(acme, "anna", support::secret("wrong"), "", address)
                .await
        });
    }
    let mut looked_at = 0;
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome.unwrap();
        assert!(outcome.is_err());
        looked_at += usize::from(matches!(outcome, Err(IdentityError::BadCredentials)));
    }
    assert!(looked_at <= 5, "{looked_at}");
}

#[tokio::test]
async fn a_whole_office_signs_in_at_once_from_one_address() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    for n in 0..40 {
        house.user(acme, &format!("user{n}"), false).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let identity = house.identity.clone();
        tasks.spawn(async move {
            let address = "192.0.2.1".parse().unwrap();
            identity
                .login(
                    acme,
                    &format!("user{n}"),
                    support::secret(PASSWORD),
                    "",
                    address,
                )
                .await
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap().unwrap();
    }
}

#[tokio::test]
async fn counts_that_say_nothing_any_more_are_swept() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    house
        .login_with(acme, "stranger", "wrong", "192.0.2.1")
        .await
        .unwrap_err();
    assert_eq!(house.identity.sweep().await.unwrap(), 0);
    house.clock.advance_ms(support::DAY_MS);
    assert_eq!(
        house.identity.sweep().await.unwrap(),
        3,
        "pair, login, address"
    );
}

#[tokio::test]
async fn a_thirty_third_device_ends_the_one_used_longest_ago() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let mut devices = Vec::new();
    for _ in 0..33 {
        devices.push(house.login(acme, "anna").await);
        house.clock.advance_ms(1_000);
    }
    assert!(house.identity.verify(&devices[0].access_token).is_err());
    assert!(
        house
            .identity
            .refresh(acme, devices[0].refresh_token.expose())
            .await
            .is_err()
    );
    assert!(house.identity.verify(&devices[1].access_token).is_ok());
}

#[tokio::test]
async fn who_signed_in_from_an_address_before_is_not_held_up_by_others_behind_it() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", true).await;
    house.user(acme, "bertil", false).await;
    let office = "192.0.2.9";
    house
        .login_with(acme, "anna", PASSWORD, office)
        .await
        .unwrap();
    for n in 0..130 {
        let made_up = format!("nobody{n}");
        assert!(
            house
                .login_with(acme, &made_up, "wrong password", office)
                .await
                .is_err()
        );
    }
    let bertils = house.login_with(acme, "bertil", PASSWORD, office).await;
    assert_eq!(bertils.unwrap_err().problem().reason, Reason::LimitReached);
    house
        .login_with(acme, "anna", PASSWORD, office)
        .await
        .unwrap();
}
