//! The OCSP response (RFC 6960) that came with a signature: made for this very signature, about this very certificate,
//! by a responder that leads to the root, and saying that the certificate was good.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use der::{Decode as _, Encode as _};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use vaxel_core::UnixMs;
use vaxel_crypto::ct_eq;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, OcspResponseStatus,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::EvidenceError;
use super::certificates::{self, RESPONDER};

/// id-pkix-ocsp-basic and id-pkix-ocsp-nonce.
const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";
const NONCE: &str = "1.3.6.1.5.5.7.48.1.2";

/// Names of hash functions in a certificate's id.
const SHA1_OID: &str = "1.3.14.3.2.26";
const SHA256_OID: &str = "2.16.840.1.101.3.4.2.1";

/// How much a responder's clock and ours may differ, and how long an order may have lain uncollected.
const APART_MS_MAX: u64 = 10 * 60_000;

type Checked<T> = Result<T, EvidenceError>;

/// A response that was read. Nothing of it is proven before the checks.
pub(super) struct Response(BasicOcspResponse);

const fn misfit(why: &'static str) -> EvidenceError {
    EvidenceError::Ocsp(why)
}

impl Response {
    pub(super) fn read(bytes: &[u8]) -> Checked<Self> {
        let response = OcspResponse::from_der(bytes).map_err(|_| misfit("it cannot be read"))?;
        if response.response_status != OcspResponseStatus::Successful {
            return Err(misfit("the responder did not answer"));
        }
        let basic = response
            .response_bytes
            .filter(|bytes| bytes.response_type.to_string() == BASIC)
            .and_then(|bytes| BasicOcspResponse::from_der(bytes.response.as_bytes()).ok());
        basic.map(Self).ok_or(misfit("it cannot be read"))
    }

    /// Its nonce begins with the SHA-1 of the signature's text: it was asked for with this very signature.
    pub(super) fn check_nonce(&self, signature: &[u8]) -> Checked<()> {
        let extensions = self
            .0
            .tbs_response_data
            .response_extensions
            .iter()
            .flatten();
        let mut nonces = extensions.filter(|one| one.extn_id.to_string() == NONCE);
        let (Some(nonce), None) = (nonces.next(), nonces.next()) else {
            return Err(misfit("no nonce, or two"));
        };
        let nonce = nonce.extn_value.as_bytes();
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, signature);
        // Some responders wrap it once more.
        let wrapped = match nonce {
            [0x04, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
            _ => nonce,
        };
        let begins = |bytes: &[u8]| {
            bytes
                .get(..hash.as_ref().len())
                .is_some_and(|start| ct_eq(start, hash.as_ref()))
        };
        if begins(nonce) || begins(wrapped) {
            Ok(())
        } else {
            Err(misfit("the nonce is another signature's"))
        }
    }

    /// When it was made: about now, if it was just collected.
    pub(super) fn made_at(&self, now: Option<UnixMs>) -> Checked<UnixMs> {
        let at = unix_ms(self.0.tbs_response_data.produced_at);
        match now {
            Some(now) if now.since(at).max(at.since(now)) > APART_MS_MAX => {
                Err(misfit("it was made at another time"))
            }
            _ => Ok(at),
        }
    }

    /// Whether it is about this certificate, says good, and is signed by somebody who may.
    pub(super) fn check(
        &self,
        roots: &[TrustAnchor<'_>],
        certificate: &CertificateDer<'_>,
        issuer: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        at: UnixMs,
    ) -> Checked<()> {
        let data = &self.0.tbs_response_data;
        let unreadable = |_| misfit("it cannot be read");
        let signed = data.to_der().map_err(unreadable)?;
        let signature = self.0.signature.as_bytes();
        let signature = signature.ok_or(misfit("it cannot be read"))?;
        let own: Result<Vec<_>, _> = self
            .0
            .certs
            .iter()
            .flatten()
            .map(|one| one.to_der())
            .collect();
        let own: Vec<CertificateDer<'_>> = own
            .map_err(unreadable)?
            .into_iter()
            .map(Into::into)
            .collect();
        match own.first() {
            Some(responder) if !certificates::is_responder(responder) => {
                Err(misfit("its signer is no responder under the root"))
            }
            Some(responder) => {
                let between: Vec<_> = own.iter().skip(1).chain(others).cloned().collect();
                let by = certificates::check_chain(roots, responder, &between, at, RESPONDER)
                    .map_err(|_| misfit("its signer is no responder under the root"))?;
                // One bank's responder must not answer for another bank's people (RFC 6960, 4.2.2.2).
                if by.as_deref() != Some(issuer.as_ref()) {
                    return Err(misfit("its signer is another authority's responder"));
                }
                certificates::check_any_signature(responder, &signed, signature)
            }
            None => certificates::check_any_signature(issuer, &signed, signature),
        }
        .map_err(|error| match error {
            EvidenceError::Signature => misfit("its signature does not fit"),
            other => other,
        })?;
        let mut about = data
            .responses
            .iter()
            .filter(|one| is_about(&one.cert_id, certificate, issuer));
        let (Some(one), None) = (about.next(), about.next()) else {
            return Err(misfit("it is about another certificate"));
        };
        if unix_ms(one.this_update) > at.plus_ms(APART_MS_MAX)
            || one.next_update.is_some_and(|next| unix_ms(next) < at)
        {
            return Err(misfit("what it says was of another time"));
        }
        match one.cert_status {
            CertStatus::Good(_) => Ok(()),
            CertStatus::Revoked(_) => Err(EvidenceError::Revoked),
            CertStatus::Unknown(_) => Err(misfit("the responder does not know the certificate")),
        }
    }
}

fn unix_ms(time: OcspGeneralizedTime) -> UnixMs {
    let since = time.0.to_unix_duration();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn is_about(id: &CertId, certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let algorithm: &Algorithm = match id.hash_algorithm.oid.to_string().as_str() {
        SHA1_OID => &SHA1_FOR_LEGACY_USE_ONLY,
        SHA256_OID => &SHA256,
        _ => return false,
    };
    let (Ok((_, certificate)), Ok((_, issuer))) = (
        X509Certificate::from_der(certificate),
        X509Certificate::from_der(issuer),
    ) else {
        return false;
    };
    let is = |bytes: &[u8], hash: &[u8]| ct_eq(digest(algorithm, bytes).as_ref(), hash);
    is(issuer.subject().as_raw(), id.issuer_name_hash.as_bytes())
        && is(
            &issuer.public_key().subject_public_key.data,
            id.issuer_key_hash.as_bytes(),
        )
        && certificate.raw_serial() == id.serial_number.as_bytes()
}
