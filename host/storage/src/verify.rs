//! Checking the log's chains: every tenant's commits are there, in order, and none was changed.

use std::collections::HashMap;

use vaxel_core::TenantId;

use crate::StorageError;
use crate::engine::Shared;
use crate::log::{Position, Segments, walk};
use crate::record::{Chain, RecordView, chain_of};

/// What a walk through the log saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// How many tenants have commits in it.
    pub tenants: usize,
    /// How many commits there are.
    pub records: u64,
}

impl Shared {
    /// Walks the log from its oldest segment to what is applied now.
    pub(crate) fn verify_chain(&self) -> Result<ChainReport, StorageError> {
        let _retention = self.retention.lock();
        let until = *self.applied.lock();
        let first = Segments::list_live(&self.log_dir())?.first().unwrap_or(1);
        let mut heads: HashMap<TenantId, (u64, Chain)> = HashMap::new();
        let mut records = 0;
        walk(&self.log_dir(), Position::start_of(first), until, |body| {
            let record = RecordView::parse(body)?;
            let before = match heads.get(&record.tenant) {
                Some((seq, chain)) => Some((*seq, *chain)),
                // Only a log that begins at the beginning tells what lies before a tenant's first commit.
                None if first == 1 => Some((0, Chain::default())),
                None => None,
            };
            if before.is_some_and(|(seq, chain)| record.seq != seq + 1 || record.before != chain) {
                return Err(broken(record.seq));
            }
            heads.insert(record.tenant, (record.seq, chain_of(body)));
            records += 1;
            Ok(())
        })?;
        for (tenant, head) in self.state.heads()? {
            match heads.get(&tenant) {
                Some((seq, chain)) if *seq == head.seq && *chain != head.chain => {
                    return Err(broken(*seq));
                }
                Some((seq, _)) if *seq > head.seq => return Err(broken(*seq)),
                _ => {}
            }
        }
        Ok(ChainReport {
            tenants: heads.len(),
            records,
        })
    }
}

fn broken(seq: u64) -> StorageError {
    StorageError::corrupt(format!("the chain breaks at commit {seq}"))
}
