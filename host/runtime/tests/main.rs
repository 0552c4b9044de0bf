//! The runtime over real storage, with real components.

mod contract;
mod faults;
mod install;
mod ledger;
mod lifecycle;
mod malformed;
mod ready;
mod support;
mod transactions;
mod work;
