//! Certificates: what they signed, whether they lead to a root, and whom they name.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use vaxel_core::UnixMs;
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::oid_registry::OID_X509_SERIALNUMBER;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::EvidenceError;
use crate::PersonalNumber;

/// What may have signed a certificate. SHA-1 is not among it.
const SIGNED_WITH: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P384_SHA384,
];

/// A person's certificate: these name no such use, or the one of clients.
pub(super) const PERSON: KeyUsage = KeyUsage::client_auth();

/// A responder's certificate: nothing on its way to the root forbids to answer for it (1.3.6.1.5.5.7.3.9).
pub(super) const RESPONDER: KeyUsage =
    KeyUsage::required_if_present(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09]);

/// Whether a certificate itself says that it is a responder's, as it must (RFC 6960 section 4.2.2.2).
pub(super) fn is_responder(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let usage = certificate.extended_key_usage();
    usage.is_ok_and(|usage| usage.is_some_and(|usage| usage.value.ocsp_signing))
}

/// Whether the certificate's key signed this with RSA and SHA-256.
pub(super) fn check_signature(
    certificate: &CertificateDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), EvidenceError> {
    check_signature_with(
        &[algorithms::RSA_PKCS1_2048_8192_SHA256],
        certificate,
        message,
        signature,
    )
}

/// As [`check_signature`], with any of what may sign a certificate.
pub(super) fn check_any_signature(
    certificate: &CertificateDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), EvidenceError> {
    check_signature_with(SIGNED_WITH, certificate, message, signature)
}

fn check_signature_with(
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    certificate: &CertificateDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), EvidenceError> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|_| EvidenceError::Chain)?;
    let holds = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        certificate
            .verify_signature(*algorithm, message, signature)
            .is_ok()
    };
    if algorithms.iter().any(holds) {
        Ok(())
    } else {
        Err(EvidenceError::Signature)
    }
}

/// Whether a certificate led to a root at that time. Answers its issuer if that is one of `others`.
pub(super) fn check_chain(
    roots: &[TrustAnchor<'_>],
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    at: UnixMs,
    usage: KeyUsage,
) -> Result<Option<CertificateDer<'static>>, EvidenceError> {
    let leaf = EndEntityCert::try_from(certificate).map_err(|_| EvidenceError::Chain)?;
    let time = UnixTime::since_unix_epoch(Duration::from_millis(at.0));
    let path = leaf
        .verify_for_usage(SIGNED_WITH, roots, others, time, usage, None, None)
        .map_err(|_| EvidenceError::Chain)?;
    let issuer = path.intermediate_certificates().next();
    Ok(issuer.map(|issuer| issuer.der().into_owned()))
}

/// The person whom a certificate names, by the serial number in its subject.
pub(super) fn person(certificate: &CertificateDer<'_>) -> Result<PersonalNumber, EvidenceError> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| EvidenceError::Chain)?;
    let mut numbers = certificate.subject().iter_by_oid(&OID_X509_SERIALNUMBER);
    let number = numbers.next().and_then(|number| number.as_str().ok());
    number
        .filter(|_| numbers.next().is_none())
        .and_then(PersonalNumber::parse)
        .ok_or(EvidenceError::Form(
            "a certificate without a personal number",
        ))
}
