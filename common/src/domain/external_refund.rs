//! Money that went back without us: which of the gateway's cancels are not in our books, and whether they can be booked.

use chrono::{DateTime, Utc};

use super::{money::Won, refund::RefundStatus};

/// A cancel as the gateway lists it with a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayCancel {
    /// The gateway's name for it, where it gives one.
    pub transaction_key: Option<String>,
    pub amount: Won,
    pub reason: Option<String>,
    pub canceled_at: Option<DateTime<Utc>>,
}

/// A refund of the same payment as our books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedRefund {
    pub transaction_key: Option<String>,
    pub amount: Won,
    pub status: RefundStatus,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// Our books have all of it.
    Nothing,
    /// These are to be booked.
    Book(Vec<&'a GatewayCancel>),
    /// A refund of ours is under way and may be what the gateway shows, or is done and not shown yet: first both books
    /// have to tell the same of it.
    WaitForOurs,
    /// More went back than was ever captured: a person has to look.
    TooMuch,
}

/// What the gateway gave back of a payment of `captured` won that `booked` does not have.
pub fn found<'a>(cancels: &'a [GatewayCancel], booked: &[BookedRefund], captured: Won) -> Found<'a> {
    let mut nameless: Vec<Won> = Vec::new();
    let mut back = 0_i64;
    let mut unsettled = false;
    for refund in booked {
        match refund.status {
            RefundStatus::Pending | RefundStatus::Unknown => unsettled = true,
            RefundStatus::Failed => {}
            RefundStatus::Completed => {
                back = back.saturating_add(refund.amount.get().into());
                let is_shown = |cancel: &GatewayCancel| cancel.transaction_key == refund.transaction_key;
                if refund.transaction_key.is_none() {
                    nameless.push(refund.amount);
                } else if !cancels.iter().any(is_shown) {
                    unsettled = true;
                }
            }
        }
    }
    let is_known = |cancel: &GatewayCancel| {
        cancel.transaction_key.is_some()
            && booked.iter().any(|refund| {
                refund.status == RefundStatus::Completed && refund.transaction_key == cancel.transaction_key
            })
    };
    // One that the gateway named neither to us then nor now is recognised by its amount, each once.
    let new: Vec<_> =
        cancels.iter().filter(|cancel| !is_known(cancel) && !take(&mut nameless, cancel.amount)).collect();
    let sum = new.iter().fold(back, |sum, cancel| sum.saturating_add(cancel.amount.get().into()));
    if new.is_empty() {
        Found::Nothing
    } else if unsettled {
        Found::WaitForOurs
    } else if sum > i64::from(captured.get()) {
        Found::TooMuch
    } else {
        Found::Book(new)
    }
}

fn take(from: &mut Vec<Won>, amount: Won) -> bool {
    let place = from.iter().position(|one| *one == amount);
    place.map(|place| from.swap_remove(place)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn won(amount: i64) -> Won {
        Won::new(amount).unwrap()
    }

    fn cancel(key: Option<&str>, amount: i64) -> GatewayCancel {
        let transaction_key = key.map(str::to_owned);
        GatewayCancel { transaction_key, amount: won(amount), reason: None, canceled_at: None }
    }

    fn refund(key: Option<&str>, amount: i64, status: RefundStatus) -> BookedRefund {
        BookedRefund { transaction_key: key.map(str::to_owned), amount: won(amount), status }
    }

    #[test]
    fn a_cancel_of_the_dashboard_is_found_once() {
        let cancels = [cancel(Some("t1"), 3_000), cancel(Some("t2"), 3_000)];
        let ours = refund(Some("t1"), 3_000, RefundStatus::Completed);
        assert_eq!(found(&cancels, std::slice::from_ref(&ours), won(9_900)), Found::Book(vec![&cancels[1]]));
        let both = [ours, refund(Some("t2"), 3_000, RefundStatus::Completed)];
        assert_eq!(found(&cancels, &both, won(9_900)), Found::Nothing);
    }

    #[test]
    fn a_refund_of_ours_under_way_is_not_the_dashboards() {
        let cancels = [cancel(Some("t1"), 9_900)];
        for status in [RefundStatus::Pending, RefundStatus::Unknown] {
            let ours = [refund(None, 9_900, status)];
            assert_eq!(found(&cancels, &ours, won(9_900)), Found::WaitForOurs);
            assert_eq!(found(&[], &ours, won(9_900)), Found::Nothing);
        }
    }

    #[test]
    fn nothing_is_booked_beside_a_refund_of_ours_not_yet_shown() {
        let cancels = [cancel(Some("t1"), 4_000)];
        let ours = [refund(Some("t0"), 4_000, RefundStatus::Completed)];
        assert_eq!(found(&cancels, &ours, won(9_900)), Found::WaitForOurs);
        assert_eq!(found(&[], &ours, won(9_900)), Found::Nothing);
    }

    #[test]
    fn a_refund_believed_refused_but_made_is_found() {
        let cancels = [cancel(Some("t1"), 9_900)];
        let ours = [refund(None, 9_900, RefundStatus::Failed)];
        assert_eq!(found(&cancels, &ours, won(9_900)), Found::Book(vec![&cancels[0]]));
    }

    #[test]
    fn a_refund_without_a_name_is_known_by_its_amount_once() {
        let cancels = [cancel(Some("t1"), 3_000), cancel(Some("t2"), 3_000)];
        let ours = [refund(None, 3_000, RefundStatus::Completed)];
        assert_eq!(found(&cancels, &ours, won(9_900)), Found::Book(vec![&cancels[1]]));
    }

    #[test]
    fn more_than_was_captured_is_never_booked() {
        let cancels = [cancel(Some("t1"), 9_900), cancel(Some("t2"), 1)];
        assert_eq!(found(&cancels, &[], won(9_900)), Found::TooMuch);
    }
}
