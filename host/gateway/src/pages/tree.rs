//! What a page may consist of: Adaptive Cards 1.5's names and shapes for what we draw, and nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// The longest text of one element: a long paragraph, or a page of terms.
pub(crate) const TEXT_CHARS_MAX: usize = 8_000;

/// Text that is drawn as it stands: no Markdown, no HTML. Characters that show nothing or reorder text are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Words(pub(crate) String);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Ok(Self(text.chars().filter(|c| is_shown(*c)).collect()))
    }
}

/// What is left of text: no control characters but line breaks and tabs, nothing that turns its direction.
fn is_shown(c: char) -> bool {
    let is_break = matches!(c, '\n' | '\t');
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    is_break || !(c.is_control() || reorders)
}

impl JsonSchema for Words {
    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": TEXT_CHARS_MAX })
    }
}

/// The word `Page`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum PageType {
    Page,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    #[serde(rename = "type")]
    pub(crate) kind: PageType,
    /// Its heading, and what the browser's tab says.
    pub(crate) title: Words,
    /// The language of its texts (BCP 47), if it is another than the reader's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lang: Option<String>,
    /// The colour of what is pressed and chosen; the host's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tint: Option<Tint>,
    pub(crate) body: Vec<Element>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) actions: Vec<Action>,
    /// Topics of the plugin's own: the page is fetched again when one of them is told to the reader.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refresh_on: Vec<String>,
    /// In an answer to what was sent: where to go on, behind the page's own address. Without it, this is what is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// On a public page: who looks has shown who they are, or is asked to by the host, before anything of this is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<RequiredProof>,
}

/// Colours of the host's, all of them as easy to read as its own, by day and by night.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tint {
    Sea,
    Forest,
    Clay,
    Plum,
    Ink,
}

impl Tint {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sea => "sea",
            Self::Forest => "forest",
            Self::Clay => "clay",
            Self::Plum => "plum",
            Self::Ink => "ink",
        }
    }
}

/// What must have been shown on the host's own pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequiredProof {
    /// What the plugin will spend it for.
    pub(crate) purpose: String,
    /// How; the reader chooses.
    pub(crate) methods: Vec<ProofMethod>,
    /// What the PIN was made for, where it is not the purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    /// Who they are is kept from the plugin and from the host: for having shown it, once, their browser gets a ticket that
    /// nobody can tell from another's. By eID alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) anonymous: bool,
    /// What they are called is kept by the host, which shows it to those who may see it. By eID alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) named: bool,
}

/// How somebody shows who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProofMethod {
    /// A PIN that somebody gave them.
    Pin,
    /// An electronic identity.
    Eid,
}

/// One element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub(crate) enum Element {
    TextBlock(TextBlock),
    Container(Container),
    ColumnSet(ColumnSet),
    FactSet(FactSet),
    Table(Table),
    ActionSet(ActionSet),
    #[serde(rename = "Input.Text")]
    Text(InputText),
    #[serde(rename = "Input.Number")]
    Number(InputNumber),
    #[serde(rename = "Input.Date")]
    Date(InputDate),
    #[serde(rename = "Input.Time")]
    Time(InputTime),
    #[serde(rename = "Input.Toggle")]
    Toggle(InputToggle),
    #[serde(rename = "Input.ChoiceSet")]
    Choices(InputChoiceSet),
    #[serde(rename = "Vaxel.Scale")]
    Scale(Scale),
    #[serde(rename = "Vaxel.Matrix")]
    Matrix(Matrix),
    #[serde(rename = "Vaxel.Ranking")]
    Ranking(Ranking),
    #[serde(rename = "Vaxel.Progress")]
    Progress(Progress),
    #[serde(rename = "Vaxel.Notice")]
    Notice(Notice),
    #[serde(rename = "Vaxel.List")]
    List(List),
}

