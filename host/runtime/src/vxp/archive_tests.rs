//! Archives made by hand, as an attacker would, and what is said of them.

use super::*;

fn file(name: &str, content: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), content.to_vec())
}

fn good() -> Vec<u8> {
    pack(&[
        file("plugin.toml", b"id = 'x'"),
        file("component.wasm", &[7; 5_000]),
        file("i18n/sv.toml", b"a = 'b'"),
    ])
    .unwrap()
}

/// An archive whose only odd thing is one entry, said to unpack to `len` bytes.
fn with_entry(name: &str, method: u16, packed: &[u8], len: u32) -> Vec<u8> {
    let record = Record {
        name: name.to_owned(),
        method,
        crc: crc32fast::hash(packed),
        packed_len: packed.len() as u32,
        len,
        offset: 0,
    };
    let mut bytes = record.head();
    bytes.extend_from_slice(packed);
    let start = bytes.len();
    bytes.extend(directory([&record], start).unwrap());
    bytes
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_was_packed_is_read_again() {
    let bytes = good();
    let contents = read(&bytes).unwrap();
    let names: Vec<&str> = contents
        .files
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["plugin.toml", "component.wasm", "i18n/sv.toml"]);
    assert_eq!(contents.files[1].1, [7; 5_000]);
    assert!(contents.signature.is_none());
    assert!(bytes.len() < 1_000, "it is compressed");
    let signed = contents.signed(b"{}").unwrap();
    let again = read(&signed).unwrap();
    assert_eq!(again.signature.as_deref(), Some(&b"{}"[..]));
    assert_eq!(again.body, contents.body);
    assert_eq!(
        again.signed(b"{}").unwrap(),
        signed,
        "a signature replaces the former one"
    );
}

#[test]
fn names_that_lead_elsewhere_are_refused_by_name() {
    for (name, why) in [
        ("../plugin.toml", "leads out"),
        ("i18n/../../etc/passwd", "leads out"),
        ("/etc/passwd", "absolute"),
        ("C:/plugin.toml", "absolute"),
        ("i18n\\sv.toml", "backslash"),
        ("..\\plugin.toml", "backslash"),
        ("plugin.toml\0.png", "control"),
        ("i18n//sv.toml", "empty part"),
        ("./plugin.toml", "empty part"),
        ("plügin.toml", "ASCII"),
        ("", "empty"),
    ] {
        let refused = read(&with_entry(name, STORED, b"x", 1)).unwrap_err();
        assert!(
            matches!(refused, PackageError::Name { .. }),
            "{name}: {refused}"
        );
        assert!(refused.to_string().contains(why), "{name}: {refused}");
    }
    let long = format!("i18n/{}.toml", "a".repeat(200));
    let refused = read(&with_entry(&long, STORED, b"x", 1)).unwrap_err();
    assert!(matches!(refused, PackageError::Name { .. }));
}

#[test]
fn files_that_a_package_does_not_have_are_refused() {
    for name in [
        "evil.so",
        "Plugin.toml",
        "i18n/sv.json",
        "i18n/SV.toml",
        "i18n/a/b.toml",
        "LICENSE.exe",
    ] {
        let refused = read(&with_entry(name, STORED, b"x", 1)).unwrap_err();
        assert_eq!(
            refused,
            PackageError::UnknownFile {
                name: name.to_owned()
            }
        );
    }
}

#[test]
fn a_folder_a_link_and_a_device_are_refused() {
    let refused = read(&with_entry("i18n/", STORED, b"", 0)).unwrap_err();
    assert!(matches!(refused, PackageError::Special { .. }), "{refused}");
    for mode in [0o120_777_u32, 0o060_644, 0o020_644, 0o040_755, 0o010_644] {
        let mut bytes = good();
        let at = bytes.windows(4).position(|mark| mark == CENTRAL).unwrap() + 38;
        bytes[at..at + 4].copy_from_slice(&(mode << 16).to_le_bytes());
        let refused = read(&bytes).unwrap_err();
        let name = "plugin.toml".to_owned();
        assert_eq!(refused, PackageError::Special { name }, "{mode:o}");
    }
}

#[test]
fn the_same_name_twice_is_refused_whatever_its_case() {
    for second in ["LICENSE", "license"] {
        let mut first = pack(&[file("LICENSE", b"a")]).unwrap();
        let body = read(&first).unwrap().body.len();
        first.truncate(body);
        first.extend(with_entry(second, STORED, b"b", 1));
        let refused = read(&first).unwrap_err();
        assert_eq!(
            refused,
            PackageError::Duplicate {
                name: second.to_owned()
            }
        );
    }
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let bomb = deflated(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    // It says what it is: nothing is unpacked.
    let refused = read(&with_entry("component.wasm", DEFLATED, &bomb, 64 << 20)).unwrap_err();
    assert!(
        matches!(refused, PackageError::TooLarge { .. }),
        "{refused}"
    );
    // It lies: one byte more than it says is unpacked.
    let refused = read(&with_entry("component.wasm", DEFLATED, &bomb, 1_000)).unwrap_err();
    assert!(refused.to_string().contains("larger"), "{refused}");
    // Many that are large enough each.
    let each = deflated(&vec![0; 32 << 20]);
    let mut bytes = with_entry("component.wasm", DEFLATED, &each, 32 << 20);
    bytes.truncate(bytes.windows(4).position(|mark| mark == CENTRAL).unwrap());
    let many: Vec<_> = (0..FILES_MAX + 1)
        .map(|n| file(&format!("i18n/aa-x{n}.toml"), b"a = 1"))
        .collect();
    let refused = read(&pack(&many).unwrap()).unwrap_err();
    assert_eq!(refused, PackageError::TooMany { max: FILES_MAX });
}

#[test]
fn what_does_not_unpack_to_what_it_says_is_refused() {
    let packed = deflated(b"hello hello hello");
    for (method, packed, len) in [
        (DEFLATED, packed.as_slice(), 18),
        (DEFLATED, packed.as_slice(), 16),
        (DEFLATED, &[packed.as_slice(), b"more"].concat(), 17),
        (DEFLATED, b"\xff\xff\xff", 17),
        (STORED, b"hello", 4),
        (12, b"hello", 5),
    ] {
        let refused = read(&with_entry("LICENSE", method, packed, len)).unwrap_err();
        assert!(
            matches!(refused, PackageError::Unpacked { .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_cut_off_package_is_refused_wherever_it_is_cut() {
    let bytes = good();
    for len in 0..bytes.len() {
        let refused = read(&bytes[..len]).unwrap_err();
        assert_eq!(refused, PackageError::Truncated, "cut at {len}");
    }
}

#[test]
fn nothing_stands_before_between_or_behind() {
    let bytes = good();
    let before = [b"#!/bin/sh\n", bytes.as_slice()].concat();
    let behind = [bytes.as_slice(), b"x"].concat();
    for odd in [before, behind] {
        assert!(matches!(
            read(&odd).unwrap_err(),
            PackageError::Layout { .. }
        ));
    }
    let directory_at = bytes.windows(4).position(|mark| mark == CENTRAL).unwrap();
    let between = [&bytes[..directory_at], b"hidden", &bytes[directory_at..]].concat();
    assert!(read(&between).is_err());
}

#[test]
fn no_byte_of_the_container_can_be_another() {
    let bytes = good();
    let read_once = read(&bytes).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            if let Ok(contents) = read(&changed) {
                // Deflate can say the same in several ways; the signature is over the packed form for that.
                assert_ne!(contents.body, read_once.body, "byte {at} bit {bit}");
            }
        }
    }
}
