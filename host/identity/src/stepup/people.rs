//! Who may show who they are for a purpose, as a list that is kept only as keyed hashes; and the names of those who did,
//! where people were told so. Both are erased with the purpose, and no plugin sees either.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use vaxel_core::{OpCx, PluginId, TenantId};
use vaxel_eid::{Person, PersonalNumber};
use vaxel_storage::{Order, Space};

use super::purpose::Place;
use crate::IdentityError;
use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::store::{PAGE, Row, STEP_UP, Tx};

/// In front of keys among the rows of step-up: that there is a list, who is on it, and what people are called.
const LIST: &[u8] = b"list/";
const LISTED: &[u8] = b"listed/";
const NAME: &[u8] = b"name/";

/// People on one list: a large municipality's staff, or a small one's people.
const LISTED_MAX: u32 = 100_000;

/// A listed person's row has no more in it.
const FORMAT: u8 = 1;

/// Names that one look shows.
pub const NAMES_MAX: usize = 200;

/// That there is a list, and how long it is.
#[derive(Clone, Default, Serialize, Deserialize)]
struct ListRow {
    people: u32,
}

impl Row for ListRow {
    const SPACE: Space = STEP_UP;
    const WHAT: &'static str = "list of people";
}

/// What somebody is called who showed who they are, as the provider writes it.
#[derive(Serialize, Deserialize)]
struct NameRow {
    name: String,
}

impl Row for NameRow {
    const SPACE: Space = STEP_UP;
    const WHAT: &'static str = "name";
}

/// Somebody's place on a list: nothing that can be computed without the purpose's own secret.
fn listed(place: &Place, secret: &[u8], person: &PersonalNumber) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let name = ["listed", person.expose()].join("\0");
    let mut listed = place.key_of(LISTED);
    listed.extend(hmac::sign(&key, name.as_bytes()).as_ref());
    listed
}

impl Identity {
    /// Puts people on the list of those who may show who they are for a purpose; from the first on it is nobody else.
    /// Answers how many are on it.
    pub async fn list_people(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        purpose: &str,
        people: &[PersonalNumber],
    ) -> Result<u32, IdentityError> {
        let place = Place::of(&self.inner.keyring, cx.tenant, plugin, purpose)?;
        let secret = self.secret_of(cx.tenant, &place).await?;
        let places: Vec<_> = people
            .iter()
            .map(|person| listed(&place, &secret, person))
            .collect();
        let list = place.key_of(LIST);
        self.inner
            .store
            .change(cx.tenant, |tx| {
                let mut row: ListRow = tx.get(&list)?.unwrap_or_default();
                for key in &places {
                    if tx.get_raw(STEP_UP, key)?.is_none() {
                        row.people += 1;
                        tx.put_raw(STEP_UP, key, vec![FORMAT], place.erasure)?;
                    }
                }
                if row.people > LISTED_MAX {
                    return Err(IdentityError::TooMany {
                        what: "people on a list",
                        max: LISTED_MAX as usize,
                    });
                }
                tx.put(&list, &row, place.erasure)?;
                let entry = AuditEntry::of(cx, "stepup.list_people", Outcome::Done);
                tx.append(&entry.about(plugin.as_str()))?;
                Ok(row.people)
            })
            .await
    }

    /// Takes the whole list away: whoever shows who they are may go on again.
    pub async fn unlist_people(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        purpose: &str,
    ) -> Result<(), IdentityError> {
        let place = Place::of(&self.inner.keyring, cx.tenant, plugin, purpose)?;
        // People first: while they go nobody is let in who was not on it.
        let (list, listed) = (place.key_of(LIST), place.key_of(LISTED));
        loop {
            let left = self
                .inner
                .store
                .change(cx.tenant, |tx| {
                    let (rows, next) = tx.page(STEP_UP, &listed, None, PAGE, Order::Ascending)?;
                    for (key, _) in rows {
                        tx.delete(STEP_UP, &key)?;
                    }
                    if next.is_none() {
                        tx.delete(STEP_UP, &list)?;
                        let entry = AuditEntry::of(cx, "stepup.unlist_people", Outcome::Done);
                        tx.append(&entry.about(plugin.as_str()))?;
                    }
                    Ok(next.is_some())
                })
                .await?;
            if !left {
                return Ok(());
            }
        }
    }

    /// Whether somebody may go on: there is no list, or they are on it.
    pub(crate) async fn is_let_in(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        person: &PersonalNumber,
    ) -> Result<bool, IdentityError> {
        let place = Place::of(&self.inner.keyring, tenant, plugin, purpose)?;
        let list = place.key_of(LIST);
        let there_is = |tx: &mut Tx| tx.get::<ListRow>(&list);
        if self.inner.store.look(tenant, there_is)?.is_none() {
            return Ok(true);
        }
        let secret = self.secret_of(tenant, &place).await?;
        let key = listed(&place, &secret, person);
        let on_it = |tx: &mut Tx| tx.get_raw(STEP_UP, &key);
        Ok(self.inner.store.look(tenant, on_it)?.is_some())
    }

    /// Keeps what somebody is called under their pseudonym.
    pub(crate) async fn keep_name(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        pseudonym: &str,
        person: &Person,
    ) -> Result<(), IdentityError> {
        let place = Place::of(&self.inner.keyring, tenant, plugin, purpose)?;
        let key = self.name_key(tenant, &place, pseudonym)?;
        let row = NameRow {
            name: person.name.clone(),
        };
        let change = |tx: &mut Tx| tx.put(&key, &row, place.erasure);
        self.inner.store.change(tenant, change).await
    }

    /// What people are called, by their pseudonyms, in the same order; nothing for whom there is none. Each look is a row
    /// of the audit, written before anybody reads.
    pub async fn names(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        purpose: &str,
        pseudonyms: &[String],
    ) -> Result<Vec<Option<String>>, IdentityError> {
        if pseudonyms.len() > NAMES_MAX {
            return Err(IdentityError::TooMany {
                what: "names at once",
                max: NAMES_MAX,
            });
        }
        let place = Place::of(&self.inner.keyring, cx.tenant, plugin, purpose)?;
        let keys = pseudonyms
            .iter()
            .map(|pseudonym| self.name_key(cx.tenant, &place, pseudonym));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        self.inner
            .store
            .change(cx.tenant, |tx| {
                let entry = AuditEntry::of(cx, "stepup.names", Outcome::Done);
                tx.append(&entry.about(plugin.as_str()))?;
                let names = keys.iter().map(|key| tx.get::<NameRow>(key));
                names.map(|row| Ok(row?.map(|row| row.name))).collect()
            })
            .await
    }

    fn name_key(
        &self,
        tenant: TenantId,
        place: &Place,
        pseudonym: &str,
    ) -> Result<Vec<u8>, IdentityError> {
        let blinded = self
            .inner
            .keyring
            .blind(tenant, "stepup-name", pseudonym.as_bytes())?;
        Ok([place.key_of(NAME), blinded.to_vec()].concat())
    }
}
