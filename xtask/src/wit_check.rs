//! `cargo xtask wit-check`: what a frozen contract promised, `wit/` still keeps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wit_bindgen_core::wit_parser::{
    Function, FunctionKind, Interface, InterfaceId, PackageId, Resolve, Stability, Type,
    TypeDefKind, TypeId, UnresolvedPackageGroup, WorldItem,
};

use crate::shell::root;

/// The world that has all that the host links and calls.
const EVERYTHING: &str = "everything";

/// Versions are of the form 0.1.2.
type Version = (u64, u64, u64);

/// Prints what was compared; names everything that would break a component of a frozen contract.
pub(crate) fn check() -> Result<()> {
    let wit = root().join("wit");
    let present = Contract::read(&wit)?;
    let used = packages_in_use()?;
    let mut findings = Vec::new();
    let mut compared = 0;
    for folder in frozen_folders(&wit.join("frozen"))? {
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let frozen = Contract::read_flat(&folder)?;
        for id in frozen.packages() {
            compared += 1;
            let package = frozen.package_name(id);
            if !used.contains(package.as_str()) {
                findings.push(format!(
                    "contract {name}: {package} is frozen, and no plugin under plugins/ uses it"
                ));
            }
        }
        let broken = compare(&frozen, &present)?;
        findings.extend(
            broken
                .into_iter()
                .map(|it| format!("contract {name}: {it}")),
        );
    }
    if findings.is_empty() {
        println!("    wit/ serves {compared} frozen packages");
        return Ok(());
    }
    for finding in &findings {
        eprintln!("    {finding}");
    }
    bail!("{} of wit/ would break older components", findings.len())
}

/// The folders of frozen contracts, oldest first.
fn frozen_folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    Ok(folders)
}

/// The packages that plugins of this repository name in their manifests.
fn packages_in_use() -> Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("plugins")).context("listing plugins/")? {
        let manifest = entry?.path().join("plugin.toml");
        let Ok(text) = std::fs::read_to_string(&manifest) else {
            continue;
        };
        let manifest: toml::Table = text
            .parse()
            .with_context(|| format!("reading {}", manifest.display()))?;
        if let Some(wit) = manifest.get("wit").and_then(toml::Value::as_table) {
            used.extend(wit.keys().cloned());
        }
    }
    Ok(used)
}

/// Packages of one state of the contract.
struct Contract {
    resolve: Resolve,
}

impl Contract {
    /// A folder with a main package and `deps/`.
    fn read(dir: &Path) -> Result<Self> {
        let mut resolve = Resolve::default();
        resolve
            .push_dir(dir)
            .with_context(|| format!("reading {}", dir.display()))?;
        Ok(Self { resolve })
    }

