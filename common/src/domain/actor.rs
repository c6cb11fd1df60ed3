//! Who acts and why: what every change by an operator has to say for the audit log.

use std::fmt;

use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::validated::{RefundReason, Rule, has_visible, is_printable};

/// The way on which an operator's request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Channel {
    Console,
    Api,
    CommandLine,
}

/// An operator, or a person at the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `operator:<e-mail address or name>`, as the audit log of a subscription writes it.
    name: String,
    /// The row in `operators`; none at the command line.
    pub operator_id: Option<Uuid>,
    pub channel: Channel,
    /// The user of the operating system; only at the command line.
    pub os_user: Option<String>,
    /// The IP address that the request came from, where there is one.
    pub address: Option<String>,
}

impl Actor {
    /// An operator who is signed in to the console, or whose token came with a request to the API.
    pub fn operator(id: Uuid, email: &str, channel: Channel, address: Option<String>) -> Self {
        Self { name: named(email), operator_id: Some(id), channel, os_user: None, address }
    }

    /// A person at the command line. Nothing proves the name that `--as` gives; `os_user` is the system's.
    pub fn command_line(name: &str, os_user: &str, address: Option<String>) -> Self {
        let os_user = Some(os_user.to_owned());
        Self { name: named(name), operator_id: None, channel: Channel::CommandLine, os_user, address }
    }

    /// As it stands on record.
    pub fn recorded(
        name: String,
        operator_id: Option<Uuid>,
        channel: Channel,
        os_user: Option<String>,
        address: Option<String>,
    ) -> Self {
        Self { name, operator_id, channel, os_user, address }
    }

    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// Names are compared when a second operator has to agree, so two spellings of one address are one name.
fn named(name: &str) -> String {
    format!("operator:{}", name.trim().to_lowercase())
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why an operator does something: one line of 3 to 500 characters, without blanks at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    pub const RULE: Rule = Rule {
        ko: "항목은 3~500자의 한 줄이어야 합니다",
        en: "must be one line of 3 to 500 characters",
    };

    pub fn parse(text: &str) -> Result<Self, Rule> {
        let text = text.trim();
        let fits = (3..=500).contains(&text.chars().count()) && is_printable(text) && has_visible(text);
        if fits { Ok(Self(text.to_owned())) } else { Err(Self::RULE) }
    }

    /// Stands in for the reason while an action is only tried out.
    pub(crate) fn of_preview() -> Self {
        Self::of_program("preview")
    }

    /// The reason of a change that explains itself: one line of a program's own words.
    pub fn of_program(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the API takes as a reason may be shorter.
impl From<&RefundReason> for Reason {
    fn from(reason: &RefundReason) -> Self {
        Self(reason.as_str().trim().to_owned())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_trimmed_and_one_readable_line() {
        assert_eq!(
            Reason::parse("  고객 요청 ").map(|reason| reason.to_string()),
            Ok("고객 요청".to_owned())
        );
        let too_long = "가".repeat(501);
        for wrong in ["", "  ", "ab", "a\nbc", "a\0bc", "\u{3164}\u{200b}\u{200b}", &too_long] {
            assert_eq!(Reason::parse(wrong), Err(Reason::RULE), "{wrong:?}");
        }
    }

    #[test]
    fn two_spellings_of_one_name_are_one_actor() {
        let at_desk = |name| Actor::command_line(name, "root", None);
        assert_eq!(at_desk(" Kim@example.com"), at_desk("kim@example.com"));
        assert_eq!(at_desk("kim").as_str(), "operator:kim");
    }
}
