//! Surveys as their authors handle them: drafts, versions, publishing and closing.

use vaxel_plugin::storage::Order;
use vaxel_plugin::{clock, identity, storage};

use crate::api::{
    Closed, Create, Created, FaultOf, Full, Get, ListParams, Listed, One, Published, Save, Saved,
    Summary,
};
use crate::authority::{Standing, standing};
use crate::error::{Result, SurveyError};
use crate::model::check::check;
use crate::model::{Survey, Texts};
use crate::results::release;
use crate::store::rows::{State, SurveyRow};
use crate::store::{self, keys};
use crate::templates;

/// A survey as JSON; the host keeps values of 256 KiB.
const SURVEY_BYTES_MAX: usize = 200 * 1024;
/// Versions of one survey.
const VERSIONS_MAX: u32 = 1_000;
/// Surveys that one look reads.
const LIST_MAX: u32 = 100;

pub(crate) fn create(params: Create) -> Result<Created> {
    let survey = match (&params.definition, &params.template) {
        (Some(definition), _) => definition.clone(),
        (None, Some(template)) => {
            templates::by_id(template).ok_or(SurveyError::Missing("template"))?
        }
        (None, None) => templates::empty(params.title.as_deref().unwrap_or_default()),
    };
    make(survey, params.slug)
}

fn make(survey: Survey, slug: Option<String>) -> Result<Created> {
    let me = identity::user()?;
    fits(&survey)?;
    let id = storage::new_id("srv");
    // Ten characters without those that are mistaken for each other; who guesses one finds an open door anyway.
    let slug = match slug {
        Some(slug) => free(slug)?,
        None => readable(&vaxel_plugin::crypto::random(10)?),
    };
    let now = clock::now_ms();
    let row = SurveyRow {
        slug: slug.clone(),
        owner: me,
        state: State::Draft,
        version: 0,
        title: survey.title.clone(),
        created_at_ms: now,
        changed_at_ms: now,
        settings: None,
        shares: Vec::new(),
    };
    store::put_survey(&id, &row)?;
    storage::put_json(keys::draft(&id), &survey)?;
    storage::put_json(keys::slug(&slug)?, &id)?;
    Ok(Created { id, slug })
}

/// An address that somebody chose, if it is nobody else's.
fn free(slug: String) -> Result<String> {
    let fits = (3..=40).contains(&slug.len())
        && !slug.starts_with('-')
        && slug
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fits {
        return Err(SurveyError::Invalid(
            "an address has 3 to 40 letters a to z, digits and hyphens, and begins with no hyphen",
        ));
    }
    match storage::get(keys::slug(&slug)?)? {
        None => Ok(slug),
        Some(_) => Err(SurveyError::Invalid("another survey has this address")),
    }
}

fn readable(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letter = |byte: &u8| {
        LETTERS
            .get(usize::from(byte % 32))
            .copied()
            .map_or('a', char::from)
    };
    bytes.iter().map(letter).collect()
}

fn fits(survey: &Survey) -> Result<()> {
    let bytes = serde_json::to_vec(survey).map_or(usize::MAX, |json| json.len());
    if bytes > SURVEY_BYTES_MAX {
        return Err(SurveyError::Refused {
            code: "too-large",
            said: format!("a survey has at most {SURVEY_BYTES_MAX} bytes"),
        });
    }
    Ok(())
}

pub(crate) fn save(params: Save) -> Result<Saved> {
    let mut row = store::survey(&params.survey)?;
    standing(&row)?.may_edit()?;
    if row.state == State::Closed {
        return Err(SurveyError::Ended);
    }
    if params
        .changed_at_ms
        .is_some_and(|seen| seen != row.changed_at_ms)
    {
        return Err(SurveyError::SavedMeanwhile);
    }
    fits(&params.definition)?;
    // Two savings within a millisecond are two.
    row.changed_at_ms = clock::now_ms().max(row.changed_at_ms + 1);
    row.title = params.definition.title.clone();
    storage::put_json(keys::draft(&params.survey), &params.definition)?;
    store::put_survey(&params.survey, &row)?;
    Ok(Saved {
        changed_at_ms: row.changed_at_ms,
        faults: faults(&params.definition),
    })
}

/// In the language of whoever asks.
fn faults(survey: &Survey) -> Vec<FaultOf> {
    let language = identity::caller().locale;
    let each = check(survey).into_iter().take(50);
    each.map(|fault| FaultOf {
        why: fault.why.text(&language).to_owned(),
        at: fault.at,
    })
    .collect()
}

pub(crate) fn publish(params: One) -> Result<Published> {
    let mut row = store::survey(&params.survey)?;
    standing(&row)?.may_edit()?;
    if row.state == State::Closed {
        return Err(SurveyError::Ended);
    }
    let survey = store::draft(&params.survey)?;
    let faults = check(&survey);
    if !faults.is_empty() {
        return Err(SurveyError::Unpublishable(faults));
    }
    if let Some(former) = &row.settings {
        keeps_faith(&params.survey, row.version, former, &survey)?;
    }
    if row.version >= VERSIONS_MAX {
        return Err(SurveyError::Limit {
            what: "versions of a survey",
            max: VERSIONS_MAX as usize,
        });
    }
    if survey
        .settings
        .closes_at_ms
        .is_some_and(|end| end <= clock::now_ms())
    {
        return Err(SurveyError::Invalid("its end is already past"));
    }
    row.version += 1;
    row.state = State::Open;
    row.title = survey.title.clone();
    row.settings = Some(survey.settings.clone());
    storage::put_json(keys::version(&params.survey, row.version), &survey)?;
    store::put_survey(&params.survey, &row)?;
    Ok(Published {
        version: row.version,
        address: format!("/p/surveys/answer/{}", row.slug),
    })
}

