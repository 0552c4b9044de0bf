//! The one judge of pages: reads what a plugin answered, and says where and why it cannot be drawn.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::tree::{Action, Choice, Element, Page, ProofMethod, TEXT_CHARS_MAX, Words};

/// A page in JSON: what a phone on a slow line still gets in a second.
pub(crate) const PAGE_BYTES_MAX: usize = 256 * 1024;
/// Elements of a page, cells and choices among them; a browser lays that many out at once.
pub(crate) const PARTS_MAX: usize = 4_000;
/// How deep elements may lie in each other.
pub(crate) const DEPTH_MAX: usize = 8;
/// How deep the JSON may be; each element is up to four brackets (rows, row, cells, cell).
const JSON_DEPTH_MAX: usize = 48;
/// Titles, labels, names of buttons.
pub(crate) const TITLE_CHARS_MAX: usize = 300;
/// Addresses.
pub(crate) const URL_BYTES_MAX: usize = 2_000;
/// Values behind choices.
pub(crate) const VALUE_CHARS_MAX: usize = 200;
/// Names of inputs and actions.
pub(crate) const ID_BYTES_MAX: usize = 64;
/// Columns side by side, in column sets and tables.
pub(crate) const COLUMNS_MAX: usize = 12;
/// Buttons in one row.
pub(crate) const ACTIONS_MAX: usize = 12;
/// What can be asked on one page.
pub(crate) const INPUTS_MAX: usize = 200;
/// From the least to the largest number of a scale.
pub(crate) const STEPS_MAX: i64 = 20;
/// Choices that are put in order.
pub(crate) const RANKED_MAX: usize = 20;
/// Topics that a page follows.
pub(crate) const TOPICS_MAX: usize = 8;

/// Why a page is not drawn, for its author.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// A JSON pointer.
    pub(crate) at: String,
    pub(crate) why: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, why } = self;
        let at = if at.is_empty() { "the page" } else { at };
        write!(f, "{at}: {why}")
    }
}

fn broken<T>(at: &str, why: impl Into<String>) -> Result<T, Broken> {
    let (at, why) = (at.to_owned(), why.into());
    Err(Broken { at, why })
}

/// Reads a page of this plugin.
pub(crate) fn read(plugin: &str, json: &[u8]) -> Result<Page, Broken> {
    if json.len() > PAGE_BYTES_MAX {
        return broken("", format!("a page has at most {PAGE_BYTES_MAX} bytes"));
    }
    let value: Value = match serde_json::from_slice(json) {
        Ok(value) => value,
        Err(error) => return broken("", format!("no JSON: {error}")),
    };
    if depth(&value) > JSON_DEPTH_MAX {
        return broken(
            "",
            format!("at most {DEPTH_MAX} elements within each other"),
        );
    }
    let page: Page = match serde_json::from_value(value.clone()) {
        Ok(page) => page,
        Err(error) => return Err(locate(&value, error.to_string())),
    };
    let mut judge = Judge {
        parts: 0,
        inputs: BTreeSet::new(),
    };
    judge.page(plugin, &page)?;
    Ok(page)
}

