//! One answer per person: what is noted of who has answered, apart from what.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vaxel_plugin::{Result, identity, step_up, storage};

use super::Open;
use crate::error::SurveyError;
use crate::model::Settings;
use crate::model::settings::{Access, Linkage};
use crate::store::rows::InvitationRow;
use crate::store::{hex, keys};

/// What a proof is called that says nothing of who.
const ANONYMOUS: &str = "anonymous";

/// What a personal link leads to.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LinkRow {
    pub(crate) invitation: String,
    pub(crate) used: bool,
}

pub(crate) fn link(id: &str, token: &str) -> Result<Option<LinkRow>> {
    storage::get_json(keys::link(id, token)?)
}

pub(crate) fn has_answered(id: &str, who: &str) -> Result<bool> {
    Ok(storage::get(keys::person(id, who)?)?.is_some())
}

/// Notes that whoever sends has answered, or refuses; answers what the answer itself carries of them.
pub(crate) fn admit(open: &Open, token: Option<&str>) -> Result<Option<String>, SurveyError> {
    let settings = &open.survey.settings;
    let words = open.words();
    let twice = || open.refuse("already-answered", words.answered_text);
    let mut named = None;
    // A proof comes before all: without one the host asks for it, and what was sent is sent again.
    let mut proven = None;
    if !settings.step_up.is_empty() {
        let proof = match step_up::spend(&purpose(open, token)?) {
            Err(spent) if spent.code == "step-up-spent" => return Err(twice()),
            spent => spent?,
        };
        if settings.linkage == Linkage::Anonymous {
            // The host has seen to it that each answers once, and knows of nobody who.
            return match proof.method.as_str() {
                ANONYMOUS => Ok(None),
                _ => Err(open.refuse("wrong-proof", words.wrong_proof)),
            };
        }
        if !settings.step_up.contains(&proof.method) {
            return Err(open.refuse("wrong-proof", words.wrong_proof));
        }
        proven = proof.pseudonym;
    }
    match settings.access {
        Access::Link => {
            let token = token.ok_or_else(|| open.refuse("link-required", words.no_link))?;
            let mut link = link(&open.id, token)?.ok_or(SurveyError::Missing("survey"))?;
            if link.used {
                return Err(twice());
            }
            link.used = true;
            storage::put_json(keys::link(&open.id, token)?, &link)?;
            let key = keys::invitation(&open.id, &link.invitation);
            if let Some(mut invitation) = storage::get_json::<InvitationRow>(&key)? {
                invitation.answered = true;
                storage::put_json_about(&key, &invitation, &open.id)?;
                named = Some(invitation.recipient);
            }
        }
        Access::Members => named = Some(identity::user()?),
        Access::Anyone => {}
    }
    let person = match settings.access {
        Access::Members => named.clone(),
        _ => proven,
    };
    if settings.linkage == Linkage::Unlinked {
        return Ok(None);
    }
    if let Some(person) = &person {
        if has_answered(&open.id, person)? {
            return Err(twice());
        }
        storage::put_about(keys::person(&open.id, person)?, b"1", &open.id)?;
    } else if settings.access == Access::Anyone {
        // A proof that says nothing of the person cannot keep them from answering twice.
        return Err(open.refuse("wrong-proof", words.wrong_proof));
    }
    Ok(match settings.linkage {
        // The host knows the name behind it, and shows it to those who may see it.
        Linkage::Named if settings.names_by_eid() => person,
        Linkage::Named => named,
        Linkage::Pseudonymous => match person {
            Some(person) => Some(hex(&storage::blind(
                &format!("pseudonym/{}", open.id),
                person,
            )?)),
            None => return Err(open.refuse("wrong-proof", words.wrong_proof)),
        },
        Linkage::Unlinked | Linkage::Anonymous | Linkage::Confidential => None,
    })
}

/// What a proof is made for: the survey, so that one person is one pseudonym in it. A PIN belongs to one personal link, and
/// must open no other.
fn purpose(open: &Open, token: Option<&str>) -> Result<String> {
    let id = &open.id;
    if open.survey.settings.asks_pin()
        && let Some(token) = token
        && let Some(link) = link(id, token)?
    {
        return Ok(format!("answer/{id}/{}", link.invitation));
    }
    Ok(format!("answer/{id}"))
}

/// What the host is to see proven before it draws anything of the survey.
pub(crate) fn required(open: &Open, token: Option<&str>) -> Result<Option<Value>> {
    let settings = &open.survey.settings;
    if settings.step_up.is_empty() {
        return Ok(None);
    }
    let mut methods = Vec::new();
    if settings.asks_pin() {
        methods.push("pin");
    }
    if settings.asks_eid() {
        methods.push("eid");
    }
    Ok(Some(json!({
        "purpose": purpose(open, token)?, "methods": methods,
        "anonymous": settings.linkage == Linkage::Anonymous, "named": settings.names_by_eid(),
    })))
}

/// Nothing can be proven for a survey that has ended, and nobody's pseudonym in it be found out; but for one whose names are
/// kept, as they would be gone.
pub(crate) fn forget(id: &str, settings: &Settings) -> Result<()> {
    if settings.step_up.is_empty() || settings.names_by_eid() {
        return Ok(());
    }
    step_up::close(&format!("answer/{id}"))
}
