//! Inputs as HTML: each with its label, its help and its error where assistive technology finds them.

use super::html::{Filled, Html, Place};
use super::parts_html;
use super::tree::{ChoiceStyle, Element, InputChoiceSet, InputText, TextInputStyle, Words};
use super::words::HostWords;

/// What all inputs have.
pub(crate) struct Common<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: &'a Words,
    pub(super) is_required: bool,
    hint: Option<&'a Words>,
    error: Option<&'a Words>,
    message: Option<&'a Words>,
}

/// The first letter of a field's name says what it holds, so that what is sent can be read without the page.
pub(crate) const TEXT: char = 't';
pub(crate) const NUMBER: char = 'n';
pub(crate) const SEVERAL: char = 'm';

/// What this input has, if it is one.
pub(crate) fn common(element: &Element) -> Option<Common<'_>> {
    macro_rules! of {
        ($input:ident, $label:expr) => {
            Common {
                id: &$input.id,
                label: $label,
                is_required: $input.is_required,
                hint: $input.hint.as_ref(),
                error: $input.error.as_ref(),
                message: $input.error_message.as_ref(),
            }
        };
    }
    Some(match element {
        Element::Text(input) => of!(input, &input.label),
        Element::Number(input) => of!(input, &input.label),
        Element::Date(input) => of!(input, &input.label),
        Element::Time(input) => of!(input, &input.label),
        Element::Toggle(input) => of!(input, input.label.as_ref().unwrap_or(&input.title)),
        Element::Choices(input) => of!(input, &input.label),
        Element::Scale(input) => of!(input, &input.label),
        Element::Matrix(input) => of!(input, &input.label),
        Element::Ranking(input) => of!(input, &input.label),
        _ => return None,
    })
}

/// All inputs below these elements, in order.
fn inputs<'a>(elements: &'a [Element], found: &mut Vec<Common<'a>>) {
    for element in elements {
        match element {
            Element::Container(container) => inputs(&container.items, found),
            Element::ColumnSet(set) => {
                for column in &set.columns {
                    inputs(&column.items, found);
                }
            }
            Element::Table(table) => {
                for cell in table.rows.iter().flat_map(|row| &row.cells) {
                    inputs(&cell.items, found);
                }
            }
            other => found.extend(common(other)),
        }
    }
}

