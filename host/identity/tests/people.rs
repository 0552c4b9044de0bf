//! Tenants, hosts, people, links and the audit, as administrators meet them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected fails"
)]

use crate::support;

use support::{DAY_MS, House, PASSWORD, secret, somebody};
use vaxel_core::{Actor, Locale, OpCx, Reason, UserId};
use vaxel_identity::{IdentityError, LinkKind, NewTenant, NewUser, Outcome, TokenError};

#[tokio::test]
async fn a_tenant_is_found_by_its_hosts_and_nobody_owns_the_rest() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let identity = &house.identity;
    for host in ["acme.example", "ACME.example.", "acme.example:8443"] {
        assert_eq!(identity.tenant_by_host(host).unwrap().id, acme, "{host}");
    }
    for host in [
        "",
        "evil.example",
        "acme.example.evil.example",
        "acme.example:x",
        "a.acme.example",
        "[::1]",
    ] {
        assert!(identity.tenant_by_host(host).is_none(), "{host}");
    }
    let taken = NewTenant {
        slug: "other".to_owned(),
        name: "Other".to_owned(),
        hosts: vec!["free.example".to_owned(), "Acme.Example".to_owned()],
        locale: Locale::En,
    };
    assert!(matches!(
        identity.create_tenant(taken.clone()).await,
        Err(IdentityError::HostTaken)
    ));
    let slug = NewTenant {
        slug: "acme".to_owned(),
        hosts: vec!["free.example".to_owned()],
        ..taken.clone()
    };
    assert!(matches!(
        identity.create_tenant(slug).await,
        Err(IdentityError::SlugTaken)
    ));
    for bad in ["", "https://a.example", "a.example:8443", "å.example"] {
        let bad = NewTenant {
            hosts: vec![bad.to_owned()],
            ..taken.clone()
        };
        assert_eq!(
            identity.create_tenant(bad).await.unwrap_err().reason(),
            Reason::Invalid
        );
    }
    assert!(
        identity.tenant_by_host("free.example").is_none(),
        "nothing of a refused tenant stays"
    );

    identity
        .set_tenant_hosts(acme, &["new.example".to_owned()])
        .await
        .unwrap();
    let house = house.restart().await;
    assert!(house.identity.tenant_by_host("acme.example").is_none());
    assert_eq!(
        house.identity.tenant_by_host("new.example").unwrap().id,
        acme
    );
    assert_eq!(house.identity.tenant_by_slug("acme").unwrap().id, acme);
    assert_eq!(house.identity.host_names(), ["new.example"]);
    house
        .identity
        .create_tenant(NewTenant {
            hosts: vec!["acme.example".to_owned()],
            ..taken
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_invited_person_chooses_a_password_and_is_in() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let cx = house.cx(acme, admin.id);
    let identity = &house.identity;
    let link = identity.invite(&cx, somebody("bertil")).await.unwrap();
    let token = link.token.expose();
    assert_eq!(link.expires_at.since(cx.now), 7 * DAY_MS);

    let bertil = identity.user(acme, link.user).unwrap().unwrap();
    assert!(bertil.invited && !bertil.active);
    assert!(
        house
            .login_with(acme, "bertil", PASSWORD, "192.0.2.1")
            .await
            .is_err()
    );
    let preview = identity.invite_preview(acme, token).unwrap();
    assert_eq!(
        (preview.kind, preview.display_name.as_str()),
        (LinkKind::Invite, "bertil Andersson")
    );

    let weak = identity
        .accept_invite(acme, token, secret("bertil"), "")
        .await;
    assert!(matches!(weak, Err(IdentityError::WeakPassword { .. })));
    let signed_in = identity
        .accept_invite(acme, token, secret(PASSWORD), "phone")
        .await
        .unwrap();
    assert!(signed_in.user.active && !signed_in.user.invited);
    assert_eq!(
        identity.verify(&signed_in.access_token).unwrap().user,
        link.user
    );
    house.login(acme, "bertil").await;

    let again = identity
        .accept_invite(acme, token, secret("en annan mening"), "")
        .await;
    assert!(matches!(again, Err(IdentityError::LinkGone)));
    assert_eq!(
        identity.invite_preview(acme, token).unwrap_err().reason(),
        Reason::NotFound
    );
}

#[tokio::test]
async fn a_link_is_spent_once_however_many_open_it_at_once() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let link = house
        .identity
        .invite(&house.cx(acme, admin.id), somebody("bertil"))
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (identity, token) = (house.identity.clone(), link.token.clone());
        tasks.spawn(async move {
            identity
                .accept_invite(acme, token.expose(), secret(PASSWORD), "")
                .await
                .is_ok()
        });
    }
    let mut spent = 0;
    while let Some(done) = tasks.join_next().await {
        spent += usize::from(done.unwrap());
    }
    assert_eq!(spent, 1);
}

