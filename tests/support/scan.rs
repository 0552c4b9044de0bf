//! Looking through every byte under a directory.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

/// All files under a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// The files in which a needle occurs, as it is, in UTF-16, or in Base64 at any offset.
pub fn occurrences(folder: &Path, needles: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in files(folder) {
        let bytes = std::fs::read(&path).expect("a file");
        for needle in needles {
            if forms(needle).iter().any(|form| contains(&bytes, form)) {
                found.push((path.clone(), (*needle).to_owned()));
            }
        }
    }
    found
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memmem::find(haystack, needle).is_some()
}

fn forms(needle: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![needle.as_bytes().to_vec()];
    forms.push(needle.encode_utf16().flat_map(u16::to_le_bytes).collect());
    forms.push(needle.encode_utf16().flat_map(u16::to_be_bytes).collect());
    // The characters that do not depend on what stands before and after.
    for offset in 0..3_usize {
        let mut padded = vec![0_u8; offset];
        padded.extend_from_slice(needle.as_bytes());
        let encoded = STANDARD.encode(&padded).into_bytes();
        let from = (offset * 8).div_ceil(6);
        let to = padded.len() * 8 / 6;
        if to > from + 8 {
            forms.push(encoded[from..to].to_vec());
        }
    }
    forms
}