// Not recursive: a guest chose the depth. serde_json itself stops at 128.
fn depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut left = vec![(value, 1)];
    while let Some((value, depth)) = left.pop() {
        deepest = deepest.max(depth);
        match value {
            Value::Array(items) => left.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => left.extend(map.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    deepest
}

/// Where a page that does not fit goes wrong first: the innermost element that does not fit itself.
fn locate(page: &Value, why: String) -> Broken {
    let mut found = Broken {
        at: String::new(),
        why,
    };
    let mut here = page;
    'deeper: loop {
        let Value::Object(map) = here else {
            return found;
        };
        for (key, value) in map {
            let Value::Array(items) = value else {
                continue;
            };
            for (index, item) in items.iter().enumerate() {
                let misfit = match key.as_str() {
                    "body" | "items" if item.get("type").is_some() => misfit::<Element>(item),
                    "actions" => misfit::<Action>(item),
                    "columns" | "rows" | "cells" => holds_misfit(item),
                    _ => None,
                };
                if let Some(why) = misfit {
                    if !why.is_empty() {
                        found.why = why;
                    }
                    found.at = format!("{}/{key}/{index}", found.at);
                    here = item;
                    continue 'deeper;
                }
            }
        }
        return found;
    }
}

fn misfit<T: serde::de::DeserializeOwned>(item: &Value) -> Option<String> {
    serde_json::from_value::<T>(item.clone())
        .err()
        .map(|error| error.to_string())
}

/// For rows, columns and cells: whether something below does not fit. What they say themselves is in the page's error.
fn holds_misfit(item: &Value) -> Option<String> {
    let below = ["items", "cells"].iter().any(|key| {
        let items = item.get(key).and_then(Value::as_array);
        items.is_some_and(|items| {
            items.iter().any(|item| {
                if *key == "cells" {
                    holds_misfit(item).is_some()
                } else {
                    misfit::<Element>(item).is_some()
                }
            })
        })
    });
    below.then(String::new)
}

struct Judge {
    parts: usize,
    inputs: BTreeSet<String>,
}

impl Judge {
    fn page(&mut self, plugin: &str, page: &Page) -> Result<(), Broken> {
        title("/title", &page.title)?;
        if page.title.0.trim().is_empty() {
            return broken("/title", "a page has a title");
        }
        if let Some(lang) = &page.lang
            && !is_language(lang)
        {
            return broken("/lang", "a language tag such as sv or en-GB");
        }
        if page.refresh_on.len() > TOPICS_MAX {
            return broken("/refresh_on", format!("at most {TOPICS_MAX} topics"));
        }
        for (index, topic) in page.refresh_on.iter().enumerate() {
            let is_own = topic
                .strip_prefix(plugin)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| !rest.is_empty() && rest.len() <= 100);
            if !is_own {
                return broken(
                    &format!("/refresh_on/{index}"),
                    format!("a topic of its own begins with {plugin}."),
                );
            }
        }
        if let Some(next) = &page.next
            && !is_own_path(next)
        {
            return broken("/next", "a path behind the page's own address");
        }
        if let Some(required) = &page.proof {
            let is_name = |name: &str| {
                (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
            };
            if !is_name(&required.purpose) || !required.scope.as_deref().is_none_or(is_name) {
                return broken("/proof", "a name of 1 to 128 visible ASCII characters");
            }
            if required.methods.is_empty() {
                return broken("/proof/methods", "at least one of pin and eid");
            }
            let says_who = required.anonymous || required.named;
            if says_who && required.methods.contains(&ProofMethod::Pin) {
                return broken(
                    "/proof/methods",
                    "eid alone: a PIN says nothing of who has it",
                );
            }
            if required.anonymous && required.named {
                return broken("/proof/named", "nobody anonymous has a name");
            }
        }
        self.elements("/body", &page.body, 1)?;
        self.actions("/actions", &page.actions)
    }

    fn count(&mut self, at: &str, parts: usize) -> Result<(), Broken> {
        self.parts += parts;
        if self.parts > PARTS_MAX {
            return broken(
                at,
                format!("a page has at most {PARTS_MAX} elements, cells and choices"),
            );
        }
        Ok(())
    }

    fn elements(&mut self, at: &str, elements: &[Element], depth: usize) -> Result<(), Broken> {
        if depth > DEPTH_MAX {
            return broken(
                at,
                format!("at most {DEPTH_MAX} elements within each other"),
            );
        }
        self.count(at, elements.len())?;
        for (index, element) in elements.iter().enumerate() {
            self.element(&format!("{at}/{index}"), element, depth)?;
        }
        Ok(())
    }

    fn element(&mut self, at: &str, element: &Element, depth: usize) -> Result<(), Broken> {
        match element {
            Element::TextBlock(block) => text(&format!("{at}/text"), &block.text),
            Element::Container(container) => {
                self.elements(&format!("{at}/items"), &container.items, depth + 1)
            }
            Element::ColumnSet(set) => {
                few(at, "columns", set.columns.len(), COLUMNS_MAX)?;
                self.count(at, set.columns.len())?;
                for (index, column) in set.columns.iter().enumerate() {
                    let at = format!("{at}/columns/{index}/items");
                    self.elements(&at, &column.items, depth + 1)?;
                }
                Ok(())
            }
            Element::FactSet(set) => {
                self.count(at, set.facts.len())?;
                for (index, fact) in set.facts.iter().enumerate() {
                    title(&format!("{at}/facts/{index}/title"), &fact.title)?;
                    text(&format!("{at}/facts/{index}/value"), &fact.value)?;
                }
                Ok(())
            }
            Element::Table(table) => {
                few(at, "columns", table.columns.len(), COLUMNS_MAX)?;
                if let Some(caption) = &table.caption {
                    title(&format!("{at}/Vaxel.caption"), caption)?;
                }
                let width = table.rows.first().map_or(0, |row| row.cells.len());
                few(at, "columns", width, COLUMNS_MAX)?;
                for (index, row) in table.rows.iter().enumerate() {
                    let at = format!("{at}/rows/{index}");
                    if row.cells.len() != width {
                        return broken(
                            &at,
                            format!("each row has as many cells as the first: {width}"),
                        );
                    }
                    self.count(&at, row.cells.len())?;
                    for (index, cell) in row.cells.iter().enumerate() {
                        let at = format!("{at}/cells/{index}/items");
                        self.elements(&at, &cell.items, depth + 1)?;
                    }
                }
                Ok(())
            }
            Element::ActionSet(set) => self.actions(&format!("{at}/actions"), &set.actions),
            Element::Progress(progress) => {
                title(&format!("{at}/label"), &progress.label)?;
                let fits = progress.max > 0.0 && (0.0..=progress.max).contains(&progress.value);
                if fits {
                    Ok(())
                } else {
                    broken(at, "0 <= value <= max, and max > 0")
                }
            }
            Element::Notice(notice) => {
                if let Some(words) = &notice.title {
                    title(&format!("{at}/title"), words)?;
                }
                text(&format!("{at}/text"), &notice.text)
            }
            Element::List(list) => {
                self.count(at, list.items.len())?;
                for (index, item) in list.items.iter().enumerate() {
                    let at = format!("{at}/items/{index}");
                    title(&format!("{at}/title"), &item.title)?;
                    if let Some(words) = &item.text {
                        text(&format!("{at}/text"), words)?;
                    }
                    if let Some(url) = &item.url {
                        address(&format!("{at}/url"), url)?;
                    }
                }
                Ok(())
            }
            input => self.input(at, input),
        }
    }

    fn input(&mut self, at: &str, element: &Element) -> Result<(), Broken> {
        let (id, words, value, limits): (_, _, _, [Option<&String>; 2]) = match element {
            Element::Text(i) => {
                if let Some(value) = &i.value {
                    text(&format!("{at}/value"), value)?;
                }
                let placeholder = i.placeholder.as_ref();
                let words = [
                    Some(&i.label),
                    placeholder,
                    i.error_message.as_ref(),
                    i.hint.as_ref(),
                    i.error.as_ref(),
                ];
                (&i.id, words, None, [None, None])
            }
            Element::Number(i) => {
                let numbers = [i.value, i.min, i.max];
                if numbers.into_iter().flatten().any(|n| !n.is_finite()) {
                    return broken(at, "numbers are finite");
                }
                let placeholder = i.placeholder.as_ref();
                let words = [
                    Some(&i.label),
                    placeholder,
                    i.error_message.as_ref(),
                    i.hint.as_ref(),
                    i.error.as_ref(),
                ];
                (&i.id, words, None, [None, None])
            }
            Element::Date(i) => {
                let words = [
                    Some(&i.label),
                    None,
                    i.error_message.as_ref(),
                    i.hint.as_ref(),
                    i.error.as_ref(),
                ];
                (
                    &i.id,
                    words,
                    i.value.as_ref(),
                    [i.min.as_ref(), i.max.as_ref()],
                )
            }
            Element::Time(i) => {
                let words = [
                    Some(&i.label),
                    None,
                    i.error_message.as_ref(),
                    i.hint.as_ref(),
                    i.error.as_ref(),
                ];
                (
                    &i.id,
                    words,
                    i.value.as_ref(),
                    [i.min.as_ref(), i.max.as_ref()],
                )
            }
            Element::Toggle(i) => {
                let words = [
                    Some(&i.title),
                    i.label.as_ref(),
                    i.error_message.as_ref(),
                    i.hint.as_ref(),
                    i.error.as_ref(),
                ];
                (
                    &i.id,
                    words,
                    i.value.as_ref(),
                    [Some(&i.value_on), Some(&i.value_off)],
                )
            }
            Element::Choices(i) => {
                self.count(at, i.choices.len())?;
                for (index, choice) in i.choices.iter().enumerate() {
                    let at = format!("{at}/choices/{index}");
                    title(&format!("{at}/title"), &choice.title)?;
                    short(&at, &choice.value)?;
                    if i.is_multi_select && choice.value.contains(',') {
                        return broken(&at, "values of several have no comma: it separates them");
                    }
                }
                if let Some(value) = &i.value
                    && value.len() > PAGE_BYTES_MAX / 16
                {
                    return broken(&format!("{at}/value"), "too long");
                }
                let words = [
                    Some(&i.label),
                    None,
                    i.error_message.as_ref(),
                    i.hint.as_ref(),
                    i.error.as_ref(),
                ];
                (&i.id, words, None, [None, None])
            }
            other => return self.parted(at, other),
        };
        for words in words.into_iter().flatten() {
            title(at, words)?;
        }
        for value in value.into_iter().chain(limits.into_iter().flatten()) {
            short(at, value)?;
        }
        identifier(&format!("{at}/id"), id)?;
        if !self.inputs.insert(id.clone()) {
            return broken(&format!("{at}/id"), "two inputs have this id");
        }
        few(at, "inputs", self.inputs.len(), INPUTS_MAX)
    }

    /// Inputs that are made of several: what they have in common, and a name for each part.
    fn parted(&mut self, at: &str, element: &Element) -> Result<(), Broken> {
        match element {
            Element::Scale(scale) => {
                let steps = i64::from(scale.max) - i64::from(scale.min);
                if !(1..=STEPS_MAX).contains(&steps) {
                    return broken(at, format!("a scale has 2 to {} steps", STEPS_MAX + 1));
                }
                self.count(at, STEPS_MAX as usize)?;
                let ends = [&scale.min_label, &scale.max_label];
                for words in ends.into_iter().flatten() {
                    title(at, words)?;
                }
                self.named(
                    at,
                    &scale.id,
                    [
                        Some(&scale.label),
                        scale.hint.as_ref(),
                        scale.error.as_ref(),
                        scale.error_message.as_ref(),
                    ],
                )
            }
            Element::Matrix(matrix) => {
                few(at, "columns", matrix.columns.len(), COLUMNS_MAX)?;
                self.count(at, matrix.rows.len().saturating_mul(matrix.columns.len()))?;
                self.named(
                    at,
                    &matrix.id,
                    [
                        Some(&matrix.label),
                        matrix.hint.as_ref(),
                        matrix.error.as_ref(),
                        matrix.error_message.as_ref(),
                    ],
                )?;
                self.parts_of(at, &matrix.id, "columns", &matrix.columns, false)?;
                self.parts_of(at, &matrix.id, "rows", &matrix.rows, true)
            }
            Element::Ranking(ranking) => {
                few(at, "ranked choices", ranking.choices.len(), RANKED_MAX)?;
                self.count(
                    at,
                    ranking.choices.len().saturating_mul(ranking.choices.len()),
                )?;
                self.named(
                    at,
                    &ranking.id,
                    [
                        Some(&ranking.label),
                        ranking.hint.as_ref(),
                        ranking.error.as_ref(),
                        ranking.error_message.as_ref(),
                    ],
                )?;
                self.parts_of(at, &ranking.id, "choices", &ranking.choices, true)
            }
            _ => Ok(()),
        }
    }

    fn named(&mut self, at: &str, id: &str, said: [Option<&Words>; 4]) -> Result<(), Broken> {
        for words in said.into_iter().flatten() {
            title(at, words)?;
        }
        identifier(&format!("{at}/id"), id)?;
        if !self.inputs.insert(id.to_owned()) {
            return broken(&format!("{at}/id"), "two inputs have this id");
        }
        few(at, "inputs", self.inputs.len(), INPUTS_MAX)
    }

    fn parts_of(
        &mut self,
        at: &str,
        id: &str,
        what: &str,
        choices: &[Choice],
        are_inputs: bool,
    ) -> Result<(), Broken> {
        let mut seen = BTreeSet::new();
        for (index, choice) in choices.iter().enumerate() {
            let at = format!("{at}/{what}/{index}");
            title(&format!("{at}/title"), &choice.title)?;
            identifier(&format!("{at}/value"), &choice.value)?;
            if !seen.insert(&choice.value) {
                return broken(&at, "two have this value");
            }
            if are_inputs {
                self.named(&at, &format!("{id}.{}", choice.value), [None; 4])?;
            }
        }
        Ok(())
    }

    fn actions(&mut self, at: &str, actions: &[Action]) -> Result<(), Broken> {
        few(at, "actions", actions.len(), ACTIONS_MAX)?;
        self.count(at, actions.len())?;
        for (index, action) in actions.iter().enumerate() {
            let at = format!("{at}/{index}");
            match action {
                Action::Submit(submit) => {
                    title(&format!("{at}/title"), &submit.title)?;
                    identifier(&format!("{at}/id"), &submit.id)?;
                }
                Action::OpenUrl(open) => {
                    title(&format!("{at}/title"), &open.title)?;
                    address(&format!("{at}/url"), &open.url)?;
                }
            }
        }
        Ok(())
    }
}

fn few(at: &str, what: &str, count: usize, max: usize) -> Result<(), Broken> {
    if count > max {
        return broken(at, format!("at most {max} {what}"));
    }
    Ok(())
}

fn text(at: &str, words: &Words) -> Result<(), Broken> {
    chars(at, &words.0, TEXT_CHARS_MAX)
}

fn title(at: &str, words: &Words) -> Result<(), Broken> {
    chars(at, &words.0, TITLE_CHARS_MAX)
}

fn short(at: &str, value: &str) -> Result<(), Broken> {
    chars(at, value, VALUE_CHARS_MAX)
}

fn chars(at: &str, text: &str, max: usize) -> Result<(), Broken> {
    if text.len() > max && text.chars().count() > max {
        return broken(at, format!("at most {max} characters"));
    }
    Ok(())
}

fn identifier(at: &str, id: &str) -> Result<(), Broken> {
    let fits = id.len() <= ID_BYTES_MAX
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if fits {
        Ok(())
    } else {
        broken(at, "an id is a letter and then letters, digits, _ - or .")
    }
}

fn is_language(tag: &str) -> bool {
    tag.len() <= 35
        && tag.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
        && tag.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// A path of ours: segments of letters, digits and a few signs, with a query or not. Nothing that climbs.
pub(crate) fn is_own_path(path: &str) -> bool {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && segment.bytes().any(|b| b != b'.')
            && segment.bytes().all(is_unreserved)
    };
    path.len() + query.len() <= URL_BYTES_MAX
        && (path.is_empty() || path.split('/').all(is_segment))
        && query
            .bytes()
            .all(|b| is_unreserved(b) || matches!(b, b'=' | b'&' | b'%' | b'+'))
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~')
}

/// Where a link leads.
pub(crate) enum Address<'a> {
    /// Somewhere else: the address as browsers read it, and its host, which is shown.
    Away { href: String, host: String },
    /// A page of the plugin's own.
    Own { page: &'a str, rest: &'a str },
}

/// Reads a link; nothing but `https:` and `page:` is one.
pub(crate) fn link(url: &str) -> Option<Address<'_>> {
    if url.len() > URL_BYTES_MAX {
        return None;
    }
    if let Some(own) = url.strip_prefix("page:") {
        let end = own.find(['/', '?']).unwrap_or(own.len());
        let (page, rest) = own.split_at_checked(end)?;
        let behind = rest.strip_prefix('/').unwrap_or(rest);
        // As manifests name pages.
        let is_name = page.starts_with(|c: char| c.is_ascii_lowercase())
            && page
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let fits = is_name && is_own_path(behind);
        return fits.then_some(Address::Own { page, rest });
    }
    let plain =
        url.starts_with("https://") && url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let parsed = Url::parse(url).ok().filter(|_| plain)?;
    let names_nobody = parsed.username().is_empty() && parsed.password().is_none();
    let host = parsed.host_str()?.to_owned();
    names_nobody.then(|| Address::Away {
        host,
        href: parsed.into(),
    })
}

fn address(at: &str, url: &str) -> Result<(), Broken> {
    match link(url) {
        Some(_) => Ok(()),
        None => broken(at, "an address is https://… or page:<page>/<path>"),
    }
}
