//! Identity over real storage.

mod approvals;
mod audit_chain;
mod full_disk;
mod groups;
mod login;
mod people;
mod roles;
mod stepup;
mod support;
mod tokens;
