//! Blobs: the guest sees ids, lengths and types; the bytes of uploads and downloads pass it by.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use vaxel_storage::Transaction;

use super::bindings::vaxel::blobs::blobs::{Host, Info, Upload};
use super::bindings::vaxel::types::types::Error;
use crate::blobs::{
    self, ADDRESS_MS_MAX, Address, Deed, NewBlob, Row, State, has_room, media_type, parsed_id,
};
use crate::guest::{Guest, Reply, Stop, guest_error};
use crate::manifest::Cap;
use crate::outcome::storage_problem;

/// Most blobs that one call makes: each is written and synced before its commit.
const NEW_BLOBS_MAX: usize = 16;

/// Most bytes of one read.
const READ_BYTES_MAX: usize = 1 << 20;

/// The longest name of a media type.
const MEDIA_TYPE_LEN_MAX: usize = 127;

impl Host for Guest {
    fn create(&mut self, said: String, data: Vec<u8>, subject: Option<String>) -> Reply<Info> {
        if self.new_blobs.len() >= NEW_BLOBS_MAX {
            return Ok(Err(guest_error(
                "limit",
                "at most 16 new blobs in one call",
            )));
        }
        let (row, id) = match self.expected(said, data.len() as u64, subject.as_deref()) {
            Ok(made) => made?,
            Err(error) => return Ok(Err(error)),
        };
        let row = Row {
            state: State::Kept,
            media_type: media_type(&data, &row.media_type).to_owned(),
            sha256: Sha256::digest(&data).into(),
            ..row
        };
        let plugin = self.plugin.clone();
        let written = self.with_storage(Cap::Blobs, 1, |tx, _| {
            blobs::write(tx, &plugin, id, Some(&row))?;
            blobs::account(tx, &plugin, i64::try_from(row.bytes).unwrap_or(i64::MAX))
        })?;
        Ok(written.map(|()| {
            let info = info(id, &row);
            self.new_blobs.push(NewBlob {
                id,
                erasure: row.erasure(),
                data,
            });
            info
        }))
    }

    fn upload_url(
        &mut self,
        said: String,
        max_size: u64,
        subject: Option<String>,
    ) -> Reply<Upload> {
        let (row, id) = match self.expected(said, max_size, subject.as_deref()) {
            Ok(made) => made?,
            Err(error) => return Ok(Err(error)),
        };
        let plugin = self.plugin.clone();
        let written = self.with_storage(Cap::Blobs, 1, |tx, _| {
            blobs::write(tx, &plugin, id, Some(&row))
        })?;
        Ok(written
            .and_then(|()| self.address(Deed::Upload, id, ADDRESS_MS_MAX))
            .map(|url| Upload {
                id: format!("{id:032x}"),
                url,
            }))
    }

