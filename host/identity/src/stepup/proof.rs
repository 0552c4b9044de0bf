//! Proofs: made when somebody has shown who they are, bound to their browser or login session and to one purpose of one
//! plugin, spent once, soon over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, SessionId, TenantId, UnixMs};
use vaxel_crypto::{ErasureKey, Secret, ct_eq, random_bytes};
use vaxel_storage::{Order, Space};

use super::check_name;
use crate::IdentityError;
use crate::identity::Identity;
use crate::store::{PAGE, Row, STEP_UP, decode};

/// How long a proof waits to be spent: as long as it takes to fill in a page.
pub const PROOF_MS: u64 = 15 * 60_000;

/// How long one waits in a browser that nobody is signed in with: people think about a long survey.
pub const BROWSER_PROOF_MS: u64 = 2 * 3_600_000;

/// In front of a proof's key among the rows of step-up.
const KEY: &[u8] = b"proof/";

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// Where a proof may be spent: where it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// In a login session.
    Session(SessionId),
    /// In a browser that nobody is signed in with, by what its cookie holds.
    Browser([u8; 32]),
}

impl Binding {
    const fn proof_ms(self) -> u64 {
        match self {
            Self::Session(_) => PROOF_MS,
            Self::Browser(_) => BROWSER_PROOF_MS,
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Session(session) => [b"session/".as_slice(), &session.to_bytes()].concat(),
            Self::Browser(cookie) => [b"browser/".as_slice(), &cookie].concat(),
        }
    }
}

/// What was shown, and for what.
#[derive(Clone, Debug)]
pub struct NewProof<'a> {
    /// Whose purpose.
    pub plugin: &'a PluginId,
    /// Which.
    pub purpose: &'a str,
    /// `pin`, `bankid`.
    pub method: &'a str,
    /// The person under this one purpose, where the method knows a person.
    pub pseudonym: Option<String>,
    /// Where it may be spent.
    pub binding: Binding,
    /// It buys a ticket and nothing else: no plugin ever learns of it.
    pub for_ticket: bool,
}

/// A proof that buys a ticket: its place, and whom it is about.
pub(super) struct ProofForTicket {
    pub(super) key: Vec<u8>,
    pub(super) pseudonym: Option<String>,
}

/// What whoever spends a proof learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// `pin`, `bankid`.
    pub method: String,
    /// When it was shown.
    pub at: UnixMs,
    /// The person under this one purpose.
    pub pseudonym: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct ProofRow {
    plugin: PluginId,
    purpose: String,
    method: String,
    pseudonym: Option<String>,
    at: UnixMs,
    /// Blinded, as the disk need not know who did what.
    binding: [u8; 32],
    #[serde(default)]
    for_ticket: bool,
}

impl Row for ProofRow {
    const SPACE: Space = STEP_UP;
    const WHAT: &'static str = "proof";
}

impl Identity {
    /// Makes a proof, and the token that stands for it.
    pub async fn issue_proof(
        &self,
        tenant: TenantId,
        new: NewProof<'_>,
    ) -> Result<Secret<String>, IdentityError> {
        check_name(new.purpose)?;
        let token = Secret::new(BASE64.encode(random_bytes::<TOKEN_BYTES>()));
        let key = self.proof_key(tenant, token.expose())?;
        let row = ProofRow {
            plugin: new.plugin.clone(),
            purpose: new.purpose.to_owned(),
            method: new.method.to_owned(),
            pseudonym: new.pseudonym,
            at: self.now(),
            binding: self.blinded(tenant, new.binding)?,
            for_ticket: new.for_ticket,
        };
        let change = |tx: &mut crate::store::Tx| tx.put(&key, &row, ErasureKey::TENANT);
        self.inner.store.change(tenant, change).await?;
        Ok(token)
    }

