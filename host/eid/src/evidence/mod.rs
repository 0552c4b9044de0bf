//! Whether what a provider sent proves what it says: the signature holds, the certificate was good and leads to the root,
//! and what was signed is what was shown.

mod certificates;
mod ocsp;
mod xml;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use vaxel_core::UnixMs;

use crate::{Evidence, PersonalNumber};

/// A signature with three certificates has some 12 kB, and what was signed at most 240 kB.
const SIGNATURE_BYTES_MAX: usize = 512 * 1024;

/// Between issuer and person: the bank's authority and the bank's authority for people.
const CERTIFICATES_MAX: usize = 6;

/// Why evidence does not hold. Each check has its name, for the audit and for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not of the form that signatures have.
    #[error("it is not of the expected form: {0}")]
    Form(&'static str),
    /// What is there is not what the signature covers.
    #[error("a digest does not fit")]
    Digest,
    /// The signature is not the certificate's.
    #[error("the signature does not fit the certificate")]
    Signature,
    /// The certificate does not lead to the root.
    #[error("the certificate does not lead to the root")]
    Chain,
    /// The OCSP response is none, not about this certificate, or signed by somebody else.
    #[error("the OCSP response does not fit: {0}")]
    Ocsp(&'static str),
    /// The certificate was revoked.
    #[error("the certificate was revoked")]
    Revoked,
    /// Something else was signed than what was shown.
    #[error("what was signed is not what was shown")]
    NotShown,
    /// Somebody else signed.
    #[error("another person signed")]
    NotThem,
}

/// What was shown and must have been signed.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// What the person read.
    pub visible: &'a str,
    /// What was signed with it unseen.
    pub hidden: &'a [u8],
    /// Whether they signed, and not only said who they are.
    pub sign: bool,
}

/// What a signature says, after all checks.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// Who, by their certificate.
    pub person: PersonalNumber,
    /// When, by the OCSP response.
    pub at: UnixMs,
}

/// Judges evidence by a root.
#[derive(Debug)]
pub struct Judge {
    roots: Vec<TrustAnchor<'static>>,
}

impl Judge {
    /// With these roots (PEM), or none if there is no usable one.
    pub fn new(pem: &[u8]) -> Option<Self> {
        let roots: Option<Vec<_>> = CertificateDer::pem_slice_iter(pem)
            .map(|root| {
                let root = root.ok()?;
                Some(webpki::anchor_from_trusted_cert(&root).ok()?.to_owned())
            })
            .collect();
        roots
            .filter(|roots| !roots.is_empty())
            .map(|roots| Self { roots })
    }

    /// Judges a signature and its OCSP response. It was made just before `at`; later, when it is looked at again, `at` is
    /// none and the OCSP response says when it was made.
    pub fn judge(
        &self,
        evidence: &Evidence,
        shown: Shown<'_>,
        at: Option<UnixMs>,
    ) -> Result<Signed, EvidenceError> {
        if evidence.signature.len() > SIGNATURE_BYTES_MAX
            || evidence.ocsp.len() > SIGNATURE_BYTES_MAX
        {
            return Err(EvidenceError::Form("it is too large"));
        }
        let decoded = |text: &str, what| BASE64.decode(text).map_err(|_| EvidenceError::Form(what));
        let xml = decoded(&evidence.signature, "the signature is no Base64")?;
        let xml = String::from_utf8(xml).map_err(|_| EvidenceError::Form("no UTF-8"))?;
        let signature = xml::Signature::read(&xml)?;
        signature.check_digests()?;
        if signature.certificates.len() > CERTIFICATES_MAX {
            return Err(EvidenceError::Form("too many certificates"));
        }
        let (leaf, others) = signature
            .certificates
            .split_first()
            .ok_or(EvidenceError::Form("no certificate"))?;
        certificates::check_signature(leaf, signature.signed_info.as_bytes(), &signature.value)?;
        let ocsp = decoded(&evidence.ocsp, "the OCSP response is no Base64")?;
        let response = ocsp::Response::read(&ocsp)?;
        response.check_nonce(evidence.signature.as_bytes())?;
        let at = response.made_at(at)?;
        let issuer =
            certificates::check_chain(&self.roots, leaf, others, at, certificates::PERSON)?
                .ok_or(EvidenceError::Chain)?;
        response.check(&self.roots, leaf, &issuer, others, at)?;
        signature.check_shown(shown)?;
        Ok(Signed {
            person: certificates::person(leaf)?,
            at,
        })
    }
}
