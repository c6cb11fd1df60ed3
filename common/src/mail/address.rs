//! Whether an e-mail can be addressed so: one rule for those who take addresses in and for the one who writes to them.

use email_address::EmailAddress;

/// As the mailer reads addresses, which refuses the others for good. Whether a mailbox exists, only a mail can tell.
pub fn is_address(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        EmailAddress::is_valid_local_part(local) && EmailAddress::is_valid_domain(domain)
    })
}