/// What somebody has typed and the page has no place for.
pub(crate) fn left_over<'a>(body: &[Element], filled: &'a Filled) -> Vec<&'a str> {
    let mut all = Vec::new();
    inputs(body, &mut all);
    let is_there = |name: &str| {
        let mut ids = all.iter().map(|input| input.id);
        ids.any(|id| {
            name.strip_prefix(id)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let typed = filled
        .iter()
        .filter(|(name, text)| !text.is_empty() && !is_there(name));
    typed.map(|(_, text)| text.as_str()).collect()
}

/// What is wrong, each leading to its place.
pub(crate) fn summary(html: &mut Html, body: &[Element], words: &HostWords) {
    let mut all = Vec::new();
    inputs(body, &mut all);
    all.retain(|input| input.error.is_some());
    if all.is_empty() {
        return;
    }
    html.tag("<div class=\"notice attention\" role=\"alert\" id=\"mistakes\" tabindex=\"-1\"><h2");
    html.attribute("lang", words.lang)
        .tag(">")
        .text(words.mistakes)
        .tag("</h2><ul>");
    for Common {
        id, label, error, ..
    } in all
    {
        let Some(Words(error)) = error else { continue };
        html.tag("<li dir=\"auto\"><a")
            .attribute("href", &format!("#f-{id}"))
            .tag(">");
        html.text(&label.0).tag(": ").text(error).tag("</a></li>");
    }
    html.tag("</ul></div>");
}

/// Draws an input; other elements are not its business.
pub(crate) fn draw(html: &mut Html, element: &Element, place: &Place<'_>) {
    let Some(input) = common(element) else { return };
    let filled = |suggested: Option<&str>| -> String {
        let typed = place
            .filled
            .map(|filled| filled.get(input.id).map_or("", String::as_str));
        typed.or(suggested).unwrap_or_default().to_owned()
    };
    match element {
        Element::Text(text) => {
            let value = filled(text.value.as_ref().map(|words| words.0.as_str()));
            text_field(html, &input, text, &value, place.words);
        }
        Element::Number(number) => {
            label(html, &input, place.words);
            html.tag("<input type=\"number\" inputmode=\"decimal\"");
            named(html, NUMBER, &input);
            for (name, limit) in [("min", number.min), ("max", number.max)] {
                if let Some(limit) = limit {
                    html.attribute(name, &limit.to_string());
                }
            }
            if let Some(Words(placeholder)) = &number.placeholder {
                html.attribute("placeholder", placeholder);
            }
            let suggested = number.value.map(|value| value.to_string());
            html.tag(" step=\"any\"")
                .attribute("value", &filled(suggested.as_deref()))
                .tag("></div>");
        }
        Element::Date(date) => {
            label(html, &input, place.words);
            html.tag("<input type=\"date\"");
            moment(
                html,
                &input,
                date.min.as_deref(),
                date.max.as_deref(),
                &filled(date.value.as_deref()),
            );
        }
        Element::Time(time) => {
            label(html, &input, place.words);
            html.tag("<input type=\"time\"");
            moment(
                html,
                &input,
                time.min.as_deref(),
                time.max.as_deref(),
                &filled(time.value.as_deref()),
            );
        }
        Element::Toggle(toggle) => {
            html.tag("<div class=\"field\">");
            notes(html, &input);
            // An unticked box sends nothing, so what that means is sent before it.
            html.tag("<input type=\"hidden\"")
                .attribute("name", &field(TEXT, input.id));
            html.attribute("value", &toggle.value_off)
                .tag("><label class=\"choice\"><input type=\"checkbox\"");
            named(html, TEXT, &input);
            html.attribute("value", &toggle.value_on);
            if filled(toggle.value.as_deref()) == toggle.value_on {
                html.tag(" checked");
            }
            html.tag("><span dir=\"auto\">")
                .text(&toggle.title.0)
                .tag("</span>");
            must(html, &input, place.words);
            html.tag("</label></div>");
        }
        Element::Choices(choices) => {
            let value = filled(choices.value.as_deref());
            choice_set(html, &input, choices, &value, place.words);
        }
        Element::Scale(scale) => parts_html::scale(html, &input, scale, place),
        Element::Matrix(matrix) => parts_html::matrix(html, &input, matrix, place),
        Element::Ranking(ranking) => parts_html::ranking(html, &input, ranking, place),
        _ => {}
    }
}

fn text_field(
    html: &mut Html,
    input: &Common<'_>,
    text: &InputText,
    value: &str,
    words: &HostWords,
) {
    label(html, input, words);
    let rest = |html: &mut Html| {
        named(html, TEXT, input);
        if let Some(max) = text.max_length {
            html.attribute("maxlength", &max.to_string());
        }
        if let Some(Words(placeholder)) = &text.placeholder {
            html.attribute("placeholder", placeholder);
        }
        html.tag(" dir=\"auto\"");
    };
    if text.is_multiline {
        html.tag("<textarea rows=\"5\"");
        rest(html);
        // The parser takes the first line break away.
        html.tag(">\n").text(value).tag("</textarea></div>");
        return;
    }
    html.tag(match text.style {
        TextInputStyle::Text => "<input type=\"text\"",
        TextInputStyle::Tel => "<input type=\"tel\" autocomplete=\"tel\"",
        TextInputStyle::Url => "<input type=\"url\"",
        TextInputStyle::Email => "<input type=\"email\" autocomplete=\"email\"",
    });
    rest(html);
    html.attribute("value", value).tag("></div>");
}

fn moment(html: &mut Html, input: &Common<'_>, min: Option<&str>, max: Option<&str>, value: &str) {
    named(html, TEXT, input);
    for (name, limit) in [("min", min), ("max", max)] {
        if let Some(limit) = limit {
            html.attribute(name, limit);
        }
    }
    html.attribute("value", value).tag("></div>");
}

fn choice_set(
    html: &mut Html,
    input: &Common<'_>,
    set: &InputChoiceSet,
    value: &str,
    words: &HostWords,
) {
    if !set.is_multi_select && set.style == ChoiceStyle::Compact {
        label(html, input, words);
        html.tag("<select");
        named(html, TEXT, input);
        html.tag("><option value=\"\">")
            .text(words.choose)
            .tag("</option>");
        for choice in &set.choices {
            html.tag("<option").attribute("value", &choice.value);
            if choice.value == value {
                html.tag(" selected");
            }
            html.tag(">").text(&choice.title.0).tag("</option>");
        }
        html.tag("</select></div>");
        return;
    }
    html.tag("<fieldset class=\"field\"")
        .attribute("id", &format!("f-{}", input.id))
        .tag(" tabindex=\"-1\"");
    described(html, input);
    html.tag("><legend dir=\"auto\">").text(&input.label.0);
    must(html, input, words);
    html.tag("</legend>");
    notes(html, input);
    let chosen: Vec<&str> = value.split(',').collect();
    for choice in &set.choices {
        let (kind, open, is_chosen) = if set.is_multi_select {
            let is_chosen = chosen.contains(&choice.value.as_str());
            (
                SEVERAL,
                "<label class=\"choice\"><input type=\"checkbox\"",
                is_chosen,
            )
        } else {
            let is_chosen = choice.value == value;
            (
                TEXT,
                "<label class=\"choice\"><input type=\"radio\"",
                is_chosen,
            )
        };
        html.tag(open)
            .attribute("name", &field(kind, input.id))
            .attribute("value", &choice.value);
        if is_chosen {
            html.tag(" checked");
        }
        if input.is_required && !set.is_multi_select {
            html.tag(" required");
        }
        html.tag("><span dir=\"auto\">")
            .text(&choice.title.0)
            .tag("</span></label>");
    }
    html.tag("</fieldset>");
}

pub(super) fn field(kind: char, id: &str) -> String {
    format!("{kind}.{id}")
}

fn label(html: &mut Html, input: &Common<'_>, words: &HostWords) {
    html.tag("<div class=\"field\"><label dir=\"auto\"")
        .attribute("for", &format!("f-{}", input.id));
    html.tag(">").text(&input.label.0);
    must(html, input, words);
    html.tag("</label>");
    notes(html, input);
}

pub(super) fn must(html: &mut Html, input: &Common<'_>, words: &HostWords) {
    if input.is_required {
        html.tag(" <span class=\"required\"")
            .attribute("lang", words.lang)
            .tag(">(");
        html.text(words.required).tag(")</span>");
    }
}

pub(super) fn notes(html: &mut Html, input: &Common<'_>) {
    if let Some(Words(hint)) = input.hint {
        html.tag("<p dir=\"auto\" class=\"hint\"")
            .attribute("id", &format!("h-{}", input.id));
        html.tag(">").text(hint).tag("</p>");
    }
    if let Some(Words(error)) = input.error {
        html.tag("<p dir=\"auto\" class=\"error\"")
            .attribute("id", &format!("e-{}", input.id));
        html.tag(">").text(error).tag("</p>");
    }
}

pub(super) fn described(html: &mut Html, input: &Common<'_>) {
    let (hint, error) = (format!("h-{}", input.id), format!("e-{}", input.id));
    let by: Vec<&str> = [(input.hint, hint.as_str()), (input.error, error.as_str())]
        .into_iter()
        .filter_map(|(words, id)| words.map(|_| id))
        .collect();
    if !by.is_empty() {
        html.attribute("aria-describedby", &by.join(" "));
    }
}

fn named(html: &mut Html, kind: char, input: &Common<'_>) {
    html.attribute("id", &format!("f-{}", input.id))
        .attribute("name", &field(kind, input.id));
    described(html, input);
    if input.error.is_some() {
        html.tag(" aria-invalid=\"true\"");
    }
    if input.is_required {
        html.tag(" required");
    }
    if let Some(Words(message)) = input.message {
        html.attribute("data-message", message);
    }
}

/// Whether something on the page has to be filled in otherwise.
pub(crate) fn has_errors(page: &super::tree::Page) -> bool {
    let mut all = Vec::new();
    inputs(&page.body, &mut all);
    all.iter().any(|input| input.error.is_some())
}
