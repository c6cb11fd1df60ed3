//! Customer e-mails as pure functions: facts in, subject, HTML and text out. Nothing here sends, stores or asks the time.

mod card_needed;
mod card_replacement;
mod consent_request;
mod first_payment_failed;
mod letter;
mod links;
mod one_line;
mod payment_failed;
mod payment_refunded;
mod payment_succeeded;
mod renewal_notice;
#[cfg(test)]
mod samples;
mod subscription_canceled;
mod subscription_ended;
mod subscription_lapsed;
mod subscription_not_begun;
mod subscription_suspended;
#[cfg(test)]
mod tests;

use url::Url;

pub use crate::domain::email_address::is_address;
pub use card_needed::{CardNeeded, card_needed};
pub use card_replacement::{CardReplacement, card_replacement};
pub use consent_request::{ConsentRequest, consent_request};
pub use first_payment_failed::{FirstPaymentFailed, first_payment_failed};
pub use payment_failed::{PaymentFailed, payment_failed};
pub use payment_refunded::{Extent, PaymentRefunded, payment_refunded};
pub use payment_succeeded::{PaymentSucceeded, payment_succeeded};
pub use renewal_notice::{RenewalNotice, renewal_notice};
pub use subscription_canceled::{SubscriptionCanceled, subscription_canceled};
pub use subscription_ended::{SubscriptionEnded, subscription_ended};
pub use subscription_lapsed::{SubscriptionLapsed, subscription_lapsed};
pub use subscription_not_begun::{SubscriptionNotBegun, subscription_not_begun};
pub use subscription_suspended::{Cause, SubscriptionSuspended, subscription_suspended};

use crate::domain::calendar::OutOfCalendar;

/// In whose name the mails are written, and where their links lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// First words of every subject, such as `집체크`.
    pub name: String,
    /// The customers' site; `/billing/…` is appended to its path.
    pub public_url: Url,
}

/// A finished mail. `text` says everything that `html` says; `subject` is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub subject: String,
    pub html: String,
    pub text: String,
    /// What its Message-ID ends in, whatever worker sends it.
    pub domain: String,
}

impl Brand {
    /// A bare address is not a mail domain.
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
