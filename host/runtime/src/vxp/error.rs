//! Why a package is refused; each says what to do about it, as far as something can be done.

use vaxel_core::{PluginId, Reason};

/// Why a package was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// The file, or what it unpacks to, is larger than its named maximum.
    #[error("{what} is larger than {max} bytes")]
    TooLarge {
        /// Which part.
        what: String,
        /// The maximum.
        max: usize,
    },
    /// More files than a package has.
    #[error("a package holds at most {max} files")]
    TooMany {
        /// The maximum.
        max: usize,
    },
    /// A name that would lead out of the package, or that is no plain name.
    #[error("the file name {name:?} in the package is refused: {why}")]
    Name {
        /// As it stands in the package.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file that a package does not have.
    #[error(
        "the package holds {name}, which is no file of a package (plugin.toml, component.wasm, i18n/LANGUAGE.toml, LICENSE, README)"
    )]
    UnknownFile {
        /// Its name.
        name: String,
    },
    /// Two files of the same name, or of names that only differ in their case.
    #[error("the package holds {name} twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A link, a folder or a device.
    #[error("{name} in the package is a link, a folder or a device; a package holds files only")]
    Special {
        /// Its name.
        name: String,
    },
    /// A file that every package has is not there.
    #[error("the package has no {name}")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// It ends before its end.
    #[error("the package is cut off: copy or download it again")]
    Truncated,
    /// A file unpacks to something else than it says.
    #[error("{name} does not unpack to what the package says: {what}")]
    Unpacked {
        /// Its name.
        name: String,
        /// In which way.
        what: &'static str,
    },
    /// It is no package, or not laid out as packages are.
    #[error("this is no package as `vaxel plugin pack` makes them: {what}")]
    Layout {
        /// What is different.
        what: &'static str,
    },
    /// A text of the package is not what it must be.
    #[error("{name} in the package: {what}")]
    Content {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// There is no signature.
    #[error(
        "the package is not signed; sign it with `vaxel plugin sign`, or start the server with --dev to try it out"
    )]
    Unsigned,
    /// The signature is not of this package.
    #[error(
        "the signature does not fit the package: it was changed after {publisher} signed it, or somebody else signed in that name"
    )]
    Forged {
        /// Whose key it names.
        publisher: String,
    },
    /// The signature may no longer be used to install.
    #[error("the signature ended on {expired_at}; ask the publisher for one that is signed anew")]
    Expired {
        /// When.
        expired_at: String,
    },
    /// The signature is from the future.
    #[error(
        "the package was signed on {created_at}, which lies ahead; is this machine's clock right?"
    )]
    NotYetSigned {
        /// When.
        created_at: String,
    },
    /// No trusted publisher has this key.
    #[error("nobody in the trust file {trust} has the key {key} that signed this package")]
    Untrusted {
        /// The thumbprint.
        key: String,
        /// Where trust is written down.
        trust: String,
    },
    /// The publisher is trusted, though not with this plugin.
    #[error(
        "{publisher} may not publish {plugin}: the trust file does not name it among the plugins of {publisher}"
    )]
    NotTheirs {
        /// The signer.
        publisher: String,
        /// The plugin.
        plugin: PluginId,
    },
    /// The id belongs to somebody else.
    #[error(
        "{plugin} was first installed from {bound}; a package of that name from {publisher} is refused (`vaxel plugin remove {plugin} --forget` ends the binding)"
    )]
    OtherPublisher {
        /// The plugin.
        plugin: PluginId,
        /// Who published it first.
        bound: String,
        /// Who signed this one.
        publisher: String,
    },
    /// It was taken back.
    #[error("the {what} {which} was revoked (list number {number})")]
    Revoked {
        /// Package or key.
        what: &'static str,
        /// Its hash or thumbprint.
        which: String,
        /// Number of the list that says so.
        number: u64,
    },
    /// A newer version is, or was, installed.
    #[error(
        "{plugin} {version} is older than the installed {installed}; install it with --downgrade if that is meant"
    )]
    Downgrade {
        /// The plugin.
        plugin: PluginId,
        /// This one's version.
        version: String,
        /// The version there.
        installed: String,
    },
    /// The same version with other contents.
    #[error(
        "{plugin} {version} is installed with other contents; a version never changes, so give this one a new number"
    )]
    SameVersion {
        /// The plugin.
        plugin: PluginId,
        /// The version.
        version: String,
    },
    /// The server brings a plugin of this id along.
    #[error("{plugin} comes with the server and is not replaced by a package")]
    BuiltIn {
        /// The plugin.
        plugin: PluginId,
    },
    /// The trust file cannot be used.
    #[error("the trust file {path}: {what}")]
    Trust {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The revocation list cannot be used.
    #[error("the revocation list {path}: {what}")]
    Revocations {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// An approval does not count.
    #[error("the approval: {what}")]
    Approval {
        /// Why not.
        what: String,
    },
    /// It may not be promoted so far.
    #[error("{plugin} {version} is not promoted: {what}")]
    NotPromoted {
        /// The plugin.
        plugin: PluginId,
        /// Which of its versions.
        version: String,
        /// What is missing.
        what: String,
    },
    /// The package's file is gone or is another one than was installed.
    #[error("its package file is {what}; install it again")]
    File {
        /// In which way.
        what: String,
    },
    /// Organizations use it.
    #[error("{plugin} is switched on for {count} organizations; switch it off there first")]
    InUse {
        /// The plugin.
        plugin: PluginId,
        /// How many.
        count: usize,
    },
    /// No package of that id is installed.
    #[error("no package {plugin} is installed; `vaxel plugin list` shows what is")]
    NotInstalled {
        /// The plugin.
        plugin: PluginId,
    },
    /// The disk did not take it.
    #[error("{doing}: {why}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        why: String,
    },
}

impl PackageError {
    /// What it amounts to for a caller.
    pub fn reason(&self) -> Reason {
        match self {
            Self::TooLarge { .. } | Self::TooMany { .. } => Reason::TooLarge,
            Self::NotInstalled { .. } => Reason::NotFound,
            Self::InUse { .. }
            | Self::Downgrade { .. }
            | Self::SameVersion { .. }
            | Self::NotPromoted { .. }
            | Self::BuiltIn { .. } => Reason::Conflict,
            Self::Unsigned
            | Self::Forged { .. }
            | Self::Expired { .. }
            | Self::NotYetSigned { .. }
            | Self::Untrusted { .. }
            | Self::NotTheirs { .. }
            | Self::OtherPublisher { .. }
            | Self::Revoked { .. }
            | Self::Approval { .. } => Reason::Forbidden,
            Self::Trust { .. } | Self::Revocations { .. } | Self::Io { .. } => Reason::Internal,
            Self::File { .. } => Reason::Unavailable,
            _ => Reason::Invalid,
        }
    }

    pub(crate) fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io {
            doing,
            why: error.to_string(),
        }
    }
}
