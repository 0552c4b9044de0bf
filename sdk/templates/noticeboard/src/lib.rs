//! Notices for everybody, which take themselves down. An example of a plugin with a page, settings, and rows that end;
//! the demo shows it as partners' packages are shown.

mod board;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_plugin::storage::Order;
use vaxel_plugin::{Empty, Error, Result, clock, config, events, identity, storage};

/// The longest text of a notice.
const TEXT_CHARS_MAX: usize = 500;

/// Notices that are shown.
const SHOWN_MAX: u32 = 50;

const DAY_MS: u64 = 86_400_000;

/// Before the keys of notices; what follows sorts the newest last.
const NOTICES: &str = "n/";

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// Who put it up, as they were called then.
    pub by: String,
    pub text: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// A notice to put up.
#[derive(Deserialize, JsonSchema)]
struct Post {
    text: String,
}

/// All notices.
#[derive(Serialize, JsonSchema)]
struct Notices {
    items: Vec<Notice>,
}

fn list(_: Empty) -> Result<Notices> {
    drill()?;
    Ok(Notices { items: notices()? })
}

fn post(params: Post) -> Result<Empty> {
    put_up(&params.text)?;
    Ok(Empty {})
}

/// The notices that are up, newest first.
fn notices() -> Result<Vec<Notice>> {
    let page = storage::scan_json(NOTICES, None, SHOWN_MAX, Order::Descending)?;
    Ok(page.entries.into_iter().map(|(_, notice)| notice).collect())
}

fn put_up(text: &str) -> Result<()> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX {
        return Err(Error::invalid(format!(
            "a notice has 1 to {TEXT_CHARS_MAX} characters"
        )));
    }
    let me = identity::user()?;
    let profile = identity::profiles(std::slice::from_ref(&me))?
        .pop()
        .flatten();
    let notice = Notice {
        by: profile
            .map(|profile| profile.display_name)
            .unwrap_or_default(),
        text: text.to_owned(),
        at_ms: clock::now_ms(),
    };
    let days: u64 = config::get("days")?.unwrap_or(14);
    // About the person who wrote it: whoever erases them erases it.
    let key = format!("{NOTICES}{}", storage::new_id("ntc"));
    storage::put_json_for_about(key, &notice, days.saturating_mul(DAY_MS), &me)
}

/// A message in chat that begins with `#anslag` is a notice too. Only versions that subscribe to chat are told.
fn heard(event: events::Event) -> Result<()> {
    #[derive(Deserialize)]
    struct Created {
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        text: String,
    }
    let Created { message } = event.json()?;
    let Some(text) = message.text.strip_prefix("#anslag ") else {
        return Ok(());
    };
    let notice = Notice {
        by: String::new(),
        text: text.chars().take(TEXT_CHARS_MAX).collect(),
        at_ms: event.at_ms,
    };
    let key = format!("{NOTICES}{}", storage::new_id("ntc"));
    storage::put_json_for(key, &notice, 14 * DAY_MS)
}

/// For showing how a host stops a version that misbehaves: where the setting `drill` is, every fourth look fails.
#[allow(clippy::panic, reason = "this is the drill")]
fn drill() -> Result<()> {
    if config::get("drill")? == Some(true) && clock::now_ms().is_multiple_of(4) {
        panic!("a drill: this version fails on purpose");
    }
    Ok(())
}

vaxel_plugin::export! {
    methods { "notices.list" => list, "notices.post" => post },
    events => heard,
    pages => board::show,
}
