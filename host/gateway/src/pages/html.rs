//! A page as HTML, for browsers without an account: every character of a plugin's is escaped, every tag is ours.

use std::collections::BTreeMap;

use super::check::{self, Address};
use super::tree::{
    Action, ActionStyle, Align, AssociatedInputs, Element, List, Notice, Page, Progress, Size,
    Table, TextBlock, TextStyle, Weight, Words,
};
use super::words::HostWords;
use super::{inputs_html, stepup};

/// What somebody has filled in, by input, in place of what the plugin suggests.
pub(crate) type Filled = BTreeMap<String, String>;

/// Where a page stands.
pub(crate) struct Place<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) words: &'static HostWords,
    /// Proves that the form is ours; sent with it.
    pub(crate) token: &'a str,
    pub(crate) filled: Option<&'a Filled>,
    /// Something went wrong with what was sent.
    pub(crate) trouble: Option<&'a str>,
}

/// HTML under construction. Text goes in escaped, tags only as literals of ours.
pub(crate) struct Html(String);

impl Html {
    pub(crate) fn new() -> Self {
        Self(String::with_capacity(4_096))
    }

    /// Markup of ours.
    pub(crate) fn tag(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Anybody's text, safe between tags and inside quoted attributes.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Nothing that HTML has no name for.
                '\0' => {}
                c => self.0.push(c),
            }
        }
        self
    }

    /// ` name="value"`.
    pub(crate) fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.tag(" ").tag(name).tag("=\"").text(value).tag("\"")
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

struct Drawer<'a> {
    html: Html,
    place: &'a Place<'a>,
    /// The level of the last heading, so that none is left out.
    level: u8,
}

/// The page's main part.
pub(crate) fn main(page: &Page, place: &Place<'_>) -> String {
    let mut drawer = Drawer {
        html: Html::new(),
        place,
        level: 1,
    };
    drawer.page(page);
    drawer.html.finish()
}

fn sends(page: &Page) -> bool {
    fn any(actions: &[Action]) -> bool {
        actions.iter().any(|a| matches!(a, Action::Submit(_)))
    }
    fn within(elements: &[Element]) -> bool {
        elements.iter().any(|element| match element {
            Element::ActionSet(set) => any(&set.actions),
            Element::Container(container) => within(&container.items),
            Element::ColumnSet(set) => set.columns.iter().any(|column| within(&column.items)),
            Element::Table(table) => {
                let mut cells = table.rows.iter().flat_map(|row| &row.cells);
                cells.any(|cell| within(&cell.items))
            }
            _ => false,
        })
    }
    any(&page.actions) || within(&page.body)
}

