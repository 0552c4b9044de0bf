//! Bytes between a client and a blob.

use std::sync::Arc;

use bytes::Bytes;
use vaxel_core::{PluginId, Problem, Reason, TenantId, UserId};
use vaxel_storage::{BlobReader, BlobWriter, Storage, StorageError};

use super::kind::LOOKED_AT_BYTES;
use super::{Address, Deed, NewBlob, Row, State, account, media_type, read, rows, write};
use crate::outcome::storage_problem;
use crate::{Limits, Runtime};

/// Bytes that are written to the disk at once.
const STEP_BYTES: usize = 256 << 10;

/// How often the end of an upload is tried: others that end at the same time change the sums.
const FINISH_TRIES: usize = 16;

/// An upload under way.
pub struct Upload {
    runtime: Runtime,
    tenant: TenantId,
    address: Address,
    row: Row,
    writer: Option<BlobWriter>,
    beginning: Vec<u8>,
    waiting: Vec<u8>,
}

/// A blob to be sent.
pub struct Download {
    reader: Arc<BlobReader>,
    /// What kind of file it is, from a list of harmless ones.
    pub media_type: String,
    /// Its length.
    pub bytes: u64,
    /// Of its bytes; never changes for this address.
    pub sha256: [u8; 32],
}

impl Runtime {
    /// For whom an address of a blob was made, if it is one and holds still: they must be there still.
    pub fn blob_address_user(
        &self,
        tenant: TenantId,
        text: &str,
    ) -> Result<Option<UserId>, Problem> {
        self.blob_address(tenant, text).map(|address| address.user)
    }

    fn blob_address(&self, tenant: TenantId, text: &str) -> Result<Address, Problem> {
        let address = Address::read(&self.inner.keyring, tenant, text).ok_or_else(no_blob)?;
        if self.inner.clock.now() >= address.until {
            return Err(no_blob());
        }
        let plugins = self
            .inner
            .registry
            .tenant(tenant)
            .map_err(|error| storage_problem(&error))?;
        if !plugins.active.contains_key(&address.plugin) {
            return Err(no_blob());
        }
        Ok(address)
    }

    fn blob_row(&self, tenant: TenantId, address: &Address) -> Result<Row, Problem> {
        let mut tx = self.inner.storage.begin(tenant);
        read(&mut tx, &address.plugin, address.id)
            .map_err(|error| storage_problem(&error))?
            .ok_or_else(no_blob)
    }

