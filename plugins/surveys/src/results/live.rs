//! Results that move while somebody looks at them: in the same steps in which they are shown, so that the moment of
//! a change says nothing of a single person either.

use serde::Serialize;
use vaxel_plugin::events;

use crate::error::Result;

const CHANGED: &str = "surveys.results.changed";

/// Whose results have changed; what they are now is asked for by whoever may see them.
#[derive(Serialize)]
struct Changed<'a> {
    survey: &'a str,
}

fn audience(id: &str) -> String {
    format!("r/{id}")
}

/// Whoever has looked is told when there is something new.
pub(crate) fn follow(id: &str, user: &str) -> Result<()> {
    Ok(events::join(&audience(id), user)?)
}

/// Whoever has no part in the survey any more is told nothing.
pub(crate) fn unfollow(id: &str, user: &str) -> Result<()> {
    Ok(events::leave(&audience(id), user)?)
}

pub(crate) fn tell(id: &str) -> Result<()> {
    Ok(events::publish_ephemeral(
        &audience(id),
        CHANGED,
        &Changed { survey: id },
    )?)
}