impl Drawer<'_> {
    fn page(&mut self, page: &Page) {
        let words = self.place.words;
        let html = &mut self.html;
        html.tag("<main id=\"main\" tabindex=\"-1\"");
        if let Some(tint) = page.tint {
            html.attribute("data-tint", tint.name());
        }
        if let Some(lang) = &page.lang {
            html.attribute("lang", lang);
        }
        html.tag("><h1 dir=\"auto\">")
            .text(&page.title.0)
            .tag("</h1>");
        if let Some(trouble) = self.place.trouble {
            html.tag("<div class=\"notice attention\" role=\"alert\"");
            html.attribute("lang", words.lang).tag("><p><strong>");
            html.text(words.not_sent).tag("</strong></p><p>");
            html.text(trouble).tag("</p></div>");
        }
        inputs_html::summary(html, &page.body, words);
        // A page that asks nothing any more: what was typed can still be copied.
        let typed = self
            .place
            .filled
            .map(|filled| inputs_html::left_over(&page.body, filled));
        if let Some(typed) = typed.filter(|typed| !typed.is_empty()) {
            html.tag("<section><h2")
                .attribute("lang", words.lang)
                .tag(">")
                .text(words.kept)
                .tag("</h2><ul>");
            for text in typed {
                html.tag("<li class=\"text\" dir=\"auto\">")
                    .text(text)
                    .tag("</li>");
            }
            html.tag("</ul></section>");
        }
        let sends = sends(page);
        if sends {
            html.tag(
                "<form method=\"post\" data-vaxel-form><input type=\"hidden\" name=\"_token\"",
            );
            html.attribute("value", self.place.token).tag(">");
            if let Some(required) = &page.proof {
                let tag = stepup::tag(self.place.plugin, &required.purpose);
                html.tag("<input type=\"hidden\" name=\"_proof\"");
                html.attribute("value", &tag).tag(">");
            }
        }
        self.elements(&page.body);
        self.actions(&page.actions);
        let html = &mut self.html;
        if sends {
            html.tag("</form>");
        }
        html.tag("</main>");
    }

    fn elements(&mut self, elements: &[Element]) {
        for element in elements {
            self.element(element);
        }
    }

    fn element(&mut self, element: &Element) {
        match element {
            Element::TextBlock(block) => self.text_block(block),
            Element::Container(container) => {
                let class = container.style.as_str();
                self.html
                    .tag("<div class=\"container ")
                    .tag(class)
                    .tag("\">");
                self.elements(&container.items);
                self.html.tag("</div>");
            }
            Element::ColumnSet(set) => {
                self.html.tag("<div class=\"columns\">");
                for column in &set.columns {
                    let class = column.width.as_str();
                    self.html.tag("<div class=\"column ").tag(class).tag("\">");
                    self.elements(&column.items);
                    self.html.tag("</div>");
                }
                self.html.tag("</div>");
            }
            Element::FactSet(set) => {
                self.html.tag("<dl>");
                for fact in &set.facts {
                    let html = &mut self.html;
                    html.tag("<div><dt dir=\"auto\">").text(&fact.title.0);
                    html.tag("</dt><dd dir=\"auto\">").text(&fact.value.0);
                    html.tag("</dd></div>");
                }
                self.html.tag("</dl>");
            }
            Element::Table(table) => self.table(table),
            Element::ActionSet(set) => self.actions(&set.actions),
            Element::Progress(progress) => self.progress(progress),
            Element::Notice(notice) => self.notice(notice),
            Element::List(list) => self.list(list),
            input => inputs_html::draw(&mut self.html, input, self.place),
        }
    }

    fn text_block(&mut self, block: &TextBlock) {
        if block.style == TextStyle::Heading {
            let wanted = match block.size {
                Size::Small => 4,
                Size::Medium => 3,
                Size::Default | Size::Large => 2,
            };
            self.level = wanted.min(self.level + 1);
            let (open, close) = match self.level {
                2 => ("<h2 dir=\"auto\">", "</h2>"),
                3 => ("<h3 dir=\"auto\">", "</h3>"),
                _ => ("<h4 dir=\"auto\">", "</h4>"),
            };
            self.html.tag(open).text(&block.text.0).tag(close);
            return;
        }
        let html = &mut self.html;
        html.tag("<p dir=\"auto\" class=\"text size-")
            .tag(block.size.as_str());
        html.tag(" tone-").tag(block.color.as_str());
        if block.weight == Weight::Bolder {
            html.tag(" bolder");
        }
        if block.is_subtle {
            html.tag(" subtle");
        }
        html.tag("\">").text(&block.text.0).tag("</p>");
    }

    fn table(&mut self, table: &Table) {
        // Reached by keyboard: it scrolls where it is wider than the screen.
        self.html
            .tag("<div class=\"scroll\" tabindex=\"0\" role=\"region\"");
        let caption = table.caption.as_ref().map_or("", |words| words.0.as_str());
        let label = if caption.is_empty() {
            self.place.words.table
        } else {
            caption
        };
        self.html.attribute("aria-label", label).tag("><table>");
        if !caption.is_empty() {
            self.html.tag("<caption>").text(caption).tag("</caption>");
        }
        for (number, row) in table.rows.iter().enumerate() {
            let is_head = number == 0 && table.first_row_as_header;
            self.html.tag("<tr>");
            for (column, cell) in row.cells.iter().enumerate() {
                let align = table.columns.get(column).map_or(Align::Left, |c| c.align);
                self.html.tag(if is_head {
                    "<th scope=\"col\" class=\""
                } else {
                    "<td class=\""
                });
                self.html.tag(align.as_str()).tag("\">");
                self.elements(&cell.items);
                self.html.tag(if is_head { "</th>" } else { "</td>" });
            }
            self.html.tag("</tr>");
        }
        self.html.tag("</table></div>");
    }

    fn progress(&mut self, Progress { label, value, max }: &Progress) {
        let html = &mut self.html;
        html.tag("<label class=\"progress\"><span dir=\"auto\">")
            .text(&label.0);
        html.tag("</span><progress")
            .attribute("max", &max.to_string());
        html.attribute("value", &value.to_string())
            .tag("></progress></label>");
    }

    fn notice(&mut self, Notice { text, title, style }: &Notice) {
        let html = &mut self.html;
        html.tag("<div role=\"note\" class=\"notice ")
            .tag(style.as_str())
            .tag("\">");
        if let Some(Words(title)) = title {
            html.tag("<p dir=\"auto\"><strong>")
                .text(title)
                .tag("</strong></p>");
        }
        html.tag("<p dir=\"auto\">").text(&text.0).tag("</p></div>");
    }

    fn list(&mut self, List { items }: &List) {
        self.html.tag("<ul class=\"list\">");
        for item in items {
            self.html.tag("<li>");
            match &item.url {
                Some(url) => self.link(url, &item.title.0, "link"),
                None => {
                    self.html.tag("<span dir=\"auto\" class=\"item\">");
                    self.html.text(&item.title.0).tag("</span>");
                }
            }
            if let Some(Words(text)) = &item.text {
                self.html
                    .tag("<p dir=\"auto\" class=\"subtle\">")
                    .text(text)
                    .tag("</p>");
            }
            self.html.tag("</li>");
        }
        self.html.tag("</ul>");
    }

    fn link(&mut self, url: &str, title: &str, class: &'static str) {
        let html = &mut self.html;
        match check::link(url) {
            Some(Address::Own { page, rest }) => {
                let href = format!("/p/{}/{page}{rest}", self.place.plugin);
                html.tag("<a dir=\"auto\" class=\"")
                    .tag(class)
                    .tag("\"")
                    .attribute("href", &href);
                html.tag(">").text(title).tag("</a>");
            }
            Some(Address::Away { href, host }) => {
                // Where it leads is said by us: a title says what its author likes.
                html.tag("<a dir=\"auto\" class=\"")
                    .tag(class)
                    .tag("\"")
                    .attribute("href", &href);
                html.tag(" rel=\"noopener noreferrer nofollow\">")
                    .text(title);
                html.tag(" <span class=\"host\">(")
                    .text(&host)
                    .tag("<span class=\"unseen\">, ");
                html.text(self.place.words.external)
                    .tag("</span>)</span></a>");
            }
            None => {
                html.tag("<span dir=\"auto\">").text(title).tag("</span>");
            }
        }
    }

    fn actions(&mut self, actions: &[Action]) {
        if actions.is_empty() {
            return;
        }
        self.html.tag("<div class=\"actions\">");
        for action in actions {
            match action {
                Action::Submit(submit) => {
                    let html = &mut self.html;
                    html.tag("<button type=\"submit\" name=\"_action\"")
                        .attribute("value", &submit.id);
                    html.tag(" class=\"button ")
                        .tag(submit.style.as_str())
                        .tag("\"");
                    if submit.associated_inputs == AssociatedInputs::None {
                        html.tag(" formnovalidate data-without-inputs");
                    }
                    html.tag(">").text(&submit.title.0).tag("</button>");
                }
                Action::OpenUrl(open) => {
                    let class = match open.style {
                        ActionStyle::Default => "button default",
                        ActionStyle::Positive => "button positive",
                        ActionStyle::Destructive => "button destructive",
                    };
                    self.link(&open.url, &open.title.0, class);
                }
            }
        }
        self.html.tag("</div>");
    }
}
