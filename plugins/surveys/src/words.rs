//! What the plugin itself says to people who answer, in Swedish and English.

use crate::model::Survey;
use crate::model::settings::Linkage;

/// The words of one language.
pub(crate) struct Words {
    pub(crate) next: &'static str,
    pub(crate) back: &'static str,
    pub(crate) send: &'static str,
    pub(crate) thanks: &'static str,
    pub(crate) thanks_text: &'static str,
    pub(crate) closed: &'static str,
    pub(crate) closed_text: &'static str,
    pub(crate) closed_now: &'static str,
    pub(crate) full: &'static str,
    pub(crate) changed: &'static str,
    pub(crate) changed_note: &'static str,
    pub(crate) answered: &'static str,
    pub(crate) answered_text: &'static str,
    pub(crate) no_link: &'static str,
    pub(crate) members_only: &'static str,
    pub(crate) wrong_proof: &'static str,
    pub(crate) nothing: &'static str,
    pub(crate) progress: &'static str,
    pub(crate) who: &'static str,
    pub(crate) kept_days: &'static str,
    pub(crate) signature: &'static str,
    pub(crate) required: &'static str,
    pub(crate) must_agree: &'static str,
    pub(crate) too_long: &'static str,
    pub(crate) no_number: &'static str,
    pub(crate) no_date: &'static str,
    pub(crate) no_time: &'static str,
    pub(crate) no_email: &'static str,
    pub(crate) no_phone: &'static str,
    pub(crate) no_url: &'static str,
    pub(crate) not_offered: &'static str,
    pub(crate) at_least: &'static str,
    pub(crate) at_most: &'static str,
    pub(crate) choose_least: &'static str,
    pub(crate) choose_most: &'static str,
    pub(crate) rank_all: &'static str,
    pub(crate) preview: &'static str,
    pub(crate) preview_text: &'static str,
    pub(crate) yes: &'static str,
    pub(crate) no: &'static str,
}

static SV: Words = Words {
    next: "Nästa",
    back: "Tillbaka",
    send: "Skicka svar",
    thanks: "Tack för ditt svar",
    thanks_text: "Ditt svar är sparat.",
    closed: "Enkäten är stängd",
    closed_text: "Den tar inte emot fler svar.",
    closed_now: "Enkäten har stängts, så svaret kunde inte tas emot.",
    full: "Platserna har tagit slut, så svaret kunde inte tas emot.",
    changed: "Enkäten har ändrats sedan du öppnade den. Det du skrev finns kvar: se igenom frågorna och skicka en gång till.",
    changed_note: "Enkäten har ändrats sedan du började. Dina svar finns kvar där frågorna gör det: se igenom dem.",
    answered: "Du har redan svarat",
    answered_text: "Ett svar per person tas emot, och ditt är sparat.",
    no_link: "Den här enkäten besvaras med den personliga länk du har fått.",
    members_only: "Logga in i appen för att svara.",
    wrong_proof: "Den här enkäten tar inte emot det sättet att visa vem man är.",
    nothing: "Svara på minst en fråga.",
    progress: "Så långt har du kommit",
    who: "Så hanteras ditt svar",
    kept_days: "Det du har svarat hittills sparas i sju dagar. Samma adress leder tillbaka hit.",
    signature: "Skriv ditt namn. Det gäller som underskrift.",
    required: "Svara på frågan.",
    must_agree: "Det behöver du godkänna för att kunna svara.",
    too_long: "Högst {} tecken.",
    no_number: "Skriv ett tal.",
    no_date: "Skriv ett datum, till exempel 2026-03-01.",
    no_time: "Skriv en tid, till exempel 14:30.",
    no_email: "Skriv en e-postadress, till exempel namn@exempel.se.",
    no_phone: "Skriv ett telefonnummer.",
    no_url: "Skriv en adress som börjar med https:// eller http://.",
    not_offered: "Välj något av det som finns.",
    at_least: "Minst {}.",
    at_most: "Högst {}.",
    choose_least: "Välj minst {}.",
    choose_most: "Välj högst {}.",
    rank_all: "Ge varje rad en egen plats.",
    preview: "Förhandsgranskning",
    preview_text: "Så här möter de som svarar enkäten. Inget av det du fyller i sparas som svar.",
    yes: "Ja",
    no: "Nej",
};

