//! The keys of all tenants, opened when they are needed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::aead::Payload;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use parking_lot::{Mutex, RwLock};
use sha2::Sha256;
use vaxel_core::TenantId;
use zeroize::Zeroizing;

use crate::keyset::{Entry, KeyName, KeySet, WRAPPED_LEN};
use crate::seal::{Ciphers, Parts, derive};
use crate::{CryptoError, MasterKey, Purpose, random_bytes};

/// The name of a key whose destruction erases what it sealed: a person's, a conversation's, a survey's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErasureKey(u128);

impl ErasureKey {
    /// The tenant's own key.
    pub const TENANT: Self = Self(0);

    /// The key with this number; by custom the number of the id it belongs to.
    pub const fn named(raw: u128) -> Self {
        Self(raw)
    }

    /// Its number, as it is stored.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The key whose number was stored.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// The most opened keys that are kept in memory; the rest are opened again when wanted.
const OPEN_KEYS_MAX: usize = 65_536;

/// Proves at open that the master key is the one that this set was made under.
const CHECK_NAME: KeyName = (TenantId::SYSTEM, ErasureKey::named(u128::MAX));

/// All keys of this host.
pub struct Keyring {
    master: MasterKey,
    set: Mutex<KeySet>,
    open: RwLock<HashMap<KeyName, Arc<OpenKey>>>,
}

struct OpenKey {
    raw: Zeroizing<[u8; 32]>,
    ciphers: Ciphers,
    blind: Zeroizing<[u8; 32]>,
}

impl Keyring {
    /// Opens the key set in `dir` under the master key, or makes an empty one.
    pub fn open(dir: &Path, master: MasterKey) -> Result<Self, CryptoError> {
        let mut set = KeySet::open(dir)?;
        if let Some(Entry::Wrapped(check)) = set.entries.get(&CHECK_NAME) {
            unwrap(master.bytes(), CHECK_NAME, check).map_err(|_| CryptoError::WrongMaster)?;
        } else {
            let check = wrap(master.bytes(), CHECK_NAME, &random_bytes())?;
            set.add(CHECK_NAME, check)?;
        }
        Ok(Self {
            master,
            set: Mutex::new(set),
            open: RwLock::default(),
        })
    }

    /// Makes the tenant's key, durably. Does nothing if it is there; refuses if it was destroyed.
    pub fn create_tenant(&self, tenant: TenantId) -> Result<(), CryptoError> {
        let name = (tenant, ErasureKey::TENANT);
        let mut set = self.set.lock();
        match set.entries.get(&name) {
            Some(Entry::Wrapped(_)) => Ok(()),
            Some(Entry::Tombstone) => Err(CryptoError::KeyMissing),
            None => {
                let wrapped = wrap(self.master.bytes(), name, &Zeroizing::new(random_bytes()))?;
                set.add(name, wrapped)
            }
        }
    }

    /// Makes an erasure key of the tenant, durably. Does nothing if it is there; refuses if it was destroyed.
    pub fn create_key(&self, tenant: TenantId, key: ErasureKey) -> Result<(), CryptoError> {
        let owner = self.key((tenant, ErasureKey::TENANT))?;
        let name = (tenant, key);
        let mut set = self.set.lock();
        match set.entries.get(&name) {
            Some(Entry::Wrapped(_)) => Ok(()),
            Some(Entry::Tombstone) => Err(CryptoError::KeyMissing),
            None => {
                let wrapped = wrap(&owner.raw, name, &Zeroizing::new(random_bytes()))?;
                set.add(name, wrapped)
            }
        }
    }

    /// Whether the tenant has a key.
    pub fn has_tenant(&self, tenant: TenantId) -> bool {
        self.has_key(tenant, ErasureKey::TENANT)
    }

    /// Whether this erasure key is there and not destroyed.
    pub fn has_key(&self, tenant: TenantId, key: ErasureKey) -> bool {
        matches!(
            self.set.lock().entries.get(&(tenant, key)),
            Some(Entry::Wrapped(_))
        )
    }

    /// Destroys an erasure key: what it sealed can never be read again.
    pub fn destroy_key(&self, tenant: TenantId, key: ErasureKey) -> Result<(), CryptoError> {
        let name = (tenant, key);
        let mut set = self.set.lock();
        let mut entries = set.entries.clone();
        if let Some(entry) = entries.get_mut(&name) {
            *entry = Entry::Tombstone;
        }
        set.replace(entries)?;
        // Let go first: `key` takes the two locks in the other order.
        drop(set);
        self.open.write().remove(&name);
        Ok(())
    }

    /// Wraps every tenant's key under another master key; what they sealed stays as it is.
    pub fn rewrap(&mut self, master: MasterKey) -> Result<(), CryptoError> {
        let mut set = self.set.lock();
        let mut entries = set.entries.clone();
        for (name, entry) in &mut entries {
            let by_master = name.1 == ErasureKey::TENANT || *name == CHECK_NAME;
            if let (true, Entry::Wrapped(wrapped)) = (by_master, &mut *entry) {
                let raw = unwrap(self.master.bytes(), *name, wrapped)?;
                *wrapped = wrap(master.bytes(), *name, &raw)?;
            }
        }
        set.replace(entries)?;
        drop(set);
        self.master = master;
        Ok(())
    }

    /// Copies the wrapped keys into `dir`, for a backup. The master key is not among them.
    pub fn copy_to(&self, dir: &Path) -> Result<(), CryptoError> {
        self.set.lock().copy_to(dir)
    }

