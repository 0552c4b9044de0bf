//! Groups: made, named, filled, emptied and deleted, by administrators of their tenant only.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use support::{House, somebody};
use vaxel_core::{GroupId, OpCx};
use vaxel_identity::{IdentityError, Outcome};

/// All acts in the audit, oldest first, with what they were about.
async fn acts(house: &House, cx: &OpCx) -> Vec<(String, Option<String>, Outcome)> {
    let page = house.identity.audit(cx, None, 100).await.unwrap();
    let acts = page.items.into_iter().rev();
    acts.map(|entry| (entry.action, entry.target, entry.outcome))
        .collect()
}

#[tokio::test]
async fn groups_hold_people_of_their_tenant() {
    let house = House::new().await;
    let (acme, globex) = (house.tenant("acme").await, house.tenant("globex").await);
    let admin = house.user(acme, "admin", true).await;
    let anna = house.user(acme, "anna", false).await;
    let stranger = house.user(globex, "greta", false).await;
    let cx = house.cx(acme, admin.id);
    let identity = &house.identity;
    let group = identity.create_group(&cx, "Växeln").await.unwrap().id;
    identity.add_member(&cx, group, anna.id).await.unwrap();
    let twice = identity.add_member(&cx, group, anna.id).await.unwrap();
    assert_eq!(twice.member_count, 1);
    let both = identity.add_member(&cx, group, admin.id).await.unwrap();
    assert_eq!(both.member_count, 2);
    assert!(identity.add_member(&cx, group, stranger.id).await.is_err());
    let nowhere = GroupId::from_u128(9);
    assert!(identity.add_member(&cx, nowhere, anna.id).await.is_err());
    assert_eq!(identity.groups_of(acme, anna.id).unwrap(), [group]);
    let (first, next) = identity.members_of(acme, group, None, 1).unwrap();
    let (second, end) = identity.members_of(acme, group, next, 1).unwrap();
    let mut both = [admin.id, anna.id];
    both.sort();
    assert_eq!(([first, second].concat(), end), (both.to_vec(), None));
    let left = identity.remove_member(&cx, group, anna.id).await.unwrap();
    let again = identity.remove_member(&cx, group, anna.id).await.unwrap();
    assert_eq!((left.member_count, again.member_count), (1, 1));
    assert!(identity.groups_of(acme, anna.id).unwrap().is_empty());
    assert_eq!(
        identity.group(acme, group).unwrap().unwrap().member_count,
        1
    );
    assert_eq!(identity.groups(acme, None, 100).unwrap().0.len(), 1);
    assert!(identity.groups(globex, None, 100).unwrap().0.is_empty());
    assert!(identity.group(globex, group).unwrap().is_none());
    let target = Some(format!("{group}/{}", anna.id));
    let removed = ("groups.remove_member".to_owned(), target, Outcome::Done);
    let noted = acts(&house, &cx).await;
    assert_eq!(noted.iter().filter(|act| **act == removed).count(), 1);
}

#[tokio::test]
async fn a_name_belongs_to_one_group_and_can_be_changed() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let cx = house.cx(acme, admin.id);
    let identity = &house.identity;
    let one = identity.create_group(&cx, "Jour").await.unwrap();
    house.clock.advance_ms(1);
    let two = identity.create_group(&cx, "Reception").await.unwrap();
    for taken in ["Jour", " jour ", "JOUR"] {
        let refused = identity.rename_group(&cx, two.id, taken).await;
        assert!(matches!(refused, Err(IdentityError::GroupNameTaken)));
        let refused = identity.create_group(&cx, taken).await;
        assert!(matches!(refused, Err(IdentityError::GroupNameTaken)));
    }
    let own = identity.rename_group(&cx, one.id, "JOUR").await.unwrap();
    assert_eq!((own.id, own.name.as_str()), (one.id, "JOUR"));
    for bad in ["", "  ", "a\nb"] {
        assert!(identity.rename_group(&cx, one.id, bad).await.is_err());
    }
    let (first, next) = identity.groups(acme, None, 1).unwrap();
    let (second, end) = identity.groups(acme, next, 1).unwrap();
    let names = [&first[0].name, &second[0].name];
    assert_eq!((names, end), ([&own.name, &two.name], None));
}

#[tokio::test]
async fn a_deleted_group_is_gone_whole_and_its_people_stay() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let cx = house.cx(acme, admin.id);
    let identity = &house.identity;
    let (big, small) = (
        identity.create_group(&cx, "Alla").await.unwrap().id,
        identity.create_group(&cx, "Jour").await.unwrap().id,
    );
    identity.add_member(&cx, small, admin.id).await.unwrap();
    // More than go in one commit.
    let mut people = Vec::new();
    for n in 0..450 {
        let user = identity
            .create_user(acme, somebody(&format!("person{n}")))
            .await
            .unwrap();
        identity.add_member(&cx, big, user.id).await.unwrap();
        people.push(user.id);
    }
    assert_eq!(
        identity.group(acme, big).unwrap().unwrap().member_count,
        450
    );
    identity.delete_group(&cx, big).await.unwrap();
    assert!(identity.group(acme, big).unwrap().is_none());
    assert!(
        identity
            .members_of(acme, big, None, 10)
            .unwrap()
            .0
            .is_empty()
    );
    for person in people {
        assert!(identity.groups_of(acme, person).unwrap().is_empty());
        assert!(identity.user(acme, person).unwrap().is_some());
    }
    assert_eq!(identity.groups_of(acme, admin.id).unwrap(), [small]);
    let again = identity.delete_group(&cx, big).await;
    assert!(matches!(again, Err(IdentityError::Unknown { .. })));
    let deleted = (
        "groups.delete".to_owned(),
        Some(big.to_string()),
        Outcome::Done,
    );
    let noted = acts(&house, &cx).await;
    assert_eq!(noted.iter().filter(|act| **act == deleted).count(), 1);
}

#[tokio::test]
async fn only_administrators_change_groups_and_the_refusal_is_written_down() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let anna = house.user(acme, "anna", false).await;
    let (boss, plain) = (house.cx(acme, admin.id), house.cx(acme, anna.id));
    let identity = &house.identity;
    let group = identity.create_group(&boss, "Jour").await.unwrap().id;
    let outcomes = [
        identity.create_group(&plain, "Egen").await.map(drop),
        identity.rename_group(&plain, group, "Min").await.map(drop),
        identity.add_member(&plain, group, anna.id).await.map(drop),
        identity
            .remove_member(&plain, group, anna.id)
            .await
            .map(drop),
        identity.delete_group(&plain, group).await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(IdentityError::NotAdmin)));
    }
    let refused: Vec<_> = acts(&house, &boss)
        .await
        .into_iter()
        .filter(|(_, _, outcome)| *outcome == Outcome::Refused)
        .map(|(action, _, _)| action)
        .collect();
    let all = ["create", "rename", "add_member", "remove_member", "delete"];
    assert_eq!(refused, all.map(|verb| format!("groups.{verb}")));
}
