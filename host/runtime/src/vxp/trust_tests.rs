//! Who is believed, and that a signed package has no byte to spare.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::LazyLock;

use proptest::prelude::*;
use vaxel_crypto::SigningKey;

use super::super::File;
use super::*;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const DAY_MS: u64 = 86_400_000;

fn manifest(id: &str, version: &str) -> String {
    format!(
        "format = 1\nid = '{id}'\nname = 'Notes'\nversion = '{version}'\n[wit]\n\
         [[permissions]]\nname = '{id}.use'\nsummary = 's'\n\
         [[methods]]\nname = 'a'\npermission = '{id}.use'\nsummary = 's'\n"
    )
}

fn packed(id: &str, version: &str) -> Vec<u8> {
    let file = |name: &str, content: &[u8]| File {
        name: name.to_owned(),
        content: content.to_vec(),
    };
    Package::pack(vec![
        file("README.md", b"# Notes"),
        file("component.wasm", &[b"\0asm".as_slice(), &[5; 400]].concat()),
        file("i18n/sv.toml", b"hello = 'hej'"),
        file("plugin.toml", manifest(id, version).as_bytes()),
    ])
    .unwrap()
}

fn trusting(key: &SigningKey, plugins: &str) -> Trust {
    let text = format!(
        "format = 1\n[[publishers]]\nname = 'Acme'\nkeys = ['{}']\nplugins = [{plugins}]\n",
        key.verifying_key().unwrap()
    );
    Trust::parse(Path::new("trust.toml"), &text).unwrap()
}

struct Signed {
    bytes: Vec<u8>,
    trust: Trust,
}

static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let key = SigningKey::generate().unwrap();
    let bytes = Package::sign(
        &packed("notes", "1.2.0"),
        &key,
        NOW,
        Some(NOW.plus_ms(DAY_MS)),
    );
    Signed {
        bytes: bytes.unwrap(),
        trust: trusting(&key, "'notes'"),
    }
});

fn checked(bytes: &[u8], at: UnixMs) -> Result<Signer, crate::RuntimeError> {
    Ok(SIGNED.trust.check(&Package::read(bytes)?, None, at)?)
}

fn is_accepted(bytes: &[u8]) -> bool {
    checked(bytes, NOW).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_signed_package_with_one_byte_changed_is_refused(at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let mut bytes = SIGNED.bytes.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(!is_accepted(&bytes), "byte {at}");
    }

    #[test]
    fn any_bytes_are_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(Package::read(&bytes).is_err());
    }

    #[test]
    fn a_signed_package_cut_or_with_a_piece_moved_is_refused(
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), len in 1..64_usize,
    ) {
        let mut bytes = SIGNED.bytes.clone();
        let from = from.index(bytes.len());
        let piece: Vec<u8> = bytes.drain(from..(from + len).min(bytes.len())).collect();
        prop_assert!(!is_accepted(&bytes));
        let to = to.index(bytes.len());
        bytes.splice(to..to, piece);
        prop_assert!(bytes == SIGNED.bytes || !is_accepted(&bytes));
    }
}

