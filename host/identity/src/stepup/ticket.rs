//! Tickets: what somebody who showed who they are gets signed without its being seen (RFC 9474), once for a purpose, and
//! spends later as nobody in particular. Nothing here knows both the person and the ticket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, TenantId};
use vaxel_crypto::{BlindSigner, ErasureKey, Secret, ct_eq, verify_unblinded};
use vaxel_storage::{Space, StorageError, Transaction};

use super::proof::Binding;
use super::purpose::Place;
use crate::IdentityError;
use crate::identity::{Identity, blocking};
use crate::store::{Row, STEP_UP, Tx};

/// In front of keys among the rows of step-up: what signs, who had something signed, and what was spent.
const KEY: &[u8] = b"ticket-key/";
const GIVEN: &[u8] = b"ticket-given/";
const SPENT: &[u8] = b"ticket-spent/";

/// A spent ticket's row has no more in it.
const FORMAT: u8 = 1;

/// The longest ticket: a signature of 256 bytes and a message of 64, in Base64.
const TICKET_CHARS_MAX: usize = 600;

/// What signs the tickets of one purpose; gone with the purpose's erasure key.
#[derive(Serialize, Deserialize)]
struct KeyRow {
    /// PKCS#8, in Base64.
    key: String,
    /// In Base64.
    modulus: String,
}

impl Row for KeyRow {
    const SPACE: Space = STEP_UP;
    const WHAT: &'static str = "key of tickets";
}

/// That somebody has had their one ticket signed, under the hash of their pseudonym.
#[derive(Serialize, Deserialize)]
struct GivenRow {
    /// Of what was signed: the same again is signed again, for an answer that was lost on its way.
    blinded: [u8; 32],
}

impl Row for GivenRow {
    const SPACE: Space = STEP_UP;
    const WHAT: &'static str = "ticket given";
}

/// A ticket as its holder shows it. It is never printed.
#[derive(Clone)]
pub struct Ticket {
    message: Vec<u8>,
    signature: Vec<u8>,
    was_spent: Arc<AtomicBool>,
}

impl Ticket {
    /// Reads `MESSAGE~SIGNATURE`.
    pub fn parse(text: &str) -> Option<Self> {
        let (message, signature) = text.split_once('~')?;
        (text.len() <= TICKET_CHARS_MAX).then_some(())?;
        Some(Self {
            message: BASE64.decode(message).ok()?,
            signature: BASE64.decode(signature).ok()?,
            was_spent: Arc::default(),
        })
    }

