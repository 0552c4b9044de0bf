//! Packages of the fixture as publishers make them: of any version, with another manifest, and of its other variants.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::{Answer, TestHost};

/// What stands in the built fixture in front of the word that makes its variants.
const MARK: &[u8] = b"faulty-variant:";

/// A publisher: a key, and packages made with it.
pub struct Publisher {
    host: TestHost,
    /// The secret key's file.
    pub key: PathBuf,
    /// The public key, for the trust file.
    pub public: String,
    /// The key's thumbprint.
    pub thumbprint: String,
}

impl Publisher {
    pub fn new(host: &TestHost, name: &str) -> Self {
        let key = host.scratch(&format!("{name}.key"));
        let made = offline(host, &["keygen", path(&key), "--json"]).json();
        Self {
            host: host.clone(),
            key,
            public: made["public_key"].as_str().unwrap().to_owned(),
            thumbprint: made["key"].as_str().unwrap().to_owned(),
        }
    }

    /// A signed package of the fixture, called that version.
    pub fn package(&self, version: &str) -> PathBuf {
        self.variant(version, "plain", |manifest| manifest)
    }

    /// A signed package of another variant of the fixture, and with another manifest.
    pub fn variant(
        &self,
        version: &str,
        variant: &str,
        edit: impl FnOnce(String) -> String,
    ) -> PathBuf {
        let name = format!("signed-{version}");
        let file = packed_as(&self.host, &name, version, variant, edit);
        self.sign(&file);
        file
    }

    pub fn sign(&self, file: &Path) {
        offline(&self.host, &["sign", path(file), "--key", path(&self.key)]);
    }
}

/// A host with a trusted publisher of the fixture.
pub async fn with_publisher() -> (TestHost, Publisher) {
    let host = TestHost::start().await;
    let acme = Publisher::new(&host, "acme");
    trusts(&host, &[("Acme AB", &acme)], "");
    (host, acme)
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A command of authors, which needs no server.
pub fn offline(host: &TestHost, args: &[&str]) -> Answer {
    host.vaxel().expect(&[&["plugin"], args].concat(), "")
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../stage/fixtures/faulty")
}

/// A copy of the fixture's folder, called that version, packed.
pub fn packed(host: &TestHost, name: &str, version: &str) -> PathBuf {
    packed_as(host, name, version, "plain", |manifest| manifest)
}

fn packed_as(
    host: &TestHost,
    name: &str,
    version: &str,
    variant: &str,
    edit: impl FnOnce(String) -> String,
) -> PathBuf {
    let folder = host.scratch(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("i18n")).unwrap();
    let mut component = fs::read(fixture().join("component.wasm")).unwrap();
    let finder = memchr::memmem::Finder::new(MARK);
    let at = finder.find(&component).expect("the mark in the fixture") + MARK.len();
    component[at..at + variant.len()].copy_from_slice(variant.as_bytes());
    fs::write(folder.join("component.wasm"), component).unwrap();
    let manifest = fs::read_to_string(fixture().join("plugin.toml")).unwrap();
    let manifest = manifest.replacen(
        "version = \"0.1.0\"",
        &format!("version = \"{version}\""),
        1,
    );
    fs::write(folder.join("plugin.toml"), edit(manifest)).unwrap();
    fs::write(folder.join("i18n/sv.toml"), "name = 'Felaktig'\n").unwrap();
    fs::write(folder.join("README.md"), "# Faulty\n").unwrap();
    let file = host.scratch(&format!("{name}.vxp"));
    offline(host, &["pack", path(&folder), "-o", path(&file)]);
    file
}

/// Writes the trust file: these may publish the fixture.
pub fn trusts(host: &TestHost, publishers: &[(&str, &Publisher)], more: &str) {
    let mut text = "format = 1\n".to_owned();
    for (name, publisher) in publishers {
        let key = &publisher.public;
        text.push_str(&format!(
            "[[publishers]]\nname = '{name}'\nkeys = ['{key}']\nplugins = ['faulty']\n"
        ));
    }
    let unfinished = host.data().join("trust.new");
    fs::write(&unfinished, text + more).unwrap();
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o644)).unwrap();
    fs::rename(unfinished, host.data().join("trust.toml")).unwrap();
}
