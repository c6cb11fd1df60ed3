//! Time-based one-time codes of an authenticator app (RFC 6238), and the recovery codes for a lost phone.
//!
//! SHA-1, six digits and steps of 30 seconds: what every app computes, whatever else the address asks for.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha1::Sha1;

/// RFC 4226 recommends a key as long as the hash.
pub const SECRET_BYTES: usize = 20;
/// 80 bits: a dump with their hashes is not enough to guess one.
pub const RECOVERY_BYTES: usize = 10;
pub const RECOVERY_CODES: usize = 10;

const STEP_SECS: i64 = 30;
const DIGITS: usize = 6;
/// 80 bits in base32.
const RECOVERY_CHARS: usize = 16;

/// The key that an authenticator app and this product share.
#[derive(Debug, Clone)]
pub struct TotpSecret(SecretSlice<u8>);

impl TotpSecret {
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes.to_vec().into())
    }

    /// Reads what [`Self::to_base64`] wrote. Returns `None` for anything else.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes: [u8; SECRET_BYTES] = STANDARD.decode(text).ok()?.try_into().ok()?;
        Some(Self::new(bytes))
    }

    pub fn to_base64(&self) -> SecretString {
        STANDARD.encode(self.0.expose_secret()).into()
    }

    /// As people type it into an app, in groups of four.
    pub fn to_text(&self) -> String {
        grouped(&base32(self.0.expose_secret()))
    }

    /// The address that an app reads from a QR code.
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (issuer, account) = (encoded(issuer), encoded(account));
        let secret = base32(self.0.expose_secret());
        format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}")
    }

    /// Returns the step that `code` belongs to: the one at `now` or a neighbour, and later than `last_step`.
    /// Returns `None` when the code is wrong, or its step was used before.
    pub fn matching_step(&self, code: &str, now: DateTime<Utc>, last_step: i64) -> Option<i64> {
        let current = now.timestamp().div_euclid(STEP_SECS);
        // The phone's clock may be off by a step in either direction.
        let mut steps = (current - 1..=current + 1).filter(|step| *step > last_step);
        steps.find(|step| self.code_at(*step).is_some_and(|expected| expected == code))
    }

    /// The code of one step. `None` never happens: HMAC takes keys of any length.
    fn code_at(&self, step: i64) -> Option<String> {
        let mac = <Hmac<Sha1> as KeyInit>::new_from_slice(self.0.expose_secret()).ok()?;
        let digest = mac.chain_update(step.to_be_bytes()).finalize().into_bytes();
        let offset = usize::from(digest.last()? & 0x0f);
        let word = u32::from_be_bytes(*digest.get(offset..)?.first_chunk()?) & 0x7fff_ffff;
        Some(format!("{:0DIGITS$}", word % 1_000_000))
    }

    /// The code that an app shows at `now`.
    pub fn code(&self, now: DateTime<Utc>) -> Option<String> {
        self.code_at(now.timestamp().div_euclid(STEP_SECS))
    }
}

/// What an operator gives besides the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondFactor {
    /// Six digits of the app.
    Code(String),
    /// One of the recovery codes, in capitals and without groups.
    RecoveryCode(String),
}

impl SecondFactor {
    /// Reads a code with or without blanks and hyphens. Returns `None` for what can be neither.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        let plain: String = plain.take(RECOVERY_CHARS + 1).map(|c| c.to_ascii_uppercase()).collect();
        let is_base32 = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
        if plain.len() == DIGITS && plain.chars().all(|c| c.is_ascii_digit()) {
            Some(Self::Code(plain))
        } else if plain.len() == RECOVERY_CHARS && plain.chars().all(is_base32) {
            Some(Self::RecoveryCode(plain))
        } else {
            None
        }
    }
}

/// A recovery code as people write it down, in groups of four.
pub fn recovery_code(bytes: [u8; RECOVERY_BYTES]) -> String {
    grouped(&base32(&bytes))
}

/// RFC 4648 without padding; the lengths here are multiples of five bytes.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: [char; 32] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T',
        'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
    ];
    let mut text = String::new();
    for group in bytes.chunks(5) {
        let bits = group.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let characters = (0..8_u32).rev().map(|place| (bits >> (place * 5)) & 0x1f);
        text.extend(characters.filter_map(|value| ALPHABET.get(usize::try_from(value).ok()?)));
    }
    text
}

fn grouped(text: &str) -> String {
    let mut grouped = String::new();
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(c);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(secs, 0).unwrap()
    }

    fn rfc_secret() -> TotpSecret {
        TotpSecret::new(*b"12345678901234567890")
    }

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six of its eight digits.
        for (secs, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc_secret().code(at(secs)).as_deref(), Some(code), "{secs}");
        }
    }

    #[test]
    fn a_code_matches_one_step_early_or_late_and_only_once() {
        let (secret, step) = (rfc_secret(), 59 / STEP_SECS);
        for secs in [59 - 30, 59, 59 + 30] {
            assert_eq!(secret.matching_step("287082", at(secs), 0), Some(step), "{secs}");
        }
        assert_eq!(secret.matching_step("287082", at(59 + 60), 0), None);
        assert_eq!(secret.matching_step("287082", at(59), step), None);
        assert_eq!(secret.matching_step("287083", at(59), 0), None);
    }

    #[test]
    fn the_secret_is_written_as_apps_read_it() {
        let secret = rfc_secret();
        assert_eq!(secret.to_text(), "GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ");
        assert_eq!(
            secret.uri("집체크", "kim@example.com"),
            "otpauth://totp/%EC%A7%91%EC%B2%B4%ED%81%AC:kim%40example%2Ecom\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=%EC%A7%91%EC%B2%B4%ED%81%AC"
        );
        let read = TotpSecret::from_base64(secret.to_base64().expose_secret()).unwrap();
        assert_eq!(read.to_text(), secret.to_text());
        assert!(TotpSecret::from_base64("c2hvcnQ=").is_none() && TotpSecret::from_base64("?").is_none());
        assert!(!format!("{secret:?}").contains("49"), "{secret:?}");
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        assert_eq!(SecondFactor::parse(" 287 082 "), Some(SecondFactor::Code("287082".to_owned())));
        let written = recovery_code([0xff; RECOVERY_BYTES]);
        assert_eq!(written, "7777-7777-7777-7777");
        let read = Some(SecondFactor::RecoveryCode("7777777777777777".to_owned()));
        assert_eq!(SecondFactor::parse(&written), read);
        assert_eq!(
            SecondFactor::parse("abcd-efgh-ijkl-mnop"),
            Some(SecondFactor::RecoveryCode("ABCDEFGHIJKLMNOP".to_owned()))
        );
        for wrong in ["", "28708", "2870822", "28708a", "ABCD-EFGH-IJKL-MNO1", "\u{ff11}23456"] {
            assert_eq!(SecondFactor::parse(wrong), None, "{wrong}");
        }
    }
}
