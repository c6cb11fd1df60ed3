//! Customer e-mails as pure functions: facts in, subject, HTML and text out. Nothing here sends, stores or asks the time.

mod consent;
mod dunning;
mod layout;
mod links;
mod one_line;
mod payment;
#[cfg(test)]
mod samples;
mod subscription;
#[cfg(test)]
mod tests;

use url::Url;

pub use crate::domain::email_address::is_address;
pub use consent::{ConsentRequest, SubscriptionLapsed, consent_request, subscription_lapsed};
pub use dunning::{
    CardNeeded, FirstPaymentFailed, PaymentFailed, SubscriptionSuspended, SuspensionCause, card_needed,
    first_payment_failed, payment_failed, subscription_suspended,
};
pub use payment::{
    DepositAwaited, PaymentRefunded, PaymentSucceeded, RefundExtent, RenewalNotice, deposit_awaited,
    payment_refunded, payment_succeeded, renewal_notice,
};
pub use subscription::{
    SubscriptionCanceled, SubscriptionEnded, SubscriptionNotBegun, subscription_canceled, subscription_ended,
    subscription_not_begun,
};

use crate::domain::calendar::OutOfCalendar;

/// The merchant's name and site: the sender that customers see, and where the links of e-mails lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// First words of every subject, such as `집체크`.
    pub name: String,
    /// The customers' site; `/billing/…` is appended to its path.
    pub public_url: Url,
}

/// A rendered e-mail. `text` says everything that `html` says; `subject` is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedEmail {
    pub subject: String,
    pub html: String,
    pub text: String,
    /// The right side of the Message-ID, the same whichever worker sends the e-mail.
    pub domain: String,
}

impl Brand {
    /// The host of the site; `localhost` where the site is an IP address, which is no mail domain.
    pub fn mail_domain(&self) -> &str {
        self.public_url.domain().unwrap_or("localhost")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the e-mail template failed")]
    Template(#[from] askama::Error),
    #[error("links cannot be built on {0}: it must be an http or https address")]
    PublicUrl(Url),
    #[error(transparent)]
    Date(#[from] OutOfCalendar),
}
