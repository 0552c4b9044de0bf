//! Pages as a whole: what fits is drawn, what does not is refused, and no text becomes markup.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::check::{self, Address, link};
use super::html::{self, Place};
use super::tree::Page;
use super::words::words;
use crate::rpc::schema;

/// The schema for authors, in a file of its own.
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/page.schema.json");

fn read(page: &Value) -> Result<Page, String> {
    check::read("paged", page.to_string().as_bytes()).map_err(|broken| broken.to_string())
}

fn drawn(page: &Page) -> String {
    let place = Place {
        plugin: "paged",
        words: words(vaxel_core::Locale::En),
        token: "tok",
        filled: None,
        trouble: None,
    };
    html::main(page, &place)
}

fn one(element: Value) -> Value {
    json!({"type": "Page", "title": "x", "body": [element]})
}

#[test]
fn the_schema_for_authors_is_that_of_the_types() {
    let mut made = schema::of_params::<Page>();
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    made["title"] = "A page of a Växel plugin".into();
    let text = format!("{}\n", serde_json::to_string_pretty(&made).unwrap());
    if std::env::var_os("VAXEL_WRITE_SCHEMA").is_some() {
        std::fs::write(SCHEMA, &text).unwrap();
    }
    let kept = std::fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(
        kept == text,
        "run with VAXEL_WRITE_SCHEMA=1 and commit sdk/page.schema.json"
    );
}

#[test]
fn schema_and_types_agree_on_what_fits() {
    let validator = schema::compile(&schema::of_params::<Page>()).unwrap();
    let text = json!({"type": "TextBlock", "text": "x"});
    let table = [
        (text.clone(), true),
        (
            json!({"type": "TextBlock", "text": "x", "onclick": "x"}),
            false,
        ),
        (json!({"type": "TextBlock"}), false),
        (json!({"type": "Image", "url": "https://x.example"}), false),
        (json!({"type": "Container", "items": [text]}), true),
        (
            json!({"type": "Container", "items": [{"type": "Media"}]}),
            false,
        ),
        (json!({"type": "Input.Text", "id": "a", "label": "A"}), true),
        (
            json!({"type": "Input.Text", "id": "a", "label": "A", "style": "password"}),
            false,
        ),
        (
            json!({"type": "Input.Toggle", "id": "a", "title": "A"}),
            true,
        ),
        (
            json!({"type": "Vaxel.List", "items": [{"title": "A"}]}),
            true,
        ),
        (
            json!({"type": "Vaxel.Scale", "id": "a", "label": "A", "min": 1, "max": 5, "value": 3}),
            true,
        ),
        (
            json!({"type": "Vaxel.Scale", "id": "a", "label": "A", "min": 0.5, "max": 5}),
            false,
        ),
        (
            json!({"type": "Vaxel.Matrix", "id": "a", "label": "A", "rows": [], "columns": []}),
            true,
        ),
        (
            json!({"type": "Vaxel.Ranking", "id": "a", "label": "A", "choices": [], "html": ""}),
            false,
        ),
        (
            json!({"type": "ActionSet", "actions": [{"type": "Action.Submit", "id": "a", "title": "A"}]}),
            true,
        ),
        (
            json!({"type": "ActionSet", "actions": [{"type": "Action.Execute", "id": "a", "title": "A"}]}),
            false,
        ),
    ];
    for (element, fits) in table {
        let page = one(element.clone());
        assert_eq!(read(&page).is_ok(), fits, "{element}: {:?}", read(&page));
        assert_eq!(validator.is_valid(&page), fits, "{element}");
    }
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let bad = json!({"type": "Nothing"});
    let cell = |items: Value| json!({"cells": [{"items": items}]});
    let table = [
        (one(bad.clone()), "/body/0: unknown variant"),
        (
            one(json!({"type": "Container", "items": [bad]})),
            "/body/0/items/0: unknown variant",
        ),
        (
            one(json!({"type": "ColumnSet", "columns": [{"items": [bad]}]})),
            "/body/0/columns/0/items/0: unknown",
        ),
        (
            one(json!({"type": "Table", "rows": [cell(json!([])), cell(json!([bad]))]})),
            "/body/0/rows/1/cells/0/items/0: unknown",
        ),
        (
            json!({"type": "Page", "title": "x", "body": [], "actions": [{"type": "Action.Submit"}]}),
            "/actions/0: missing field",
        ),
        (
            json!({"type": "Page", "title": " ", "body": []}),
            "/title: a page has a title",
        ),
        (
            json!({"type": "Page", "body": []}),
            "the page: missing field `title`",
        ),
    ];
    for (page, says) in table {
        let why = read(&page).unwrap_err();
        assert!(why.starts_with(says), "{says}: {why}");
    }
}

