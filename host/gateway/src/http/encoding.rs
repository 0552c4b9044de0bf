//! Which precompressed form of a file a client takes, by its Accept-Encoding.

use http::{HeaderMap, header};

/// The forms that files lie in, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    /// What the file of this form is called after the plain one's name.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
            Self::Identity => "",
        }
    }

    /// The word for it in Content-Encoding.
    pub(crate) const fn token(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// The forms that the client takes, best first. `q=0` is a no; the plain form is always the last resort.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<Coding> {
    let mut brotli = None;
    let mut gzip = None;
    let mut any = None;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        let Ok(text) = value.to_str() else { continue };
        for item in text.split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let wanted = weight(parameters) > 0.0;
            match name.trim().to_ascii_lowercase().as_str() {
                "br" => brotli = Some(wanted),
                "gzip" | "x-gzip" => gzip = Some(wanted),
                "*" => any = Some(wanted),
                _ => {}
            }
        }
    }
    let takes = |said: Option<bool>| said.or(any).unwrap_or(false);
    let mut forms = Vec::with_capacity(3);
    if takes(brotli) {
        forms.push(Coding::Brotli);
    }
    if takes(gzip) {
        forms.push(Coding::Gzip);
    }
    forms.push(Coding::Identity);
    forms
}

/// The `q` of one item; one that cannot be read is a no.
fn weight(parameters: &str) -> f32 {
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("q") {
            return value.trim().parse().unwrap_or(0.0);
        }
    }
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Identity};

    #[test]
    fn the_best_form_that_the_client_takes_comes_first() {
        let table: [(&str, &[Coding]); 9] = [
            ("", &[Identity]),
            ("gzip, deflate, br, zstd", &[Brotli, Gzip, Identity]),
            ("gzip", &[Gzip, Identity]),
            ("br;q=0, gzip;q=0.5", &[Gzip, Identity]),
            ("BR", &[Brotli, Identity]),
            ("*", &[Brotli, Gzip, Identity]),
            ("*;q=0, gzip", &[Gzip, Identity]),
            ("br;q=x", &[Identity]),
            ("identity", &[Identity]),
        ];
        for (text, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, text.parse().unwrap());
            assert_eq!(accepted(&headers), expected, "{text}");
        }
    }
}
