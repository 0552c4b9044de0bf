//! A draft as those will meet it who answer: the same pages and the same way through them, and nothing is taken.

use serde_json::{Value, json};
use vaxel_plugin::pages::Request;

use super::draw::{self, At};
use super::{Open, Place, begun, language, send};
use crate::authority::standing;
use crate::error::{Result, SurveyError};
use crate::store;

/// The page's name in the manifest.
pub(super) const PAGE: &str = "preview";

/// At `SURVEY`, on the way at `SURVEY/r/TOKEN`, at the end at `SURVEY/thanks`.
pub(super) fn show(request: &Request) -> Result<Value> {
    let mut parts = request.path.split('/');
    let id = parts.next().unwrap_or_default();
    let place = match (parts.next(), parts.next(), parts.next()) {
        (None, None, None) => Place::Door,
        (Some("thanks"), None, None) => Place::Thanks,
        (Some("r"), Some(token), None) => Place::Begun(token),
        _ => return Err(SurveyError::Missing("page")),
    };
    let row = store::survey(id)?;
    standing(&row)?.may_edit()?;
    let survey = store::draft(id)?;
    let begun = match place {
        Place::Begun(token) => Some(begun(id, token)?.ok_or(SurveyError::Missing("answer"))?),
        _ => None,
    };
    let open = Open {
        id: id.to_owned(),
        language: language(request, begun.as_ref(), &survey),
        row,
        survey,
        link: None,
        rehearses: true,
    };
    let page = match (&place, &request.sent) {
        (Place::Thanks, _) => draw::thanks(&open),
        (_, Some(sent)) => send::take(&open, &place, begun, sent, request)?,
        (_, None) => draw::page(&open, &At::beginning(begun.as_ref()))?,
    };
    Ok(noted(&open, page))
}

/// That it is a rehearsal is said on every page of it.
fn noted(open: &Open, mut page: Value) -> Value {
    let words = open.words();
    if let Some(body) = page.get_mut("body").and_then(Value::as_array_mut) {
        body.insert(
            0,
            json!({"type": "Vaxel.Notice", "style": "warning", "title": words.preview, "text": words.preview_text}),
        );
    }
    page
}