#[tokio::test]
async fn a_link_ends_by_time_by_a_newer_one_and_by_deactivation_and_holds_in_its_tenant_only() {
    let house = House::new().await;
    let (acme, globex) = (house.tenant("acme").await, house.tenant("globex").await);
    let admin = house.user(acme, "admin", true).await;
    let cx = house.cx(acme, admin.id);
    let identity = &house.identity;
    let gone = |token: &str| {
        matches!(
            identity.invite_preview(acme, token),
            Err(IdentityError::LinkGone)
        )
    };

    let first = identity.invite(&cx, somebody("bertil")).await.unwrap();
    assert!(
        identity
            .invite_preview(globex, first.token.expose())
            .is_err()
    );
    let second = identity.reset(&cx, first.user).await.unwrap();
    assert_eq!(second.kind, LinkKind::Invite, "the invitation again");
    assert!(gone(first.token.expose()) && !gone(second.token.expose()));
    house.clock.advance_ms(7 * DAY_MS);
    assert!(gone(second.token.expose()));
    let late = identity
        .accept_invite(acme, second.token.expose(), secret(PASSWORD), "")
        .await;
    assert!(matches!(late, Err(IdentityError::LinkGone)));

    let third = identity.reset(&cx, first.user).await.unwrap();
    identity.deactivate(&cx, first.user).await.unwrap();
    assert!(gone(third.token.expose()));
    for text in ["", "x", "å", &"A".repeat(43), &"A".repeat(10_000)] {
        assert!(gone(text));
    }
}

#[tokio::test]
async fn a_reset_lets_a_person_back_in_and_everybody_else_out() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let anna = house.user(acme, "anna", false).await;
    let thief = house.login(acme, "anna").await;
    let identity = &house.identity;
    let link = identity
        .reset(&house.cx(acme, admin.id), anna.id)
        .await
        .unwrap();
    assert_eq!(link.kind, LinkKind::Reset);
    assert_eq!(link.expires_at.since(house.cx(acme, admin.id).now), DAY_MS);
    assert!(
        identity.verify(&thief.access_token).is_ok(),
        "not before it is used"
    );

    let back = identity
        .accept_invite(acme, link.token.expose(), secret("en ny lång mening"), "")
        .await
        .unwrap();
    assert_eq!(
        identity.verify(&thief.access_token),
        Err(TokenError::Revoked)
    );
    assert!(
        identity
            .refresh(acme, thief.refresh_token.expose())
            .await
            .is_err()
    );
    assert!(identity.verify(&back.access_token).is_ok());
    assert!(
        house
            .login_with(acme, "anna", PASSWORD, "192.0.2.1")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn deactivating_ends_access_at_once_and_reactivating_gives_it_back() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let anna = house.user(acme, "anna", false).await;
    let signed_in = house.login(acme, "anna").await;
    let claims = house.identity.verify(&signed_in.access_token).unwrap();
    let mut told = house.identity.revocations();
    let cx = house.cx(acme, admin.id);
    house.identity.deactivate(&cx, anna.id).await.unwrap();
    assert_eq!(
        house.identity.still_valid(&claims),
        Err(TokenError::Revoked)
    );
    let revoked = told.recv().await.unwrap();
    assert_eq!(
        (revoked.user, revoked.session),
        (Some(anna.id), Some(signed_in.session))
    );
    assert!(
        house
            .identity
            .refresh(acme, signed_in.refresh_token.expose())
            .await
            .is_err()
    );
    assert!(
        house
            .login_with(acme, "anna", PASSWORD, "192.0.2.1")
            .await
            .is_err()
    );
    assert!(house.identity.sign_in_as(acme, anna.id).await.is_err());
    assert!(house.identity.reset(&cx, anna.id).await.is_err());

    let house = house.restart().await;
    assert!(house.identity.verify(&signed_in.access_token).is_err());
    assert!(
        house
            .login_with(acme, "anna", PASSWORD, "192.0.2.1")
            .await
            .is_err()
    );
    house
        .identity
        .reactivate(&house.cx(acme, admin.id), anna.id)
        .await
        .unwrap();
    house.login(acme, "anna").await;
    house.identity.sign_in_as(acme, anna.id).await.unwrap();
}

