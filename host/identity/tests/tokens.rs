//! Access and refresh tokens over their whole life: expiry, rotation, reuse, revocation, restarts, other tenants.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected fails"
)]

use crate::support;

use support::{DAY_MS, House, PASSWORD, secret};
use vaxel_identity::{IdentityError, TokenError};

#[tokio::test]
async fn a_token_expires_by_our_clock_also_when_it_was_seen_before() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let token = house.login(acme, "anna").await.access_token;
    let claims = house.identity.verify(&token).unwrap();
    house.clock.advance_ms(10 * 60_000 - 1);
    assert!(house.identity.verify(&token).is_ok());
    house.clock.advance_ms(1);
    assert_eq!(house.identity.verify(&token), Err(TokenError::Expired));
    assert_eq!(
        house.identity.still_valid(&claims),
        Err(TokenError::Expired)
    );
}

#[tokio::test]
async fn a_token_of_one_tenant_is_refused_at_anothers_door() {
    let house = House::new().await;
    let (acme, globex) = (house.tenant("acme").await, house.tenant("globex").await);
    house.user(acme, "anna", false).await;
    let signed_in = house.login(acme, "anna").await;
    assert!(
        house
            .identity
            .verify_for(acme, &signed_in.access_token)
            .is_ok()
    );
    let refused = house
        .identity
        .verify_for(globex, &signed_in.access_token)
        .unwrap_err();
    assert_eq!(refused, TokenError::WrongTenant);
    assert_eq!(refused.reason(), vaxel_core::Reason::Forbidden);
    let refused = house
        .identity
        .refresh(globex, signed_in.refresh_token.expose())
        .await;
    assert!(matches!(refused, Err(IdentityError::SessionGone)));
}

#[tokio::test]
async fn a_changed_token_is_refused_also_after_the_true_one_was_seen() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let token = house.login(acme, "anna").await.access_token;
    house.identity.verify(&token).unwrap();
    for at in [0, token.len() / 2, token.len() - 1] {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(house.identity.verify(&changed).is_err());
    }
    let longer = format!("{token}.");
    assert_eq!(house.identity.verify(&longer), Err(TokenError::Malformed));
}

#[tokio::test]
async fn rotating_the_key_keeps_old_tokens_until_they_expire_and_the_next_key_is_known_before() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let kids = |house: &House| -> Vec<String> {
        let jwks = house.identity.jwks();
        let keys = jwks["keys"].as_array().unwrap();
        for key in keys {
            assert_eq!(
                (&key["kty"], &key["crv"], &key["use"]),
                (&"OKP".into(), &"Ed25519".into(), &"sig".into())
            );
            assert!(key.get("d").is_none());
        }
        keys.iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = kids(&house);
    assert_eq!(before.len(), 2, "current and next");
    let old = house.login(acme, "anna").await.access_token;

    house.clock.advance_ms(1_000);
    house.identity.rotate_signing_key().await.unwrap();
    let after = kids(&house);
    assert_eq!(after.len(), 3, "previous, current, next");
    assert!(
        before.iter().all(|kid| after.contains(kid)),
        "the new current was announced before"
    );
    let new = house.login(acme, "anna").await.access_token;
    assert_ne!(header_of(&old), header_of(&new));
    assert!(house.identity.verify(&old).is_ok() && house.identity.verify(&new).is_ok());

    let house = house.restart().await;
    assert!(house.identity.verify(&old).is_ok() && house.identity.verify(&new).is_ok());
    house.clock.advance_ms(10 * 60_000);
    assert_eq!(house.identity.verify(&old), Err(TokenError::Expired));
    house.clock.advance_ms(60_000);
    // Nothing is remembered of it after a restart, and its key is not known any more.
    let house = house.restart().await;
    assert_eq!(house.identity.verify(&old), Err(TokenError::UnknownKey));
    assert_eq!(kids(&house).len(), 2);
    house.identity.rotate_signing_key().await.unwrap();
    assert_eq!(kids(&house).len(), 3);
}

