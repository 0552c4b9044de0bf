//! What people are told while an order goes, in the words that BankID recommends (RFA codes), and in our own where it has
//! none. A code that nobody here knows gets the message for its status.

use vaxel_core::Locale;

/// A provider's word for how an order goes, as it came: an open list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint(String);

/// The longest hint that is kept.
const HINT_LEN_MAX: usize = 64;

impl Hint {
    /// A hint, if it is a word; else none that anybody knows.
    pub fn new(word: &str) -> Self {
        let is_word = word.len() <= HINT_LEN_MAX && word.bytes().all(|b| b.is_ascii_alphanumeric());
        Self(if is_word {
            word.to_owned()
        } else {
            String::new()
        })
    }

    /// As it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nobody has opened the app for it yet, so that a code is still worth showing.
    pub fn waits_for_app(&self) -> bool {
        matches!(self.0.as_str(), "outstandingTransaction" | "noClient")
    }

    /// What the person reads while it goes on.
    pub fn pending(&self, device: Device) -> Message {
        match (self.0.as_str(), device) {
            ("outstandingTransaction", Device::Same { .. }) => Message::Rfa13,
            ("outstandingTransaction" | "noClient", _) => Message::Rfa1,
            ("started", Device::Same { mobile: false }) => Message::Rfa15A,
            ("started", _) => Message::Rfa15B,
            ("userSign", _) => Message::Rfa9,
            ("userMrtd", _) => Message::Rfa23,
            ("userCallConfirm", _) => Message::CallConfirm,
            _ => Message::Rfa21,
        }
    }

    /// What the person reads when it failed.
    pub fn failed(&self, device: Device) -> Message {
        match (self.0.as_str(), device) {
            ("expiredTransaction", _) => Message::Rfa8,
            ("certificateErr", _) => Message::Rfa16,
            ("userCancel", _) => Message::Rfa6,
            ("cancelled", _) => Message::Rfa3,
            ("startFailed", Device::Other) => Message::Rfa17B,
            ("startFailed", Device::Same { .. }) => Message::Rfa17A,
            ("userDeclinedCall", _) => Message::CallDeclined,
            ("notSupportedByUserApp", _) => Message::AppTooOld,
            ("transactionRiskBlocked", _) => Message::RiskBlocked,
            _ => Message::Rfa22,
        }
    }
}

/// Where the app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Beside the browser, on a phone or not.
    Same {
        /// Whether it is a phone or a tablet.
        mobile: bool,
    },
    /// Elsewhere: a code is scanned.
    Other,
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $sv:literal $en:literal })+) => {
        /// A message, by BankID's code for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Message { $($(#[$doc])* $name),+ }

        impl Message {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// In the person's language.
            pub const fn text(self, locale: Locale) -> &'static str {
                match (self, locale) {
                    $((Self::$name, Locale::Sv) => $sv, (Self::$name, Locale::En) => $en),+
                }
            }
        }
    };
}

