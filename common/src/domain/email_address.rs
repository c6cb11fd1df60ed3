//! Whether an e-mail can be addressed so: one rule for all who take addresses in, no wider than that of the mailer.

use email_address::EmailAddress;

/// In octets, as a mail server counts.
const MAX_OCTETS: usize = 254;

/// Catches slips, anything that could break a mail header, and what the mailer would refuse for good. Whether the mailbox
/// exists, only a mail can tell.
pub fn is_address(text: &str) -> bool {
    let odd = |one: char| one.is_control() || one.is_whitespace() || "<>()[]\\,;:\"@".contains(one);
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    text.len() <= MAX_OCTETS
        && !local.contains(odd)
        && !domain.contains(odd)
        && domain.contains('.')
        && EmailAddress::is_valid_local_part(local)
        && EmailAddress::is_valid_domain(domain)
        // A mail server reaches a Korean domain by its ASCII form only.
        && idna::domain_to_ascii(domain).is_ok_and(|ascii| EmailAddress::is_valid_domain(&ascii))
}
