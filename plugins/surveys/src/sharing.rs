//! Who else has part in a survey.

use std::collections::BTreeSet;

use vaxel_plugin::{Empty, clock, identity};

use crate::api::ShareParams;
use crate::authority::standing;
use crate::error::{Result, SurveyError};
use crate::results::live;
use crate::store;

/// People who have part in one survey; for more there is a permission.
const SHARES_MAX: usize = 50;

pub(crate) fn share(params: ShareParams) -> Result<Empty> {
    let mut row = store::survey(&params.survey)?;
    standing(&row)?.may_share()?;
    if params.shares.len() > SHARES_MAX {
        return Err(SurveyError::Limit {
            what: "people who have part in a survey",
            max: SHARES_MAX,
        });
    }
    let users: BTreeSet<&String> = params.shares.iter().map(|share| &share.user).collect();
    if users.len() < params.shares.len() {
        return Err(SurveyError::Invalid("somebody is named twice"));
    }
    let asked: Vec<String> = params
        .shares
        .iter()
        .map(|share| share.user.clone())
        .collect();
    let found = identity::profiles(&asked)?;
    if !found
        .iter()
        .all(|person| person.as_ref().is_some_and(|person| person.active))
    {
        return Err(SurveyError::Missing("person"));
    }
    for former in row
        .shares
        .iter()
        .filter(|share| !users.contains(&share.user))
    {
        live::unfollow(&params.survey, &former.user)?;
    }
    row.shares = params.shares;
    row.changed_at_ms = clock::now_ms().max(row.changed_at_ms + 1);
    store::put_survey(&params.survey, &row)?;
    Ok(Empty {})
}
