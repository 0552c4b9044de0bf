//! Files of this plugin in the caller's tenant: large ones go between client and host and never pass through the plugin.

use crate::Result;
use crate::host;

/// What the host knows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    pub id: String,
    pub size: u64,
    /// As the host found it in the bytes, not as anybody said.
    pub media_type: String,
    pub sha256: Vec<u8>,
}

/// Where a client uploads a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    pub id: String,
    /// A path at the tenant's own host, for one PUT by the caller within five minutes.
    pub url: String,
}

/// Most bytes that one [`read`] answers.
pub const READ_BYTES_MAX: u32 = 1 << 20;

/// Keeps bytes that the plugin has made, with the commit of the call.
pub fn create(media_type: &str, data: &[u8]) -> Result<Info> {
    host::create_blob(media_type, data, None)
}

/// [`create`] under the erasure key of `subject`.
pub fn create_about(media_type: &str, data: &[u8], subject: &str) -> Result<Info> {
    host::create_blob(media_type, data, Some(subject))
}

/// An address at which the caller's client uploads the bytes itself. The file is the plugin's once it was [`keep`]t; what
/// nobody keeps within a day is gone.
pub fn upload_url(media_type: &str, size_max: u64) -> Result<Upload> {
    host::upload_url(media_type, size_max, None)
}

/// [`upload_url`] for a file under the erasure key of `subject`.
pub fn upload_url_about(media_type: &str, size_max: u64, subject: &str) -> Result<Upload> {
    host::upload_url(media_type, size_max, Some(subject))
}

/// Says that a row of the plugin names an uploaded file.
pub fn keep(id: &str) -> Result<Info> {
    host::keep_blob(id)
}

/// `not-found` until the upload is complete.
pub fn stat(id: &str) -> Result<Info> {
    host::stat_blob(id)
}

/// Part of a file, at most [`READ_BYTES_MAX`].
pub fn read(id: &str, offset: u64, len: u32) -> Result<Vec<u8>> {
    host::read_blob(id, offset, len)
}

/// An address for the caller alone, for at most five minutes.
pub fn download_url(id: &str, ttl_ms: u32) -> Result<String> {
    host::download_url(id, ttl_ms)
}

/// Removes a file.
pub fn delete(id: &str) -> Result<()> {
    host::delete_blob(id)
}

// The address is a capability: who has it may upload.
impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