#[tokio::test]
async fn a_signing_key_that_is_old_gives_way_to_the_next_by_itself() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let kids = |house: &House| -> Vec<String> {
        let jwks = house.identity.jwks();
        let keys = jwks["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = kids(&house);
    house.clock.advance_ms(90 * DAY_MS - 1);
    house.identity.sweep().await.unwrap();
    assert_eq!(kids(&house), first);
    let old = house.login(acme, "anna").await.access_token;

    house.clock.advance_ms(1);
    house.identity.sweep().await.unwrap();
    let second = kids(&house);
    assert!(second.len() == 3 && first.iter().all(|kid| second.contains(kid)));
    house.identity.sweep().await.unwrap();
    assert_eq!(kids(&house), second, "once");
    let new = house.login(acme, "anna").await.access_token;
    assert_ne!(header_of(&old), header_of(&new));

    // Known as long as its last token lives, and a while longer for clocks that lag.
    house.clock.advance_ms(10 * 60_000 - 2_000);
    assert!(house.identity.verify(&old).is_ok());
    house.clock.advance_ms(2_000);
    assert_eq!(kids(&house).len(), 3);
    house.clock.advance_ms(60_000);
    assert_eq!(kids(&house).len(), 2, "the key of before is gone");

    // Also a server that was away for years goes on with the key that was announced.
    let announced = kids(&house);
    house.clock.advance_ms(900 * DAY_MS);
    let house = house.restart().await;
    house.identity.sweep().await.unwrap();
    let third = kids(&house);
    assert!(third.len() == 3 && announced.iter().all(|kid| third.contains(kid)));
    house.login(acme, "anna").await;
}

fn header_of(token: &str) -> &str {
    token.split('.').next().unwrap()
}

#[tokio::test]
async fn a_refresh_token_rotates_and_a_used_one_ends_the_session() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let first = house.login(acme, "anna").await;
    house.clock.advance_ms(60_000);
    let second = house
        .identity
        .refresh(acme, first.refresh_token.expose())
        .await
        .unwrap();
    assert_eq!(second.session, first.session);
    assert_ne!(second.refresh_token, first.refresh_token);

    house.clock.advance_ms(10_001);
    let mut told = house.identity.revocations();
    let reused = house
        .identity
        .refresh(acme, first.refresh_token.expose())
        .await;
    assert!(matches!(reused, Err(IdentityError::RefreshReused)));
    // Whoever holds the newer one is out too: one of the two is a thief.
    let newer = house
        .identity
        .refresh(acme, second.refresh_token.expose())
        .await;
    assert!(matches!(newer, Err(IdentityError::SessionGone)));
    assert_eq!(
        house.identity.verify(&second.access_token),
        Err(TokenError::Revoked)
    );
    assert_eq!(told.recv().await.unwrap().session, Some(first.session));
    // Another device of the same person goes on.
    house.login(acme, "anna").await;
}

#[tokio::test]
async fn a_lost_reply_and_a_second_tab_get_the_same_successor() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let first = house.login(acme, "anna").await;
    let second = house
        .identity
        .refresh(acme, first.refresh_token.expose())
        .await
        .unwrap();
    house.clock.advance_ms(10_000);
    let again = house
        .identity
        .refresh(acme, first.refresh_token.expose())
        .await
        .unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);

    let mut tabs = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (identity, token) = (house.identity.clone(), second.refresh_token.clone());
        tabs.spawn(async move { identity.refresh(acme, token.expose()).await.unwrap() });
    }
    let mut successors = Vec::new();
    while let Some(tab) = tabs.join_next().await {
        successors.push(tab.unwrap().refresh_token);
    }
    assert!(successors.windows(2).all(|two| two[0] == two[1]));
    house
        .identity
        .refresh(acme, successors[0].expose())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_of_two_rotations_ago_is_reuse_at_once() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let identity = &house.identity;
    let first = house.login(acme, "anna").await;
    let second = identity
        .refresh(acme, first.refresh_token.expose())
        .await
        .unwrap();
    house.clock.advance_ms(1);
    let third = identity
        .refresh(acme, second.refresh_token.expose())
        .await
        .unwrap();
    let previous = identity
        .refresh(acme, second.refresh_token.expose())
        .await
        .unwrap();
    assert_eq!(previous.refresh_token, third.refresh_token);
    let older = identity.refresh(acme, first.refresh_token.expose()).await;
    assert!(matches!(older, Err(IdentityError::RefreshReused)));
    let owner = identity.refresh(acme, third.refresh_token.expose()).await;
    assert!(matches!(owner, Err(IdentityError::SessionGone)));
    assert_eq!(
        identity.verify(&third.access_token),
        Err(TokenError::Revoked)
    );
}