static EN: Words = Words {
    next: "Next",
    back: "Back",
    send: "Send answer",
    thanks: "Thank you for your answer",
    thanks_text: "Your answer is saved.",
    closed: "The survey is closed",
    closed_text: "It takes no more answers.",
    closed_now: "The survey has been closed, so the answer could not be taken.",
    full: "There is no place left, so the answer could not be taken.",
    changed: "The survey has been changed since you opened it. What you wrote is still here: look through the questions and send once more.",
    changed_note: "The survey has been changed since you began. Your answers are kept where their questions are: look through them.",
    answered: "You have already answered",
    answered_text: "One answer per person is taken, and yours is saved.",
    no_link: "This survey is answered with the personal link that you were sent.",
    members_only: "Sign in to the app to answer.",
    wrong_proof: "This survey does not take that way of proving who one is.",
    nothing: "Answer at least one question.",
    progress: "How far you have come",
    who: "What happens to your answer",
    kept_days: "What you have answered so far is kept for seven days. This same address leads back here.",
    signature: "Write your name. It counts as your signature.",
    required: "Answer this question.",
    must_agree: "To answer you need to agree to this.",
    too_long: "At most {} characters.",
    no_number: "Write a number.",
    no_date: "Write a date, such as 2026-03-01.",
    no_time: "Write a time, such as 14:30.",
    no_email: "Write an e-mail address, such as name@example.org.",
    no_phone: "Write a phone number.",
    no_url: "Write an address that begins with https:// or http://.",
    not_offered: "Choose one of what there is.",
    at_least: "At least {}.",
    at_most: "At most {}.",
    choose_least: "Choose at least {}.",
    choose_most: "Choose at most {}.",
    rank_all: "Give each line a place of its own.",
    preview: "Preview",
    preview_text: "This is how those who answer meet the survey. Nothing that you fill in is kept as an answer.",
    yes: "Yes",
    no: "No",
};

/// The words of a language; English where there are none.
pub(crate) fn words(language: &str) -> &'static Words {
    if language == "sv" { &SV } else { &EN }
}

pub(crate) fn yes_no(is_yes: bool, language: &str) -> &'static str {
    let words = words(language);
    if is_yes { words.yes } else { words.no }
}

/// Words with a number in them.
pub(crate) fn with(words: &str, number: impl std::fmt::Display) -> String {
    words.replace("{}", &number.to_string())
}

/// What people are told before the first question. Nothing here may say more than what is done.
pub(crate) fn promise(survey: &Survey, language: &str) -> String {
    let sv = language == "sv";
    let group_min = survey.settings.group_min;
    let mut text = match (survey.settings.linkage, sv) {
        // Whoever gives their address has said who they are.
        (Linkage::Unlinked | Linkage::Anonymous, true) if survey.asks_who() => "Enkäten frågar efter uppgifter som säger vem du är. De som får se resultatet ser dem tillsammans med resten av svaret.".to_owned(),
        (Linkage::Unlinked | Linkage::Anonymous, false) if survey.asks_who() => "The survey asks for things that say who you are. Whoever may see the results sees them together with the rest of the answer.".to_owned(),
        (Linkage::Anonymous, true) => "Svaret är anonymt. Att du är en av dem som får svara visas med en biljett som bara din webbläsare känner till; ingen annan kan se vilket svar som är ditt. Svaret sparas bara med dagen.".to_owned(),
        (Linkage::Anonymous, false) => "The answer is anonymous. That you are one of those who may answer is shown with a ticket that only your browser knows; nobody else can see which answer is yours. The answer is saved only with the day.".to_owned(),
        (Linkage::Unlinked, true) => "Ingen frågar vem du är. Svaret sparas utan namn, adress och klockslag, bara med dagen.".to_owned(),
        (Linkage::Unlinked, false) => "Nobody asks who you are. The answer is saved without name, address or time of day, only with the day.".to_owned(),
        (Linkage::Confidential, true) => "Svaret är konfidentiellt: att du har svarat noteras, men skilt från vad du har svarat. Det är inte anonymt i teknisk mening.".to_owned(),
        (Linkage::Confidential, false) => "The answer is confidential: that you have answered is noted, but apart from what you answered. It is not anonymous in a technical sense.".to_owned(),
        (Linkage::Pseudonymous, true) => "Svaret sparas under en pseudonym som bara gäller den här enkäten. Resultatet visar pseudonymen, inte ditt namn.".to_owned(),
        (Linkage::Pseudonymous, false) => "The answer is saved under a pseudonym for this survey alone. Results show the pseudonym, not your name.".to_owned(),
        (Linkage::Named, true) => "Svaret sparas med ditt namn. De som får se resultatet ser vem som har svarat vad.".to_owned(),
        (Linkage::Named, false) => "The answer is saved with your name. Whoever may see the results sees who answered what.".to_owned(),
    };
    if group_min > 1 {
        text.push_str(&if sv {
            format!(" Resultat visas aldrig för färre än {group_min} svar tillsammans.")
        } else {
            format!(" Results are never shown for fewer than {group_min} answers together.")
        });
    }
    text
}

pub(crate) fn both_yes_no(is_yes: bool) -> crate::model::Texts {
    let each = ["sv", "en"].map(|tag| (tag.to_owned(), yes_no(is_yes, tag).to_owned()));
    crate::model::Texts(each.into())
}
