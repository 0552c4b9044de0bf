//! Blind signatures (RFC 9474) from the side of whoever has something signed: what a browser's script does, written anew.

use std::sync::Mutex;

use aws_lc_rs::digest::{SHA384, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use num_bigint::BigUint;

/// Something that somebody wants signed without its being seen.
pub struct Wish {
    prepared: [u8; 64],
    salt: [u8; 48],
    factor: BigUint,
    blinded: Mutex<String>,
}

/// A wish under one key.
pub struct Under<'a> {
    wish: &'a Wish,
    modulus: BigUint,
    length: usize,
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("random bytes");
    bytes
}

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA384, &parts.concat()).as_ref().to_vec()
}

impl Default for Wish {
    fn default() -> Self {
        Self::new()
    }
}

impl Wish {
    pub fn new() -> Self {
        Self {
            prepared: random(),
            salt: random(),
            factor: BigUint::from_bytes_be(&random::<255>()),
            blinded: Mutex::default(),
        }
    }

    /// With a modulus in Base64.
    pub fn under(&self, modulus: &str) -> Under<'_> {
        let modulus = BASE64.decode(modulus).expect("a modulus");
        Under {
            wish: self,
            length: modulus.len(),
            modulus: BigUint::from_bytes_be(&modulus),
        }
    }

    /// What was last sent to be signed.
    pub fn blinded_before(&self) -> String {
        self.blinded.lock().expect("a wish").clone()
    }
}

impl Under<'_> {
    /// EMSA-PSS-ENCODE (RFC 8017, 9.1.1) for a modulus of whole bytes.
    fn encoded(&self) -> BigUint {
        let Wish { prepared, salt, .. } = self.wish;
        let hashed = hash(&[&[0; 8], &hash(&[prepared]), salt]);
        let mut block = vec![0; self.length - hashed.len() - 1];
        let at = block.len() - salt.len();
        block[at..].copy_from_slice(salt);
        block[at - 1] = 1;
        let mut mask = Vec::new();
        for count in 0_u32.. {
            if mask.len() >= block.len() {
                break;
            }
            mask.extend(hash(&[&hashed, &count.to_be_bytes()]));
        }
        for (byte, over) in block.iter_mut().zip(mask) {
            *byte ^= over;
        }
        block[0] &= 0x7f;
        BigUint::from_bytes_be(&[block, hashed, vec![0xbc]].concat())
    }

    fn as_text(&self, number: &BigUint) -> String {
        let bytes = number.to_bytes_be();
        let zeros = vec![0; self.length - bytes.len()];
        BASE64.encode([zeros, bytes].concat())
    }

    /// What is sent to be signed.
    pub fn blinded(&self) -> String {
        let exponent = BigUint::from(65_537_u32);
        let over = self.wish.factor.modpow(&exponent, &self.modulus);
        let blinded = self.as_text(&(self.encoded() * over % &self.modulus));
        self.wish
            .blinded
            .lock()
            .expect("a wish")
            .clone_from(&blinded);
        blinded
    }

    /// The ticket in what came back.
    pub fn opens(&self, signed: &str) -> String {
        let signed = BigUint::from_bytes_be(&BASE64.decode(signed).expect("a signature"));
        let opens = self.wish.factor.modinv(&self.modulus);
        let signature = signed * opens.expect("an inverse") % &self.modulus;
        let prepared = BASE64.encode(self.wish.prepared);
        format!("{prepared}~{}", self.as_text(&signature))
    }
}
