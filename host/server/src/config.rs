//! What an operator may set: a file of TOML, then flags; unknown keys are refused before a port is bound.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use vaxel_gateway::GatewayLimits;
use vaxel_runtime::{Budget, Limits, RuntimeConfig};

/// The effective configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the server listens.
    pub(crate) listen: Listen,
    /// Certificates.
    pub(crate) tls: Tls,
    /// Keys.
    pub(crate) keys: Keys,
    /// The log and the state.
    pub(crate) storage: StorageLimits,
    /// The audit's witness.
    pub(crate) audit: Audit,
    /// Plugin workers.
    pub(crate) plugins: Plugins,
    /// What plugins may reach outside.
    pub(crate) egress: Egress,
    /// How people show who they are.
    pub(crate) eid: Eid,
    /// Limits of the public doors.
    pub(crate) limits: GatewayLimits,
    /// Addresses of proxies whose forwarded headers count.
    pub(crate) proxies: Vec<IpAddr>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// HTTPS, for people.
    pub(crate) https: SocketAddr,
    /// Health and metrics; loopback only.
    pub(crate) admin: SocketAddr,
    /// The port that people see when it is not the listener's own (behind a port forward).
    pub(crate) public_https_port: Option<u16>,
    /// Plain HTTP on loopback; only the demo opens it.
    pub(crate) http: Option<SocketAddr>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            https: SocketAddr::from(([0, 0, 0, 0], 8443)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9090)),
            public_https_port: None,
            http: None,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Certificate chain in PEM; without it, and without `acme`, a local authority in DATA/tls issues one.
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub(crate) key: Option<PathBuf>,
    /// Certificates from an ACME directory, one for each host name of each organization.
    pub(crate) acme: Option<Acme>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Acme {
    /// The directory's address. Default: Let's Encrypt.
    pub(crate) directory: String,
    /// Whether the operator agrees to the directory's terms of service; nothing starts without.
    pub(crate) terms_agreed: bool,
    /// A mail address for the directory's operator to write to.
    pub(crate) contact: Option<String>,
    /// Certificates of authorities in PEM, for a private directory whose own HTTPS this machine does not trust.
    pub(crate) ca: Option<PathBuf>,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
            terms_agreed: false,
            contact: None,
            ca: None,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Keys {
    /// The master key's file (mode 0600). Default: DATA/master.key. A systemd credential `vaxel-master-key` or
    /// the variable VAXEL_MASTER_KEY come first.
    pub(crate) master: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Audit {
    /// A file that signed heads of the audit are added to, hourly. Default: DATA/audit-heads.jsonl. A copy outside
    /// this machine proves later that nothing was rewritten or cut off.
    pub(crate) heads: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StorageLimits {
    /// What one organization may store.
    pub(crate) quota_bytes_per_tenant: u64,
    /// Below this much free space writes are refused.
    pub(crate) free_bytes_min: u64,
    /// The length of one file of the log, between 1 MiB and 1 GiB. It is set aside whole and the newest one is read
    /// whole at every start: small ones suit small machines, large ones busy servers.
    pub(crate) segment_bytes: u64,
}

impl Default for StorageLimits {
    fn default() -> Self {
        Self {
            quota_bytes_per_tenant: 50 << 30,
            free_bytes_min: 512 << 20,
            segment_bytes: 64 << 20,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plugins {
    /// Threads that run plugins; default: one fewer than cores, at least one.
    pub(crate) workers: Option<usize>,
    /// A directory with further packages, one folder each (plugin.toml, component.wasm).
    pub(crate) dir: Option<PathBuf>,
    /// Who may publish plugins here. Default: DATA/trust.toml.
    pub(crate) trust: Option<PathBuf>,
    /// Instances that are ready for the next calls of each plugin that is on.
    pub(crate) ready_min: usize,
    /// How many may be ready for one plugin while many of its calls run at one time; 0 for none ever.
    pub(crate) ready_max: usize,
    /// What the plugins of each organization may use up.
    pub(crate) budget: PluginBudget,
    /// Whether packages that nobody signed are taken: with --dev and --demo.
    #[serde(skip)]
    pub(crate) allow_unsigned: bool,
}

impl Default for Plugins {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            workers: None,
            dir: None,
            trust: None,
            ready_min: limits.ready_min,
            ready_max: limits.ready_max,
            budget: PluginBudget::default(),
            allow_unsigned: false,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PluginBudget {
    /// Seconds of processor time from midnight to midnight (UTC), over all plugins of one organization.
    pub(crate) processor_s_per_day: u64,
    /// Requests to other servers from midnight to midnight (UTC), over all plugins of one organization.
    pub(crate) requests_per_day: u64,
    /// Running calls of one organization.
    pub(crate) concurrent_calls: usize,
    /// Running calls of one plugin in one organization.
    pub(crate) concurrent_calls_per_plugin: usize,
    /// What one plugin may store in one organization, in MiB.
    pub(crate) stored_mib_per_plugin: u64,
    /// What the files of one plugin may take in one organization, in MiB.
    pub(crate) files_mib_per_plugin: u64,
}

impl Default for PluginBudget {
    fn default() -> Self {
        let (budget, limits) = (Budget::default(), Limits::default());
        Self {
            processor_s_per_day: budget.processor_ms_per_day / 1_000,
            requests_per_day: budget.requests_per_day,
            concurrent_calls: limits.tenant_concurrent,
            concurrent_calls_per_plugin: limits.plugin_concurrent,
            stored_mib_per_plugin: limits.plugin_stored_bytes >> 20,
            files_mib_per_plugin: limits.plugin_blob_bytes >> 20,
        }
    }
}

impl Plugins {
    /// Sets what is said.
    pub(crate) fn apply(&self, to: &mut RuntimeConfig) {
        if let Some(workers) = self.workers {
            to.workers = workers;
        }
        to.limits.ready_min = self.ready_min;
        to.limits.ready_max = self.ready_max;
        let budget = &self.budget;
        to.budget = Budget {
            processor_ms_per_day: budget.processor_s_per_day.saturating_mul(1_000),
            requests_per_day: budget.requests_per_day,
        };
        to.limits.tenant_concurrent = budget.concurrent_calls.max(1);
        to.limits.plugin_concurrent = budget.concurrent_calls_per_plugin.max(1);
        to.limits.plugin_stored_bytes = budget.stored_mib_per_plugin.saturating_mul(1 << 20);
        to.limits.plugin_blob_bytes = budget.files_mib_per_plugin.saturating_mul(1 << 20);
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Egress {
    /// Inner addresses with ports that plugins may reach all the same, like `127.0.0.1:8444`: for tests and development
    /// only. Nothing else that is not on the internet can be reached, whatever its name.
    pub(crate) allow: Vec<SocketAddr>,
    /// Certificates of authorities in PEM that are trusted beside the machine's when plugins reach out.
    pub(crate) ca: Option<PathBuf>,
    /// Addresses of names that the machine's resolver does not know, or knows otherwise. They are judged like any.
    pub(crate) names: BTreeMap<String, Vec<IpAddr>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Eid {
    /// Orders of an electronic identity that one organization may make a day (UTC). Each costs it money.
    pub(crate) orders_per_day: u32,
    /// Of these, how many from one address (a /64 in IPv6).
    pub(crate) orders_per_address_per_day: u32,
    /// BankID; without it none is offered.
    pub(crate) bankid: Option<BankId>,
}

impl Default for Eid {
    fn default() -> Self {
        Self {
            orders_per_day: 5_000,
            orders_per_address_per_day: 500,
            bankid: None,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BankId {
    /// Where the Relying Party API is. BankID's test system is at `https://appapi2.test.bankid.com/rp/v6.0`.
    pub(crate) url: String,
    /// The authority of the API's own certificate, in PEM ("BankID SSL Root CA v1", or the test system's). Nobody else is
    /// trusted there.
    pub(crate) api_root: Option<PathBuf>,
    /// The authority of people's certificates, in PEM ("BankID Root CA v1", or the test system's). It judges signatures.
    pub(crate) signature_root: Option<PathBuf>,
}

impl Default for BankId {
    fn default() -> Self {
        Self {
            url: "https://appapi2.bankid.com/rp/v6.0".to_owned(),
            api_root: None,
            signature_root: None,
        }
    }
}

/// Flags of `vaxel serve`; they win over the file.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ServeFlags {
    /// Start with two organizations full of people and messages. Refuses data that it did not make itself.
    #[arg(long)]
    pub(crate) demo: bool,
    /// With --demo: be reachable from the local network, over HTTPS only.
    #[arg(long, requires = "demo")]
    pub(crate) lan: bool,
    /// Port of plain HTTP on loopback (demo only); 0 takes a free one.
    #[arg(long, requires = "demo")]
    pub(crate) http_port: Option<u16>,
    /// Port of HTTPS; 0 takes a free one.
    #[arg(long)]
    pub(crate) https_port: Option<u16>,
    /// Port of health and metrics; 0 takes a free one.
    #[arg(long)]
    pub(crate) admin_port: Option<u16>,
    /// For those who make plugins: also install and use packages that nobody signed.
    #[arg(long)]
    pub(crate) dev: bool,
    /// A directory with further plugin packages.
    #[arg(long)]
    pub(crate) plugins: Option<PathBuf>,
}

/// Where the demo's start page is.
const DEMO_HTTP_PORT: u16 = 8080;

impl Config {
    pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading the configuration {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("the configuration {}", path.display()))
    }

    pub(crate) fn with_flags(mut self, flags: &ServeFlags) -> anyhow::Result<Self> {
        if flags.demo {
            let host = if flags.lan {
                [0, 0, 0, 0]
            } else {
                [127, 0, 0, 1]
            };
            self.listen.https = SocketAddr::from((host, self.listen.https.port()));
            self.listen.http = (!flags.lan).then(|| {
                SocketAddr::from(([127, 0, 0, 1], flags.http_port.unwrap_or(DEMO_HTTP_PORT)))
            });
        }
        if let Some(port) = flags.https_port {
            self.listen.https.set_port(port);
        }
        if let Some(port) = flags.admin_port {
            self.listen.admin.set_port(port);
        }
        self.plugins.allow_unsigned = flags.dev || flags.demo;
        if flags.plugins.is_some() {
            self.plugins.dir.clone_from(&flags.plugins);
        }
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> anyhow::Result<()> {
        if !self.listen.admin.ip().is_loopback() {
            bail!("listen.admin must be a loopback address: it answers anybody who reaches it");
        }
        if self
            .listen
            .http
            .is_some_and(|http| !http.ip().is_loopback())
        {
            bail!("listen.http must be a loopback address: people come over HTTPS");
        }
        if let Some(bankid) = &self.eid.bankid
            && (bankid.api_root.is_none() || bankid.signature_root.is_none())
        {
            bail!("eid.bankid needs api_root and signature_root: nobody is trusted without them");
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            bail!("tls.certificate and tls.key go together");
        }
        match &self.tls.acme {
            Some(_) if self.tls.certificate.is_some() => {
                bail!(
                    "tls.acme and tls.certificate exclude each other: choose where certificates come from"
                )
            }
            Some(acme) => acme.check(),
            None => Ok(()),
        }
    }
}

impl Acme {
    fn check(&self) -> anyhow::Result<()> {
        if !self.terms_agreed {
            bail!(
                "tls.acme.terms_agreed must be true: certificates come only to those who agree to the terms of {}",
                self.directory
            );
        }
        if !self.directory.starts_with("https://") {
            bail!("tls.acme.directory must be an https address");
        }
        let is_mail = |contact: &String| {
            let plain = |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '?' | ':' | '<' | '>');
            contact.contains('@') && contact.chars().all(plain)
        };
        if !self.contact.as_ref().is_none_or(is_mail) {
            bail!("tls.acme.contact must be one mail address, like ops@example.org");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Every key with its default as the file would have it; nothing for those whose default is worked out.
    fn keys(prefix: &str, value: &Value, into: &mut Vec<(String, Option<String>)>) {
        let Value::Object(fields) = value else {
            let shown = (!value.is_null()).then(|| value.to_string());
            into.push((prefix.to_owned(), shown));
            return;
        };
        if fields.is_empty() {
            into.push((prefix.to_owned(), Some("{}".to_owned())));
        }
        for (name, field) in fields {
            let dot = if prefix.is_empty() { "" } else { "." };
            keys(&format!("{prefix}{dot}{name}"), field, into);
        }
    }

    #[test]
    fn the_documentation_has_every_key_with_its_default() {
        let page = include_str!("../../../docs/configuration.md");
        let config = Config {
            tls: Tls {
                acme: Some(Acme::default()),
                ..Tls::default()
            },
            eid: Eid {
                bankid: Some(BankId::default()),
                ..Eid::default()
            },
            ..Config::default()
        };
        let mut all = Vec::new();
        keys("", &serde_json::to_value(&config).unwrap(), &mut all);
        assert!(all.len() > 40, "{all:?}");
        for (key, default) in &all {
            let row = match default {
                Some(default) => format!("| `{key}` | `{default}` |"),
                None => format!("| `{key}` |"),
            };
            assert!(page.contains(&row), "docs/configuration.md lacks: {row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let documented = rows.filter(|line| !line.starts_with("| `VAXEL_")).count();
        assert_eq!(documented, all.len(), "a key that is gone is still there");
    }

    #[test]
    fn budgets_of_the_file_are_those_of_the_plugins() {
        let file = "[plugins]\nready_max = 3\n[plugins.budget]\nprocessor_s_per_day = 2\nrequests_per_day = 5\n\
                    concurrent_calls = 0\nstored_mib_per_plugin = 7\nfiles_mib_per_plugin = 9";
        let config: Config = toml::from_str(file).unwrap();
        let mut runtime = RuntimeConfig::new("cache");
        config.plugins.apply(&mut runtime);
        let (budget, limits) = (runtime.budget, runtime.limits);
        assert_eq!(
            (budget.processor_ms_per_day, budget.requests_per_day),
            (2_000, 5)
        );
        assert_eq!((limits.tenant_concurrent, limits.plugin_concurrent), (1, 8));
        assert_eq!(
            (limits.plugin_stored_bytes, limits.plugin_blob_bytes),
            (7 << 20, 9 << 20)
        );
        assert_eq!((limits.ready_min, limits.ready_max), (1, 3));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = toml::from_str::<Config>("[listen]\nhtpps = '0.0.0.0:1'").unwrap_err();
        assert!(error.to_string().contains("htpps"), "{error}");
    }

    #[test]
    fn bankid_wants_both_roots() {
        let with = |lines: &str| {
            let config: Config = toml::from_str(&format!("[eid.bankid]\n{lines}")).unwrap();
            config.with_flags(&ServeFlags::default())
        };
        assert!(with("api_root = 'a.pem'\nsignature_root = 'b.pem'").is_ok());
        for lines in ["", "api_root = 'a.pem'", "signature_root = 'b.pem'"] {
            assert!(with(lines).is_err(), "{lines}");
        }
    }

    #[test]
    fn admin_and_plain_http_stay_on_loopback() {
        for text in [
            "[listen]\nadmin = '0.0.0.0:9090'",
            "[listen]\nhttp = '0.0.0.0:80'",
        ] {
            let config: Config = toml::from_str(text).unwrap();
            assert!(config.with_flags(&ServeFlags::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_demo_stays_on_loopback_unless_asked() {
        let demo = ServeFlags {
            demo: true,
            ..ServeFlags::default()
        };
        let config = Config::default().with_flags(&demo).unwrap();
        assert!(config.listen.https.ip().is_loopback());
        let lan = Config::default()
            .with_flags(&ServeFlags { lan: true, ..demo })
            .unwrap();
        assert!(!lan.listen.https.ip().is_loopback());
        assert!(
            lan.listen.http.is_none(),
            "the local network is served over HTTPS only"
        );
    }

    #[test]
    fn acme_wants_the_terms_agreed_to_and_stands_alone() {
        let with = |lines: &str| {
            let config: Config = toml::from_str(&format!("[tls.acme]\n{lines}")).unwrap();
            config.with_flags(&ServeFlags::default())
        };
        let config = with("terms_agreed = true\ncontact = 'ops@acme.example'").unwrap();
        let acme = config.tls.acme.unwrap();
        assert_eq!(
            acme.directory,
            "https://acme-v02.api.letsencrypt.org/directory"
        );
        for (lines, named) in [
            ("", "terms_agreed"),
            ("terms_agreed = false", "terms_agreed"),
            (
                "terms_agreed = true\ndirectory = 'http://ca.example/dir'",
                "https",
            ),
            (
                "terms_agreed = true\ncontact = 'mailto:ops'",
                "mail address",
            ),
            (
                "terms_agreed = true\n[tls]\ncertificate = 'a.pem'\nkey = 'a.key'",
                "exclude",
            ),
        ] {
            let error = with(lines).unwrap_err().to_string();
            assert!(error.contains(named), "{lines}: {error}");
        }
    }
}
