//! Roles: what they give, to whom, and when it ends.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use std::collections::BTreeSet;

use support::House;
use vaxel_core::{OpCx, TenantId, UserId};
use vaxel_identity::{Holder, IdentityError, Outcome, Role};

struct Office {
    house: House,
    acme: TenantId,
    cx: OpCx,
    anna: UserId,
}

impl Office {
    async fn open() -> Self {
        let house = House::new().await;
        let acme = house.tenant("acme").await;
        let admin = house.user(acme, "admin", true).await;
        let anna = house.user(acme, "anna", false).await.id;
        let cx = house.cx(acme, admin.id);
        Self {
            house,
            acme,
            cx,
            anna,
        }
    }

    async fn role(&self, name: &str, permissions: &[&str]) -> Role {
        let identity = &self.house.identity;
        let made = identity.create_role(&self.cx, name, set(permissions));
        made.await.unwrap()
    }

    fn may(&self, user: UserId) -> Vec<String> {
        let identity = &self.house.identity;
        let permissions = identity.permissions_of(self.acme, user).unwrap();
        permissions.iter().cloned().collect()
    }
}

fn set(permissions: &[&str]) -> BTreeSet<String> {
    permissions.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn who_holds_roles_may_what_all_of_them_say() {
    let office = Office::open().await;
    let identity = &office.house.identity;
    let (cx, anna) = (&office.cx, Holder::User(office.anna));
    assert!(office.may(office.anna).is_empty());
    let one = office.role("Moderator", &["chat.moderate"]).await;
    let two = office
        .role("Frågor", &["surveys.read", "chat.moderate"])
        .await;
    identity.assign_role(cx, one.id, anna).await.unwrap();
    assert_eq!(office.may(office.anna), ["chat.moderate"]);
    let twice = identity.assign_role(cx, one.id, anna).await.unwrap();
    assert_eq!(twice.holder_count, 1);
    identity.assign_role(cx, two.id, anna).await.unwrap();
    assert_eq!(office.may(office.anna), ["chat.moderate", "surveys.read"]);
    let other = Some(set(&["surveys.write"]));
    identity
        .update_role(cx, two.id, Some("Enkäter"), other)
        .await
        .unwrap();
    assert_eq!(office.may(office.anna), ["chat.moderate", "surveys.write"]);
    identity.unassign_role(cx, one.id, anna).await.unwrap();
    assert_eq!(office.may(office.anna), ["surveys.write"]);
    identity.delete_role(cx, two.id).await.unwrap();
    assert!(office.may(office.anna).is_empty());
    assert_eq!(identity.roles(office.acme).unwrap().len(), 1);
    let admin = Holder::User(match cx.actor {
        vaxel_core::Actor::User(user) => user,
        _ => unreachable!(),
    });
    assert_eq!(identity.holders_of(office.acme, one.id).unwrap(), []);
    identity.assign_role(cx, one.id, admin).await.unwrap();
    assert_eq!(identity.holders_of(office.acme, one.id).unwrap(), [admin]);
}

#[tokio::test]
async fn a_groups_role_is_its_members_as_long_as_they_are_in_it() {
    let office = Office::open().await;
    let identity = &office.house.identity;
    let (cx, anna) = (&office.cx, office.anna);
    let group = identity.create_group(cx, "Jour").await.unwrap().id;
    let role = office.role("Moderator", &["chat.moderate"]).await;
    let holder = Holder::Group(group);
    identity.assign_role(cx, role.id, holder).await.unwrap();
    assert!(office.may(anna).is_empty());
    identity.add_member(cx, group, anna).await.unwrap();
    assert_eq!(office.may(anna), ["chat.moderate"]);
    identity.remove_member(cx, group, anna).await.unwrap();
    assert!(office.may(anna).is_empty());
    identity.add_member(cx, group, anna).await.unwrap();
    assert_eq!(office.may(anna), ["chat.moderate"]);
    identity.delete_group(cx, group).await.unwrap();
    assert!(office.may(anna).is_empty());
    assert_eq!(identity.roles(office.acme).unwrap()[0].holder_count, 0);
    assert_eq!(identity.holders_of(office.acme, role.id).unwrap(), []);
}

#[tokio::test]
async fn roles_outlive_a_restart() {
    let mut office = Office::open().await;
    let role = office.role("Moderator", &["chat.moderate"]).await;
    let anna = Holder::User(office.anna);
    let assigned = office.house.identity.assign_role(&office.cx, role.id, anna);
    assigned.await.unwrap();
    office.house = office.house.restart().await;
    assert_eq!(office.may(office.anna), ["chat.moderate"]);
}

#[tokio::test]
async fn only_administrators_change_roles_and_only_their_own_tenants() {
    let office = Office::open().await;
    let house = &office.house;
    let identity = &house.identity;
    let role = office.role("Moderator", &["chat.moderate"]).await;
    let as_anna = house.cx(office.acme, office.anna);
    let anna = Holder::User(office.anna);
    let refused = identity.create_role(&as_anna, "Mitt", set(&[])).await;
    assert!(matches!(refused, Err(IdentityError::NotAdmin)));
    let refused = identity.assign_role(&as_anna, role.id, anna).await;
    assert!(matches!(refused, Err(IdentityError::NotAdmin)));
    assert!(office.may(office.anna).is_empty());
    let globex = house.tenant("globex").await;
    let boss = house.user(globex, "boss", true).await;
    let greta = house.user(globex, "greta", false).await;
    let as_boss = house.cx(globex, boss.id);
    assert!(identity.assign_role(&as_boss, role.id, anna).await.is_err());
    assert!(identity.delete_role(&as_boss, role.id).await.is_err());
    let stranger = Holder::User(greta.id);
    let refused = identity.assign_role(&office.cx, role.id, stranger).await;
    assert!(matches!(
        refused,
        Err(IdentityError::Unknown { what: "user" })
    ));
    assert!(identity.roles(globex).unwrap().is_empty());
    let audit = identity.audit(&office.cx, None, 100).await.unwrap();
    let refused = |action: &str| {
        audit
            .items
            .iter()
            .any(|entry| entry.action == action && entry.outcome == Outcome::Refused)
    };
    assert!(refused("roles.create") && refused("roles.assign"));
}

#[tokio::test]
async fn names_are_told_apart_and_permissions_look_like_ones() {
    let office = Office::open().await;
    let identity = &office.house.identity;
    let one = office.role("Moderator", &["chat.moderate"]).await;
    let taken = identity
        .create_role(&office.cx, " MODERATOR ", set(&[]))
        .await;
    assert!(matches!(taken, Err(IdentityError::RoleNameTaken)));
    let own = identity.update_role(&office.cx, one.id, Some("moderator"), None);
    assert_eq!(own.await.unwrap().permissions, set(&["chat.moderate"]));
    for bad in ["", "chat", "Chat.read", "chat.läs", "chat read.x"] {
        let refused = identity.create_role(&office.cx, "Ny", set(&[bad])).await;
        assert!(
            matches!(refused, Err(IdentityError::Malformed { .. })),
            "{bad:?}"
        );
    }
    for n in 1..100 {
        office.role(&format!("Roll {n}"), &[]).await;
    }
    let refused = identity.create_role(&office.cx, "En till", set(&[])).await;
    assert!(matches!(refused, Err(IdentityError::TooMany { .. })));
}
