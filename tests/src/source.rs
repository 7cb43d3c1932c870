//! Reads the sources of the tree, line by line, with code and comments told apart.
//!
//! Invariant: `Line::code` and `Line::comment` are as many characters as `Line::text`, blank where the other speaks;
//! the contents of string and character literals are blank in both.
//! Never here: rules about sources.

use std::fs;
use std::path::{Path, PathBuf};

/// What no test looks into: made by tools, or not in the repository.
const FOLDERS_SKIPPED: [&str; 4] = ["target", "demo-output", "__pycache__", "node_modules"];

/// A file of source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the top of the tree, with forward slashes.
    pub path: String,
    /// Its lines, from the first.
    pub lines: Vec<Line>,
}

/// A line of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As it stands.
    pub text: String,
    /// Without comments and without what is in literals.
    pub code: String,
    /// Comments only, with their marks.
    pub comment: String,
}

/// A word or a mark of Rust, with its line counted from zero. `::` is one mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Index of its line.
    pub line: usize,
    /// The word, or the mark.
    pub text: String,
}

/// A function of Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line with `fn`, counted from zero.
    pub first: usize,
    /// The line of the closing brace, counted from zero.
    pub last: usize,
}

impl Source {
    /// Reads Rust from text.
    pub fn rust(path: &str, text: &str) -> Source {
        Source { path: path.to_string(), lines: split_rust(text) }
    }

    /// Reads text of which nothing is told apart: all of it is code.
    pub fn plain(path: &str, text: &str) -> Source {
        let line = |text: &str| Line { text: text.into(), code: text.into(), comment: String::new() };
        Source { path: path.to_string(), lines: text.lines().map(line).collect() }
    }

    /// Its words and marks.
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let mut rest = line.code.trim_start();
            while let Some(first) = rest.chars().next() {
                let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let length = match word {
                    0 if rest.starts_with("::") => 2,
                    0 => first.len_utf8(),
                    _ => word,
                };
                tokens.push(Token { line: index, text: rest[..length].to_string() });
                rest = rest[length..].trim_start();
            }
        }
        tokens
    }

    /// Its functions that have a body, nested ones too.
    pub fn functions(&self) -> Vec<Function> {
        let tokens = self.tokens();
        let word = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
        let mut functions = Vec::new();
        for start in (0..tokens.len()).filter(|&index| word(index) == "fn" && !matches!(word(index + 1), "(" | "")) {
            // The body is the first brace outside of all brackets; a semicolon there means that there is none.
            let mut depth = 0_usize;
            let mut body = start;
            let open = loop {
                match word(body) {
                    "(" | "[" => depth += 1,
                    ")" | "]" => depth = depth.saturating_sub(1),
                    "{" if depth == 0 => break true,
                    ";" | "" if depth == 0 => break false,
                    "" => break false,
                    _ => (),
                }
                body += 1;
            };
            let Some(end) = open.then(|| closing(&tokens, body)).flatten() else { continue };
            let name = word(start + 1).to_string();
            functions.push(Function { name, first: tokens[start].line, last: tokens[end].line });
        }
        functions
    }
}

/// The index of the brace that closes the one at `open`.
pub fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    tokens[open..]
        .iter()
        .position(|token| {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => (),
            }
            depth == 0
        })
        .map(|length| open + length)
}

/// The top of the tree.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests lie in the tree").to_path_buf()
}

