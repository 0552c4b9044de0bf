//! The page on which people answer: without an account, without script, and without losing what was typed.

pub(crate) mod draw;
pub(crate) mod elements;
pub(crate) mod person;
mod preview;
mod send;
pub(crate) mod taking;

use serde_json::Value;
use vaxel_plugin::pages::Request;
use vaxel_plugin::{Error, Result, identity, storage};

use crate::error::SurveyError;
use crate::model::Survey;
use crate::model::answer::still_fits;
use crate::model::settings::Access;
use crate::store::rows::{Begun, State, SurveyRow};
use crate::store::{self, keys};
use crate::surveys::state;

/// The page's name in the manifest.
const PAGE: &str = "answer";

/// Where somebody stands, as the address says.
enum Place<'a> {
    Door,
    /// A personal link.
    Link(&'a str),
    /// On the way.
    Begun(&'a str),
    Thanks,
}

/// A survey that is being answered.
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) row: SurveyRow,
    pub(crate) survey: Survey,
    pub(crate) language: String,
    /// The personal link that it is answered with.
    pub(crate) link: Option<String>,
    /// Its author goes through a draft: nothing is taken.
    pub(crate) rehearses: bool,
}

pub(crate) fn show(page: &str, request: Request) -> Result<Value> {
    match page {
        PAGE => Ok(answer(&request)?),
        preview::PAGE => Ok(preview::show(&request)?),
        _ => Err(Error::not_found("there is no such page")),
    }
}

fn answer(request: &Request) -> Result<Value, SurveyError> {
    let mut parts = request.path.split('/');
    let slug = parts.next().unwrap_or_default();
    let place = match (parts.next(), parts.next(), parts.next()) {
        (None, None, None) => Place::Door,
        (Some("thanks"), None, None) => Place::Thanks,
        (Some("l"), Some(token), None) => Place::Link(token),
        (Some("r"), Some(token), None) => Place::Begun(token),
        _ => return Err(SurveyError::Missing("page")),
    };
    let (id, row) = store::by_slug(slug)?;
    if row.version == 0 {
        return Err(SurveyError::Missing("survey"));
    }
    let survey = store::version(&id, row.version)?;
    let mut begun = match place {
        Place::Begun(token) => begun(&id, token)?,
        _ => None,
    };
    let language = language(request, begun.as_ref(), &survey);
    let link = match (&place, &begun) {
        (Place::Link(token), _) => Some((*token).to_owned()),
        (_, Some(begun)) => begun.link.clone(),
        _ => None,
    };
    let open = Open {
        id,
        row,
        survey,
        language,
        link,
        rehearses: false,
    };
    if matches!(place, Place::Thanks) {
        return Ok(draw::thanks(&open));
    }
    if let Some(refused) = refused(&open, &place)? {
        return if request.sent.is_some() {
            Err(refused)
        } else {
            Ok(draw::notice(&open, refused))
        };
    }
    if let (Place::Begun(_), None) = (&place, &begun) {
        // Sent already, or seven days old.
        return Err(SurveyError::Missing("answer"));
    }
    if let Some(begun) = &mut begun
        && begun.version != open.row.version
    {
        if request.sent.is_some() {
            return Err(open.refuse("survey-changed", open.words().changed));
        }
        follow(&open, begun);
        if let Place::Begun(token) = place {
            send::keep(&open, token, begun)?;
        }
    }
    match &request.sent {
        Some(sent) => send::take(&open, &place, begun, sent, request),
        None => draw::page(&open, &draw::At::beginning(begun.as_ref())),
    }
}

fn begun(id: &str, token: &str) -> Result<Option<Begun>, SurveyError> {
    let begun: Option<Begun> = storage::get_json(keys::begun(token)?)?;
    Ok(begun.filter(|begun| begun.survey == id))
}

/// Answers that were begun in an earlier version go on in this one, from the start.
fn follow(open: &Open, begun: &mut Begun) {
    begun.answers.retain(|id, value| {
        let question = open.survey.question(id);
        question.is_some_and(|question| still_fits(question, value))
    });
    begun.version = open.row.version;
    begun.step = 0;
    begun.changed = true;
}

/// What was asked for, else what was begun in, else what the browser wants.
fn language(request: &Request, begun: Option<&Begun>, survey: &Survey) -> String {
    let wished = request
        .query("lang")
        .filter(|wished| survey.languages.iter().any(|tag| tag == wished));
    let wished = wished
        .map(str::to_owned)
        .or_else(|| begun.map(|begun| begun.language.clone()));
    survey
        .language(&wished.unwrap_or_else(|| identity::caller().locale))
        .to_owned()
}

/// Why nobody, or not this one, answers here now.
fn refused(open: &Open, place: &Place<'_>) -> Result<Option<SurveyError>, SurveyError> {
    let words = open.words();
    if state(&open.row) != State::Open {
        return Ok(Some(open.refuse("survey-closed", words.closed_now)));
    }
    Ok(match (open.survey.settings.access, place) {
        (Access::Link, Place::Link(token)) => {
            let link = person::link(&open.id, token)?.ok_or(SurveyError::Missing("survey"))?;
            link.used
                .then(|| open.refuse("already-answered", words.answered_text))
        }
        (Access::Link, Place::Door) => Some(open.refuse("link-required", words.no_link)),
        (Access::Members, _) => match identity::caller().user {
            None => Some(open.refuse("members-only", words.members_only)),
            Some(user) => {
                let has = person::has_answered(&open.id, &user)?;
                has.then(|| open.refuse("already-answered", words.answered_text))
            }
        },
        _ => None,
    })
}

impl Open {
    pub(crate) fn words(&self) -> &'static crate::words::Words {
        crate::words::words(&self.language)
    }

    fn page(&self) -> &'static str {
        if self.rehearses { preview::PAGE } else { PAGE }
    }

    /// The first part of its path.
    fn place(&self) -> &str {
        if self.rehearses {
            &self.id
        } else {
            &self.row.slug
        }
    }

    pub(crate) fn refuse(&self, code: &'static str, said: &str) -> SurveyError {
        SurveyError::Refused {
            code,
            said: said.to_owned(),
        }
    }
}
