//! Results as a file, part by part: single answers where those are shown, else the sums of groups.

use serde_json::json;

use super::api::{ExportParams, Exported, Format, OneAnswer, QuestionResults};
use super::looks;
use super::single::{Versions, released};
use super::view::{Looked, all_sums, looked, questions};
use crate::error::Result;
use crate::model::Question;

/// Answers in one part: some hundred kilobytes of text.
const PART_MAX: u32 = 200;

pub(crate) fn export(params: ExportParams) -> Result<Exported> {
    let looked = looked(&params.survey)?;
    if params.cursor.is_none() {
        looks::note(&params.survey, "export", Vec::new())?;
    }
    if looked.group_min > 1 {
        return groups(&params, &looked);
    }
    let asked: Vec<&Question> = looked
        .survey
        .questions()
        .filter(|question| question.kind.is_asked() && looked.sees(question))
        .collect();
    let (rows, next) = released(&params.survey, params.cursor.as_deref(), PART_MAX)?;
    let mut versions = Versions::new(&params.survey, &looked);
    let mut text = String::new();
    if params.cursor.is_none() && params.format == Format::Csv {
        let names = ["version", "day", "language", "who"].map(str::to_owned);
        let asked = asked.iter().map(|question| question.id.clone());
        line(&mut text, names.into_iter().chain(asked), true);
    }
    for row in rows {
        let answer = versions.said(&looked, row)?;
        match params.format {
            Format::Csv => line(&mut text, cells(answer, &asked).into_iter(), false),
            Format::Json => {
                text.push_str(&json!(answer).to_string());
                text.push('\n');
            }
        }
    }
    Ok(exported(params.format, text, next))
}

fn exported(format: Format, text: String, next: Option<String>) -> Exported {
    let media_type = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Json => "application/x-ndjson",
    };
    Exported {
        text,
        media_type: media_type.to_owned(),
        next,
    }
}

fn cells(mut answer: OneAnswer, asked: &[&Question]) -> Vec<String> {
    let mut cells = vec![
        answer.version.to_string(),
        answer.day,
        answer.language,
        answer.who.unwrap_or_default(),
    ];
    cells.extend(
        asked
            .iter()
            .map(|question| answer.answers.remove(&question.id).unwrap_or_default()),
    );
    cells
}

/// What is shown of each group that is large enough, and no rows of single people.
fn groups(params: &ExportParams, looked: &Looked) -> Result<Exported> {
    // All groups together, as the results show them: groups are divided there, by who may.
    let all = all_sums(&params.survey)?;
    let together: Vec<_> = all.iter().collect();
    let mut text = String::new();
    if params.format == Format::Csv {
        let names = ["question", "answered", "option", "count", "mean", "place"];
        line(&mut text, names.into_iter().map(str::to_owned), true);
    }
    for question in questions(looked, &together) {
        match params.format {
            Format::Json => {
                text.push_str(&json!(question).to_string());
                text.push('\n');
            }
            Format::Csv => lines_of(&mut text, &question),
        }
    }
    Ok(exported(params.format, text, None))
}

fn lines_of(text: &mut String, question: &QuestionResults) {
    let number = |number: Option<f64>| {
        number
            .map(|number| format!("{number:.4}"))
            .unwrap_or_default()
    };
    let mut say = |option: String, count: String, place: Option<f64>| {
        let cells = [
            question.id.clone(),
            question.answered.to_string(),
            option,
            count,
            number(question.mean),
            number(place),
        ];
        line(text, cells.into_iter(), false);
    };
    if question.counts.is_empty() {
        say(String::new(), String::new(), None);
    }
    for count in &question.counts {
        say(count.of.clone(), count.count.to_string(), count.place);
    }
}

/// A line as RFC 4180 has it. The first begins with a mark that makes spreadsheets read UTF-8.
fn line(text: &mut String, cells: impl Iterator<Item = String>, is_first: bool) {
    if is_first {
        text.push('\u{feff}');
    }
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            text.push(',');
        }
        text.push('"');
        text.push_str(&harmless(&cell).replace('"', "\"\""));
        text.push('"');
    }
    text.push_str("\r\n");
}

/// A spreadsheet reads what begins with one of these as a formula; behind an apostrophe it is text. Numbers stay numbers.
fn harmless(cell: &str) -> String {
    let is_formula = cell
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
        || cell.starts_with(['\t', '\r', '\n']);
    if is_formula && cell.parse::<f64>().is_err() {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_numbers_stay_numbers() {
        for bad in [
            "=1+1",
            "+1+cmd|' /C calc'!A0",
            "-2+3",
            "@SUM(A1)",
            "\t=1",
            " =1",
            "\r=1",
            "\n=1",
            "＝1",
        ] {
            assert!(harmless(bad).starts_with('\''), "{bad:?}");
        }
        for good in ["-5", "+46", "3.5", "hej", "a=b", ""] {
            assert_eq!(harmless(good), good);
        }
        let mut text = String::new();
        line(
            &mut text,
            ["a\"b".to_owned(), "x,\ny".to_owned()].into_iter(),
            false,
        );
        assert_eq!(text, "\"a\"\"b\",\"x,\ny\"\r\n");
    }
}