#[tokio::test]
async fn an_invited_person_who_is_let_in_again_is_invited_again() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let cx = house.cx(acme, admin.id);
    let new = NewUser {
        admin: true,
        ..somebody("bertil")
    };
    let user = house.identity.invite(&cx, new).await.unwrap().user;
    house.identity.deactivate(&cx, user).await.unwrap();
    let back = house.identity.reactivate(&cx, user).await.unwrap();
    assert!(back.invited && !back.active);
    // Nobody has come yet who could administer instead.
    let refused = house.identity.deactivate(&cx, admin.id).await;
    assert!(matches!(refused, Err(IdentityError::LastAdmin)));
    let link = house.identity.reset(&cx, user).await.unwrap();
    house
        .identity
        .accept_invite(acme, link.token.expose(), secret(PASSWORD), "")
        .await
        .unwrap();
    house.identity.deactivate(&cx, admin.id).await.unwrap();
}

#[tokio::test]
async fn the_last_administrator_stays_also_when_two_try_at_once() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let (a, b) = (
        house.user(acme, "a", true).await,
        house.user(acme, "b", true).await,
    );
    let (cx_a, cx_b) = (house.cx(acme, a.id), house.cx(acme, b.id));
    let (one, other) = tokio::join!(
        house.identity.deactivate(&cx_a, b.id),
        house.identity.deactivate(&cx_b, a.id),
    );
    assert_eq!(
        usize::from(one.is_ok()) + usize::from(other.is_ok()),
        1,
        "{one:?} {other:?}"
    );
    let left = if one.is_ok() { a.id } else { b.id };
    let refused = house
        .identity
        .deactivate(&house.cx(acme, left), left)
        .await
        .unwrap_err();
    assert!(matches!(refused, IdentityError::LastAdmin));
    assert_eq!(refused.problem().code, "last_admin");
    house
        .login(acme, if left == a.id { "a" } else { "b" })
        .await;
}

#[tokio::test]
async fn only_administrators_administer_and_the_refusal_is_written_down() {
    let house = House::new().await;
    let (acme, globex) = (house.tenant("acme").await, house.tenant("globex").await);
    let admin = house.user(acme, "admin", true).await;
    let anna = house.user(acme, "anna", false).await;
    let stranger = house.user(globex, "greta", true).await;
    let identity = &house.identity;
    let anonymous = OpCx {
        actor: Actor::Anonymous,
        ..house.cx(acme, anna.id)
    };
    for cx in [
        house.cx(acme, anna.id),
        house.cx(acme, stranger.id),
        anonymous,
    ] {
        assert!(matches!(
            identity.invite(&cx, somebody("x")).await,
            Err(IdentityError::NotAdmin)
        ));
        // A login that is taken must not be told from one that is free.
        let cx = OpCx {
            request: vaxel_core::RequestId::new(cx.now),
            ..cx
        };
        assert!(matches!(
            identity.invite(&cx, somebody("anna")).await,
            Err(IdentityError::NotAdmin)
        ));
        assert!(matches!(
            identity.reset(&cx, anna.id).await,
            Err(IdentityError::NotAdmin)
        ));
        assert!(matches!(
            identity.deactivate(&cx, admin.id).await,
            Err(IdentityError::NotAdmin)
        ));
        assert!(matches!(
            identity.reactivate(&cx, anna.id).await,
            Err(IdentityError::NotAdmin)
        ));
        assert!(matches!(
            identity.create_group(&cx, "x").await,
            Err(IdentityError::NotAdmin)
        ));
        assert!(matches!(
            identity.audit(&cx, None, 10).await,
            Err(IdentityError::NotAdmin)
        ));
    }
    let cx = house.cx(acme, admin.id);
    let page = identity.audit(&cx, None, 200).await.unwrap();
    let of_anna: Vec<_> = page
        .items
        .iter()
        .filter(|e| e.actor == anna.id.to_string())
        .collect();
    assert_eq!(of_anna.len(), 6, "each kind of refusal once: {of_anna:?}");
    assert!(
        of_anna
            .iter()
            .all(|entry| entry.outcome == Outcome::Refused)
    );

    for _ in 0..50 {
        identity
            .record_refusal(&house.cx(acme, stranger.id), "door.wrong_tenant", "")
            .await
            .unwrap();
    }
    let after = identity.audit(&cx, None, 200).await.unwrap();
    assert_eq!(
        after.items.len(),
        page.items.len() + 1,
        "the same refusal is written once a minute"
    );
}