#[test]
fn a_page_is_drawn_in_one_of_our_colours_and_in_no_other() {
    let page = |tint: &str| json!({"type": "Page", "title": "x", "tint": tint, "body": []});
    let html = drawn(&read(&page("forest")).unwrap());
    assert!(html.contains("data-tint=\"forest\""), "{html}");
    assert!(read(&page("red")).is_err());
}

#[test]
fn inputs_of_several_parts_are_drawn_and_named_part_by_part() {
    let choice = |value: &str| json!({"title": value.to_uppercase(), "value": value});
    let rows = json!([choice("food"), choice("room")]);
    let page = json!({"type": "Page", "title": "x", "body": [
        {"type": "Vaxel.Scale", "id": "s", "label": "S", "min": -1, "max": 1, "value": 1, "maxLabel": "best"},
        {"type": "Vaxel.Matrix", "id": "m", "label": "M", "rows": rows, "columns": rows, "value": {"food": "room"}},
        {"type": "Vaxel.Ranking", "id": "r", "label": "R", "choices": rows, "value": "room,food"},
    ]});
    let page = read(&page).unwrap();
    let html = drawn(&page);
    for part in [
        "name=\"t.s\" value=\"1\" checked><span dir=\"auto\">1 <span class=\"hint\">best",
        "name=\"t.m.food\" value=\"room\" checked",
        "<legend dir=\"auto\">ROOM</legend>",
        "<select id=\"f-r.room\" name=\"t.r.room\"><option value=\"\">Place</option><option value=\"1\" selected>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    for (bad, why) in [
        (
            json!({"type": "Vaxel.Scale", "id": "s", "label": "S", "min": 1, "max": 1}),
            "2 to 21 steps",
        ),
        (
            json!({"type": "Vaxel.Scale", "id": "s", "label": "S", "min": 0, "max": 2_000_000_000}),
            "2 to 21 steps",
        ),
        (
            json!({"type": "Vaxel.Matrix", "id": "m", "label": "M", "rows": [choice("a"), choice("a")], "columns": rows}),
            "two have",
        ),
        (
            json!({"type": "Vaxel.Ranking", "id": "r", "label": "R", "choices": [choice("\"><b")]}),
            "an id is",
        ),
    ] {
        assert!(read(&one(bad.clone())).unwrap_err().contains(why), "{bad}");
    }
}

#[test]
fn what_was_typed_is_shown_where_the_page_asks_nothing_any_more() {
    let page = read(&json!({"type": "Page", "title": "x", "body": [{"type": "Input.Text", "id": "a", "label": "A"}]})).unwrap();
    let filled = [("a", "kept in its field"), ("b.c", "<lost>"), ("d", "")];
    let filled = filled
        .map(|(id, text)| (id.to_owned(), text.to_owned()))
        .into();
    let place = Place {
        plugin: "paged",
        words: words(vaxel_core::Locale::En),
        token: "tok",
        filled: Some(&filled),
        trouble: Some("closed"),
    };
    let html = html::main(&page, &place);
    assert!(
        html.contains("<li class=\"text\" dir=\"auto\">&lt;lost&gt;</li>"),
        "{html}"
    );
    assert_eq!(html.matches("<li").count(), 1);
    assert_eq!(html.matches("kept in its field").count(), 1);
}

#[test]
fn a_link_is_https_or_a_page_of_its_own() {
    for good in [
        "https://example.org/a?b#c",
        "page:survey",
        "page:survey/a/b?x=1",
    ] {
        assert!(link(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "javascript:alert(1)",
        "JaVaScRiPt:x",
        " https://x.example",
        "https://x.example\n",
        "http://x.example",
        "//x.example",
        "/p/x",
        "data:,x",
        "vbscript:x",
        "https://a@b.example",
        "https://a:b@c.example",
        "https:\\\\x.example",
        "https:x",
        "page:",
        "page:../x",
        "page:a/../b",
        "page:a//b",
        "page:a\"b",
        "page:a/<b>",
        "blob:https://x.example/1",
    ] {
        assert!(link(bad).is_none(), "{bad}");
    }
    assert!(
        matches!(link("https://EXAMPLE.org"), Some(Address::Away { host, .. }) if host == "example.org")
    );
}

/// Any text, markup more often than not.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[<>\"'&=/ a-z]{0,40}",
        Just("<script>window.stolen=1</script>".to_owned()),
        Just("\"><img src=x onerror=alert(1)>".to_owned()),
        Just("</textarea><svg onload=x>".to_owned()),
        Just("javascript:alert(1)".to_owned()),
    ]
}