/// A paragraph, or a heading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextBlock {
    pub(crate) text: Words,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) style: TextStyle,
    /// Of a heading: its level. Of text: its size.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) size: Size,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) weight: Weight,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) color: Tone,
    #[serde(rename = "isSubtle", default, skip_serializing_if = "is_default")]
    pub(crate) is_subtle: bool,
    /// Text always wraps; it may be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wrap: Option<bool>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) enum $name { #[default] $($variant),+ }
    };
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        words!($(#[$doc])* $name { $($variant),+ });

        impl $name {
            /// As it is written in class names.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words!(
    /// What a text is.
    TextStyle { Default, Heading }
);
words!(
    /// How large.
    Size { Default = "default", Small = "small", Medium = "medium", Large = "large" }
);
words!(
    /// How heavy.
    Weight { Default, Bolder }
);
words!(
    /// What it means; never by colour alone.
    Tone {
        Default = "default",
        Emphasis = "emphasis",
        Accent = "accent",
        Good = "good",
        Attention = "attention",
        Warning = "warning",
    }
);
words!(
    /// How much room a column takes.
    Width { Stretch = "stretch", Auto = "auto" }
);
words!(
    /// Where the content of cells stands.
    Align { Left = "left", Center = "center", Right = "right" }
);
words!(
    /// What a text field holds.
    TextInputStyle { Text, Tel, Url, Email }
);
words!(
    /// How choices are laid out: one of few words in a menu, or all of them in sight.
    ChoiceStyle { Compact, Expanded }
);
words!(
    /// What a button stands for.
    ActionStyle { Default = "default", Positive = "positive", Destructive = "destructive" }
);
words!(
    /// Whether a button sends what was filled in.
    AssociatedInputs { Auto, None }
);

/// Elements that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Container {
    pub(crate) items: Vec<Element>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) style: Tone,
}

/// Columns, below each other where there is no room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnSet {
    pub(crate) columns: Vec<Column>,
}

/// The word `Column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum ColumnType {
    Column,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<ColumnType>,
    pub(crate) items: Vec<Element>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) width: Width,
}

/// Names and values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FactSet {
    pub(crate) facts: Vec<Fact>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fact {
    pub(crate) title: Words,
    pub(crate) value: Words,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) columns: Vec<TableColumn>,
    pub(crate) rows: Vec<TableRow>,
    #[serde(rename = "firstRowAsHeader", default = "yes")]
    pub(crate) first_row_as_header: bool,
    /// What the table shows, for those who do not see it at once.
    #[serde(
        rename = "Vaxel.caption",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) caption: Option<Words>,
}

fn yes() -> bool {
    true
}

/// How a column's cells stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableColumn {
    #[serde(
        rename = "horizontalCellContentAlignment",
        default,
        skip_serializing_if = "is_default"
    )]
    pub(crate) align: Align,
}

/// The word `TableRow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum RowType {
    TableRow,
}

/// The word `TableCell`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum CellType {
    TableCell,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableRow {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<RowType>,
    pub(crate) cells: Vec<TableCell>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableCell {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<CellType>,
    pub(crate) items: Vec<Element>,
}

/// Buttons within the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionSet {
    pub(crate) actions: Vec<Action>,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub(crate) enum Action {
    #[serde(rename = "Action.Submit")]
    Submit(Submit),
    #[serde(rename = "Action.OpenUrl")]
    OpenUrl(OpenUrl),
}

/// Sends what was filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submit {
    pub(crate) title: Words,
    /// What the plugin is told was pressed.
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) style: ActionStyle,
    #[serde(
        rename = "associatedInputs",
        default,
        skip_serializing_if = "is_default"
    )]
    pub(crate) associated_inputs: AssociatedInputs,
}

/// Goes somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenUrl {
    pub(crate) title: Words,
    /// `https://…`, or `page:<page>/<path>` for a page of the plugin's own.
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) style: ActionStyle,
}

/// A text field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputText {
    pub(crate) id: String,
    pub(crate) label: Words,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Words>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) placeholder: Option<Words>,
    #[serde(rename = "isRequired", default, skip_serializing_if = "is_default")]
    pub(crate) is_required: bool,
    #[serde(
        rename = "errorMessage",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) error_message: Option<Words>,
    #[serde(rename = "isMultiline", default, skip_serializing_if = "is_default")]
    pub(crate) is_multiline: bool,
    #[serde(rename = "maxLength", default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_length: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) style: TextInputStyle,
    /// Help that is read with the label.
    #[serde(
        rename = "Vaxel.hint",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) hint: Option<Words>,
    /// What is wrong with what was sent.
    #[serde(
        rename = "Vaxel.error",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) error: Option<Words>,
}

/// A number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputNumber {
    pub(crate) id: String,
    pub(crate) label: Words,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) placeholder: Option<Words>,
    #[serde(rename = "isRequired", default, skip_serializing_if = "is_default")]
    pub(crate) is_required: bool,
    #[serde(
        rename = "errorMessage",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) error_message: Option<Words>,
    #[serde(
        rename = "Vaxel.hint",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) hint: Option<Words>,
    #[serde(
        rename = "Vaxel.error",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) error: Option<Words>,
}

