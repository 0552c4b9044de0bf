//! What kind of file some bytes are: found in them, and from a list of kinds that a browser does nothing with by itself.

/// How much of a file is looked at.
pub(crate) const LOOKED_AT_BYTES: usize = 8 << 10;

/// Kinds that are called by their name; everything else is bytes.
const KNOWN: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "audio/mpeg",
    "audio/ogg",
    "audio/x-wav",
    "audio/x-flac",
    "video/mp4",
    "video/webm",
    "application/zip",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];

/// What nobody knows.
const BYTES: &str = "application/octet-stream";

/// Texts that are taken at their word: none of them is a document that a browser would run.
const TEXTS: &[&str] = &["text/plain", "text/csv", "application/json"];

/// The type of a file that begins like this, where `said` is what somebody says it is.
pub(crate) fn media_type(beginning: &[u8], said: &str) -> &'static str {
    let found = infer::get(beginning).map(|kind| kind.mime_type());
    if let Some(known) = found.and_then(|found| KNOWN.iter().find(|known| **known == found)) {
        return known;
    }
    let text = TEXTS.iter().find(|text| **text == said);
    match text {
        Some(text) if found.is_none() && is_text(beginning) => text,
        _ => BYTES,
    }
}

// The beginning may end within a character.
fn is_text(bytes: &[u8]) -> bool {
    let whole = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && bytes.len() >= LOOKED_AT_BYTES,
    };
    whole && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_what_they_are_and_words_do_not() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        assert_eq!(media_type(png, "text/plain"), "image/png");
        assert_eq!(media_type(b"<script>alert(1)</script>", "image/png"), BYTES);
        assert_eq!(media_type(b"<html><script>", "text/html"), BYTES);
        assert_eq!(media_type(b"<svg xmlns=", "image/svg+xml"), BYTES);
        assert_eq!(media_type(b"MZ\x90\0", "text/plain"), BYTES);
        assert_eq!(media_type("å,ä,ö".as_bytes(), "text/csv"), "text/csv");
        assert_eq!(media_type(b"\xff\xfe", "text/plain"), BYTES);
        assert_eq!(media_type(b"", "text/plain"), "text/plain");
    }
}
