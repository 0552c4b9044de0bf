//! Keys: opaque ids and blinded names, nothing that says who or what.

use vaxel_plugin::{Result, storage};

use super::hex;

pub(crate) const SURVEYS: &str = "s/";

pub(crate) fn survey(id: &str) -> String {
    format!("{SURVEYS}{id}")
}

pub(crate) fn draft(id: &str) -> String {
    format!("d/{id}")
}

pub(crate) fn version(id: &str, version: u32) -> String {
    format!("v/{id}/{version:08}")
}

pub(crate) fn slug(slug: &str) -> Result<String> {
    Ok(format!("g/{}", hex(&storage::blind("slug", slug)?)))
}

/// What somebody has answered so far.
pub(crate) fn begun(token: &str) -> Result<String> {
    Ok(format!("t/{}", hex(&storage::blind("begun", token)?)))
}

/// Answers that no result speaks of yet, by the group that they would divide into.
pub(crate) fn waiting(id: &str) -> String {
    format!("p/{id}/")
}

pub(crate) fn waiting_group(id: &str, group: &str) -> Result<String> {
    let group = storage::blind(&format!("group/{id}"), group)?;
    Ok(format!("p/{id}/{}/", hex(&group)))
}

/// Answers that results speak of. Random, so that their order tells nothing.
pub(crate) fn released(id: &str) -> String {
    format!("r/{id}/")
}

/// Sums over the released answers of one group.
pub(crate) fn sums(id: &str) -> String {
    format!("a/{id}/")
}

pub(crate) fn sum(id: &str, group: &str) -> Result<String> {
    let group = storage::blind(&format!("group/{id}"), group)?;
    Ok(format!("a/{id}/{}", hex(&group)))
}

/// How many answers came.
pub(crate) fn count(id: &str) -> String {
    format!("n/{id}")
}

/// How many of them were brought along from elsewhere.
pub(crate) fn imported(id: &str) -> String {
    format!("m/{id}")
}

pub(crate) fn quota(id: &str, quota: &str) -> String {
    format!("q/{id}/{quota}")
}

/// People who have answered.
pub(crate) fn people(id: &str) -> String {
    format!("u/{id}/")
}

pub(crate) fn person(id: &str, who: &str) -> Result<String> {
    let who = storage::blind(&format!("person/{id}"), who)?;
    Ok(format!("u/{id}/{}", hex(&who)))
}

/// A personal link, by what its token blinds to.
pub(crate) fn link(id: &str, token: &str) -> Result<String> {
    Ok(format!("k/{id}/{}", hex(&storage::blind("link", token)?)))
}

pub(crate) fn invitations(id: &str) -> String {
    format!("i/{id}/")
}

pub(crate) fn invitation(id: &str, invitation: &str) -> String {
    format!("i/{id}/{invitation}")
}

/// Who looked at results, in the order in which they did.
pub(crate) fn looks(id: &str) -> String {
    format!("l/{id}/")
}