macro_rules! moment {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            pub(crate) id: String,
            pub(crate) label: Words,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub(crate) value: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub(crate) min: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub(crate) max: Option<String>,
            #[serde(rename = "isRequired", default, skip_serializing_if = "is_default")]
            pub(crate) is_required: bool,
            #[serde(rename = "errorMessage", default, skip_serializing_if = "Option::is_none")]
            pub(crate) error_message: Option<Words>,
            #[serde(rename = "Vaxel.hint", default, skip_serializing_if = "Option::is_none")]
            pub(crate) hint: Option<Words>,
            #[serde(rename = "Vaxel.error", default, skip_serializing_if = "Option::is_none")]
            pub(crate) error: Option<Words>,
        }
    };
}

moment!(
    /// A day, as `2026-03-01`.
    InputDate
);
moment!(
    /// A time of day, as `14:30`.
    InputTime
);

/// Yes or no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputToggle {
    pub(crate) id: String,
    /// What one says yes to.
    pub(crate) title: Words,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<Words>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(rename = "valueOn", default = "word_true")]
    pub(crate) value_on: String,
    #[serde(rename = "valueOff", default = "word_false")]
    pub(crate) value_off: String,
    #[serde(rename = "isRequired", default, skip_serializing_if = "is_default")]
    pub(crate) is_required: bool,
    #[serde(
        rename = "errorMessage",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) error_message: Option<Words>,
    #[serde(
        rename = "Vaxel.hint",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) hint: Option<Words>,
    #[serde(
        rename = "Vaxel.error",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) error: Option<Words>,
}

fn word_true() -> String {
    "true".to_owned()
}

fn word_false() -> String {
    "false".to_owned()
}

/// One of several, or some of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputChoiceSet {
    pub(crate) id: String,
    pub(crate) label: Words,
    pub(crate) choices: Vec<Choice>,
    /// Of several: separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(rename = "isMultiSelect", default, skip_serializing_if = "is_default")]
    pub(crate) is_multi_select: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) style: ChoiceStyle,
    #[serde(rename = "isRequired", default, skip_serializing_if = "is_default")]
    pub(crate) is_required: bool,
    #[serde(
        rename = "errorMessage",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) error_message: Option<Words>,
    #[serde(
        rename = "Vaxel.hint",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) hint: Option<Words>,
    #[serde(
        rename = "Vaxel.error",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) error: Option<Words>,
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) title: Words,
    pub(crate) value: String,
}

macro_rules! asked {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $field:ident: $kind:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            pub(crate) id: String,
            pub(crate) label: Words,
            $($(#[$of])* pub(crate) $field: $kind,)+
            #[serde(rename = "isRequired", default, skip_serializing_if = "is_default")]
            pub(crate) is_required: bool,
            #[serde(rename = "errorMessage", default, skip_serializing_if = "Option::is_none")]
            pub(crate) error_message: Option<Words>,
            #[serde(rename = "Vaxel.hint", default, skip_serializing_if = "Option::is_none")]
            pub(crate) hint: Option<Words>,
            #[serde(rename = "Vaxel.error", default, skip_serializing_if = "Option::is_none")]
            pub(crate) error: Option<Words>,
        }
    };
}

asked!(
    /// One of the whole numbers from `min` to `max`, beside each other; at most 21 of them.
    Scale {
        min: i32,
        max: i32,
        /// What the least one means.
        #[serde(rename = "minLabel", default, skip_serializing_if = "Option::is_none")]
        min_label: Option<Words>,
        /// What the largest one means.
        #[serde(rename = "maxLabel", default, skip_serializing_if = "Option::is_none")]
        max_label: Option<Words>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<i32>,
    }
);
asked!(
    /// One of the same columns for each row. Each row is told as an input of its own, `id.row`.
    Matrix {
        rows: Vec<Choice>,
        columns: Vec<Choice>,
        /// The column chosen for each row.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        value: BTreeMap<String, String>,
    }
);
asked!(
    /// Choices in somebody's order. The place of each is told as an input of its own, `id.choice`: 1 is the first.
    Ranking {
        choices: Vec<Choice>,
        /// The choices in order, separated by commas.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    }
);

/// How far something has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    pub(crate) label: Words,
    pub(crate) value: f64,
    pub(crate) max: f64,
}

/// Something that should be noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notice {
    pub(crate) text: Words,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<Words>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) style: Tone,
}

/// A list, each item of which may lead somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    pub(crate) items: Vec<ListItem>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListItem {
    pub(crate) title: Words,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<Words>,
    /// As in `Action.OpenUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}
