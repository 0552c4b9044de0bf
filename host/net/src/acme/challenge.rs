//! Challenge certificates (RFC 8737): how a directory's validator sees, on the HTTPS port, that a name is ours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use vaxel_core::UnixMs;

use crate::TlsError;
use crate::local_ca::date;

/// The application protocol that a validator speaks, alone.
pub(crate) const PROTOCOL: &[u8] = b"acme-tls/1";

/// Validators come within seconds; the days allow for clocks that differ.
const LIFE_MS: u64 = 7 * 86_400_000;

/// A self-signed certificate for `name` that carries the digest of the key authorization.
pub(crate) fn certificate(
    provider: &CryptoProvider,
    name: &str,
    digest: &[u8; 32],
    now: UnixMs,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(|_| TlsError::Name)?;
    params.not_before = date(now.minus_ms(LIFE_MS));
    params.not_after = date(now.plus_ms(LIFE_MS));
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signer = provider.key_provider.load_private_key(der)?;
    Ok(Arc::new(CertifiedKey::new(
        vec![certificate.der().clone()],
        signer,
    )))
}

/// The challenges that stand now, by name. Nothing is shown for a name that is not being ordered.
#[derive(Debug, Default)]
pub(crate) struct Challenges(Mutex<BTreeMap<String, Arc<CertifiedKey>>>);

impl Challenges {
    /// Shows a certificate to validators for as long as the answer is held.
    pub(crate) fn show(self: &Arc<Self>, name: &str, key: Arc<CertifiedKey>) -> Standing {
        self.lock().insert(name.to_owned(), key);
        Standing {
            challenges: Arc::clone(self),
            name: name.to_owned(),
        }
    }

    /// What a validator that asks for `name` gets.
    pub(crate) fn answer(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.lock().get(name).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<CertifiedKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A challenge that is taken down when the order is over, however it ends.
#[derive(Debug)]
pub(crate) struct Standing {
    challenges: Arc<Challenges>,
    name: String,
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.challenges.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "chat.acme.example";
    /// id-pe-acmeIdentifier
    const OID: &str = "1.3.6.1.5.5.7.1.31";

    fn made(digest: [u8; 32]) -> Arc<CertifiedKey> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        certificate(&provider, NAME, &digest, UnixMs(1_790_000_000_000)).unwrap()
    }

    #[test]
    fn a_challenge_certificate_names_one_host_and_carries_the_digest_critically() {
        let made = made([7; 32]);
        let (_, certificate) = x509_parser::parse_x509_certificate(&made.cert[0]).unwrap();
        let extension = certificate
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == OID)
            .unwrap();
        assert!(extension.critical);
        // An octet string of 32 bytes.
        assert_eq!(extension.value[..2], [0x04, 32]);
        assert_eq!(extension.value[2..], [7; 32]);
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
        assert!(format!("{:?}", names.value.general_names).contains(NAME));
        assert_eq!(made.cert.len(), 1);
        // An ordinary client does not know the extension, so it never takes this for a certificate of ours.
        assert!(rustls::server::ParsedCertificate::try_from(&made.cert[0]).is_err());
    }

    #[test]
    fn a_challenge_stands_only_while_its_order_goes_on() {
        let challenges = Arc::new(Challenges::default());
        assert!(challenges.answer(NAME).is_none());
        let standing = challenges.show(NAME, made([1; 32]));
        assert!(challenges.answer(NAME).is_some());
        assert!(challenges.answer("globex.example").is_none());
        drop(standing);
        assert!(challenges.answer(NAME).is_none());
    }
}
