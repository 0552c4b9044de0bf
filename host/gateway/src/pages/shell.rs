//! The frame around public pages: the organization's name, our style sheet, one small script, and a strict policy.

use http::{HeaderValue, StatusCode, header};
use vaxel_core::{Locale, Problem, Reason};

use super::html::{Filled, Html};
use super::words::{HostWords, words};
use crate::http::problem::status_of;
use crate::http::{Body, Response};

/// Scripts, styles, pictures and answers from this very host, forms to this very host, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A whole document around a main part that is already drawn.
pub(crate) fn document(organization: &str, title: &str, main: &str, locale: Locale) -> String {
    document_with(organization, title, main, locale, "")
}

/// As [`document`], with more of ours in its head.
pub(crate) fn document_with(
    organization: &str,
    title: &str,
    main: &str,
    locale: Locale,
    head: &'static str,
) -> String {
    let words = words(locale);
    let mut html = Html::new();
    html.tag("<!doctype html><html")
        .attribute("lang", words.lang);
    html.tag("><head><meta charset=\"utf-8\"><title>")
        .text(title)
        .tag(" – ")
        .text(organization);
    html.tag(
        "</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"/icon.svg\"><link rel=\"stylesheet\" href=\"/page.css\">\
         <script defer src=\"/page.js\"></script>",
    );
    html.tag(head).tag("</head><body");
    let said = [
        ("data-offline", words.offline),
        ("data-not-sent", words.not_sent),
        ("data-sending", words.sending),
        ("data-fill-in", words.fill_in),
    ];
    for (name, text) in said {
        html.attribute(name, text);
    }
    html.tag("><a class=\"skip\" href=\"#main\">")
        .text(words.skip)
        .tag("</a><header>");
    html.text(organization).tag("</header>");
    let mut document = html.finish();
    document.push_str(main);
    let mut html = Html::new();
    html.tag("<footer>")
        .text(words.by)
        .tag("</footer></body></html>");
    document.push_str(&html.finish());
    document
}

/// An answer with a document of ours.
pub(crate) fn respond(status: StatusCode, document: String) -> Response {
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(header::CONTENT_TYPE, "text/html; charset=utf-8");
    say(header::CONTENT_SECURITY_POLICY, POLICY);
    say(header::CACHE_CONTROL, "no-store");
    say(header::VARY, "Accept-Language");
    // Browsers name the origin of a form only where a referrer may be sent; addresses go nowhere else.
    say(header::REFERRER_POLICY, "same-origin");
    response
}

/// What people read where there is no page to show, with what they wrote, so that it can still be copied.
pub(crate) fn trouble(
    organization: &str,
    problem: &Problem,
    kept: Option<&Filled>,
    locale: Locale,
) -> Response {
    let words = words(locale);
    let (title, why) = said(problem, words);
    let status = status_of(problem);
    let mut response = told(organization, title, why, status, kept, locale);
    if let Some(ms) = problem.retry_after_ms {
        let seconds = HeaderValue::from(ms.div_ceil(1_000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// What people read where a page is not shown again: why what they sent was not taken, with what they wrote.
pub(crate) fn not_taken(
    organization: &str,
    why: &str,
    status: StatusCode,
    kept: &Filled,
    locale: Locale,
) -> Response {
    let title = words(locale).not_sent;
    told(organization, title, why, status, Some(kept), locale)
}

fn told(
    organization: &str,
    title: &str,
    why: &str,
    status: StatusCode,
    kept: Option<&Filled>,
    locale: Locale,
) -> Response {
    let words = words(locale);
    let mut html = Html::new();
    html.tag("<main id=\"main\" tabindex=\"-1\"><h1>")
        .text(title)
        .tag("</h1><p>")
        .text(why)
        .tag("</p>");
    let written = kept
        .into_iter()
        .flatten()
        .filter(|(_, text)| !text.is_empty());
    let mut written = written.peekable();
    if written.peek().is_some() {
        html.tag("<h2>").text(words.kept).tag("</h2><ul>");
        for (_, text) in written {
            html.tag("<li class=\"text\" dir=\"auto\">")
                .text(text)
                .tag("</li>");
        }
        html.tag("</ul>");
    }
    html.tag("</main>");
    let document = document(organization, title, &html.finish(), locale);
    respond(status, document)
}

fn said(problem: &Problem, words: &'static HostWords) -> (&'static str, &'static str) {
    match problem.reason {
        Reason::NotFound | Reason::Forbidden | Reason::Unauthenticated => {
            (words.missing, words.missing_why)
        }
        Reason::LimitReached | Reason::Unavailable => (words.busy, words.busy_why),
        Reason::TooLarge => (words.not_sent, words.too_large),
        Reason::StepUpRequired => (words.not_sent, words.proof_over),
        _ => (words.broken, words.broken_why),
    }
}