#[tokio::test]
async fn a_forged_refresh_token_ends_nothing() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let signed_in = house.login(acme, "anna").await;
    let good = signed_in.refresh_token.expose();
    for at in 0..good.len() {
        let mut forged = good.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let refused = house.identity.refresh(acme, &forged).await;
        assert!(
            matches!(refused, Err(IdentityError::SessionGone)),
            "byte {at}"
        );
        house.identity.logout(acme, &forged).await.unwrap();
    }
    for text in ["", "x", "å", &"A".repeat(10_000)] {
        assert!(matches!(
            house.identity.refresh(acme, text).await,
            Err(IdentityError::SessionGone)
        ));
    }
    house.identity.refresh(acme, good).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_after_thirty_idle_days() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let first = house.login(acme, "anna").await;
    house.clock.advance_ms(29 * DAY_MS);
    let second = house
        .identity
        .refresh(acme, first.refresh_token.expose())
        .await
        .unwrap();
    house.clock.advance_ms(30 * DAY_MS);
    let late = house
        .identity
        .refresh(acme, second.refresh_token.expose())
        .await;
    assert!(matches!(late, Err(IdentityError::SessionGone)));
}

#[tokio::test]
async fn signing_out_holds_on_the_next_frame_and_after_a_restart() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let (phone, laptop) = (
        house.login(acme, "anna").await,
        house.login(acme, "anna").await,
    );
    let claims = house.identity.verify(&phone.access_token).unwrap();
    house
        .identity
        .logout(acme, phone.refresh_token.expose())
        .await
        .unwrap();
    assert_eq!(
        house.identity.still_valid(&claims),
        Err(TokenError::Revoked)
    );
    assert!(house.identity.verify(&laptop.access_token).is_ok());

    let house = house.restart().await;
    assert_eq!(
        house.identity.verify(&phone.access_token),
        Err(TokenError::Revoked)
    );
    assert!(house.identity.verify(&laptop.access_token).is_ok());
    house
        .identity
        .refresh(acme, laptop.refresh_token.expose())
        .await
        .unwrap();
    house
        .identity
        .logout(acme, phone.refresh_token.expose())
        .await
        .unwrap();

    house.clock.advance_ms(11 * 60_000);
    assert!(
        house.identity.sweep().await.unwrap() >= 1,
        "the stored revocation has outlived its use"
    );
}

#[tokio::test]
async fn changing_the_password_ends_the_other_sessions_only() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    house.user(acme, "anna", false).await;
    let (here, there) = (
        house.login(acme, "anna").await,
        house.login(acme, "anna").await,
    );
    let claims = house.identity.verify(&here.access_token).unwrap();
    let identity = &house.identity;

    let wrong = identity
        .change_password(&claims, secret("not it"), secret("en ny lång mening"))
        .await;
    assert!(matches!(wrong, Err(IdentityError::BadCredentials)));
    let weak = identity
        .change_password(&claims, secret(PASSWORD), secret("kort"))
        .await;
    assert!(matches!(weak, Err(IdentityError::WeakPassword { .. })));
    identity
        .change_password(&claims, secret(PASSWORD), secret("en ny lång mening"))
        .await
        .unwrap();

    assert!(identity.verify(&here.access_token).is_ok());
    assert_eq!(
        identity.verify(&there.access_token),
        Err(TokenError::Revoked)
    );
    assert!(
        identity
            .refresh(acme, there.refresh_token.expose())
            .await
            .is_err()
    );
    assert!(
        house
            .login_with(acme, "anna", PASSWORD, "192.0.2.1")
            .await
            .is_err()
    );
    house
        .login_with(acme, "anna", "en ny lång mening", "192.0.2.1")
        .await
        .unwrap();

    for _ in 0..5 {
        let _ = identity
            .change_password(&claims, secret("guess"), secret("en ny lång mening"))
            .await;
    }
    let slowed = identity
        .change_password(&claims, secret("guess"), secret("en ny lång mening"))
        .await;
    assert!(matches!(slowed, Err(IdentityError::Throttled { .. })));
}

#[tokio::test]
async fn the_issuer_comes_from_configuration() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let tenant = house.identity.tenant(acme).unwrap();
    assert_eq!(house.identity.issuer(&tenant), "https://acme.example");
    house.user(acme, "anna", false).await;
    let token = house.login(acme, "anna").await.access_token;
    // Under another name it is another issuer.
    house
        .identity
        .set_tenant_hosts(acme, &["new.example".to_owned()])
        .await
        .unwrap();
    assert_eq!(house.identity.verify(&token), Err(TokenError::WrongIssuer));
}