    /// Seals a value: it opens only under the same tenant, key, purpose and associated data.
    pub fn seal(
        &self,
        tenant: TenantId,
        key: ErasureKey,
        purpose: Purpose,
        aad: &[&[u8]],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let mut out = Vec::new();
        self.seal_into(tenant, key, purpose, aad, plaintext, &mut out)?;
        Ok(out)
    }

    /// As [`Self::seal`], behind what `out` already holds.
    pub fn seal_into(
        &self,
        tenant: TenantId,
        key: ErasureKey,
        purpose: Purpose,
        aad: &[&[u8]],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CryptoError> {
        self.key((tenant, key))?
            .ciphers
            .seal_into(key, purpose, aad, plaintext, out)
    }

    /// Opens what [`Self::seal`] made.
    pub fn open_sealed(
        &self,
        tenant: TenantId,
        purpose: Purpose,
        aad: &[&[u8]],
        sealed: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let parts = Parts::split(sealed)?;
        self.key((tenant, parts.erasure))?
            .ciphers
            .open(purpose, aad, &parts)
    }

    /// Under which key a value was sealed; that stands in front of it in the open.
    pub fn sealed_under(sealed: &[u8]) -> Result<ErasureKey, CryptoError> {
        Parts::split(sealed).map(|parts| parts.erasure)
    }

    /// A keyed hash for look-up keys, so that no name or number becomes a key (HMAC-SHA256).
    pub fn blind(
        &self,
        tenant: TenantId,
        purpose: &str,
        data: &[u8],
    ) -> Result<[u8; 32], CryptoError> {
        let key = self.key((tenant, ErasureKey::TENANT))?;
        Ok(mac(&key.blind, purpose, data))
    }

    /// A keyed hash under the host's own key, for what belongs to no tenant.
    pub fn mac_host(&self, purpose: &str, data: &[u8]) -> Result<[u8; 32], CryptoError> {
        let key = derive(self.master.bytes(), b"vaxel.v1.host-mac")?;
        Ok(mac(&key, purpose, data))
    }

    fn key(&self, name: KeyName) -> Result<Arc<OpenKey>, CryptoError> {
        if let Some(key) = self.open.read().get(&name) {
            return Ok(Arc::clone(key));
        }
        let wrapped = match self.set.lock().entries.get(&name) {
            Some(Entry::Wrapped(wrapped)) => *wrapped,
            Some(Entry::Tombstone) | None => return Err(CryptoError::KeyMissing),
        };
        let raw = if name.1 == ErasureKey::TENANT {
            unwrap(self.master.bytes(), name, &wrapped)?
        } else {
            let owner = self.key((name.0, ErasureKey::TENANT))?;
            unwrap(&owner.raw, name, &wrapped)?
        };
        let key = Arc::new(OpenKey {
            ciphers: Ciphers::derive(&raw)?,
            blind: derive(&raw, b"vaxel.v1.blind")?,
            raw,
        });
        let mut open = self.open.write();
        if open.len() >= OPEN_KEYS_MAX {
            open.clear();
        }
        // Destroyed while it was being opened: then it must not come back through this map.
        let still_there = matches!(self.set.lock().entries.get(&name), Some(Entry::Wrapped(_)));
        if still_there {
            open.insert(name, Arc::clone(&key));
        }
        Ok(key)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(…)")
    }
}

fn mac(key: &[u8; 32], purpose: &str, data: &[u8]) -> [u8; 32] {
    // HMAC pads a short key with zeros to its block of 64 bytes; padded here, making it cannot fail.
    let mut block = Zeroizing::new([0_u8; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(&(purpose.len() as u64).to_be_bytes());
    mac.update(purpose.as_bytes());
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn wrap(key: &[u8; 32], name: KeyName, raw: &[u8; 32]) -> Result<[u8; WRAPPED_LEN], CryptoError> {
    let nonce: [u8; 24] = random_bytes();
    let sealed = wrapper(key)?
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: raw,
                aad: &wrap_aad(name),
            },
        )
        .map_err(|_| CryptoError::Unsealable)?;
    let mut wrapped = [0_u8; WRAPPED_LEN];
    for (to, from) in wrapped.iter_mut().zip(nonce.into_iter().chain(sealed)) {
        *to = from;
    }
    Ok(wrapped)
}

fn unwrap(
    key: &[u8; 32],
    name: KeyName,
    wrapped: &[u8; WRAPPED_LEN],
) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let (nonce, sealed) = wrapped
        .split_first_chunk::<24>()
        .ok_or(CryptoError::Unsealable)?;
    let raw = wrapper(key)?
        .decrypt(
            &XNonce::from(*nonce),
            Payload {
                msg: sealed,
                aad: &wrap_aad(name),
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| CryptoError::Unsealable)?;
    let raw: [u8; 32] = raw
        .as_slice()
        .try_into()
        .map_err(|_| CryptoError::Unsealable)?;
    Ok(Zeroizing::new(raw))
}

fn wrapper(key: &[u8; 32]) -> Result<XChaCha20Poly1305, CryptoError> {
    Ok(XChaCha20Poly1305::new(
        (&*derive(key, b"vaxel.v1.wrap")?).into(),
    ))
}

fn wrap_aad(name: KeyName) -> Vec<u8> {
    [
        b"vaxel.v1.key".as_slice(),
        &name.0.to_bytes(),
        &name.1.to_bytes(),
    ]
    .concat()
}
