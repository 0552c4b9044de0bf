//! The keyring as the rest of the host uses it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::fs;
use std::io::Write as _;

use vaxel_core::TenantId;
use vaxel_crypto::{CryptoError, ErasureKey, Keyring, MasterKey, Purpose};

const ACME: TenantId = TenantId::from_u128(1);
const GLOBEX: TenantId = TenantId::from_u128(2);
const PERSON: ErasureKey = ErasureKey::named(77);

fn ring(dir: &std::path::Path, master: &MasterKey) -> Keyring {
    let ring = Keyring::open(dir, master.clone()).unwrap();
    for tenant in [ACME, GLOBEX] {
        ring.create_tenant(tenant).unwrap();
    }
    ring
}

#[test]
fn a_value_opens_only_where_it_was_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let ring = ring(dir.path(), &MasterKey::generate());
    let aad: [&[u8]; 2] = [b"collection", b"key"];
    let sealed = ring
        .seal(ACME, ErasureKey::TENANT, Purpose::Values, &aad, b"hej")
        .unwrap();

    assert_eq!(
        ring.open_sealed(ACME, Purpose::Values, &aad, &sealed)
            .unwrap(),
        b"hej"
    );
    let swapped: [&[u8]; 2] = [b"collection", b"other"];
    assert!(
        ring.open_sealed(ACME, Purpose::Values, &swapped, &sealed)
            .is_err()
    );
    assert!(
        ring.open_sealed(ACME, Purpose::Events, &aad, &sealed)
            .is_err()
    );
    assert!(
        ring.open_sealed(GLOBEX, Purpose::Values, &aad, &sealed)
            .is_err()
    );
    for index in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[index] ^= 1;
        assert!(
            ring.open_sealed(ACME, Purpose::Values, &aad, &flipped)
                .is_err(),
            "byte {index}"
        );
    }
}

#[test]
fn keys_survive_a_restart_and_no_other_master_opens_them() {
    let dir = tempfile::tempdir().unwrap();
    let master = MasterKey::generate();
    let before = ring(dir.path(), &master);
    before.create_key(ACME, PERSON).unwrap();
    let sealed = before
        .seal(ACME, PERSON, Purpose::Values, &[], b"hej")
        .unwrap();
    let blind = before.blind(ACME, "login", b"anna").unwrap();
    drop(before);

    let after = Keyring::open(dir.path(), master).unwrap();
    assert_eq!(
        after
            .open_sealed(ACME, Purpose::Values, &[], &sealed)
            .unwrap(),
        b"hej"
    );
    assert_eq!(after.blind(ACME, "login", b"anna").unwrap(), blind);
    assert_ne!(after.blind(GLOBEX, "login", b"anna").ok(), Some(blind));
    assert!(matches!(
        Keyring::open(dir.path(), MasterKey::generate()),
        Err(CryptoError::WrongMaster)
    ));
}

#[test]
fn a_destroyed_key_is_gone_from_memory_disk_and_new_copies() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let master = MasterKey::generate();
    let ring = ring(dir.path(), &master);
    ring.create_key(ACME, PERSON).unwrap();
    let sealed = ring
        .seal(ACME, PERSON, Purpose::Values, &[], b"hej")
        .unwrap();
    ring.destroy_key(ACME, PERSON).unwrap();
    ring.copy_to(copy.path()).unwrap();

    for dir in [dir.path(), copy.path()] {
        let again = Keyring::open(dir, master.clone()).unwrap_or_else(|e| panic!("{e}"));
        assert!(matches!(
            again.open_sealed(ACME, Purpose::Values, &[], &sealed),
            Err(CryptoError::KeyMissing)
        ));
        assert!(
            again.create_key(ACME, PERSON).is_err(),
            "a key is never made again under its name"
        );
    }
    assert!(
        ring.open_sealed(ACME, Purpose::Values, &[], &sealed)
            .is_err()
    );
}

#[test]
fn a_new_master_key_changes_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (MasterKey::generate(), MasterKey::generate());
    let mut ring = ring(dir.path(), &old);
    let sealed = ring
        .seal(ACME, ErasureKey::TENANT, Purpose::Values, &[], b"hej")
        .unwrap();
    ring.rewrap(new.clone()).unwrap();
    drop(ring);
    assert!(matches!(
        Keyring::open(dir.path(), old),
        Err(CryptoError::WrongMaster)
    ));
    let ring = Keyring::open(dir.path(), new).unwrap();
    assert_eq!(
        ring.open_sealed(ACME, Purpose::Values, &[], &sealed)
            .unwrap(),
        b"hej"
    );
}

#[test]
fn a_torn_last_entry_is_cut_and_damage_elsewhere_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let master = MasterKey::generate();
    drop(ring(dir.path(), &master));
    let path = dir.path().join("keyset");
    let whole = fs::read(&path).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(&[9; 40])
        .unwrap();
    let ring = Keyring::open(dir.path(), master.clone()).unwrap();
    assert!(ring.has_tenant(ACME) && ring.has_tenant(GLOBEX));
    drop(ring);
    assert_eq!(fs::read(&path).unwrap(), whole);

    let mut damaged = whole;
    damaged[20] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert!(matches!(
        Keyring::open(dir.path(), master),
        Err(CryptoError::KeySet { .. })
    ));
}