#[tokio::test]
async fn the_audit_pages_newest_first() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let admin = house.user(acme, "admin", true).await;
    let identity = &house.identity;
    for n in 0..25 {
        identity
            .record_act(
                &house.cx(acme, admin.id),
                "plugins.enable",
                &format!("p{n}"),
            )
            .await
            .unwrap();
    }
    let cx = house.cx(acme, admin.id);
    let mut cursor: Option<String> = None;
    let mut seen = Vec::new();
    loop {
        let page = identity.audit(&cx, cursor.as_deref(), 10).await.unwrap();
        seen.extend(page.items.into_iter().filter_map(|entry| entry.target));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("p{n}")).collect();
    assert_eq!(seen, expected);
    for bad in ["", "x", "a1-", "a1-zz", "a1-0011223344556677889900"] {
        assert_eq!(
            identity
                .audit(&cx, Some(bad), 10)
                .await
                .unwrap_err()
                .reason(),
            Reason::Invalid
        );
    }
}

#[tokio::test]
async fn people_come_in_stable_pages_and_are_found_by_name() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let mut made = Vec::new();
    for n in 0..23 {
        made.push(
            house
                .identity
                .create_user(acme, somebody(&format!("p{n}")))
                .await
                .unwrap()
                .id,
        );
        house.clock.advance_ms(1);
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = house.identity.users(acme, None, after, 5).unwrap();
        assert!(page.items.len() <= 5);
        seen.extend(page.items.iter().map(|user| user.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
    let found = house
        .identity
        .users(acme, Some(" P1 ander"), None, 50)
        .unwrap();
    assert_eq!(found.items.len(), 1);
    let found = house.identity.users(acme, Some("p1"), None, 4).unwrap();
    assert_eq!(found.items.len(), 4);
    let rest = house
        .identity
        .users(acme, Some("p1"), found.next, 50)
        .unwrap();
    assert_eq!(
        (rest.items.len(), rest.next),
        (7, None),
        "p1 and p10 to p19"
    );
    assert!(
        house
            .identity
            .users(acme, Some("nobody"), None, 50)
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(
        house
            .identity
            .user_by_login(acme, "P7")
            .unwrap()
            .unwrap()
            .id,
        made[7]
    );
}

#[tokio::test]
async fn a_login_belongs_to_one_person_of_a_tenant() {
    let house = House::new().await;
    let (acme, globex) = (house.tenant("acme").await, house.tenant("globex").await);
    house.user(acme, "anna", false).await;
    let twice = house
        .identity
        .create_user(acme, somebody(" ANNA "))
        .await
        .unwrap_err();
    assert_eq!(
        (twice.reason(), twice.problem().code.as_ref()),
        (Reason::Conflict, "login_taken")
    );
    house.user(globex, "anna", false).await;
    let bad = NewUser {
        password: Some(secret("kort")),
        ..somebody("bertil")
    };
    assert!(matches!(
        house.identity.create_user(acme, bad).await,
        Err(IdentityError::WeakPassword { .. })
    ));
    for bad in ["", "a b", "åsa"] {
        assert_eq!(
            house
                .identity
                .create_user(acme, somebody(bad))
                .await
                .unwrap_err()
                .reason(),
            Reason::Invalid
        );
    }
}

#[tokio::test]
async fn the_language_of_a_person_is_the_one_they_chose_last() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let anna = house.user(acme, "anna", false).await.id;
    let identity = &house.identity;
    assert_eq!(identity.locale_of(acme, anna).unwrap(), Some(Locale::Sv));
    for locale in [Locale::En, Locale::Sv, Locale::En] {
        identity
            .update_me(acme, anna, None, Some(locale))
            .await
            .unwrap();
        assert_eq!(identity.locale_of(acme, anna).unwrap(), Some(locale));
        assert_eq!(identity.locale_of(acme, anna).unwrap(), Some(locale));
    }
    let nobody = UserId::from_u128(9);
    assert_eq!(identity.locale_of(acme, nobody).unwrap(), None);
    assert_eq!(identity.locale_of(acme, nobody).unwrap(), None);
    // Another tenant has nobody of this id.
    let globex = house.tenant("globex").await;
    assert_eq!(identity.locale_of(globex, anna).unwrap(), None);
}

#[tokio::test]
async fn a_person_changes_their_name_and_language() {
    let house = House::new().await;
    let acme = house.tenant("acme").await;
    let anna = house.user(acme, "anna", false).await;
    let changed = house
        .identity
        .update_me(acme, anna.id, Some(" Anna Ö "), Some(Locale::En))
        .await
        .unwrap();
    assert_eq!(
        (changed.display_name.as_str(), changed.locale),
        ("Anna Ö", Locale::En)
    );
    assert!(
        house
            .identity
            .update_me(acme, anna.id, Some("\u{202e}x"), None)
            .await
            .is_err()
    );
    assert_eq!(
        house.identity.user(acme, anna.id).unwrap().unwrap(),
        changed
    );
    let nobody = UserId::from_u128(1);
    assert!(
        house
            .identity
            .update_me(acme, nobody, None, None)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn nothing_that_names_a_person_or_lets_one_in_lies_on_the_disk() {
    let house = House::new().await;
    let acme = house.tenant("acme-hemlig").await;
    let new = NewUser {
        login: "xyzzy.plugh@acme.example".to_owned(),
        display_name: "Frobnika Quuxdotter".to_owned(),
        email: Some("frobnika@post.example".to_owned()),
        password: Some(secret(PASSWORD)),
        admin: true,
        locale: Locale::Sv,
    };
    let user = house.identity.create_user(acme, new).await.unwrap();
    let signed_in = house.login(acme, "xyzzy.plugh@acme.example").await;
    let _ = house
        .login_with(acme, "wrong.person", "wrong-password", "203.0.113.77")
        .await;
    let cx = house.cx(acme, user.id);
    let link = house
        .identity
        .invite(&cx, somebody("bertilsson"))
        .await
        .unwrap();
    house
        .identity
        .create_group(&cx, "Hemligagruppen")
        .await
        .unwrap();
    let refresh = signed_in.refresh_token.expose().clone();
    let dir = house.close().await;

    let seeded = [
        "xyzzy",
        "plugh",
        "Frobnika",
        "frobnika",
        "Quuxdotter",
        "acme-hemlig",
        "bertilsson",
        "Hemligagruppen",
        "wrong.person",
        "203.0.113",
        "$argon2id",
        "test device",
        PASSWORD,
        &refresh[60..],
        link.token.expose(),
        &signed_in.access_token[..40],
    ];
    let mut files = 0;
    let mut open = vec![dir.path().to_owned()];
    while let Some(path) = open.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            files += 1;
            // Lossy keeps whatever is text as it is; the search over a str is the fast one.
            let bytes = std::fs::read(&path).unwrap();
            let content = String::from_utf8_lossy(&bytes);
            for text in seeded {
                let is_there = content.contains(text);
                assert!(!is_there, "{text} lies in {}", path.display());
            }
        }
    }
    assert!(files >= 3, "{files} files were read");
}
