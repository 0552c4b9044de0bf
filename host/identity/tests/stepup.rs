//! Step-up: PINs that are guessed at a few times only, and proofs that are spent once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use crate::support;

use support::House;
use vaxel_core::{OpCx, PluginId, SessionId, TenantId, UnixMs};
use vaxel_crypto::Secret;
use vaxel_identity::{BROWSER_PROOF_MS, Binding, IdentityError, NewProof, PIN_DIGITS, PROOF_MS};

const SCOPE: &str = "survey:17";

struct Desk {
    house: House,
    tenant: TenantId,
    plugin: PluginId,
}

impl Desk {
    async fn new() -> Self {
        let house = House::new().await;
        let tenant = house.tenant("acme").await;
        Self {
            house,
            tenant,
            plugin: "surveys".parse().unwrap(),
        }
    }

    async fn pin(&self, scope: &str) -> String {
        let cx = OpCx::system(self.tenant, UnixMs(0));
        let pin = self.house.identity.make_pin(&cx, &self.plugin, scope);
        pin.await.unwrap().expose().clone()
    }

    async fn tries(&self, scope: &str, pin: &str) -> Result<(), IdentityError> {
        let pin = Secret::new(pin.to_owned());
        let identity = &self.house.identity;
        identity
            .check_pin(self.tenant, &self.plugin, scope, pin)
            .await
    }

    async fn proof(&self, purpose: &str, binding: Binding) -> String {
        let new = NewProof {
            plugin: &self.plugin,
            purpose,
            method: "pin",
            pseudonym: None,
            binding,
            for_ticket: false,
        };
        let made = self.house.identity.issue_proof(self.tenant, new);
        made.await.unwrap().expose().clone()
    }

    async fn spends(&self, purpose: &str, token: &str, binding: Binding) -> bool {
        let identity = &self.house.identity;
        let spent = identity.spend_proof(self.tenant, &self.plugin, purpose, token, binding);
        spent.await.unwrap().is_some()
    }
}

fn wrong(pin: &str) -> String {
    let other = if pin.starts_with('1') { '2' } else { '1' };
    format!("{other}{}", &pin[1..])
}

#[tokio::test]
async fn the_right_pin_opens_and_a_new_one_takes_its_place() {
    let desk = Desk::new().await;
    let pin = desk.pin(SCOPE).await;
    assert_eq!(pin.len(), PIN_DIGITS);
    desk.tries(SCOPE, &pin).await.unwrap();
    assert!(
        desk.tries("survey:18", &pin).await.is_err(),
        "another scope"
    );
    let next = desk.pin(SCOPE).await;
    desk.tries(SCOPE, &next).await.unwrap();
    if next != pin {
        assert!(desk.tries(SCOPE, &pin).await.is_err());
    }
}

#[tokio::test]
async fn guesses_run_out_also_many_at_once_and_also_over_a_restart() {
    let mut desk = Desk::new().await;
    let pin = desk.pin(SCOPE).await;
    let bad = wrong(&pin);
    let guesses = (0..20).map(|_| desk.tries(SCOPE, &bad));
    let answers = futures_util::future::join_all(guesses).await;
    let looked_at =
        |answer: &&Result<(), IdentityError>| matches!(answer, Err(IdentityError::WrongPin { .. }));
    assert_eq!(answers.iter().filter(looked_at).count(), 5);
    let Desk {
        house,
        tenant,
        plugin,
    } = desk;
    desk = Desk {
        house: house.restart().await,
        tenant,
        plugin,
    };
    let refused = desk.tries(SCOPE, &pin).await.unwrap_err();
    assert!(
        matches!(refused, IdentityError::Throttled { .. }),
        "{refused}"
    );
    desk.house.clock.advance_ms(15 * 60_000);
    desk.tries(SCOPE, &pin).await.unwrap();
    // The right one starts the count anew.
    for _ in 0..4 {
        assert!(desk.tries(SCOPE, &bad).await.is_err());
    }
    desk.tries(SCOPE, &pin).await.unwrap();
}

#[tokio::test]
async fn in_the_end_only_a_new_pin_helps() {
    let desk = Desk::new().await;
    let pin = desk.pin(SCOPE).await;
    let bad = wrong(&pin);
    for _ in 0..4 {
        for _ in 0..5 {
            let refused = desk.tries(SCOPE, &bad).await.unwrap_err();
            assert!(
                matches!(refused, IdentityError::WrongPin { .. }),
                "{refused}"
            );
        }
        desk.house.clock.advance_ms(24 * 3_600_000);
    }
    let refused = desk.tries(SCOPE, &pin).await.unwrap_err();
    assert!(matches!(refused, IdentityError::PinLocked), "{refused}");
    let next = desk.pin(SCOPE).await;
    desk.tries(SCOPE, &next).await.unwrap();
}

#[tokio::test]
async fn a_scope_without_a_pin_answers_like_one_with() {
    let desk = Desk::new().await;
    desk.pin("there").await;
    for left in (0..5).rev() {
        for scope in ["there", "not-there"] {
            let refused = desk.tries(scope, "no digits").await.unwrap_err();
            assert!(
                matches!(refused, IdentityError::WrongPin { left: l } if l == left),
                "{scope}: {refused}"
            );
        }
    }
    for scope in ["there", "not-there"] {
        let refused = desk.tries(scope, "000000").await.unwrap_err();
        assert!(
            matches!(refused, IdentityError::Throttled { .. }),
            "{scope}"
        );
    }
}

#[tokio::test]
async fn a_proof_is_spent_once_where_it_was_made_and_for_what() {
    let desk = Desk::new().await;
    let here = Binding::Session(SessionId::from_u128(1));
    let token = desk.proof("answer", here).await;
    assert!(desk.spends("answer", &token, here).await);
    assert!(!desk.spends("answer", &token, here).await, "once");

    let elsewhere = Binding::Session(SessionId::from_u128(2));
    for (purpose, binding) in [
        ("answer", elsewhere),
        ("other", here),
        ("answer", Binding::Browser([1; 32])),
    ] {
        let token = desk.proof("answer", here).await;
        assert!(!desk.spends(purpose, &token, binding).await);
        assert!(
            !desk.spends("answer", &token, here).await,
            "gone once shown wrongly"
        );
    }
    let late = desk.proof("answer", here).await;
    desk.house.clock.advance_ms(PROOF_MS);
    assert!(!desk.spends("answer", &late, here).await);
    assert!(!desk.spends("answer", "made up", here).await);
    desk.proof("answer", here).await;
    desk.house.clock.advance_ms(BROWSER_PROOF_MS);
    assert!(desk.house.identity.sweep().await.unwrap() >= 1);
}

#[tokio::test]
async fn nobody_has_a_purpose_without_a_name() {
    let desk = Desk::new().await;
    let long = "x".repeat(129);
    for name in ["", "two words", "ö", long.as_str()] {
        let refused = desk.tries(name, "123456").await.unwrap_err();
        assert!(matches!(refused, IdentityError::Malformed { .. }), "{name}");
    }
}
