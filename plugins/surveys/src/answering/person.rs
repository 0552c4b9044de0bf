//! One answer per person: what is noted of who has answered, apart from what.

use serde::{Deserialize, Serialize};
use vaxel_plugin::{Result, identity, step_up, storage};

use super::Open;
use crate::error::SurveyError;
use crate::model::settings::{Access, Linkage};
use crate::store::rows::InvitationRow;
use crate::store::{hex, keys};

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
        let proof = step_up::spend(&purpose(&open.id))?;
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
        Linkage::Named => named,
        Linkage::Pseudonymous => match person {
            Some(person) => Some(hex(&storage::blind(
                &format!("pseudonym/{}", open.id),
                person,
            )?)),
            None => return Err(open.refuse("wrong-proof", words.wrong_proof)),
        },
        Linkage::Unlinked | Linkage::Confidential => None,
    })
}

/// What a proof is made for.
pub(crate) fn purpose(id: &str) -> String {
    format!("answer/{id}")
}
