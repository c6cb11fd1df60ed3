//! Addresses as a mail server takes them: the domain in punycode, any name of a sender quoted or encoded.

use lettre::{Address, message::Mailbox};

/// Why a text is no address that can be written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an e-mail address")]
pub struct BadAddress(String);

/// The mailbox of this address, without a name.
pub fn mailbox(text: &str) -> Result<Mailbox, BadAddress> {
    Ok(Mailbox::new(None, address(text)?))
}

/// The sender. `text` is an address or `Name <address>`; a name in `text` comes before `name`.
///
/// Any name works: lettre quotes or encodes it. A mail header has one line, so line breaks become spaces.
pub fn sender(name: Option<&str>, text: &str) -> Result<Mailbox, BadAddress> {
    let bad = || BadAddress(text.to_owned());
    let (own_name, own_address) = match text.trim().strip_suffix('>') {
        Some(named) => named.rsplit_once('<').ok_or_else(bad)?,
        None => ("", text.trim()),
    };
    let own_name = own_name.trim();
    let own_name = own_name.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(own_name);
    let name = if own_name.is_empty() { name.unwrap_or_default() } else { own_name };
    let one_line = name.split(|sign: char| sign.is_control() || sign.is_whitespace());
    let name = one_line.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let address = address(own_address).map_err(|_| bad())?;
    // Not every server takes another sender, and then no e-mail at all.
    if !address.to_string().is_ascii() {
        return Err(bad());
    }
    Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
}

// Servers without SMTPUTF8 take no other domain than an ASCII one, and every Korean domain has an ASCII form.
fn address(text: &str) -> Result<Address, BadAddress> {
    let bad = || BadAddress(text.to_owned());
    let (local, domain) = text.trim().rsplit_once('@').ok_or_else(bad)?;
    let domain = idna::domain_to_ascii(domain).map_err(|_| bad())?;
    Address::new(local, domain).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_the_given_name_or_the_brands() {
        let named =
            |text| sender(Some("(주)집체크"), text).map(|sender| (sender.name, sender.email.to_string()));
        let address = || "billing@example.com".to_owned();
        assert_eq!(named("billing@example.com"), Ok((Some("(주)집체크".into()), address())));
        assert_eq!(
            named("Kim (Billing) <billing@example.com>"),
            Ok((Some("Kim (Billing)".into()), address()))
        );
        assert_eq!(named("\"Kim, Lee\" <billing@example.com>"), Ok((Some("Kim, Lee".into()), address())));
        assert_eq!(named("<billing@한글.kr>").unwrap().1, "billing@xn--bj0bj06e.kr");
        for wrong in ["nobody", "Kim <nobody>", "a@b@c", "billing@example.com>", ""] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
