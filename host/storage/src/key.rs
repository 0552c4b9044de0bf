//! Where a row lies: tenant, collection, key. Keys are opaque ids or blinded, never names.

use std::fmt;

use sha2::{Digest as _, Sha256};
use vaxel_core::{PluginId, TenantId};

/// The host's own collections.
const KIND_HOST: u8 = 1;
/// Collections of plugins.
const KIND_PLUGIN: u8 = 2;
/// Audience to its members.
const KIND_MEMBERS: u8 = 3;
/// User to their audiences.
const KIND_AUDIENCES: u8 = 4;
/// Events, by audience and stamp.
const KIND_TAIL: u8 = 5;
/// What storage notes about a tenant through commits.
const KIND_MARKS: u8 = 6;
/// Rows that expire, by the time at which they do.
const KIND_EXPIRIES: u8 = 7;
/// What each plugin's collection takes.
const KIND_WEIGHTS: u8 = 8;
/// What storage notes about itself when it applies; not part of the log.
const KIND_META: u8 = 0xff;

pub(crate) const TENANT_LEN: usize = 16;
const SPACE_LEN: usize = 9;

/// A collection within a tenant: one of the host's, or a plugin's own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Space([u8; SPACE_LEN]);

impl Space {
    pub(crate) const MEMBERS: Self = Self::of(KIND_MEMBERS, 0);
    pub(crate) const AUDIENCES: Self = Self::of(KIND_AUDIENCES, 0);
    pub(crate) const TAIL: Self = Self::of(KIND_TAIL, 0);
    pub(crate) const MARKS: Self = Self::of(KIND_MARKS, 0);
    pub(crate) const EXPIRIES: Self = Self::of(KIND_EXPIRIES, 0);
    pub(crate) const WEIGHTS: Self = Self::of(KIND_WEIGHTS, 0);
    pub(crate) const META: Self = Self::of(KIND_META, 0);

    const fn of(kind: u8, number: u8) -> Self {
        Self([kind, 0, 0, 0, 0, 0, 0, 0, number])
    }

    /// A collection of the host.
    pub const fn host(number: u8) -> Self {
        Self::of(KIND_HOST, number)
    }

    /// The collection of a plugin: no plugin can name another's.
    pub fn plugin(plugin: &PluginId) -> Self {
        let hash: [u8; 32] = Sha256::digest(plugin.as_str().as_bytes()).into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Self([KIND_PLUGIN, a, b, c, d, e, f, g, h])
    }

    pub(crate) const fn bytes(&self) -> &[u8; SPACE_LEN] {
        &self.0
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Space(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// The whole key of a row: tenant, collection, key.
pub(crate) fn row_key(tenant: TenantId, space: Space, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut key = Vec::with_capacity(TENANT_LEN + SPACE_LEN + len);
    key.extend_from_slice(&tenant.to_bytes());
    key.extend_from_slice(space.bytes());
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// A row's key without its tenant, as records carry it.
pub(crate) fn without_tenant(key: &[u8]) -> &[u8] {
    key.get(TENANT_LEN..).unwrap_or_default()
}

/// A row's key within its collection, as callers know it.
pub(crate) fn within_space(key: &[u8]) -> &[u8] {
    key.get(TENANT_LEN + SPACE_LEN..).unwrap_or_default()
}

/// Tenant, collection and key, taken apart.
pub(crate) fn split(key: &[u8]) -> Option<(&[u8; TENANT_LEN], &[u8; SPACE_LEN], &[u8])> {
    let (tenant, rest) = key.split_first_chunk()?;
    let (space, key) = rest.split_first_chunk()?;
    Some((tenant, space, key))
}

/// Whether this is the key of one of the host's own collections.
pub(crate) fn is_host(key: &[u8]) -> bool {
    split(key).is_some_and(|(_, [kind, ..], _)| *kind == KIND_HOST)
}

/// The collection of the plugin that this key is in, if it is in one.
pub(crate) fn plugin_space(key: &[u8]) -> Option<Space> {
    let (_, space, _) = split(key)?;
    matches!(space, [KIND_PLUGIN, ..]).then_some(Space(*space))
}

/// The first key behind all that begin with `prefix`; `None` when nothing can lie behind.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_lies_behind_everything_in_it() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff\xff"), None);
    }

    #[test]
    fn plugins_have_collections_of_their_own() {
        let chat: PluginId = "chat".parse().unwrap();
        let surveys: PluginId = "surveys".parse().unwrap();
        assert_ne!(Space::plugin(&chat), Space::plugin(&surveys));
        assert_ne!(Space::plugin(&chat).bytes()[0], Space::host(1).bytes()[0]);
    }

    #[test]
    fn a_row_key_comes_apart_as_it_was_put_together() {
        let tenant = TenantId::from_u128(7);
        let key = row_key(tenant, Space::host(3), &[b"a", b"b"]);
        let (t, s, k) = split(&key).unwrap();
        assert_eq!(
            (*t, *s, k),
            (tenant.to_bytes(), *Space::host(3).bytes(), b"ab".as_slice())
        );
        assert_eq!(within_space(&key), b"ab");
    }
}