    /// Whether something was done for which it was spent; it holds once that has ended well.
    pub fn was_spent(&self) -> bool {
        self.was_spent.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// What became of somebody's wish for a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketGiven {
    /// Signed.
    Signed(Vec<u8>),
    /// They have had another one signed before.
    HadOne,
    /// No proof, or not one for this.
    NoProof,
}

/// A ticket that holds, to be spent in the commit of what it is spent for.
#[derive(Clone, Debug)]
pub struct TicketSpending {
    key: Vec<u8>,
    erasure: ErasureKey,
    was_spent: Arc<AtomicBool>,
}

impl TicketSpending {
    /// Spends it within a transaction of somebody else's; false if it was spent before.
    pub fn spend(&self, tx: &mut Transaction) -> Result<bool, StorageError> {
        if tx.get(STEP_UP, &self.key)?.is_some() {
            return Ok(false);
        }
        tx.put(STEP_UP, &self.key, vec![FORMAT], self.erasure)?;
        self.was_spent.store(true, Ordering::Relaxed);
        Ok(true)
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

impl Identity {
    /// The modulus with which tickets of a purpose are blinded and checked (the exponent is 65537).
    pub async fn ticket_modulus(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
    ) -> Result<Vec<u8>, IdentityError> {
        let place = Place::of(&self.inner.keyring, tenant, plugin, purpose)?;
        if let Some(row) = self.ticket_key(tenant, &place)? {
            return decoded(&row.modulus);
        }
        self.make_erasure_key(tenant, place.erasure).await?;
        let made = blocking(|| Ok(BlindSigner::generate()?)).await?;
        let row = KeyRow {
            key: BASE64.encode(made.to_pkcs8().expose()),
            modulus: BASE64.encode(made.modulus()),
        };
        let key = place.key_of(KEY);
        let kept = self
            .inner
            .store
            .change(tenant, |tx| {
                if let Some(row) = tx.get::<KeyRow>(&key)? {
                    return Ok(row.modulus);
                }
                tx.put(&key, &row, place.erasure)?;
                Ok(row.modulus.clone())
            })
            .await?;
        decoded(&kept)
    }

    fn ticket_key(&self, tenant: TenantId, place: &Place) -> Result<Option<KeyRow>, IdentityError> {
        let key = place.key_of(KEY);
        self.inner.store.look(tenant, |tx| tx.get(&key))
    }

    /// Signs what somebody blinded, once for a person and a purpose. Their proof is spent, and that they had it is
    /// noted, in one commit, without which nobody gets the signature.
    pub async fn give_ticket(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        (token, binding): (&Secret<String>, Binding),
        blinded: Vec<u8>,
    ) -> Result<TicketGiven, IdentityError> {
        let proof = self.proof_for_ticket(tenant, plugin, purpose, token.expose(), binding)?;
        let Some(pseudonym) = proof.pseudonym else {
            return Ok(TicketGiven::NoProof);
        };
        let place = Place::of(&self.inner.keyring, tenant, plugin, purpose)?;
        let Some(row) = self.ticket_key(tenant, &place)? else {
            return Ok(TicketGiven::NoProof);
        };
        // Numbers of one length are in the order of their bytes.
        let modulus = decoded(&row.modulus)?;
        let is_zero = blinded.iter().all(|byte| *byte == 0);
        if blinded.len() != modulus.len() || blinded >= modulus || is_zero {
            return Err(IdentityError::Malformed {
                what: "blinded message",
                must: "is a number below the modulus and as long",
            });
        }
        let what = hash(&blinded);
        let signing = blocking(move || {
            let pkcs8 = Secret::new(decoded(&row.key)?);
            Ok(BlindSigner::from_pkcs8(pkcs8.expose())?.sign(&blinded)?)
        });
        let signature = signing.await?;
        let name = [plugin.as_str(), purpose, &pseudonym].join("\0");
        let given = self
            .inner
            .keyring
            .blind(tenant, "ticket-given", name.as_bytes())?;
        let given = [GIVEN, &given].concat();
        self.inner
            .store
            .change_in_reserve(tenant, |tx| {
                if tx.get_raw(STEP_UP, &proof.key)?.is_none() {
                    return Ok(TicketGiven::NoProof);
                }
                tx.delete(STEP_UP, &proof.key)?;
                match tx.get::<GivenRow>(&given)? {
                    Some(before) if !ct_eq(&before.blinded, &what) => {
                        return Ok(TicketGiven::HadOne);
                    }
                    Some(_) => {}
                    None => tx.put(&given, &GivenRow { blinded: what }, place.erasure)?,
                }
                Ok(TicketGiven::Signed(signature.clone()))
            })
            .await
    }

    /// A ticket that was signed for this purpose, to be spent; none if it was not.
    pub fn ticket(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        ticket: &Ticket,
    ) -> Result<Option<TicketSpending>, IdentityError> {
        let place = Place::of(&self.inner.keyring, tenant, plugin, purpose)?;
        let Some(row) = self.ticket_key(tenant, &place)? else {
            return Ok(None);
        };
        let modulus = decoded(&row.modulus)?;
        if !verify_unblinded(&modulus, &ticket.message, &ticket.signature) {
            return Ok(None);
        }
        let name = [
            plugin.as_str().as_bytes(),
            purpose.as_bytes(),
            ticket.message.as_slice(),
        ]
        .join(&0);
        let spent = self.inner.keyring.blind(tenant, "ticket-spent", &name)?;
        Ok(Some(TicketSpending {
            key: [SPENT, &spent].concat(),
            erasure: place.erasure,
            was_spent: Arc::clone(&ticket.was_spent),
        }))
    }

    /// Whether a ticket could be spent for this, now.
    pub fn is_ticket_good(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        ticket: &Ticket,
    ) -> Result<bool, IdentityError> {
        let Some(spending) = self.ticket(tenant, plugin, purpose, ticket)? else {
            return Ok(false);
        };
        let look = |tx: &mut Tx| tx.get_raw(STEP_UP, &spending.key);
        Ok(self.inner.store.look(tenant, look)?.is_none())
    }
}

/// Takes what signs the tickets of a purpose away.
pub(super) fn forget_key(tx: &mut Tx, place: &Place) -> Result<(), IdentityError> {
    tx.delete(STEP_UP, &place.key_of(KEY))
}

fn decoded(base64: &str) -> Result<Vec<u8>, IdentityError> {
    let damaged = |_| IdentityError::Damaged { what: KeyRow::WHAT };
    BASE64.decode(base64).map_err(damaged)
}
