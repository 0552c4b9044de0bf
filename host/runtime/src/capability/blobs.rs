//! Files.

use super::bindings::vaxel::blobs::blobs::{Host, Info, Upload};
use crate::guest::{Guest, Reply, guest_error};
use crate::manifest::Cap;

impl Guest {
    fn no_blobs<T>(&mut self) -> Reply<T> {
        Ok(self
            .may_use(Cap::Blobs)
            .and_then(|()| Err(guest_error("unavailable", "not yet"))))
    }
}

impl Host for Guest {
    fn create(&mut self, _media_type: String, _data: Vec<u8>) -> Reply<Info> {
        self.no_blobs()
    }

    fn upload_url(&mut self, _media_type: String, _max_size: u64) -> Reply<Upload> {
        self.no_blobs()
    }

    fn stat(&mut self, _id: String) -> Reply<Info> {
        self.no_blobs()
    }

    async fn read(&mut self, _id: String, _offset: u64, _len: u32) -> Reply<Vec<u8>> {
        self.no_blobs()
    }

    fn download_url(&mut self, _id: String, _ttl_ms: u32) -> Reply<String> {
        self.no_blobs()
    }

    fn delete(&mut self, _id: String) -> Reply<()> {
        self.no_blobs()
    }
}
