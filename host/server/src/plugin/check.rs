//! `vaxel plugin check`: everything that an installation would refuse, at once, and all that an admin would be asked.

use std::path::Path;

use serde_json::{Value, json};
use vaxel_core::{Clock as _, SystemClock};
use vaxel_runtime::{Ask, Compiler, File, Manifest, Method, Package, Trust, examine};

use super::COMPILE;
use super::author::{folder_files, package_bytes};
use super::build::{capability_of, check_import, imports};

const MANIFEST: &str = "plugin.toml";
const COMPONENT: &str = "component.wasm";

/// What was found so far.
#[derive(Default)]
struct Found {
    /// What keeps it from being installed.
    findings: Vec<String>,
    /// What does not, and is worth a look.
    notes: Vec<String>,
}

impl Found {
    fn add(&mut self, what: impl ToString) {
        let what = what.to_string();
        // Reading a package says again what reading its manifest said.
        if !self.findings.contains(&what) {
            self.findings.push(what);
        }
    }
}

/// Tries it as an installation would.
pub(crate) async fn check(path: &Path, trust: Option<&Path>) -> anyhow::Result<Value> {
    let mut found = Found::default();
    let (files, bytes) = read(path, &mut found)?;
    let content = |name: &str| {
        let file = files.iter().find(|file| file.name == name);
        file.map(|file| file.content.as_slice())
    };
    let text = content(MANIFEST).and_then(|bytes| std::str::from_utf8(bytes).ok());
    for fault in text.map(Manifest::faults).unwrap_or_default() {
        found.add(fault);
    }
    let package = bytes.as_deref().map(Package::read);
    let package = package.and_then(|read| read.map_err(|error| found.add(error)).ok());
    if let (Some(component), Some(text)) = (content(COMPONENT), text) {
        check_imports(component, text, &mut found);
    }
    let mut methods = Vec::new();
    let mut signer = None;
    if let Some(package) = &package {
        signer = believed(package, trust, &mut found);
        // What it imports beside its manifest was said; an installation would say no more than the first of that.
        if found.findings.is_empty() {
            let examined = examine(package.to_files()?, Compiler::this_program(COMPILE)).await;
            match examined {
                Ok(examined) => methods = examined,
                Err(error) => found.add(error),
            }
        }
    }
    let packed = bytes.as_ref().map_or(0, Vec::len);
    let manifest = package.as_ref().map(|package| &package.manifest);
    let lines = lines(path, manifest, &methods, &files, packed, &found);
    let answer = json!({
        "ok": found.findings.is_empty(),
        "findings": found.findings,
        "notes": found.notes,
        "signer": package.as_ref().and_then(|it| it.signature.as_ref()).map(|it| &it.key),
        "publisher": signer,
        "files": files.iter()
            .map(|file| json!({ "name": file.name, "bytes": file.content.len(), "sha256": file.hash() }))
            .collect::<Vec<_>>(),
        "bytes": packed,
        "text": lines.join("\n"),
    });
    Ok(merged(answer, manifest.map(|it| described(it, &methods))))
}

/// The files, and the package that they are or become.
fn read(path: &Path, found: &mut Found) -> anyhow::Result<(Vec<File>, Option<Vec<u8>>)> {
    if path.is_dir() {
        let files = folder_files(path)?;
        let packed = Package::pack(files.clone());
        return Ok((files, packed.map_err(|error| found.add(error)).ok()));
    }
    let bytes = package_bytes(path)?;
    let files = Package::unpack(&bytes).map_err(|error| found.add(error));
    Ok((files.unwrap_or_default(), Some(bytes)))
}

/// Each import that the manifest does not ask for, and each capability that nothing imports.
fn check_imports(component: &[u8], manifest: &str, found: &mut Found) {
    let imports = match imports(component) {
        Ok(imports) => imports,
        Err(error) => return found.add(format!("{error:#}")),
    };
    // Read as it stands: what else is wrong with it hides nothing.
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let capabilities = manifest.get("capabilities").and_then(toml::Value::as_array);
    let names = capabilities.into_iter().flatten();
    let asked: Vec<&str> = names.filter_map(|it| it.get("name")?.as_str()).collect();
    for import in &imports {
        if let Err(error) = check_import(import, &asked) {
            found.add(format!("{error:#}"));
        }
    }
    for name in asked {
        if !imports.iter().any(|it| capability_of(it) == Some(name)) {
            let note = format!("it asks for {name}, which its component does not use");
            found.notes.push(note);
        }
    }
}

/// Who publishes it, by a trust file where one was given.
fn believed(package: &Package, trust: Option<&Path>, found: &mut Found) -> Option<String> {
    let Some(trust) = trust else {
        if package.signature.is_none() {
            found.notes.push("it is not signed".to_owned());
        }
        return None;
    };
    let believed = Trust::load(trust).and_then(|trust| {
        let revoked = trust.revocations()?;
        trust.check(package, revoked.as_ref(), SystemClock.now())
    });
    match believed {
        Ok(signer) => Some(signer.publisher),
        Err(error) => {
            found.add(error);
            None
        }
    }
}

