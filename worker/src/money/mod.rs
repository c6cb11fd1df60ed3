//! The money path: commit the intent, call the gateway, commit the outcome. Everything that moves money goes this way.

mod advance;
mod alarm;
mod announced;
mod ask;
mod billing_key_deletion;
mod decline;
mod doubtful_card;
mod external_refunds;
mod facts;
pub(crate) mod gate;
mod issue_key;
mod letters;
mod look_up;
mod new_card;
mod owed;
mod paid;
mod read_back;
mod record;
mod refund;
mod their_books;
mod which_payment;

pub(crate) use advance::advance;
pub(crate) use alarm::raise as raise_alarm;
pub(crate) use announced::{Verdict, follow, is_forged, named_attempt};
pub(crate) use billing_key_deletion::delete_billing_key;
pub(crate) use doubtful_card::{Doubted, doubt_card};
pub(crate) use external_refunds::{Booked, book_external_refunds};
pub(crate) use letters::{plan_name, tell_not_begun};
pub(crate) use new_card::advance_registration;
pub(crate) use read_back::read_back;
pub(crate) use record::review_overdue;
pub(crate) use refund::advance_refund;
pub(crate) use their_books::{Unread, read_their_books};
