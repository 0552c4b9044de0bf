//! The audit's chain, in the hands of somebody who has the keys and wants another past.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use support::House;
use vaxel_core::{TenantId, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_identity::{AuditCheck, AuditFault, AuditHead};
use vaxel_storage::{Order, Space};

const AUDIT: Space = Space::host(0x20);
const LINKS: Space = Space::host(0x21);
const TIP: Space = Space::host(0x22);
const HEADS: Space = Space::host(0x23);

struct Office {
    house: House,
    tenant: TenantId,
    admin: UserId,
}

impl Office {
    async fn with_acts(count: u64) -> Self {
        let house = House::new().await;
        let tenant = house.tenant("acme").await;
        let admin = house.user(tenant, "admin", true).await.id;
        let office = Self {
            house,
            tenant,
            admin,
        };
        office.acts(count).await;
        office
    }

    async fn acts(&self, count: u64) {
        for n in 0..count {
            let cx = self.house.cx(self.tenant, self.admin);
            let target = format!("plugin-{n}");
            let identity = &self.house.identity;
            identity
                .record_act(&cx, "plugins.enable", &target)
                .await
                .unwrap();
            self.house.clock.advance_ms(1_000);
        }
    }

    async fn signs(&self) -> Option<AuditHead> {
        self.house.identity.sign_audit(self.tenant).await.unwrap()
    }

    async fn checks(&self, outside: &[AuditHead]) -> AuditCheck {
        let identity = &self.house.identity;
        identity.verify_audit(self.tenant, outside).await.unwrap()
    }

    fn keys(&self, space: Space) -> Vec<Vec<u8>> {
        let mut tx = self.house.storage().begin(self.tenant);
        let page = tx.scan(space, b"", None, 1_000, Order::Ascending).unwrap();
        page.entries.into_iter().map(|(key, _)| key).collect()
    }

    /// Changes rows behind identity's back.
    async fn tampers(&self, act: impl Fn(&mut vaxel_storage::Transaction)) {
        let mut tx = self.house.storage().begin(self.tenant);
        act(&mut tx);
        self.house.storage().commit(tx).await.unwrap();
    }

    async fn forgets(&self, space: Space, keys: &[Vec<u8>]) {
        self.tampers(|tx| keys.iter().for_each(|key| tx.delete(space, key).unwrap()))
            .await;
    }
}

#[tokio::test]
async fn an_audit_that_nobody_touched_is_whole() {
    // More than two pages of what is read at once.
    let office = Office::with_acts(1_100).await;
    let before = office.checks(&[]).await;
    assert_eq!((before.linked, before.heads), (0, 0));
    let first = office.signs().await.unwrap();
    assert_eq!(office.signs().await, None, "nothing happened since");
    office.acts(3).await;
    let pending = office.checks(&[]).await;
    assert_eq!(pending.pending, 3);
    let second = office.signs().await.unwrap();
    assert_eq!(second.count, first.count + 3);
    let check = office.checks(&[first, second.clone()]).await;
    assert_eq!(check.faults, []);
    assert_eq!((check.linked, check.pending), (second.count, 0));
    assert_eq!(check.heads, 4, "the two that are here and the two outside");
}

#[tokio::test]
async fn the_chain_goes_on_after_a_restart() {
    let mut office = Office::with_acts(5).await;
    let first = office.signs().await.unwrap();
    office.house = office.house.restart().await;
    office.acts(5).await;
    let second = office.signs().await.unwrap();
    assert_eq!(office.checks(&[first, second]).await.faults, []);
}

#[tokio::test]
async fn a_rewritten_entry_is_found() {
    let office = Office::with_acts(5).await;
    office.signs().await.unwrap();
    let key = office.keys(AUDIT)[2].clone();
    let row = {
        let mut tx = office.house.storage().begin(office.tenant);
        let row = tx.get(AUDIT, &key).unwrap().unwrap();
        String::from_utf8(row).unwrap()
    };
    let other = row.replace("plugin-", "plugin+").into_bytes();
    assert_ne!(other, row.as_bytes());
    office
        .tampers(|tx| {
            tx.put(AUDIT, &key, other.clone(), ErasureKey::TENANT)
                .unwrap();
        })
        .await;
    let faults = office.checks(&[]).await.faults;
    assert_eq!(faults, [AuditFault::Rewritten { entry: 3 }]);
}

#[tokio::test]
async fn a_removed_and_an_inserted_entry_are_found() {
    let office = Office::with_acts(5).await;
    office.signs().await.unwrap();
    let keys = office.keys(AUDIT);
    office.forgets(AUDIT, &keys[1..2]).await;
    let faults = office.checks(&[]).await.faults;
    assert_eq!(faults, [AuditFault::Removed { entry: 2 }]);
    let mut between = keys[3].clone();
    *between.last_mut().unwrap() += 1;
    office
        .tampers(|tx| {
            tx.put(AUDIT, &between, b"x".to_vec(), ErasureKey::TENANT)
                .unwrap();
        })
        .await;
    let faults = office.checks(&[]).await.faults;
    let inserted = AuditFault::Inserted { after: 4 };
    assert_eq!(faults, [AuditFault::Removed { entry: 2 }, inserted]);
}

#[tokio::test]
async fn a_cut_end_is_found_by_the_head_that_was_kept_outside() {
    let office = Office::with_acts(5).await;
    let early = office.signs().await.unwrap();
    office.acts(5).await;
    let late = office.signs().await.unwrap();
    // Everything after the early head goes, the heads and the end of the chain among it, as if it had never been.
    let cut = usize::try_from(early.count).unwrap();
    let keys = office.keys(AUDIT);
    office.forgets(AUDIT, &keys[cut..]).await;
    office.forgets(LINKS, &keys[cut..]).await;
    office
        .forgets(HEADS, &[late.count.to_be_bytes().to_vec()])
        .await;
    assert_eq!(office.checks(std::slice::from_ref(&early)).await.faults, []);
    let faults = office.checks(&[early, late]).await.faults;
    assert_eq!(faults, [AuditFault::Truncated { missing: 5 }]);
}

#[tokio::test]
async fn a_chain_that_was_made_anew_is_not_the_one_that_was_signed() {
    let office = Office::with_acts(5).await;
    let kept = office.signs().await.unwrap();
    let keys = office.keys(AUDIT);
    office.forgets(AUDIT, &keys[..1]).await;
    office.forgets(LINKS, &keys).await;
    office.forgets(TIP, &office.keys(TIP)).await;
    office.forgets(HEADS, &office.keys(HEADS)).await;
    office.acts(1).await;
    let anew = office.signs().await.unwrap();
    assert_eq!(anew.count, kept.count);
    assert_eq!(office.checks(&[]).await.faults, [], "nothing here tells");
    let count = kept.count;
    let faults = office.checks(&[kept]).await.faults;
    assert_eq!(faults, [AuditFault::OtherChain { count }]);
}

#[tokio::test]
async fn a_head_that_was_not_signed_here_proves_nothing() {
    let office = Office::with_acts(5).await;
    let head = office.signs().await.unwrap();
    let count = head.count;
    let forged = [
        AuditHead {
            chain: "0".repeat(head.chain.len()),
            ..head.clone()
        },
        AuditHead {
            signature: "00".repeat(64),
            ..head.clone()
        },
        AuditHead {
            signature: "no digits".to_owned(),
            ..head
        },
    ];
    for forged in forged {
        let faults = office.checks(&[forged]).await.faults;
        assert_eq!(faults, [AuditFault::Signature { count }]);
    }
}