    /// A folder with one file a package.
    fn read_flat(dir: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(dir).context("listing a frozen contract")?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ext| ext == "wit"))
            .collect();
        files.sort();
        let texts: Result<Vec<(PathBuf, String)>> = files
            .into_iter()
            .map(|file| {
                let text = std::fs::read_to_string(&file)?;
                Ok((file, text))
            })
            .collect();
        Self::of(&texts?)
    }

    fn of(files: &[(PathBuf, String)]) -> Result<Self> {
        let mut groups = files.iter().map(|(path, text)| {
            UnresolvedPackageGroup::parse(path, text)
                .map_err(|(map, error)| anyhow::anyhow!("{}", error.render(&map)))
        });
        let main = groups.next().context("a contract has packages")??;
        let rest = groups.collect::<Result<Vec<_>>>()?;
        let mut resolve = Resolve::default();
        resolve
            .push_groups(main, rest)
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(Self { resolve })
    }

    fn packages(&self) -> impl Iterator<Item = PackageId> {
        self.resolve.packages.iter().map(|(id, _)| id)
    }

    /// `storage`, as manifests call it.
    fn package_name(&self, id: PackageId) -> String {
        self.resolve
            .packages
            .get(id)
            .map(|package| package.name.name.clone())
            .unwrap_or_default()
    }

    fn version(&self, id: PackageId) -> Version {
        self.resolve
            .packages
            .get(id)
            .and_then(|package| package.name.version.as_ref())
            .map_or((0, 0, 0), |it| (it.major, it.minor, it.patch))
    }

    /// The package that serves components of an older one: of the same name, on the same track.
    fn successor(&self, name: &str, version: Version) -> Option<PackageId> {
        self.packages()
            .find(|id| self.package_name(*id) == name && track(self.version(*id)) == track(version))
    }

    fn interfaces(&self, id: PackageId) -> impl Iterator<Item = (&String, InterfaceId)> {
        let package = self.resolve.packages.get(id);
        let interfaces = package.into_iter().flat_map(|package| &package.interfaces);
        interfaces.map(|(name, id)| (name, *id))
    }

    fn interface(&self, id: InterfaceId) -> Result<&Interface> {
        self.resolve
            .interfaces
            .get(id)
            .context("an interface is there")
    }

    /// What the host provides, and what it calls.
    fn ends(&self) -> Result<(BTreeSet<InterfaceId>, BTreeSet<InterfaceId>)> {
        let mut worlds = self.resolve.worlds.iter();
        let (_, world) = worlds
            .find(|(_, world)| world.name == EVERYTHING)
            .with_context(|| format!("wit/plugin.wit has no world {EVERYTHING}"))?;
        let interfaces = |item: &WorldItem| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            _ => None,
        };
        Ok((
            world.imports.values().filter_map(interfaces).collect(),
            world.exports.values().filter_map(interfaces).collect(),
        ))
    }

    /// A type spelled out to the last field: two that are spelled alike are the same to a component.
    fn spell(&self, of: &Type) -> Result<String> {
        match of {
            Type::Id(id) => self.spell_defined(*id),
            plain => Ok(format!("{plain:?}").to_lowercase()),
        }
    }

    fn spell_defined(&self, id: TypeId) -> Result<String> {
        let defined = self.resolve.types.get(id).context("a type is there")?;
        let optional = |of: &Option<Type>| match of {
            Some(of) => self.spell(of),
            None => Ok("_".to_owned()),
        };
        let structure = match &defined.kind {
            // What `use` brought is what it names.
            TypeDefKind::Type(of) => return self.spell(of),
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                let fields = fields.map(|it| Ok(format!("{}: {}", it.name, self.spell(&it.ty)?)));
                format!("record {{ {} }}", joined(fields)?)
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter();
                let cases = cases.map(|it| Ok(format!("{}({})", it.name, optional(&it.ty)?)));
                format!("variant {{ {} }}", joined(cases)?)
            }
            TypeDefKind::Enum(it) => {
                let cases = it.cases.iter().map(|case| Ok(case.name.clone()));
                format!("enum {{ {} }}", joined(cases)?)
            }
            TypeDefKind::Flags(it) => {
                let flags = it.flags.iter().map(|flag| Ok(flag.name.clone()));
                format!("flags {{ {} }}", joined(flags)?)
            }
            TypeDefKind::Tuple(it) => {
                format!(
                    "tuple<{}>",
                    joined(it.types.iter().map(|of| self.spell(of)))?
                )
            }
            TypeDefKind::Option(of) => format!("option<{}>", self.spell(of)?),
            TypeDefKind::List(of) => format!("list<{}>", self.spell(of)?),
            TypeDefKind::Result(it) => {
                format!("result<{}, {}>", optional(&it.ok)?, optional(&it.err)?)
            }
            other => bail!("wit-check cannot compare a {} yet", other.as_str()),
        };
        Ok(match &defined.name {
            Some(name) => format!("{name} = {structure}"),
            None => structure,
        })
    }

    fn spell_function(&self, function: &Function) -> Result<String> {
        let kind = match function.kind {
            FunctionKind::Freestanding => "func",
            FunctionKind::AsyncFreestanding => "async func",
            _ => bail!("wit-check cannot compare {} yet", function.name),
        };
        let params = function.params.iter();
        let params = params.map(|it| Ok(format!("{}: {}", it.name, self.spell(&it.ty)?)));
        let result = match &function.result {
            Some(of) => format!(" -> {}", self.spell(of)?),
            None => String::new(),
        };
        Ok(format!("{kind}({}){result}", joined(params)?))
    }
}

fn joined(parts: impl Iterator<Item = Result<String>>) -> Result<String> {
    Ok(parts.collect::<Result<Vec<_>>>()?.join(", "))
}

/// Versions on one track serve each other's components, as the linker sees it.
const fn track((major, minor, _): Version) -> Version {
    if major == 0 {
        (0, minor, 0)
    } else {
        (major, 0, 0)
    }
}

/// Everything by name that a component of the frozen contract would miss in the present one.
fn compare(frozen: &Contract, present: &Contract) -> Result<Vec<String>> {
    let (imports, exports) = present.ends()?;
    let mut findings = Vec::new();
    for old_package in frozen.packages() {
        let package = frozen.package_name(old_package);
        let version = frozen.version(old_package);
        let Some(new_package) = present.successor(&package, version) else {
            findings.push(format!(
                "{package} {} has no successor: a new major stands beside the old one",
                dotted(version)
            ));
            continue;
        };
        let now = present.version(new_package);
        if now < version {
            findings.push(format!(
                "{package} went back from {} to {}",
                dotted(version),
                dotted(now)
            ));
        }
        for (name, old) in frozen.interfaces(old_package) {
            let found = present.interfaces(new_package).find(|(it, _)| *it == name);
            let Some((_, new)) = found else {
                findings.push(format!("{package}/{name} is gone"));
                continue;
            };
            let is_export = exports.contains(&new);
            if !is_export && !imports.contains(&new) {
                findings.push(format!("{package}/{name} is not in the world {EVERYTHING}"));
            }
            let pair = Pair {
                name: format!("{package}/{name}"),
                frozen,
                old: frozen.interface(old)?,
                present,
                new: present.interface(new)?,
                since: (version, now),
            };
            pair.types(&mut findings)?;
            pair.functions(&mut findings)?;
            pair.additions(is_export, &mut findings);
        }
        for (name, new) in present.interfaces(new_package) {
            if !frozen.interfaces(old_package).any(|(it, _)| it == name) {
                let since = &present.interface(new)?.stability;
                check_since(
                    &format!("{package}/{name}"),
                    since,
                    (version, now),
                    &mut findings,
                );
            }
        }
    }
    Ok(findings)
}

