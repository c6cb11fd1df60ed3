//! Why an e-mail did not go out, and whom that is about.

/// Why an e-mail did not go out.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server refused this recipient or this message for good, or the address cannot be written to.
    #[error("{0}")]
    Refused(String),
    /// The server put off this recipient or this message, for example a full mailbox or greylisting.
    #[error("{0}")]
    Postponed(String),
    /// Nothing was said about this e-mail: connection, TLS, greeting, login or sender failed.
    #[error("{0}")]
    Unavailable(String),
}
