//! How a request's body is delimited: one way, plainly said, so that no proxy in front reads it differently.

use http::{Request, Version, header};
use vaxel_core::{Problem, Reason};

/// Whether the body comes as it is, or in plain chunks.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            coding.as_bytes().eq_ignore_ascii_case(b"chunked")
                && !request.headers().contains_key(header::CONTENT_LENGTH)
        }
        (Some(_), Some(_)) => false,
    };
    if plain {
        Ok(())
    } else {
        Err(Problem::new(
            Reason::Invalid,
            "A body has a Content-Length, or one Transfer-Encoding, which is chunked.",
        )
        .with_code("bad_transfer_encoding"))
    }
}

/// Whether the connection ends after this request. The library drops the Content-Length beside a Transfer-Encoding
/// before we see it, and RFC 9112 (section 6.3) wants such a connection closed: what follows may be smuggled.
pub(crate) fn is_last<B>(request: &Request<B>) -> bool {
    request.version() < Version::HTTP_2 && request.headers().contains_key(header::TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_delimited_in_one_way() {
        let table: [(&[(&str, &str)], bool); 7] = [
            (&[], true),
            (&[("content-length", "2")], true),
            (&[("transfer-encoding", "Chunked")], true),
            (&[("transfer-encoding", "gzip, chunked")], false),
            (&[("transfer-encoding", "chunked, chunked")], false),
            (
                &[
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                false,
            ),
            (
                &[("transfer-encoding", "chunked"), ("content-length", "2")],
                false,
            ),
        ];
        for (headers, good) in table {
            let mut request = Request::builder();
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(()).unwrap();
            assert_eq!(check(&request).is_ok(), good, "{headers:?}");
        }
    }
}
