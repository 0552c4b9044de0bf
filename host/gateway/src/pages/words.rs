//! The host's own words on public pages, in Swedish and English.

use http::HeaderMap;
use vaxel_core::Locale;

/// The words of one language.
pub(crate) struct HostWords {
    pub(crate) lang: &'static str,
    pub(crate) skip: &'static str,
    pub(crate) required: &'static str,
    pub(crate) choose: &'static str,
    pub(crate) place: &'static str,
    pub(crate) mistakes: &'static str,
    pub(crate) not_sent: &'static str,
    pub(crate) not_sent_why: &'static str,
    pub(crate) stale: &'static str,
    pub(crate) kept: &'static str,
    pub(crate) offline: &'static str,
    pub(crate) sending: &'static str,
    pub(crate) fill_in: &'static str,
    pub(crate) external: &'static str,
    pub(crate) missing: &'static str,
    pub(crate) missing_why: &'static str,
    pub(crate) busy: &'static str,
    pub(crate) busy_why: &'static str,
    pub(crate) broken: &'static str,
    pub(crate) broken_why: &'static str,
    pub(crate) too_large: &'static str,
    pub(crate) proof_over: &'static str,
    pub(crate) by: &'static str,
    pub(crate) table: &'static str,
}

static SV: HostWords = HostWords {
    lang: "sv",
    skip: "Till innehållet",
    required: "måste fyllas i",
    choose: "Välj",
    place: "Plats",
    mistakes: "Det här behöver rättas",
    not_sent: "Det gick inte att skicka",
    not_sent_why: "Det du skrev finns kvar. Försök igen om en stund.",
    stale: "Sidan hade legat öppen för länge. Det du skrev finns kvar: tryck en gång till för att skicka.",
    kept: "Det du skrev",
    offline: "Ingen kontakt med servern. Det du skrev finns kvar. Försök igen när du har nät.",
    sending: "Skickar …",
    fill_in: "Fyll i fältet.",
    external: "öppnar en annan webbplats",
    missing: "Sidan finns inte",
    missing_why: "Adressen kan vara fel, eller så har sidan stängts.",
    busy: "Många vill hit just nu",
    busy_why: "Vänta en stund och ladda om sidan.",
    broken: "Något gick fel",
    broken_why: "Felet är vårt. Försök igen om en stund.",
    too_large: "Det du skickade är för stort.",
    proof_over: "Du behöver visa vem du är en gång till. Öppna sidan på nytt; det du skrev står här nedanför.",
    by: "Drivs med Växel",
    table: "Tabell",
};

static EN: HostWords = HostWords {
    lang: "en",
    skip: "Skip to content",
    required: "required",
    choose: "Choose",
    place: "Place",
    mistakes: "Some answers need another look",
    not_sent: "It could not be sent",
    not_sent_why: "What you wrote is still here. Try again in a while.",
    stale: "The page was open for too long. What you wrote is still here: press once more to send it.",
    kept: "What you wrote",
    offline: "The server cannot be reached. What you wrote is still here. Try again when you are online.",
    sending: "Sending…",
    fill_in: "Fill in this field.",
    external: "opens another site",
    missing: "There is no such page",
    missing_why: "The address may be wrong, or the page has been closed.",
    busy: "Many people want this page right now",
    busy_why: "Wait a moment and load the page again.",
    broken: "Something went wrong",
    broken_why: "The fault is ours. Try again in a while.",
    too_large: "What you sent is too large.",
    proof_over: "You need to show who you are once more. Open the page again; what you wrote is below.",
    by: "Runs on Växel",
    table: "Table",
};

/// The words of a language.
pub(crate) fn words(locale: Locale) -> &'static HostWords {
    match locale {
        Locale::Sv => &SV,
        Locale::En => &EN,
    }
}

/// What the browser asks for, of what there is (RFC 9110 section 12.5.4); the first wins among equals.
pub(crate) fn preferred(headers: &HeaderMap, otherwise: Locale) -> Locale {
    let mut best: Option<(f32, Locale)> = None;
    for value in headers.get_all(http::header::ACCEPT_LANGUAGE) {
        for one in value.to_str().unwrap_or_default().split(',').take(20) {
            let (tag, weight) = one.split_once(";q=").unwrap_or((one, "1"));
            let locale = match tag.trim().split('-').next().map(str::to_ascii_lowercase) {
                Some(tag) if tag == "sv" => Locale::Sv,
                Some(tag) if tag == "en" => Locale::En,
                _ => continue,
            };
            let weight: f32 = weight.trim().parse().unwrap_or(0.0);
            if weight > best.map_or(0.0, |(best, _)| best) {
                best = Some((weight, locale));
            }
        }
    }
    best.map_or(otherwise, |(_, locale)| locale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_first_choice_that_there_is_wins() {
        let table = [
            ("sv-SE,sv;q=0.9,en;q=0.8", Locale::Sv),
            ("de,en-GB;q=0.5,sv;q=0.4", Locale::En),
            ("en;q=0.3, sv;q=0.7", Locale::Sv),
            ("de", Locale::Sv),
            ("en;q=0", Locale::Sv),
            ("en;q=x", Locale::Sv),
            ("", Locale::Sv),
        ];
        for (sent, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::ACCEPT_LANGUAGE, sent.parse().unwrap());
            assert_eq!(preferred(&headers, Locale::Sv), expected, "{sent}");
        }
    }
}
