//! What keeps a survey from being published, in Swedish and English.

/// Something that keeps a survey from being published, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The id of a question, a section or a calculation; empty for the survey.
    pub(crate) at: String,
    pub(crate) why: Why,
}

/// A reason, for whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) sv: String,
    pub(crate) en: String,
}

impl Why {
    pub(crate) fn text(&self, language: &str) -> &str {
        if language == "sv" { &self.sv } else { &self.en }
    }
}

impl<T: Into<String>> From<[T; 2]> for Why {
    /// Swedish, then English.
    fn from([sv, en]: [T; 2]) -> Self {
        Self {
            sv: sv.into(),
            en: en.into(),
        }
    }
}

/// Where faults are gathered.
#[derive(Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, at: &str, why: impl Into<Why>) {
        self.0.push(Fault {
            at: at.to_owned(),
            why: why.into(),
        });
    }

    pub(crate) fn unless(&mut self, holds: bool, at: &str, why: impl Into<Why>) {
        if !holds {
            self.add(at, why);
        }
    }
}
