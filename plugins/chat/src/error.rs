//! What can go wrong in chat, and what a caller may know of it.

use crate::world::Fault;

/// Why chat refused. The code is what programs read, `Display` what people read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChatError {
    /// Also the answer where a private thing exists: what one may not see does not exist.
    #[error("there is no such {0}")]
    Missing(&'static str),
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("{0}")]
    Invalid(&'static str),
    #[error("at most {max} {what}")]
    Limit { what: &'static str, max: usize },
    #[error("{0} are not supported yet")]
    Unsupported(&'static str),
    #[error("the message is deleted")]
    Deleted,
    /// A row that this version cannot read: of a later format, or damaged.
    #[error("a stored {0} could not be read")]
    Unreadable(&'static str),
    #[error("the host refused")]
    Host(#[from] Fault),
}

pub(crate) type Result<T, E = ChatError> = std::result::Result<T, E>;

impl From<ChatError> for Fault {
    fn from(error: ChatError) -> Self {
        let code = match error {
            ChatError::Missing(_) => "not-found",
            ChatError::Forbidden(_) => "forbidden",
            ChatError::Invalid(_) => "invalid",
            ChatError::Limit { .. } => "limit",
            ChatError::Unsupported(_) => "unsupported",
            ChatError::Deleted => "message-deleted",
            ChatError::Unreadable(_) => "internal",
            ChatError::Host(fault) => return fault,
        };
        Fault::new(code, error.to_string())
    }
}