    /// Begins to take what is sent to an address; `said` is how long the client says it is.
    pub async fn upload_blob(
        &self,
        tenant: TenantId,
        text: &str,
        said: Option<u64>,
    ) -> Result<Upload, Problem> {
        let address = self.blob_address(tenant, text)?;
        let row = self.blob_row(tenant, &address)?;
        if address.deed != Deed::Upload {
            return Err(no_blob());
        }
        if row.state != State::Expected {
            return Err(Problem::new(
                Reason::Conflict,
                "It has been uploaded already.",
            ));
        }
        if said.is_some_and(|said| said > row.bytes) {
            return Err(too_large(row.bytes));
        }
        // Known before a byte of it is taken; what is true at its end counts.
        let is_room = {
            let mut tx = self.inner.storage.begin(tenant);
            let bytes = said.unwrap_or(0);
            has_room(&mut tx, &address.plugin, bytes, &self.inner.limits)
        };
        if !is_room.map_err(|error| storage_problem(&error))? {
            return Err(no_room());
        }
        let (storage, id, erasure) = (self.inner.storage.clone(), address.id, row.erasure());
        let writer = off_the_threads(move || storage.write_blob(tenant, id, erasure)).await?;
        Ok(Upload {
            runtime: self.clone(),
            tenant,
            address,
            row,
            writer: Some(writer),
            beginning: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// Opens what an address is for.
    pub async fn download_blob(&self, tenant: TenantId, text: &str) -> Result<Download, Problem> {
        let address = self.blob_address(tenant, text)?;
        let row = self.blob_row(tenant, &address)?;
        if address.deed != Deed::Download || row.state == State::Expected {
            return Err(no_blob());
        }
        let (storage, id) = (self.inner.storage.clone(), address.id);
        let reader = off_the_threads(move || storage.read_blob(tenant, id)).await?;
        Ok(Download {
            reader: Arc::new(reader.ok_or_else(no_blob)?),
            media_type: row.media_type,
            bytes: row.bytes,
            sha256: row.sha256,
        })
    }
}

impl Upload {
    /// Takes a part.
    pub async fn take(&mut self, part: Bytes) -> Result<(), Problem> {
        let so_far = self.writer.as_ref().map_or(0, BlobWriter::len);
        let whole = so_far + (self.waiting.len() + part.len()) as u64;
        if whole > self.row.bytes {
            return Err(too_large(self.row.bytes));
        }
        let looked_at = LOOKED_AT_BYTES.saturating_sub(self.beginning.len());
        self.beginning.extend(part.iter().take(looked_at));
        self.waiting.extend_from_slice(&part);
        if self.waiting.len() >= STEP_BYTES {
            self.put_down().await?;
        }
        Ok(())
    }

    /// The whole of it is there: durable, and the plugin may look at it.
    pub async fn finish(mut self) -> Result<(), Problem> {
        self.put_down().await?;
        let Some(writer) = self.writer.take() else {
            return Err(Reason::Internal.into());
        };
        let info = off_the_threads(move || writer.finish()).await?;
        let kind = media_type(&self.beginning, &self.row.media_type);
        let done = Row {
            state: State::Uploaded,
            media_type: kind.to_owned(),
            bytes: info.bytes,
            sha256: info.sha256,
            at: self.runtime.inner.clock.now(),
            ..self.row.clone()
        };
        for _ in 1..FINISH_TRIES {
            match self.note(&done).await {
                Err(error) if error.is_conflict() => {}
                ended => return ended.map_err(|error| storage_problem(&error))?,
            }
        }
        self.note(&done)
            .await
            .map_err(|error| storage_problem(&error))?
    }

    /// Notes that it is there, if it is still waited for and all addresses that were given out leave room for it.
    async fn note(&self, done: &Row) -> Result<Result<(), Problem>, StorageError> {
        let inner = &self.runtime.inner;
        let Address { plugin, id, .. } = &self.address;
        let mut tx = inner.storage.begin(self.tenant);
        let row = read(&mut tx, plugin, *id)?;
        if row.is_none_or(|row| row.state != State::Expected) {
            // Taken back meanwhile, or sent twice at once: the sweep finds the file.
            return Ok(Err(no_blob()));
        }
        if !has_room(&mut tx, plugin, done.bytes, &inner.limits)? {
            return Ok(Err(no_room()));
        }
        write(&mut tx, plugin, *id, Some(done))?;
        let bytes = i64::try_from(done.bytes).unwrap_or(i64::MAX);
        account(&mut tx, plugin, bytes)?;
        inner.storage.commit(tx).await?;
        Ok(Ok(()))
    }

    async fn put_down(&mut self) -> Result<(), Problem> {
        let bytes = std::mem::take(&mut self.waiting);
        let Some(mut writer) = self.writer.take() else {
            return Err(Reason::Internal.into());
        };
        let writer = off_the_threads(move || {
            writer.write(&bytes)?;
            Ok(writer)
        });
        self.writer = Some(writer.await?);
        Ok(())
    }
}

impl Download {
    /// Some of its bytes.
    pub async fn part(&self, offset: u64, len: usize) -> Result<Bytes, Problem> {
        let reader = Arc::clone(&self.reader);
        let part = off_the_threads(move || reader.read_at(offset, len)).await?;
        Ok(Bytes::from(part))
    }
}

/// Whether the blobs of the plugin and of all its tenant leave room for so many bytes more.
pub(crate) fn has_room(
    tx: &mut vaxel_storage::Transaction,
    plugin: &PluginId,
    bytes: u64,
    limits: &Limits,
) -> Result<bool, StorageError> {
    let of_plugin = rows::sum(tx, Some(plugin))?.saturating_add(bytes);
    let of_tenant = rows::sum(tx, None)?.saturating_add(bytes);
    Ok(of_plugin <= limits.plugin_blob_bytes && of_tenant <= limits.tenant_blob_bytes)
}

/// Writes what a call made, before its commit. If that fails, the sweep finds the files.
pub(crate) async fn write_new(
    storage: &Storage,
    tenant: TenantId,
    new: Vec<NewBlob>,
) -> Result<(), Problem> {
    let storage = storage.clone();
    off_the_threads(move || {
        for NewBlob { id, erasure, data } in new {
            let mut writer = storage.write_blob(tenant, id, erasure)?;
            writer.write(&data)?;
            writer.finish()?;
        }
        Ok(())
    })
    .await
}

/// Removes the files of what a call deleted, behind its commit. What is left behind, the sweep finds.
pub(crate) fn remove_gone(storage: &Storage, tenant: TenantId, gone: Vec<u128>) {
    if gone.is_empty() {
        return;
    }
    let storage = storage.clone();
    tokio::task::spawn_blocking(move || {
        for id in gone {
            if let Err(error) = storage.delete_blob(tenant, id) {
                tracing::warn!(error = %error, "a deleted blob's file");
            }
        }
    });
}

/// Disks are waited for where waiting holds nobody up.
pub(super) async fn off_the_threads<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(act).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(error = %error, "a blob");
            Err(storage_problem(&error))
        }
        Err(_) => Err(Reason::Internal.into()),
    }
}

/// One answer for all: whether there is such a blob is nobody's to find out.
fn no_blob() -> Problem {
    Problem::new(
        Reason::NotFound,
        "There is no such file, or its address is no longer valid.",
    )
}

fn no_room() -> Problem {
    let detail = "The plugin's files, or all of the organization's, leave no room for it.";
    Problem::new(Reason::LimitReached, detail).with_code("plugin-files")
}

fn too_large(max: u64) -> Problem {
    Problem::new(
        Reason::TooLarge,
        format!("The file may have at most {max} bytes."),
    )
}