fn lines(
    path: &Path,
    manifest: Option<&Manifest>,
    methods: &[std::sync::Arc<Method>],
    files: &[File],
    packed: usize,
    found: &Found,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(manifest) = manifest {
        lines.push(format!(
            "{} {}: {}",
            manifest.name, manifest.version, manifest.summary
        ));
        lines.extend(asked(manifest));
        lines.extend(offered(manifest, methods));
    }
    lines.push("\nFiles:".to_owned());
    for file in files {
        lines.push(format!(
            "  {:24} {:>9} bytes",
            file.name,
            file.content.len()
        ));
    }
    lines.push(format!("  {:24} {packed:>9} bytes", "packed"));
    let titled = [("Worth a look:", &found.notes), ("Wrong:", &found.findings)];
    for (title, words) in titled {
        if !words.is_empty() {
            lines.push(format!("\n{title}"));
            lines.extend(words.iter().map(|word| format!("  {word}")));
        }
    }
    if found.findings.is_empty() {
        lines.push("\nIt can be installed.".to_owned());
    } else {
        lines.push(format!("\n{} cannot be installed.", path.display()));
    }
    lines
}

fn asked(manifest: &Manifest) -> Vec<String> {
    let mut lines = vec!["\nAn admin is asked to consent to:".to_owned()];
    for Ask {
        id,
        reason,
        required,
        details,
        ..
    } in manifest.asks()
    {
        let may_be_refused = if required { "" } else { " (may be refused)" };
        lines.push(format!("  {id:24} {reason}{may_be_refused}"));
        lines.extend(
            details
                .iter()
                .map(|detail| format!("  {:24} - {detail}", "")),
        );
    }
    lines
}

fn offered(manifest: &Manifest, methods: &[std::sync::Arc<Method>]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut part = |title: &str, part: Vec<String>| {
        if !part.is_empty() {
            lines.push(format!("\n{title}"));
            lines.extend(part);
        }
    };
    let permissions = manifest.permissions.iter().map(|it| {
        let roles: Vec<&str> = it.roles.iter().map(String::as_str).collect();
        let roles = if roles.is_empty() {
            "nobody at first".to_owned()
        } else {
            format!("suggested for {}", roles.join(", "))
        };
        format!("  {:24} {} ({roles})", it.name, it.summary)
    });
    part("Permissions that people may hold:", permissions.collect());
    let methods = methods
        .iter()
        .map(|it| format!("  {:32} {:24} {}", it.name, it.permission, it.summary));
    part("Methods:", methods.collect());
    let pages = manifest.pages.iter().map(|it| {
        let who = it.permission.as_deref().unwrap_or("anybody, at /p/");
        format!("  {:24} {:24} {}", it.name, who, it.title)
    });
    part("Pages:", pages.collect());
    let jobs = manifest.jobs.iter().map(|it| {
        let every = it.every.as_deref().unwrap_or("when it is scheduled");
        format!("  {:24} {:24} {}", it.name, every, it.summary)
    });
    part("Jobs:", jobs.collect());
    let connections = manifest.connections.iter().map(|it| {
        let hosts: Vec<&str> = it.hosts.iter().map(String::as_str).collect();
        format!("  {:24} {:24} {}", it.name, hosts.join(", "), it.title)
    });
    part(
        "Connections, and where their credentials go:",
        connections.collect(),
    );
    let hosts = hosts(manifest).into_iter().map(|host| format!("  {host}"));
    part("Hosts that it may reach:", hosts.collect());
    lines
}

fn hosts(manifest: &Manifest) -> std::collections::BTreeSet<&str> {
    let capabilities = manifest.capabilities.iter().flat_map(|it| &it.hosts);
    capabilities.map(String::as_str).collect()
}

fn described(manifest: &Manifest, methods: &[std::sync::Arc<Method>]) -> Value {
    let asks = manifest.asks().into_iter().map(|it| {
        json!({
            "id": it.id, "kind": it.kind, "reason": it.reason, "required": it.required,
            "details": it.details,
        })
    });
    let permissions = manifest.permissions.iter();
    let permissions =
        permissions.map(|it| json!({ "name": it.name, "summary": it.summary, "roles": it.roles }));
    let methods = methods.iter().map(|it| {
        json!({
            "name": it.name, "permission": it.permission, "summary": it.summary,
            "params": it.params, "result": it.result,
        })
    });
    let pages = manifest.pages.iter().map(|it| {
        json!({ "name": it.name, "title": it.title, "permission": it.permission, "public": it.public })
    });
    let jobs = manifest.jobs.iter();
    let jobs = jobs.map(|it| json!({ "name": it.name, "summary": it.summary, "every": it.every }));
    let connections = manifest.connections.iter();
    let connections =
        connections.map(|it| json!({ "name": it.name, "title": it.title, "hosts": it.hosts }));
    json!({
        "id": manifest.id,
        "version": manifest.version,
        "asks": asks.collect::<Vec<_>>(),
        "permissions": permissions.collect::<Vec<_>>(),
        "methods": methods.collect::<Vec<_>>(),
        "pages": pages.collect::<Vec<_>>(),
        "jobs": jobs.collect::<Vec<_>>(),
        "connections": connections.collect::<Vec<_>>(),
        "hosts": hosts(manifest),
    })
}

/// One object of two.
fn merged(mut one: Value, other: Option<Value>) -> Value {
    if let (Some(one), Some(Value::Object(other))) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}