    fn keep(&mut self, id: String) -> Reply<Info> {
        let found = self.blob(&id)?;
        let (id, row) = match found {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let row = Row {
            state: State::Kept,
            ..row
        };
        let plugin = self.plugin.clone();
        let written = self.with_storage(Cap::Blobs, 1, |tx, _| {
            blobs::write(tx, &plugin, id, Some(&row))
        })?;
        Ok(written.map(|()| info(id, &row)))
    }

    fn stat(&mut self, id: String) -> Reply<Info> {
        Ok(self.blob(&id)?.map(|(id, row)| info(id, &row)))
    }

    async fn read(&mut self, id: String, offset: u64, len: u32) -> Reply<Vec<u8>> {
        let (id, _) = match self.blob(&id)? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > READ_BYTES_MAX {
            return Ok(Err(guest_error("limit", "at most 1 MiB at a time")));
        }
        if let Some(new) = self.new_blobs.iter().find(|new| new.id == id) {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let part = new.data.get(from.min(new.data.len())..).unwrap_or_default();
            return Ok(Ok(part.iter().take(len).copied().collect()));
        }
        let Some(reader) = self.tx.as_ref().map(|tx| tx.blob(id)) else {
            return Ok(Err(no_tenant()));
        };
        let read = tokio::task::spawn_blocking(move || {
            let reader = reader?;
            reader.map(|reader| reader.read_at(offset, len)).transpose()
        });
        match read.await {
            Ok(Ok(Some(bytes))) => Ok(Ok(bytes)),
            Ok(Ok(None)) => Ok(Err(not_found())),
            Ok(Err(error)) => {
                tracing::error!(plugin.id = %self.plugin, error = %error, "reading a blob");
                Err(self.end(Stop::Host(storage_problem(&error))))
            }
            Err(_) => Err(self.end(Stop::Host(vaxel_core::Reason::Internal.into()))),
        }
    }

    fn download_url(&mut self, id: String, ttl_ms: u32) -> Reply<String> {
        Ok(self
            .blob(&id)?
            .and_then(|(id, _)| self.address(Deed::Download, id, u64::from(ttl_ms))))
    }

    fn delete(&mut self, id: String) -> Reply<()> {
        let Some(id) = parsed_id(&id) else {
            return Ok(Err(not_found()));
        };
        let plugin = self.plugin.clone();
        let deleted = self.with_storage(Cap::Blobs, 2, |tx, _| {
            let Some(row) = blobs::read(tx, &plugin, id)? else {
                return Ok(false);
            };
            blobs::write(tx, &plugin, id, None)?;
            if row.state != State::Expected {
                blobs::account(tx, &plugin, -i64::try_from(row.bytes).unwrap_or(i64::MAX))?;
            }
            Ok(true)
        })?;
        Ok(deleted.and_then(|was_there| {
            self.new_blobs.retain(|new| new.id != id);
            if !was_there {
                return Err(not_found());
            }
            self.gone_blobs.push(id);
            Ok(())
        }))
    }
}

impl Guest {
    /// A blob that is there.
    fn blob(&mut self, id: &str) -> Reply<(u128, Row)> {
        let Some(id) = parsed_id(id) else {
            // Asked for all the same, so that what was not granted says so first.
            return Ok(self.may_use(Cap::Blobs).and_then(|()| Err(not_found())));
        };
        let plugin = self.plugin.clone();
        let row = self.with_storage(Cap::Blobs, 1, |tx, _| blobs::read(tx, &plugin, id))?;
        Ok(row.and_then(|row| match row {
            Some(row) if row.state != State::Expected => Ok((id, row)),
            _ => Err(not_found()),
        }))
    }

    /// The row of a blob that is to come, and its id.
    fn expected(
        &mut self,
        said: String,
        bytes: u64,
        subject: Option<&str>,
    ) -> Result<wasmtime::Result<(Row, u128)>, Error> {
        let max = self.limits.blob_bytes;
        if bytes > max {
            return Err(guest_error(
                "too-large",
                &format!("a blob has at most {max} bytes"),
            ));
        }
        if said.len() > MEDIA_TYPE_LEN_MAX || !said.is_ascii() {
            return Err(guest_error("invalid", "not the name of a media type"));
        }
        let erasure = self.erasure(subject)?;
        let Some(context) = self.context.as_ref() else {
            return Err(no_tenant());
        };
        let row = Row {
            state: State::Expected,
            media_type: said,
            bytes,
            sha256: [0; 32],
            erasure: erasure.to_bytes(),
            user: context.caller.user,
            at: context.cx.now,
        };
        let (plugin, limits) = (self.plugin.clone(), Arc::clone(&self.limits));
        let looked = self.with_storage(Cap::Blobs, 1, |tx: &mut Transaction, _| {
            Ok((has_room(tx, &plugin, bytes, &limits)?, tx.new_id()))
        });
        match looked {
            Err(over) => Ok(Err(over)),
            Ok(Err(error)) => Err(error),
            Ok(Ok((false, _))) => Err(guest_error(
                "limit",
                "the plugin's files, or all of the organization's, leave no room for it",
            )),
            Ok(Ok((true, id))) => Ok(Ok((row, id))),
        }
    }

    fn address(&self, deed: Deed, id: u128, ttl_ms: u64) -> Result<String, Error> {
        let Some(context) = self.context.as_ref() else {
            return Err(no_tenant());
        };
        let address = Address {
            deed,
            plugin: self.plugin.clone(),
            id,
            user: context.caller.user,
            until: context.cx.now.plus_ms(ttl_ms.min(ADDRESS_MS_MAX)),
        };
        address
            .path(&context.keyring, context.tenant())
            .map_err(|_| guest_error("internal", "the address could not be sealed"))
    }
}

fn info(id: u128, row: &Row) -> Info {
    Info {
        id: format!("{id:032x}"),
        size: row.bytes,
        media_type: row.media_type.clone(),
        sha256: row.sha256.to_vec(),
    }
}

fn not_found() -> Error {
    guest_error("not-found", "there is no such blob")
}

fn no_tenant() -> Error {
    guest_error("unavailable", "there is no tenant here")
}
