//! Reads the `use` declarations and the paths of a Rust source file, as far as the check for module cycles needs them.
//! Code under `#[cfg(test)]` is left out.

/// A name that a `use` declaration brings into scope. A glob import has the name `*`.
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    pub(crate) is_public: bool,
    pub(crate) line: usize,
}

/// The imports of a file, and its paths of two segments or more.
#[derive(Default)]
pub(crate) struct SourcePaths {
    pub(crate) imports: Vec<Import>,
    pub(crate) paths: Vec<(Vec<String>, usize)>,
}

/// An identifier, `::`, or one other character, with its line.
type Token = (String, usize);

pub(crate) fn read(source: &str) -> SourcePaths {
    let tokens = tokens(source);
    let mut reader = Reader { tokens: &tokens, at: 0, found: SourcePaths::default() };
    reader.file();
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    found: SourcePaths,
}

impl Reader<'_> {
    fn file(&mut self) {
        if self.starts_with(&["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
            return;
        }
        while self.at < self.tokens.len() {
            if self.starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) {
                self.skip_item();
            } else if self.peek(0) == "use" {
                let is_public = self.at > 0 && matches!(self.text(self.at - 1), "pub" | ")");
                self.at += 1;
                self.use_tree(&[], is_public);
            } else if is_name(self.peek(0)) && self.peek(1) == "::" {
                self.path();
            } else {
                self.at += 1;
            }
        }
    }

    /// Skips the attribute and the item behind it: up to its closing brace, or its semicolon.
    fn skip_item(&mut self) {
        let mut depth = 0_usize;
        let mut is_declaration = false;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "use" if depth == 0 => is_declaration = true,
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            let ended = matches!((self.peek(0), is_declaration), (";", _) | ("}", false)) && depth == 0;
            self.at += 1;
            if ended {
                return;
            }
        }
    }

    fn use_tree(&mut self, prefix: &[String], is_public: bool) {
        let mut path = prefix.to_vec();
        let line = self.line();
        while is_name(self.peek(0)) && self.peek(1) == "::" {
            path.push(self.take());
            self.at += 1;
        }
        if self.peek(0) == "{" {
            return self.use_branches(&path, is_public);
        }
        let last = self.take();
        let mut name = last.clone();
        if last == "self" {
            name = path.last().cloned().unwrap_or_default();
        } else if is_name(&last) {
            path.push(last);
        } else if last != "*" {
            return;
        }
        if self.peek(0) == "as" {
            self.at += 1;
            name = self.take();
        }
        self.found.imports.push(Import { name, path, is_public, line });
    }

    fn use_branches(&mut self, prefix: &[String], is_public: bool) {
        self.at += 1;
        while !matches!(self.peek(0), "}" | "") {
            self.use_tree(prefix, is_public);
            if self.peek(0) == "," {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn path(&mut self) {
        let line = self.line();
        let mut path = vec![self.take()];
        while self.peek(0) == "::" && is_name(self.peek(1)) {
            self.at += 1;
            path.push(self.take());
        }
        if path.len() > 1 {
            self.found.paths.push((path, line));
        }
    }

    fn take(&mut self) -> String {
        self.at += 1;
        self.text(self.at - 1).to_owned()
    }

    fn starts_with(&self, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(offset, text)| self.peek(offset) == *text)
    }

    fn peek(&self, offset: usize) -> &str {
        self.text(self.at + offset)
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |(text, _)| text)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |(_, line)| *line)
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Splits the source into tokens. Comments and literals become nothing.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let length = literal_or_comment(rest).unwrap_or_else(|| {
            let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = if rest.starts_with("::") { 2 } else { name.max(first.len_utf8()) };
            let text = rest.get(..length).unwrap_or_default();
            if !first.is_whitespace() {
                tokens.push((text.to_owned(), line));
            }
            length
        });
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length of the comment or literal that the text begins with.
fn literal_or_comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    let raw = text.trim_start_matches('b').strip_prefix('r').filter(|raw| raw.starts_with(['"', '#']));
    if let Some(raw) = raw {
        let hashes = raw.chars().take_while(|c| *c == '#').count();
        let begin = text.len() - raw.len() + hashes + 1;
        let end = format!("\"{}", "#".repeat(hashes));
        let body = text.get(begin..).filter(|_| raw.trim_start_matches('#').starts_with('"'))?;
        return Some(body.find(&end).map_or(text.len(), |length| begin + length + end.len()));
    }
    match text.chars().next()? {
        '"' => Some(quoted(text, '"')),
        // A lifetime has no closing quote behind its first character.
        '\'' if text.starts_with("'\\") || text.chars().nth(2) == Some('\'') => Some(quoted(text, '\'')),
        _ => None,
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(source: &str) -> Vec<(String, String)> {
        let imports = read(source).imports;
        imports.into_iter().map(|import| (import.name, import.path.join("::"))).collect()
    }

    fn paths(source: &str) -> Vec<String> {
        read(source).paths.into_iter().map(|(path, _)| path.join("::")).collect()
    }

    #[test]
    fn a_use_tree_is_one_import_per_name() {
        let found = imports("use crate::{a::{self, B as C}, d::*};\nuse super::e;");
        let expected = [("a", "crate::a"), ("C", "crate::a::B"), ("*", "crate::d"), ("e", "super::e")];
        assert_eq!(found, expected.map(|(name, path)| (name.to_owned(), path.to_owned())));
    }

    #[test]
    fn paths_in_strings_comments_and_tests_are_left_out() {
        let source = "fn f<'a>() { a::b(\"c::d\", r#\"e::f\"#, 'x'); } // g::h\n\
                      #[cfg(test)]\nmod tests { use crate::i; fn t() { j::k() } }\nfn g() -> l::M {}";
        assert_eq!(paths(source), ["a::b", "l::M"]);
        assert_eq!(imports(source), []);
        assert_eq!(paths("#![cfg(test)]\nfn f() { a::b() }"), Vec::<String>::new());
    }

    #[test]
    fn a_reexport_and_the_line_of_a_path_are_known() {
        let found = read("\npub(crate) use a::B;\nuse c::D;\nfn f() {\n    x::y()\n}\n");
        assert_eq!(found.imports.iter().map(|import| import.is_public).collect::<Vec<_>>(), [true, false]);
        assert_eq!(found.paths, [(vec!["x".to_owned(), "y".to_owned()], 5)]);
    }
}