messages! {
    /// Start the app.
    Rfa1 { "Starta BankID-appen." "Start your BankID app." }
    /// The app is missing.
    Rfa2 { "Du har inte BankID-appen installerad. Kontakta din bank." "The BankID app is not installed. Please contact your bank." }
    /// Called off.
    Rfa3 { "Åtgärden avbruten. Försök igen." "Action cancelled. Please try again." }
    /// Another order is open.
    Rfa4 { "En identifiering eller underskrift för det här personnumret är redan påbörjad. Försök igen." "An identification or signing for this personal number is already started. Please try again." }
    /// The provider's fault.
    Rfa5 { "Internt tekniskt fel. Försök igen." "Internal error. Please try again." }
    /// The person called it off.
    Rfa6 { "Åtgärden avbruten." "Action cancelled." }
    /// The app does not answer.
    Rfa8 { "BankID-appen svarar inte. Kontrollera att den är startad och att du har internetanslutning. Om du inte har något giltigt BankID kan du skaffa ett hos din bank. Försök sedan igen." "The BankID app is not responding. Please check that it’s started and that you have internet access. If you don’t have a valid BankID you can get one from your bank. Try again." }
    /// The security code is to be entered.
    Rfa9 { "Skriv in din säkerhetskod i BankID-appen och välj Identifiera eller Skriv under." "Enter your security code in the BankID app and select Identify or Sign." }
    /// The app is being started.
    Rfa13 { "Försöker starta BankID-appen." "Trying to start your BankID app." }
    /// Searching, on a computer.
    Rfa15A { "Söker efter BankID. Säkerställ att du har ett giltigt BankID på den här datorn. Om du har ett BankID på kort, sätt in kortet i kortläsaren." "Searching for BankID. Make sure you have a valid BankID on this computer. If you have a BankID on card, please insert the card into your card reader." }
    /// Searching, on a phone.
    Rfa15B { "Söker efter BankID. Säkerställ att du har ett giltigt BankID på den här enheten." "Searching for BankID. Make sure you have a valid BankID on this device." }
    /// The certificate is too old or revoked.
    Rfa16 { "Ditt BankID är för gammalt eller spärrat. Använd ett annat BankID eller skaffa ett nytt hos din bank." "Your BankID is blocked or too old. Please use another BankID or get a new one from your bank." }
    /// It never started, on the same device.
    Rfa17A { "Du verkar inte ha BankID-appen. Installera den och skaffa ett BankID hos din bank." "You don’t seem to have the BankID app. Please install it and get a BankID from your bank." }
    /// The code was not scanned.
    Rfa17B { "Misslyckades att läsa av QR-koden. Starta BankID-appen och läs av QR-koden." "Failed to scan the QR code. Start the BankID app and scan the QR code." }
    /// The button that starts it.
    Rfa18 { "Starta BankID-appen" "Start the BankID app" }
    /// Which device, on a computer.
    Rfa19 { "Vill du använda BankID på den här datorn eller ett mobilt BankID?" "Would you like to use BankID on this computer, or a mobile BankID?" }
    /// Which device, on a phone.
    Rfa20 { "Vill du använda BankID på den här enheten eller på en annan enhet?" "Do you want to use BankID on this device or another device?" }
    /// It goes on, somehow.
    Rfa21 { "En identifiering eller underskrift pågår." "An identification or signing is in progress." }
    /// It failed, somehow.
    Rfa22 { "Något gick fel. Försök igen." "Something went wrong. Please try again." }
    /// An identity document is to be scanned.
    Rfa23 { "Fotografera och läs av din ID-handling med BankID-appen." "Take a photo of, and scan, your ID document with the BankID app." }
    /// The person is asked whether they are in a call.
    CallConfirm { "Bekräfta i BankID-appen att du pratar i telefon med oss." "Confirm in the BankID app that you are on the phone with us." }
    /// The person is not in a call.
    CallDeclined { "Du svarade att du inte pratar i telefon med oss. Inget har hänt." "You answered that you are not on the phone with us. Nothing has happened." }
    /// The app cannot do what was asked for.
    AppTooOld { "Din BankID-app är för gammal för det här. Uppdatera den och försök igen." "Your BankID app is too old for this. Update it and try again." }
    /// BankID stopped it.
    RiskBlocked { "BankID stoppade identifieringen av säkerhetsskäl. Kontakta din bank om du undrar varför." "BankID stopped the identification for safety. Contact your bank if you wonder why." }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_has_its_recommended_message() {
        let other = Device::Other;
        let here = |mobile| Device::Same { mobile };
        for (hint, device, message) in [
            ("outstandingTransaction", other, Message::Rfa1),
            ("outstandingTransaction", here(true), Message::Rfa13),
            ("noClient", other, Message::Rfa1),
            ("noClient", here(true), Message::Rfa1),
            ("started", here(false), Message::Rfa15A),
            ("started", here(true), Message::Rfa15B),
            ("userSign", other, Message::Rfa9),
            ("userMrtd", other, Message::Rfa23),
            ("userCallConfirm", other, Message::CallConfirm),
            ("somethingNew", other, Message::Rfa21),
            ("", other, Message::Rfa21),
        ] {
            assert_eq!(Hint::new(hint).pending(device), message, "{hint}");
        }
        for (hint, device, message) in [
            ("expiredTransaction", other, Message::Rfa8),
            ("certificateErr", other, Message::Rfa16),
            ("userCancel", other, Message::Rfa6),
            ("cancelled", other, Message::Rfa3),
            ("startFailed", other, Message::Rfa17B),
            ("startFailed", here(true), Message::Rfa17A),
            ("userDeclinedCall", other, Message::CallDeclined),
            ("notSupportedByUserApp", other, Message::AppTooOld),
            ("transactionRiskBlocked", other, Message::RiskBlocked),
            ("somethingNew", other, Message::Rfa22),
        ] {
            assert_eq!(Hint::new(hint).failed(device), message, "{hint}");
        }
    }

    #[test]
    fn every_message_is_in_both_languages() {
        for message in Message::ALL {
            let (sv, en) = (message.text(Locale::Sv), message.text(Locale::En));
            assert!(!sv.is_empty() && !en.is_empty() && sv != en, "{message:?}");
        }
    }

    #[test]
    fn a_hint_that_is_no_word_is_not_kept() {
        assert_eq!(Hint::new("<script>").as_str(), "");
        assert_eq!(Hint::new(&"x".repeat(65)).as_str(), "");
    }
}