    /// Spends a proof. Whatever becomes of what it was spent for, it is gone; so is one that was shown for something
    /// else, or somewhere else: whoever has it there should not.
    pub async fn spend_proof(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        token: &str,
        binding: Binding,
    ) -> Result<Option<Proof>, IdentityError> {
        let key = self.proof_key(tenant, token)?;
        let (binding, lives_ms) = (self.blinded(tenant, binding)?, binding.proof_ms());
        let now = self.now();
        let spent = self
            .inner
            .store
            .change_in_reserve(tenant, |tx| {
                let row: Option<ProofRow> = tx.get(&key)?;
                if row.is_some() {
                    tx.delete(STEP_UP, &key)?;
                }
                Ok(row)
            })
            .await?;
        let fits = |row: &ProofRow| {
            row.plugin == *plugin
                && row.purpose == purpose
                && !row.for_ticket
                && ct_eq(&row.binding, &binding)
                && now.since(row.at) < lives_ms
        };
        Ok(spent.filter(fits).map(|row| Proof {
            method: row.method,
            at: row.at,
            pseudonym: row.pseudonym,
        }))
    }

    /// What a proof could be spent for, here and now. It stays.
    pub fn purpose_of_proof(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        token: &str,
        binding: Binding,
    ) -> Result<Option<String>, IdentityError> {
        let key = self.proof_key(tenant, token)?;
        let (blinded, now) = (self.blinded(tenant, binding)?, self.now());
        let row: Option<ProofRow> = self.inner.store.look(tenant, |tx| tx.get(&key))?;
        let fits = |row: &ProofRow| {
            row.plugin == *plugin
                && ct_eq(&row.binding, &blinded)
                && now.since(row.at) < binding.proof_ms()
        };
        Ok(row.filter(fits).map(|row| row.purpose))
    }

    /// A proof that a ticket may be had for; nobody's where it is none. It stays.
    pub(super) fn proof_for_ticket(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        token: &str,
        binding: Binding,
    ) -> Result<ProofForTicket, IdentityError> {
        let key = self.proof_key(tenant, token)?;
        let (blinded, now) = (self.blinded(tenant, binding)?, self.now());
        let row: Option<ProofRow> = self.inner.store.look(tenant, |tx| tx.get(&key))?;
        let fits = |row: &ProofRow| {
            row.plugin == *plugin
                && row.purpose == purpose
                && row.for_ticket
                && ct_eq(&row.binding, &blinded)
                && now.since(row.at) < binding.proof_ms()
        };
        let pseudonym = row.filter(fits).and_then(|row| row.pseudonym);
        Ok(ProofForTicket { key, pseudonym })
    }

    /// Removes proofs that nobody spent in time.
    pub(crate) async fn sweep_proofs(&self, tenant: TenantId) -> Result<usize, IdentityError> {
        let now = self.now();
        let mut swept = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let (over, next) = self
                .inner
                .store
                .change(tenant, |tx| {
                    let from = after.as_deref();
                    let (rows, next) = tx.page(STEP_UP, KEY, from, PAGE, Order::Ascending)?;
                    let mut over = 0;
                    for (key, row) in rows {
                        let row: ProofRow = decode(&row, ProofRow::WHAT)?;
                        if now.since(row.at) >= BROWSER_PROOF_MS {
                            tx.delete(STEP_UP, &key)?;
                            over += 1;
                        }
                    }
                    Ok((over, next))
                })
                .await?;
            swept += over;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(swept),
            }
        }
    }

    fn proof_key(&self, tenant: TenantId, token: &str) -> Result<Vec<u8>, IdentityError> {
        let blinded = self
            .inner
            .keyring
            .blind(tenant, "proof", token.as_bytes())?;
        Ok([KEY, &blinded].concat())
    }

    fn blinded(&self, tenant: TenantId, binding: Binding) -> Result<[u8; 32], IdentityError> {
        let keyring = &self.inner.keyring;
        Ok(keyring.blind(tenant, "proof-binding", &binding.bytes())?)
    }
}
