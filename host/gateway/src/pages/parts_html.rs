//! Inputs of several parts as HTML: scales, matrices and rankings, of radio buttons and menus that every browser has.

use super::html::{Html, Place};
use super::inputs_html::{Common, TEXT, described, field, must, notes};
use super::tree::{Choice, Matrix, Ranking, Scale, Words};

/// What somebody typed, else what the plugin suggests.
fn held(place: &Place<'_>, id: &str, suggested: Option<&str>) -> String {
    let typed = place
        .filled
        .map(|filled| filled.get(id).map_or("", String::as_str));
    typed.or(suggested).unwrap_or_default().to_owned()
}

fn open(html: &mut Html, input: &Common<'_>, place: &Place<'_>) {
    html.tag("<fieldset class=\"field\"")
        .attribute("id", &format!("f-{}", input.id))
        .tag(" tabindex=\"-1\"");
    described(html, input);
    html.tag("><legend dir=\"auto\">").text(&input.label.0);
    must(html, input, place.words);
    html.tag("</legend>");
    notes(html, input);
}

fn radio(html: &mut Html, name: &str, value: &str, is_chosen: bool, is_required: bool) {
    html.tag("<label class=\"choice\"><input type=\"radio\"")
        .attribute("name", name)
        .attribute("value", value);
    if is_chosen {
        html.tag(" checked");
    }
    if is_required {
        html.tag(" required");
    }
    html.tag("><span dir=\"auto\">");
}

pub(super) fn scale(html: &mut Html, input: &Common<'_>, scale: &Scale, place: &Place<'_>) {
    open(html, input, place);
    let suggested = scale.value.map(|value| value.to_string());
    let value = held(place, input.id, suggested.as_deref());
    html.tag("<div class=\"scale\">");
    for step in scale.min..=scale.max {
        let end = match step {
            step if step == scale.min => scale.min_label.as_ref(),
            step if step == scale.max => scale.max_label.as_ref(),
            _ => None,
        };
        let step = step.to_string();
        radio(
            html,
            &field(TEXT, input.id),
            &step,
            step == value,
            input.is_required,
        );
        html.text(&step);
        if let Some(Words(end)) = end {
            html.tag(" <span class=\"hint\">").text(end).tag("</span>");
        }
        html.tag("</span></label>");
    }
    html.tag("</div></fieldset>");
}

pub(super) fn matrix(html: &mut Html, input: &Common<'_>, matrix: &Matrix, place: &Place<'_>) {
    open(html, input, place);
    for row in &matrix.rows {
        let id = format!("{}.{}", input.id, row.value);
        let chosen = matrix.value.get(&row.value).map(String::as_str);
        let value = held(place, &id, chosen);
        html.tag("<fieldset class=\"row\"><legend dir=\"auto\">")
            .text(&row.title.0)
            .tag("</legend><div class=\"scale\">");
        for column in &matrix.columns {
            let is_chosen = column.value == value;
            radio(
                html,
                &field(TEXT, &id),
                &column.value,
                is_chosen,
                input.is_required,
            );
            html.text(&column.title.0).tag("</span></label>");
        }
        html.tag("</div></fieldset>");
    }
    html.tag("</fieldset>");
}

pub(super) fn ranking(html: &mut Html, input: &Common<'_>, ranking: &Ranking, place: &Place<'_>) {
    open(html, input, place);
    let order: Vec<&str> = ranking
        .value
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .collect();
    for Choice { title, value } in &ranking.choices {
        let id = format!("{}.{value}", input.id);
        let suggested = order.iter().position(|each| each == value);
        let suggested = suggested.map(|at| (at + 1).to_string());
        let held = held(place, &id, suggested.as_deref());
        html.tag("<div class=\"ranked\"><select")
            .attribute("id", &format!("f-{id}"))
            .attribute("name", &field(TEXT, &id));
        if input.is_required {
            html.tag(" required");
        }
        html.tag("><option value=\"\">")
            .text(place.words.place)
            .tag("</option>");
        for number in 1..=ranking.choices.len() {
            let number = number.to_string();
            html.tag("<option").attribute("value", &number);
            if number == held {
                html.tag(" selected");
            }
            html.tag(">").text(&number).tag("</option>");
        }
        html.tag("</select><label dir=\"auto\"")
            .attribute("for", &format!("f-{id}"))
            .tag(">")
            .text(&title.0)
            .tag("</label></div>");
    }
    html.tag("</fieldset>");
}
