//! Text that stays on one line: what a customer typed can neither start a new line of a mail nor turn its direction.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OneLine(String);

impl OneLine {
    /// Runs of white space and control characters become one space; characters that are never seen are dropped.
    pub(super) fn new(text: &str) -> Self {
        let visible: String = text
            .chars()
            .filter(|c| !is_invisible(*c))
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Self(visible.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Zero-width and direction-turning characters (Unicode's `Bidi_Control`, and the joiners used to hide words).
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061C}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}'
    )
}

impl fmt::Display for OneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_breaks_become_spaces_and_direction_marks_vanish() {
        let text = " 홍\r\n길\u{2028}동\u{0085}\t\u{0}님\u{202E}\u{200B} ";
        assert_eq!(OneLine::new(text).to_string(), "홍 길 동 님");
    }

    proptest! {
        #[test]
        fn nothing_makes_a_second_line(text in any::<String>()) {
            let line = OneLine::new(&text).to_string();
            let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            prop_assert!(!line.contains(breaks));
        }
    }
}
