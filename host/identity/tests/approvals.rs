//! Four eyes: how much may wait, for how long, and that two approvals at once carry an act out once.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use serde_json::json;
use support::House;
use vaxel_core::OpCx;
use vaxel_identity::IdentityError;

/// A house with two administrators who want four eyes.
async fn with_two() -> (House, OpCx, OpCx) {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let (anna, eva) = (
        house.user(acme, "anna", true).await,
        house.user(acme, "eva", true).await,
    );
    let (anna, eva) = (house.cx(acme, anna.id), house.cx(acme, eva.id));
    house.identity.require_four_eyes(&anna, true).await.unwrap();
    (house, anna, eva)
}

#[tokio::test]
async fn an_act_waits_a_week_and_no_longer() {
    let (house, anna, eva) = with_two().await;
    let identity = &house.identity;
    let params = json!({"plugin": "chat"});
    let ask = identity.ask_for_approval(&anna, "plugins/enable", &params);
    let one = ask.await.unwrap();
    house.clock.advance_ms(7 * 24 * 3_600 * 1_000 - 1);
    assert_eq!(
        identity.approvals(anna.tenant).unwrap(),
        std::slice::from_ref(&one)
    );
    house.clock.advance_ms(1);
    assert!(identity.approvals(anna.tenant).unwrap().is_empty());
    let late = identity.approve(&eva, one.id).await.unwrap_err();
    assert!(matches!(late, IdentityError::Unknown { .. }));
}

#[tokio::test]
async fn a_hundred_wait_and_what_is_over_makes_room() {
    let (house, anna, eva) = with_two().await;
    let identity = &house.identity;
    for number in 0..100 {
        let params = json!({"plugin": format!("p{number}")});
        let ask = identity.ask_for_approval(&anna, "plugins/enable", &params);
        ask.await.unwrap();
    }
    let params = json!({"plugin": "one-more"});
    let ask = identity.ask_for_approval(&eva, "plugins/enable", &params);
    assert!(matches!(
        ask.await.unwrap_err(),
        IdentityError::TooMany { max: 100, .. }
    ));
    house.clock.advance_ms(8 * 24 * 3_600 * 1_000);
    let ask = identity.ask_for_approval(&eva, "plugins/enable", &params);
    ask.await.unwrap();
    assert_eq!(identity.approvals(anna.tenant).unwrap().len(), 1);
}

#[tokio::test]
async fn two_who_approve_at_once_carry_it_out_once() {
    let (house, anna, eva) = with_two().await;
    let third = house.user(anna.tenant, "karin", true).await;
    let karin = house.cx(anna.tenant, third.id);
    let identity = &house.identity;
    let params = json!({"plugin": "chat"});
    let ask = identity.ask_for_approval(&anna, "plugins/enable", &params);
    let id = ask.await.unwrap().id;
    let (by_eva, by_karin) = tokio::join!(identity.approve(&eva, id), identity.approve(&karin, id));
    assert!(by_eva.is_ok() != by_karin.is_ok());
}