/// What people were promised when they answered holds in every later version, and a question stays what it was.
fn keeps_faith(
    id: &str,
    version: u32,
    former: &crate::model::Settings,
    survey: &Survey,
) -> Result<()> {
    if !survey.settings.keeps_promise_of(former) {
        return Err(SurveyError::Invalid(
            "who may answer, as whom, what is divided by and how many a result speaks of stay as first published: people were told so",
        ));
    }
    let before = store::version(id, version)?;
    let changed = survey.questions().find(|question| {
        before
            .question(&question.id)
            .is_some_and(|former| former.kind != question.kind)
    });
    match changed {
        Some(question) => Err(SurveyError::Unpublishable(vec![
            crate::model::fault::Fault {
                at: question.id.clone(),
                why: [
                    "den var en fråga av ett annat slag: ge den ett nytt id",
                    "it was a question of another kind: give it a new id",
                ]
                .into(),
            },
        ])),
        None => Ok(()),
    }
}

/// No more answers. What noted who has answered is forgotten.
pub(crate) fn close(params: One) -> Result<Closed> {
    let mut row = store::survey(&params.survey)?;
    standing(&row)?.may_edit()?;
    match row.state {
        State::Draft => return Err(SurveyError::Invalid("it was never published")),
        State::Closed => {}
        State::Open => {
            row.state = State::Closed;
            row.changed_at_ms = clock::now_ms();
            store::put_survey(&params.survey, &row)?;
            release::end(&params.survey)?;
        }
    }
    Ok(Closed { state: row.state })
}

pub(crate) fn list(params: ListParams) -> Result<Listed> {
    let after = params.cursor.map(|id| keys::survey(&id).into_bytes());
    let limit = params.limit.unwrap_or(50).clamp(1, LIST_MAX);
    let page =
        storage::scan_json::<SurveyRow>(keys::SURVEYS, after.as_deref(), limit, Order::Descending)?;
    let id_of = |key: &[u8]| {
        let key = String::from_utf8_lossy(key);
        key.strip_prefix(keys::SURVEYS)
            .unwrap_or_default()
            .to_owned()
    };
    let next = page.next.as_deref().map(id_of);
    let mut items = Vec::new();
    for (key, row) in page.entries {
        // What is nobody's business of the caller's is not there.
        if let Ok(standing) = standing(&row) {
            items.push(summary(&id_of(&key), &row, &standing)?);
        }
    }
    Ok(Listed { items, next })
}

fn summary(id: &str, row: &SurveyRow, standing: &Standing) -> Result<Summary> {
    let answers = storage::counter(keys::count(id))?;
    Ok(Summary {
        id: id.to_owned(),
        slug: row.slug.clone(),
        title: row.title.clone(),
        state: state(row),
        version: row.version,
        owner: row.owner.clone(),
        created_at_ms: row.created_at_ms,
        changed_at_ms: row.changed_at_ms,
        answers: u64::try_from(answers).unwrap_or(0),
        may_edit: standing.may_edit().is_ok(),
    })
}

/// As it is now: an end that is past closes.
pub(crate) fn state(row: &SurveyRow) -> State {
    let ends = row
        .settings
        .as_ref()
        .and_then(|settings| settings.closes_at_ms);
    match row.state {
        State::Open if ends.is_some_and(|end| clock::now_ms() >= end) => State::Closed,
        state => state,
    }
}

pub(crate) fn get(params: Get) -> Result<Full> {
    let row = store::survey(&params.survey)?;
    let standing = standing(&row)?;
    let draft = store::draft(&params.survey)?;
    let changed = row.version > 0 && store::version(&params.survey, row.version)? != draft;
    let definition = match params.version {
        Some(version) => store::version(&params.survey, version)?,
        None => draft,
    };
    let may_share = standing.may_share().is_ok();
    Ok(Full {
        summary: summary(&params.survey, &row, &standing)?,
        faults: faults(&definition),
        definition,
        changed,
        may_share,
        shares: if may_share { row.shares } else { Vec::new() },
    })
}

/// The same questions once more, as a draft of the caller's own.
pub(crate) fn duplicate(params: One) -> Result<Created> {
    let row = store::survey(&params.survey)?;
    standing(&row)?;
    let mut survey = store::draft(&params.survey)?;
    survey.settings.closes_at_ms = None;
    survey.title = Texts(
        survey
            .title
            .0
            .into_iter()
            .map(|(language, title)| {
                let copy = if language == "sv" { "kopia" } else { "copy" };
                let title: String = title.chars().take(180).collect();
                (language, format!("{title} ({copy})"))
            })
            .collect(),
    );
    make(survey, None)
}

pub(crate) fn templates(_: vaxel_plugin::Empty) -> Result<crate::api::Templates> {
    Ok(crate::api::Templates {
        items: templates::all(),
    })
}
