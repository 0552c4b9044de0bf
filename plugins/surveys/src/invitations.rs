//! Invitations: who was asked, with a personal link each; kept apart from what was answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_plugin::storage::Order;
use vaxel_plugin::{clock, storage};

use crate::answering::person::LinkRow;
use crate::authority::standing;
use crate::error::{Result, SurveyError};
use crate::model::settings::Access;
use crate::store::rows::{InvitationRow, SurveyRow};
use crate::store::{self, keys};

/// People invited with one call.
const INVITED_MAX: usize = 100;
/// Invitations that one look reads.
const LIST_MAX: u32 = 100;

/// People to invite.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    /// A name or an address each, as the inviter knows them.
    #[schemars(length(min = 1, max = 100))]
    pub(crate) recipients: Vec<String>,
}

/// Part of the invitations to a survey.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationsParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// Invitations.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Invitations {
    pub(crate) items: Vec<Invitation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Somebody who was invited.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Invitation {
    pub(crate) id: String,
    pub(crate) recipient: String,
    /// Whether they have answered; not when, and not what.
    pub(crate) answered: bool,
    pub(crate) invited_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reminded_at_ms: Option<u64>,
    /// Their own way to the questions: to be sent to them, and to nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

impl Invitation {
    fn of(id: &str, row: InvitationRow, slug: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            link: slug.map(|slug| format!("/p/surveys/answer/{slug}/l/{}", row.token)),
            recipient: row.recipient,
            answered: row.answered,
            invited_at_ms: row.invited_at_ms,
            reminded_at_ms: row.reminded_at_ms,
        }
    }
}

fn inviting(id: &str) -> Result<SurveyRow> {
    let row = store::survey(id)?;
    standing(&row)?.may_edit()?;
    let access = row.settings.as_ref().map(|settings| settings.access);
    if access != Some(Access::Link) {
        return Err(SurveyError::Invalid(
            "people are invited to a published survey that is answered with personal links",
        ));
    }
    Ok(row)
}

pub(crate) fn create(params: InviteParams) -> Result<Invitations> {
    let row = inviting(&params.survey)?;
    if params.recipients.len() > INVITED_MAX {
        return Err(SurveyError::Limit {
            what: "people at once",
            max: INVITED_MAX,
        });
    }
    let mut items = Vec::new();
    for recipient in &params.recipients {
        let recipient = recipient.trim();
        if recipient.is_empty() || recipient.chars().count() > 200 {
            return Err(SurveyError::Invalid("a recipient has 1 to 200 characters"));
        }
        let id = storage::new_id("inv");
        let invited = InvitationRow {
            recipient: recipient.to_owned(),
            token: store::random_hex(16)?,
            invited_at_ms: clock::now_ms(),
            reminded_at_ms: None,
            answered: false,
        };
        let link = LinkRow {
            invitation: id.clone(),
            used: false,
        };
        storage::put_json(keys::link(&params.survey, &invited.token)?, &link)?;
        storage::put_json_about(
            keys::invitation(&params.survey, &id),
            &invited,
            &params.survey,
        )?;
        items.push(Invitation::of(&id, invited, Some(&row.slug)));
    }
    Ok(Invitations { items, next: None })
}

/// Rows by id, and the next cursor.
type Part = (Vec<(String, InvitationRow)>, Option<String>);

fn some(params: &InvitationsParams) -> Result<Part> {
    let prefix = keys::invitations(&params.survey);
    let after = params
        .cursor
        .as_ref()
        .map(|id| format!("{prefix}{id}").into_bytes());
    let page =
        storage::scan_json::<InvitationRow>(&prefix, after.as_deref(), LIST_MAX, Order::Ascending)?;
    let id_of = |key: &[u8]| {
        let key = String::from_utf8_lossy(key);
        key.strip_prefix(&prefix).unwrap_or_default().to_owned()
    };
    let rows = page
        .entries
        .iter()
        .map(|(key, row)| (id_of(key), row.clone()));
    Ok((rows.collect(), page.next.as_deref().map(id_of)))
}

pub(crate) fn list(params: InvitationsParams) -> Result<Invitations> {
    inviting(&params.survey)?;
    let (rows, next) = some(&params)?;
    let items = rows
        .into_iter()
        .map(|(id, row)| Invitation::of(&id, row, None));
    Ok(Invitations {
        items: items.collect(),
        next,
    })
}

/// Those who have not answered, with their links once more.
pub(crate) fn remind(params: InvitationsParams) -> Result<Invitations> {
    let survey = inviting(&params.survey)?;
    if crate::surveys::state(&survey) != crate::store::rows::State::Open {
        return Err(SurveyError::Ended);
    }
    let (rows, next) = some(&params)?;
    let mut items = Vec::new();
    for (id, mut row) in rows.into_iter().filter(|(_, row)| !row.answered) {
        row.reminded_at_ms = Some(clock::now_ms());
        storage::put_json_about(keys::invitation(&params.survey, &id), &row, &params.survey)?;
        items.push(Invitation::of(&id, row, Some(&survey.slug)));
    }
    Ok(Invitations { items, next })
}
