//! What an installation would say of a package, without a server: for authors.

use std::sync::Arc;

use crate::compiled::compiled;
use crate::compiler::Compiler;
use crate::package::Linked;
use crate::workers::Workers;
use crate::{Limits, Manifest, Method, PackageFiles, RuntimeError, engine, runtime};

/// Compiles, links and asks a component as an installation does, and answers its methods with their schemas.
pub async fn examine(
    files: PackageFiles,
    compiler: Compiler,
) -> Result<Vec<Arc<Method>>, RuntimeError> {
    let manifest = Manifest::parse(&files.manifest)?;
    let limits = Arc::new(Limits::default());
    let engines = engine::start(1, &limits)?;
    let workers = Workers::start(1, &engines)?;
    let linked = tokio::task::spawn_blocking(move || {
        let (component, _) = compiled(&compiler, &engines, &files.component)?;
        let asked = Linked::new(&engines.calls, manifest.clone(), &component)?;
        Ok::<_, RuntimeError>((Linked::new(&engines.calls, manifest, &component)?, asked))
    });
    let (linked, asked) = linked.await.map_err(|error| RuntimeError::Engine {
        doing: "examining a component",
        why: error.to_string(),
    })??;
    let description = runtime::describe(asked, limits, &workers).await?;
    Ok(linked.described(&description, &Limits::default())?.methods)
}