#[test]
fn every_single_bit_counts() {
    assert!(is_accepted(&SIGNED.bytes));
    for at in 0..SIGNED.bytes.len() {
        for bit in 0..8 {
            let mut bytes = SIGNED.bytes.clone();
            bytes[at] ^= 1 << bit;
            assert!(!is_accepted(&bytes), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_signature_holds_from_when_it_was_made_until_it_ends() {
    assert_eq!(checked(&SIGNED.bytes, NOW).unwrap().publisher, "Acme");
    let package = Package::read(&SIGNED.bytes).unwrap();
    let at = |at| SIGNED.trust.check(&package, None, at).unwrap_err();
    assert_eq!(
        at(NOW.plus_ms(DAY_MS)),
        PackageError::Expired {
            expired_at: "2027-01-16".to_owned()
        }
    );
    assert!(matches!(
        at(NOW.minus_ms(DAY_MS)),
        PackageError::NotYetSigned { .. }
    ));
}

#[test]
fn a_key_that_nobody_has_and_a_plugin_that_is_not_theirs_are_refused_by_name() {
    let (key, other) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let bytes = Package::sign(&packed("notes", "1.0.0"), &key, NOW, None).unwrap();
    let package = Package::read(&bytes).unwrap();
    let refused = |trust: &Trust| trust.check(&package, None, NOW).unwrap_err();
    let thumbprint = key.verifying_key().unwrap().id().to_string();
    assert!(
        refused(&trusting(&other, "'notes'"))
            .to_string()
            .contains(&thumbprint)
    );
    let theirs = refused(&trusting(&key, "'chats'"));
    assert!(matches!(theirs, PackageError::NotTheirs { .. }), "{theirs}");
    assert!(matches!(
        refused(&Trust::default()),
        PackageError::Untrusted { .. }
    ));
    let unsigned = Package::read(&packed("notes", "1.0.0")).unwrap();
    let trust = trusting(&key, "'notes'");
    assert_eq!(
        trust.check(&unsigned, None, NOW),
        Err(PackageError::Unsigned)
    );
}

#[test]
fn a_signature_of_another_package_is_a_forgery() {
    let key = SigningKey::generate().unwrap();
    let signed = Package::sign(&packed("notes", "1.0.0"), &key, NOW, None).unwrap();
    let mut other = Package::read(&packed("notes", "1.0.1")).unwrap();
    other.signature = Package::read(&signed).unwrap().signature;
    let trust = trusting(&key, "'notes'");
    assert!(matches!(
        trust.check(&other, None, NOW),
        Err(PackageError::Forged { .. })
    ));
}

#[test]
fn the_name_of_a_package_does_not_depend_on_who_signed_it() {
    let bytes = packed("notes", "1.0.0");
    let plain = Package::read(&bytes).unwrap().hash();
    for _ in 0..2 {
        let key = SigningKey::generate().unwrap();
        let signed = Package::sign(&bytes, &key, NOW, None).unwrap();
        assert_eq!(Package::read(&signed).unwrap().hash(), plain);
    }
    assert_ne!(
        Package::read(&packed("notes", "1.0.1")).unwrap().hash(),
        plain
    );
}

#[test]
fn what_was_revoked_is_refused_by_its_hash_and_by_its_key() {
    let (key, root) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let bytes = Package::sign(&packed("notes", "1.0.0"), &key, NOW, None).unwrap();
    let package = Package::read(&bytes).unwrap();
    let trust = trusting(&key, "'notes'");
    let none: [String; 0] = [];
    let thumbprint = key.verifying_key().unwrap().id().to_string();
    let by_hash = Revocations::after(None, [package.hash()], none.clone(), &root, NOW);
    let by_key = Revocations::after(None, none, [thumbprint], &root, NOW);
    for list in [by_hash, by_key] {
        let refused = trust.check(&package, Some(&list), NOW).unwrap_err();
        assert!(
            matches!(refused, PackageError::Revoked { number: 1, .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_revocation_list_counts_only_as_its_owner_signed_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("revocations.json");
    let root = SigningKey::generate().unwrap();
    let keys = [root.verifying_key().unwrap()];
    assert_eq!(Revocations::load(&path, &keys), Ok(None));
    let list = Revocations::after(None, ["a".repeat(64)], ["b".repeat(64)], &root, NOW);
    let bytes = list.to_bytes().unwrap();
    fs::write(&path, &bytes).unwrap();
    assert_eq!(Revocations::load(&path, &keys), Ok(Some(list.clone())));
    let next = Revocations::after(Some(list), ["c".repeat(64)], [], &root, NOW);
    assert_eq!((next.number, next.packages.len()), (2, 2));
    let other = SigningKey::generate().unwrap().verifying_key().unwrap();
    assert!(Revocations::load(&path, &[other]).is_err());
    let text = String::from_utf8(bytes).unwrap();
    for changed in [
        text.replace("aaaa", "aaab"),
        text.replace("\"number\": 1", "\"number\": 9"),
        "{}".to_owned(),
    ] {
        fs::write(&path, changed).unwrap();
        assert!(Revocations::load(&path, &keys).is_err());
    }
}

#[test]
fn a_trust_file_that_says_what_it_should_not_is_refused() {
    let key = SigningKey::generate().unwrap().verifying_key().unwrap();
    let publisher =
        |name: &str| format!("[[publishers]]\nname = '{name}'\nkeys = ['{key}']\nplugins = []\n");
    for (text, says) in [
        ("format = 2".to_owned(), "format 2"),
        ("format = 1\ncolour = 1".to_owned(), "colour"),
        (
            format!("format = 1\n{}{}", publisher("A"), publisher("B")),
            "same key",
        ),
        (
            format!("format = 1\n{}{}", publisher("A"), publisher("A")),
            "twice",
        ),
        (format!("format = 1\n{}", publisher(" ")), "no name"),
        (
            "format = 1\n[[publishers]]\nname = 'A'\nkeys = []\nplugins = []".to_owned(),
            "at least one key",
        ),
        (
            "format = 1\n[[publishers]]\nname = 'A'\nkeys = ['x']\nplugins = []".to_owned(),
            "ed25519",
        ),
        (
            "format = 1\n[[publishers]]\nname = 'A'\nkeys = []\nplugins = ['../x']".to_owned(),
            "plugin identifier",
        ),
    ] {
        let refused = Trust::parse(Path::new("t"), &text).unwrap_err();
        assert!(refused.contains(says), "{text}: {refused}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.toml");
    assert!(
        Trust::load(&path).is_ok(),
        "without a file nobody is trusted"
    );
    fs::write(&path, "format = 1").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(
        Trust::load(&path)
            .unwrap_err()
            .to_string()
            .contains("chmod")
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Trust::load(&path).is_ok());
}
