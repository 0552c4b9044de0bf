//! What answers say together: released in groups that are large enough, summed, looked at and exported.

pub(crate) mod api;
pub(crate) mod export;
pub(crate) mod live;
pub(crate) mod looks;
pub(crate) mod release;
pub(crate) mod single;
pub(crate) mod sums;
pub(crate) mod view;
