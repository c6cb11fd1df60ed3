//! Where the buttons lead: pages of the customers' site, and receipts at Toss.

use url::Url;

use super::{Brand, RenderError};

/// The page where the customer changes or registers the card of a subscription.
pub(super) fn payment_method(brand: &Brand, subscription_ref: &str) -> Result<Url, RenderError> {
    let mut url = page(brand, &["billing", "payment-method"])?;
    url.query_pairs_mut().append_pair("subscription", subscription_ref);
    Ok(url)
}

/// The page of a subscription, where it is canceled and where a cancel is undone.
pub(super) fn subscription(brand: &Brand, subscription_ref: &str) -> Result<Url, RenderError> {
    page(brand, &["billing", "subscriptions", subscription_ref])
}

/// An address given by Toss; none when it is not one that a mail may link to. A receipt that cannot be linked must
/// not keep the customer from hearing of the payment.
pub(super) fn receipt(address: &str) -> Option<Url> {
    Url::parse(address).ok().filter(is_web)
}

fn page(brand: &Brand, segments: &[&str]) -> Result<Url, RenderError> {
    let refused = || RenderError::PublicUrl(brand.public_url.clone());
    let mut url = Some(brand.public_url.clone()).filter(is_web).ok_or_else(refused)?;
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut().map_err(|()| refused())?.pop_if_empty().extend(segments);
    Ok(url)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "http")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brand(public_url: &str) -> Brand {
        Brand { name: "집체크".into(), public_url: Url::parse(public_url).unwrap() }
    }

    #[test]
    fn links_follow_the_public_address_with_or_without_a_path() {
        let links = [
            "https://zip.example",
            "https://zip.example/",
            "https://zip.example/app",
            "https://zip.example/app/?a#b",
        ]
        .map(|at| payment_method(&brand(at), "sub_1").unwrap().to_string());
        let bare = "https://zip.example/billing/payment-method?subscription=sub_1";
        let nested = "https://zip.example/app/billing/payment-method?subscription=sub_1";
        assert_eq!(links, [bare, bare, nested, nested]);
    }

    #[test]
    fn a_reference_cannot_leave_its_place_in_the_address() {
        let brand = brand("https://zip.example");
        assert_eq!(
            subscription(&brand, "../x?y=1#z").unwrap().as_str(),
            "https://zip.example/billing/subscriptions/..%2Fx%3Fy=1%23z"
        );
        assert_eq!(
            payment_method(&brand, "a&b=c").unwrap().as_str(),
            "https://zip.example/billing/payment-method?subscription=a%26b%3Dc"
        );
    }

    #[test]
    fn an_address_that_is_not_of_the_web_is_refused() {
        assert!(matches!(
            subscription(&brand("mailto:a@zip.example"), "sub_1"),
            Err(RenderError::PublicUrl(_))
        ));
        assert_eq!(receipt("javascript:alert(1)"), None);
        assert_eq!(receipt("not an address"), None);
    }
}
