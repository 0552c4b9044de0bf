//! Blind signatures with RSA (RFC 9474, RSABSSA-SHA384-PSS-Randomized), the side of whoever signs: what is signed cannot be
//! seen, and its signature not recognized when it is shown.
//!
//! Keys are made and signatures checked by aws-lc, which has no bare RSA to offer: the one exponentiation with the private
//! exponent is done here, in time that does not depend on it, and what comes out is checked before it leaves.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_2048_8192_SHA384, RsaPublicKeyComponents};
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use der::asn1::{OctetStringRef, UintRef};
use der::{AnyRef, Reader as _, SliceReader};

use crate::{CryptoError, Secret};

/// A key lasts as long as one survey.
const KEY_SIZE: KeySize = KeySize::Rsa2048;

/// The public exponent, 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// Signs what it cannot see.
pub struct BlindSigner {
    pkcs8: Secret<Vec<u8>>,
    modulus: Vec<u8>,
    exponent: Secret<Vec<u8>>,
}

impl BlindSigner {
    /// A new key. It takes a moment of the processor.
    pub fn generate() -> Result<Self, CryptoError> {
        let failed = |_| faulty("making a key of RSA");
        let pair = KeyPair::generate(KEY_SIZE).map_err(failed)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        Self::from_pkcs8(der.as_ref())
    }

    /// A key as [`Self::to_pkcs8`] gave it.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        let wrong = |_| faulty("a key of RSA in PKCS#8 is expected");
        let pair = KeyPair::from_pkcs8(der).map_err(|_| faulty("a key of RSA is expected"))?;
        Ok(Self {
            pkcs8: Secret::new(der.to_vec()),
            modulus: pair
                .public_key()
                .modulus()
                .big_endian_without_leading_zero()
                .to_vec(),
            exponent: private_exponent(der).map_err(wrong)?,
        })
    }

    /// The key, to be sealed.
    pub const fn to_pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// What the other side blinds with and signatures are checked with; the exponent is 65537.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Signs a blinded message.
    pub fn sign(&self, blinded: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let refused = || faulty("a blinded message is a number below the modulus and as long");
        let bits = u32::try_from(self.modulus.len() * 8).map_err(|_| refused())?;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).map_err(|_| refused());
        let modulus = number(&self.modulus)?;
        let message = number(blinded)?;
        let is_zero = blinded.iter().all(|byte| *byte == 0);
        if blinded.len() != self.modulus.len() || is_zero || message >= modulus {
            return Err(refused());
        }
        let odd = Option::<Odd<BoxedUint>>::from(Odd::new(modulus)).ok_or_else(refused)?;
        let params = BoxedMontyParams::new(odd);
        let base = BoxedMontyForm::new(message.clone(), &params);
        let signed = base.pow(&number(self.exponent.expose())?);
        // A fault in the processor would let the private key be computed from what it spoiled.
        let checked = signed.pow(&number(&EXPONENT)?).retrieve();
        if checked != message {
            return Err(faulty("a signature was spoiled in the making"));
        }
        Ok(signed.retrieve().to_be_bytes().into_vec())
    }
}

impl std::fmt::Debug for BlindSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlindSigner(…)")
    }
}

/// Whether the key of this modulus signed a message, seen or not.
pub fn verify_unblinded(modulus: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = RsaPublicKeyComponents {
        n: modulus,
        e: &EXPONENT,
    };
    key.verify(&RSA_PSS_2048_8192_SHA384, message, signature)
        .is_ok()
}

/// Of PKCS#8 (RFC 5958) around an RSAPrivateKey (RFC 8017, A.1.2).
fn private_exponent(der: &[u8]) -> der::Result<Secret<Vec<u8>>> {
    let mut outer = SliceReader::new(der)?;
    let key: OctetStringRef<'_> = outer.sequence(|parts| {
        let _version: u8 = parts.decode()?;
        let _algorithm: AnyRef<'_> = parts.decode()?;
        parts.decode()
    })?;
    let mut inner = SliceReader::new(key.as_bytes())?;
    inner.sequence(|parts| {
        let _version: u8 = parts.decode()?;
        let _modulus: UintRef<'_> = parts.decode()?;
        let _public: UintRef<'_> = parts.decode()?;
        let private: UintRef<'_> = parts.decode()?;
        for _prime_or_part in 0..5 {
            let _: UintRef<'_> = parts.decode()?;
        }
        Ok(Secret::new(private.as_bytes().to_vec()))
    })
}

const fn faulty(what: &'static str) -> CryptoError {
    CryptoError::SigningKey { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_below_the_modulus_is_refused() {
        let signer = BlindSigner::generate().unwrap();
        let length = signer.modulus().len();
        assert_eq!(length, 256);
        for bad in [
            vec![],
            vec![0; length],
            vec![1; length - 1],
            vec![1; length + 1],
            vec![0xff; length],
            signer.modulus().to_vec(),
        ] {
            assert!(signer.sign(&bad).is_err(), "{} bytes", bad.len());
        }
        let mut one = vec![0; length];
        one[length - 1] = 1;
        assert_eq!(signer.sign(&one).unwrap(), one);
        assert!(BlindSigner::from_pkcs8(b"no key").is_err());
        assert_eq!(format!("{signer:?}"), "BlindSigner(…)");
    }

    /// The numbers of RFC 9474, appendix A.1.
    const VECTOR: &str = include_str!("../../../tests/fixtures/vectors/rfc9474.json");

    fn vector(name: &str) -> Vec<u8> {
        let (_, rest) = VECTOR.split_once(&format!("\"{name}\": \"")).unwrap();
        let digits = rest.split_once('"').unwrap().0.as_bytes();
        let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    }

    #[test]
    fn what_is_signed_and_checked_is_what_rfc_9474_says() {
        let signer = BlindSigner {
            pkcs8: Secret::new(Vec::new()),
            modulus: vector("n"),
            exponent: Secret::new(vector("d")),
        };
        let signed = signer.sign(&vector("blinded_msg")).unwrap();
        assert!(signed == vector("blind_sig"));
        let message = [vector("msg_prefix"), vector("msg")].concat();
        let mut signature = vector("sig");
        assert!(verify_unblinded(signer.modulus(), &message, &signature));
        assert!(!verify_unblinded(signer.modulus(), b"other", &signature));
        signature[9] ^= 1;
        assert!(!verify_unblinded(signer.modulus(), &message, &signature));
    }

    #[test]
    fn a_key_that_was_kept_signs_the_same() {
        let signer = BlindSigner::generate().unwrap();
        let again = BlindSigner::from_pkcs8(signer.to_pkcs8().expose()).unwrap();
        let mut message = vec![7; signer.modulus().len()];
        message[0] = 0;
        assert_eq!(
            signer.sign(&message).unwrap(),
            again.sign(&message).unwrap()
        );
    }
}