fn element() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(|t| json!({"type": "TextBlock", "text": t})),
        text().prop_map(|t| json!({"type": "TextBlock", "style": "heading", "text": t})),
        (text(), text()).prop_map(|(a, b)| json!({"type": "FactSet", "facts": [{"title": a, "value": b}]})),
        (text(), text(), "[a-z]{1,9}").prop_map(|(a, b, id)| json!({"type": "Input.Text", "id": id, "label": a, "value": b, "Vaxel.error": a})),
        (text(), text(), "[a-z]{1,9}").prop_map(|(a, b, id)| json!({"type": "Input.Text", "id": id, "label": a, "value": b, "isMultiline": true, "placeholder": a})),
        (text(), text(), "[a-z]{1,9}").prop_map(|(a, b, id)| json!({"type": "Input.ChoiceSet", "id": id, "label": a, "choices": [{"title": a, "value": b}]})),
        (text(), text(), "[a-z]{1,9}").prop_map(|(a, b, id)| json!({"type": "Input.Date", "id": id, "label": a, "value": b, "min": a})),
        (text(), text()).prop_map(|(a, b)| json!({"type": "Vaxel.List", "items": [{"title": a, "text": b, "url": format!("https://x.example/{b}")}]})),
        (text(), text()).prop_map(|(a, b)| json!({"type": "ActionSet", "actions": [{"type": "Action.OpenUrl", "title": a, "url": b}]})),
        (text(), text()).prop_map(|(a, b)| json!({"type": b, "text": a})),
        (text(), text()).prop_map(|(a, b)| json!({"type": "TextBlock", "text": "x", a: b})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| json!({"type": "Container", "items": items})),
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| json!({"type": "ColumnSet", "columns": [{"items": items}]})),
            prop::collection::vec(inner, 0..4).prop_map(
                |items| json!({"type": "Table", "rows": [{"cells": [{"items": items}]}]})
            ),
        ]
    })
}

/// Every tag of the text: that is, all that begins with `<`.
fn tags(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut left = html;
    while let Some((_, rest)) = left.split_once('<') {
        let name = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '/');
        tags.push(name.collect());
        left = rest;
    }
    tags
}

const OURS: &[&str] = &[
    "a", "button", "caption", "dd", "div", "dl", "dt", "fieldset", "form", "h1", "h2", "h3", "h4",
    "input", "label", "legend", "li", "main", "option", "p", "progress", "select", "span",
    "strong", "table", "td", "textarea", "th", "tr", "ul",
];

proptest! {
    #[test]
    fn no_tree_breaks_the_judge_and_none_that_passes_brings_a_tag_or_an_attribute(
        title in text(), body in prop::collection::vec(element(), 0..6),
    ) {
        let page = json!({"type": "Page", "title": title, "body": body});
        if let Ok(page) = read(&page) {
            let html = drawn(&page);
            for tag in tags(&html) {
                let name = tag.trim_start_matches('/');
                prop_assert!(OURS.contains(&name), "<{tag} in {html}");
            }
            // Outside quotes there is only what we wrote: no event, no style, no address but https and our own.
            let mut quotes = html.split('"');
            let bare: String = quotes.by_ref().step_by(2).collect();
            for part in [" on", " style=", " src="] {
                let inside_a_tag = bare.split('<').filter_map(|piece| piece.split_once('>')).any(|(tag, _)| tag.contains(part));
                prop_assert!(!inside_a_tag, "{part} in {html}");
            }
            for address in html.split("href=\"").skip(1) {
                let fits = ["https://", "/p/paged/", "#f-"].iter().any(|start| address.starts_with(start));
                prop_assert!(fits, "{address}");
            }
        }
    }

    #[test]
    fn any_bytes_are_judged_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check::read("paged", &bytes);
    }
}
