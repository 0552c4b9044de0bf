//! Pages of plugins: a strict tree of elements and forms that the host draws, and raw HTTP at `/hooks/`.

pub(crate) mod check;
pub(crate) mod form;
pub(crate) mod hooks;
pub(crate) mod html;
pub(crate) mod inputs_html;
mod parts_html;
pub(crate) mod public;
pub(crate) mod shell;
pub(crate) mod stepup;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
pub(crate) mod words;