/// The files under a folder of the tree that end in one of these, sorted, relative to the top.
pub fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if path.is_dir() {
                if !name.starts_with('.') && !FOLDERS_SKIPPED.contains(&name.as_str()) {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let relative = path.strip_prefix(root()).expect("a file of the tree");
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// All Rust under a folder of the tree; `""` for the whole tree.
pub fn rust_under(folder: &str) -> Vec<Source> {
    let read = |path: String| Source::rust(&path, &text_of(&path));
    files(folder, &[".rs"]).into_iter().map(read).collect()
}

/// The text of a file of the tree; empty if there is none.
pub fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Fails the test with all complaints, one a line.
#[track_caller]
pub fn expect_none(mut complaints: Vec<String>) {
    complaints.sort();
    complaints.dedup();
    assert!(complaints.is_empty(), "{} found:\n{}", complaints.len(), complaints.join("\n"));
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    Code,
    LineComment,
    /// How many are open, since they nest.
    BlockComment(usize),
    /// Number of `#` that must follow the closing quote, for raw strings.
    Text(Option<usize>),
}

fn split_rust(text: &str) -> Vec<Line> {
    let mut within = Within::Code;
    let mut lines = Vec::new();
    for text in text.lines() {
        let characters: Vec<char> = text.chars().collect();
        let (mut code, mut comment) = (String::new(), String::new());
        let mut at = 0;
        while at < characters.len() {
            let (next, length) = step(within, &characters, at);
            for &character in &characters[at..at + length] {
                let commented = |state| matches!(state, Within::LineComment | Within::BlockComment(_));
                let visible = (within, next) == (Within::Code, Within::Code) && length == 1;
                let text = |state| matches!(state, Within::Text(_));
                let quote = character == '"' && text(within) != text(next);
                code.push(if visible || quote { character } else { ' ' });
                comment.push(if commented(within) || commented(next) { character } else { ' ' });
            }
            at += length;
            within = next;
        }
        if within == Within::LineComment {
            within = Within::Code;
        }
        lines.push(Line { text: text.to_string(), code, comment });
    }
    lines
}

/// What the characters at a place begin, go on with, or end; and how many of them that takes.
fn step(within: Within, characters: &[char], at: usize) -> (Within, usize) {
    let character = |offset: usize| characters.get(at + offset).copied();
    match (within, character(0), character(1)) {
        (Within::LineComment, ..) => (within, 1),
        (Within::BlockComment(open), Some('/'), Some('*')) => (Within::BlockComment(open + 1), 2),
        (Within::BlockComment(1), Some('*'), Some('/')) => (Within::Code, 2),
        (Within::BlockComment(open), Some('*'), Some('/')) => (Within::BlockComment(open - 1), 2),
        (Within::BlockComment(_), ..) => (within, 1),
        (Within::Text(None), Some('\\'), Some(_)) => (within, 2),
        (Within::Text(None), Some('"'), _) => (Within::Code, 1),
        (Within::Text(Some(marks)), Some('"'), _) if (1..=marks).all(|mark| character(mark) == Some('#')) => {
            (Within::Code, 1 + marks)
        }
        (Within::Text(_), ..) => (within, 1),
        (Within::Code, Some('/'), Some('/')) => (Within::LineComment, 2),
        (Within::Code, Some('/'), Some('*')) => (Within::BlockComment(1), 2),
        (Within::Code, Some('"'), _) => (Within::Text(None), 1),
        (Within::Code, Some('r'), Some('"' | '#')) if begins_raw(characters, at) => {
            let marks = characters[at + 1..].iter().take_while(|&&mark| mark == '#').count();
            (Within::Text(Some(marks)), marks + 2)
        }
        // A character literal; a lifetime has no closing quote after one character.
        (Within::Code, Some('\''), Some('\\')) => {
            let end = characters[(at + 3).min(characters.len())..].iter().position(|&quote| quote == '\'');
            (within, (4 + end.unwrap_or(0)).min(characters.len() - at))
        }
        (Within::Code, Some('\''), Some(_)) if character(2) == Some('\'') => (within, 3),
        (Within::Code, ..) => (within, 1),
    }
}

fn begins_raw(characters: &[char], at: usize) -> bool {
    // `b` and `c` may stand before `r`; any longer word makes it a name.
    let word = characters[..at].iter().rev().take_while(|before| before.is_alphanumeric() || **before == '_').count();
    let prefixed = word == 1 && matches!(characters[at - 1], 'b' | 'c');
    (word == 0 || prefixed) && characters[at + 1..].iter().find(|&&mark| mark != '#') == Some(&'"')
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[track_caller]
    fn check_split(text: &str, code: &str, comment: &str) {
        let source = Source::rust("x.rs", text);
        let join = |part: fn(&super::Line) -> &String| {
            source.lines.iter().map(|line| part(line).trim()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!((join(|line| &line.code).as_str(), join(|line| &line.comment).as_str()), (code, comment));
        for line in &source.lines {
            assert_eq!(line.code.chars().count(), line.text.chars().count(), "{line:?}");
            assert_eq!(line.comment.chars().count(), line.text.chars().count(), "{line:?}");
        }
    }

    #[test]
    fn comments_and_literals_are_told_from_code() {
        check_split("a; // b \"c\"", "a;", "// b \"c\"");
        check_split("a /* b /* c */ d */ e", "a                   e", "/* b /* c */ d */");
        check_split("/* a\nb */ c", "\nc", "/* a\nb */");
        check_split("f(\"// no \\\" x\") // yes", "f(\"          \")", "// yes");
        check_split("let c = '\"'; g::<'a>()", "let c =    ; g::<'a>()", "");
        check_split("h('\\'', '\\u{1}') + 1", "h(    ,        ) + 1", "");
        check_split("r#\"a \" // b\"# + r#type", "\"        \"  + r#type", "");
        check_split("\"a\nb // c\" d", "\"\n\" d", "\n");
    }

    #[test]
    fn functions_end_at_their_brace() {
        let text = "trait T {\n fn a(x: [u8; 2]) -> u8;\n fn b() -> [u8; 2] {\n  if x { y }\n }\n}\nlet f: fn(u8) = g;";
        let functions = Source::rust("x.rs", text).functions();
        assert_eq!(functions.len(), 1);
        assert_eq!((functions[0].name.as_str(), functions[0].first, functions[0].last), ("b", 2, 4));
    }
}
