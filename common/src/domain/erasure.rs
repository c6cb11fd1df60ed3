//! Erasing a customer: what has to be over first, and what is put in the place of what was personal.

/// In the place of an e-mail address. `.invalid` is never anybody's (RFC 2606); no mail is sent to it.
pub const ERASED_ADDRESS: &str = "erased@erased.invalid";
/// In the place of a name.
pub const ERASED_NAME: &str = "삭제된 고객";
/// In the place of anybody's words.
pub const ERASED_WORDS: &str = "(erased)";

/// What still goes on with a customer, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Subscriptions that are charged, or that still have access and could be resumed.
    pub running: usize,
    pub payments: i64,
    pub refunds: i64,
    pub registrations: i64,
    /// Webhooks about their payments that nobody has looked at yet.
    pub webhooks: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EraseRefused {
    #[error("{0} subscriptions still run or have access: end them first (`billing subscription end sub_…`)")]
    Running(usize),
    #[error("a charge is in flight or its outcome is not known yet: try again when it is settled")]
    PaymentUnfinished,
    #[error("a refund is not finished: try again when it is settled")]
    RefundUnfinished,
    #[error("a card is being registered: try again when that is over")]
    RegistrationUnfinished,
    #[error("a webhook about a payment of theirs is being looked at: try again in a minute")]
    WebhookUnfinished,
}

/// Money that moves, and whatever may still bring a name or a card, comes to its end first.
pub fn erase(unfinished: Unfinished) -> Result<(), EraseRefused> {
    match unfinished {
        Unfinished { running: 1.., .. } => Err(EraseRefused::Running(unfinished.running)),
        Unfinished { payments: 1.., .. } => Err(EraseRefused::PaymentUnfinished),
        Unfinished { refunds: 1.., .. } => Err(EraseRefused::RefundUnfinished),
        Unfinished { registrations: 1.., .. } => Err(EraseRefused::RegistrationUnfinished),
        Unfinished { webhooks: 1.., .. } => Err(EraseRefused::WebhookUnfinished),
        Unfinished { .. } => Ok(()),
    }
}
