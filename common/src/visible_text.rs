//! Text that customers, the gateway and servers wrote, shown so that nothing in it is unseen.

/// One line without characters that steer a terminal or a page or cannot be seen: customers and the gateway write these texts.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { visible(c) }).collect()
}

/// Several lines without characters that steer a terminal or a page or cannot be seen.
pub fn visible_lines(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { visible(c) }).collect()
}

/// U+FFFD for a control, direction mark or other character without a shape of its own.
fn visible(c: char) -> char {
    if c.is_control() || is_invisible(c) { char::REPLACEMENT_CHARACTER } else { c }
}

/// Unicode's `Default_Ignorable_Code_Point` and `Bidi_Control`, its line and paragraph separators, its interlinear
/// marks, and the blank Braille cell. They change what a reader sees without being seen.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_shown_as_a_replacement() {
        for hidden in [
            '\u{202E}',
            '\u{2066}',
            '\u{200F}',
            '\u{061C}',
            '\u{200B}',
            '\u{3164}',
            '\u{FEFF}',
            '\u{E0041}',
            '\u{2028}',
            '\u{FE0F}',
            '\u{00AD}',
            '\u{1D173}',
        ] {
            let text = format!("a{hidden}b");
            assert_eq!(plain(&text), "a\u{FFFD}b", "U+{:04X}", u32::from(hidden));
            assert_eq!(visible_lines(&format!("{text}\n")), "a\u{FFFD}b\n");
        }
        assert_eq!(visible_lines("홍길동 → 9,900원\n"), "홍길동 → 9,900원\n");
    }
}
