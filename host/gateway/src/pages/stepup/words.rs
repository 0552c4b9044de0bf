//! The host's words where somebody shows who they are, in Swedish and English.

use vaxel_core::Locale;

/// The words of one language. `{…}` is filled in.
pub(super) struct StepUpWords {
    pub(super) title: &'static str,
    pub(super) why: &'static str,
    pub(super) pin: &'static str,
    pub(super) go_on: &'static str,
    pub(super) wrong_pin: &'static str,
    pub(super) paused: &'static str,
    pub(super) locked: &'static str,
    pub(super) bankid: &'static str,
    pub(super) here: &'static str,
    pub(super) elsewhere: &'static str,
    pub(super) not_offered: &'static str,
    pub(super) spent: &'static str,
    pub(super) stale: &'static str,
    pub(super) scan: &'static str,
    pub(super) code: &'static str,
    pub(super) in_app: &'static str,
    pub(super) cancel: &'static str,
    pub(super) again: &'static str,
    pub(super) return_here: &'static str,
    pub(super) gone: &'static str,
    pub(super) gone_why: &'static str,
    pub(super) visible: &'static str,
    pub(super) not_listed: &'static str,
    pub(super) named: &'static str,
    pub(super) anonymous: &'static str,
    pub(super) ticket: &'static str,
    pub(super) ticket_making: &'static str,
    pub(super) ticket_script: &'static str,
    pub(super) ticket_failed: &'static str,
    pub(super) ticket_had: &'static str,
}

static SV: StepUpWords = StepUpWords {
    title: "Visa vem du är",
    why: "{organization} behöver veta det innan du går vidare till ”{purpose}”.",
    pin: "PIN-kod, 6 siffror",
    go_on: "Fortsätt",
    wrong_pin: "Det var inte rätt PIN-kod. Försök kvar före en paus: {left}.",
    paused: "För många försök. Vänta {minutes} minuter och försök igen.",
    locked: "PIN-koden är spärrad efter för många försök. Be den som gav dig den om en ny.",
    bankid: "BankID",
    here: "BankID på den här enheten",
    elsewhere: "BankID på en annan enhet",
    not_offered: "Det går inte att visa vem man är här just nu. Kontakta {organization}.",
    spent: "Fler identifieringar går inte att göra just nu. Försök igen senare.",
    stale: "Sidan hade legat öppen för länge. Försök igen.",
    scan: "Öppna BankID-appen i telefonen, välj att skanna QR-kod och rikta kameran hit.",
    code: "QR-kod för BankID-appen",
    in_app: "I appen står det:",
    cancel: "Avbryt",
    again: "Försök igen",
    return_here: "BankID-appen är klar, men den öppnade inte den här webbläsaren igen. Av säkerhetsskäl behöver du börja om. Välj BankID på en annan enhet om det händer igen.",
    gone: "Identifieringen finns inte kvar",
    gone_why: "Den är avslutad, eller så började den i en annan webbläsare. Gå tillbaka till sidan du kom från och börja om.",
    visible: "Du visar vem du är för {organization}.\n\n{purpose}",
    not_listed: "Du har visat vem du är, men du finns inte på listan över dem som kan svara här. Tror du att det är fel? Kontakta den som bjöd in dig.",
    named: "Ditt namn sparas med det du skickar. Hos {organization} ser bara de som har rätt till det namnet, och varje gång någon tittar noteras det.",
    anonymous: "Det du skickar är anonymt. Du visar vem du är för att var och en ska svara en gång. Sedan gör din webbläsare en biljett som {organization} stämplar utan att se, och bara biljetten följer med svaret.",
    ticket: "Din anonyma biljett",
    ticket_making: "Webbläsaren gör din biljett …",
    ticket_script: "För att svara anonymt måste webbläsaren få köra skript: biljetten görs i den, så att ingen annan ser den. Slå på JavaScript, eller öppna sidan i en annan webbläsare.",
    ticket_failed: "Det gick inte att göra biljetten. Försök igen om en stund.",
    ticket_had: "Du har redan fått en biljett, i den här webbläsaren eller en annan. Var och en får en, och ingen vet vilken som är din: därför går det inte att byta den mot en ny.",
};

static EN: StepUpWords = StepUpWords {
    title: "Show who you are",
    why: "{organization} needs to know before you go on to “{purpose}”.",
    pin: "PIN, 6 digits",
    go_on: "Continue",
    wrong_pin: "That was not the right PIN. Attempts before a pause: {left}.",
    paused: "Too many attempts. Wait {minutes} minutes and try again.",
    locked: "The PIN is locked after too many attempts. Ask whoever gave it to you for a new one.",
    bankid: "BankID",
    here: "BankID on this device",
    elsewhere: "BankID on another device",
    not_offered: "It is not possible to show who you are here now. Contact {organization}.",
    spent: "No more identifications can be made now. Try again later.",
    stale: "The page was open for too long. Try again.",
    scan: "Open the BankID app on your phone, choose to scan a QR code and point the camera here.",
    code: "QR code for the BankID app",
    in_app: "The app says:",
    cancel: "Cancel",
    again: "Try again",
    return_here: "The BankID app is done, but it did not open this browser again. For safety you need to start over. Choose BankID on another device if it happens again.",
    gone: "This identification is over",
    gone_why: "It has ended, or it began in another browser. Go back to the page that you came from and start over.",
    visible: "You show who you are to {organization}.\n\n{purpose}",
    not_listed: "You have shown who you are, but you are not on the list of those who may answer here. Do you think that is wrong? Contact whoever invited you.",
    named: "Your name is kept with what you send. At {organization} only those who have the right to see it do, and each look is noted.",
    anonymous: "What you send is anonymous. You show who you are so that everybody answers once. Then your browser makes a ticket that {organization} stamps without seeing it, and the ticket alone goes with your answer.",
    ticket: "Your anonymous ticket",
    ticket_making: "Your browser makes your ticket …",
    ticket_script: "To answer anonymously, your browser needs to run scripts: the ticket is made in it, so that nobody else sees it. Turn JavaScript on, or open this page in another browser.",
    ticket_failed: "The ticket could not be made. Try again in a while.",
    ticket_had: "You have had a ticket before, in this browser or another one. Everybody gets one, and nobody knows which is yours: so it cannot be exchanged for a new one.",
};

pub(super) fn words(locale: Locale) -> &'static StepUpWords {
    match locale {
        Locale::Sv => &SV,
        Locale::En => &EN,
    }
}

/// Puts what is known into a sentence.
pub(super) fn filled(sentence: &str, with: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(sentence.len() + 64);
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        if let Some((_, value)) = with.iter().find(|(known, _)| *known == name) {
            out.push_str(value);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        let with = [("organization", "{purpose}"), ("purpose", "x")];
        assert_eq!(
            filled("a {organization} b {purpose}.", &with),
            "a {purpose} b x."
        );
        assert_eq!(filled("{unknown}{", &with), "");
    }
}