/// An interface then and now.
struct Pair<'a> {
    name: String,
    frozen: &'a Contract,
    old: &'a Interface,
    present: &'a Contract,
    new: &'a Interface,
    /// The versions of its package.
    since: (Version, Version),
}

impl Pair<'_> {
    fn types(&self, findings: &mut Vec<String>) -> Result<()> {
        for (name, old) in &self.old.types {
            let was = self.frozen.spell_defined(*old)?;
            match self.new.types.get(name) {
                None => findings.push(format!("{}: the type {name} is gone", self.name)),
                Some(new) => {
                    let is = self.present.spell_defined(*new)?;
                    if was != is {
                        findings.push(format!(
                            "{}: the type {name} was {was} and is {is}",
                            self.name
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn functions(&self, findings: &mut Vec<String>) -> Result<()> {
        for (name, old) in &self.old.functions {
            let was = self.frozen.spell_function(old)?;
            match self.new.functions.get(name) {
                None => findings.push(format!("{}.{name} is gone", self.name)),
                Some(new) => {
                    let is = self.present.spell_function(new)?;
                    if was != is {
                        findings.push(format!("{}.{name} was {was} and is {is}", self.name));
                    }
                }
            }
        }
        Ok(())
    }

    fn additions(&self, is_export: bool, findings: &mut Vec<String>) {
        for (name, new) in &self.new.functions {
            if self.old.functions.contains_key(name) {
                continue;
            }
            if is_export {
                findings.push(format!(
                    "{}.{name} is new in an export: no older component has it; make it an interface of its own",
                    self.name
                ));
            }
            let name = format!("{}.{name}", self.name);
            check_since(&name, &new.stability, self.since, findings);
        }
    }
}

/// What was added says in which version, and that version is newer than the frozen one.
fn check_since(
    name: &str,
    stability: &Stability,
    (frozen, now): (Version, Version),
    findings: &mut Vec<String>,
) {
    let since = match stability {
        Stability::Stable { since, .. } => Some((since.major, since.minor, since.patch)),
        _ => None,
    };
    if !since.is_some_and(|since| since > frozen && since <= now) {
        findings.push(format!(
            "{name} came after {}: its @since and its package's version must say so",
            dotted(frozen)
        ));
    }
}

fn dotted((major, minor, patch): Version) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails fast")]
mod tests {
    use super::*;

    const FROZEN: &str = "package vaxel:notes@0.1.0;
        interface notes {
            record note { id: string, text: string }
            get: func(id: string) -> option<note>;
        }
        interface told { tell: func(); }";

    const WORLD: &str = "world everything { import notes; export told; }";

    fn contract(text: &str) -> Contract {
        Contract::of(&[("notes.wit".into(), text.to_owned())]).unwrap()
    }

    fn findings(was: &str, becomes: &str) -> Vec<String> {
        let mut present = FROZEN.replacen(was, becomes, 1);
        if !present.contains("world") {
            present.push_str(&WORLD.replacen(was, becomes, 1));
        }
        compare(&contract(FROZEN), &contract(&present)).unwrap()
    }

    #[test]
    fn what_did_not_change_is_compatible() {
        assert_eq!(findings("", ""), Vec::<String>::new());
    }

    #[test]
    fn a_function_may_come_with_a_version_of_its_own() {
        let added = |version: &str, since: &str| {
            let present = format!("{FROZEN}{WORLD}")
                .replacen("@0.1.0", version, 1)
                .replacen("get:", &format!("{since} put: func(); get:"), 1);
            compare(&contract(FROZEN), &contract(&present)).unwrap()
        };
        assert_eq!(
            added("@0.1.1", "@since(version = 0.1.1)"),
            Vec::<String>::new()
        );
        assert_eq!(
            added("@0.1.0", "@since(version = 0.1.0)"),
            ["notes/notes.put came after 0.1.0: its @since and its package's version must say so"]
        );
    }

    #[test]
    fn each_thing_that_breaks_a_component_is_named() {
        for (was, becomes, says) in [
            ("get: func(id", "fetch: func(id", "notes/notes.get is gone"),
            (
                "get: func(id: string)",
                "get: func(id: u64)",
                "notes/notes.get was func(id: string)",
            ),
            (
                "text: string",
                "text: string, by: string",
                "the type note was note = record",
            ),
            ("get: func(id", "get: func(name", "func(name: string)"),
            (
                "interface told { tell: func(); }",
                "interface other {} world everything { import notes; } ",
                "notes/told is gone",
            ),
            (
                "tell: func();",
                "tell: func(); more: func();",
                "notes/told.more is new in an export",
            ),
            ("@0.1.0", "@0.2.0", "notes 0.1.0 has no successor"),
            (
                "import notes;",
                "",
                "notes/notes is not in the world everything",
            ),
        ] {
            let found = findings(was, becomes);
            assert!(
                found.iter().any(|finding| finding.contains(says)),
                "{says}: {found:?}"
            );
        }
    }
}
