//! Rust source as far as the borders need it: words and signs with their lines, without comments,
//! texts and tests.

/// One word or sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// An identifier, or one sign (`::` counts as one).
    pub text: String,
    /// The line, from 1.
    pub line: usize,
}

/// The tokens of production code.
pub fn tokens(source: &str) -> Vec<Token> {
    without_tests(split(&bare(source)))
}

/// The modules in files of their own that only tests have: `#[cfg(test)] mod name;`.
pub fn test_modules(source: &str) -> Vec<String> {
    let tokens = split(&bare(source));
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    (0..tokens.len())
        .filter(|&at| MARK.iter().enumerate().all(|(by, mark)| text(at + by) == *mark))
        .filter_map(|at| {
            // A visibility may stand before it: `pub(crate) mod name;`.
            let word = (at + MARK.len()..at + MARK.len() + 5).find(|&at| text(at) == "mod")?;
            (text(word + 2) == ";").then(|| text(word + 1).to_owned())
        })
        .collect()
}

/// The source with comments and the insides of texts and characters blanked; lines stay.
fn bare(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match literal_end(&chars, at) {
            Some(end) => end,
            None => {
                out.push(chars[at]);
                at += 1;
                continue;
            }
        };
        out.push(' ');
        out.extend(chars[at..end].iter().filter(|c| **c == '\n'));
        at = end;
    }
    out
}

/// Where the comment, text or character that begins at `at` ends.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let next = |by: usize| chars.get(at + by).copied();
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next(1) == Some('/') => {
            Some(chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n))
        }
        '/' if next(1) == Some('*') => Some(block_end(chars, at)),
        '"' => Some(text_end(chars, at + 1)),
        'r' | 'b' | 'c' if !word_before => {
            let mut from = at + 1;
            if chars[at] != 'r' && chars.get(from) == Some(&'r') {
                from += 1;
            }
            let hashes = chars[from.min(chars.len())..].iter().take_while(|c| **c == '#').count();
            let raw = chars[from - 1] == 'r';
            match chars.get(from + hashes) {
                Some('"') if raw => Some(raw_end(chars, from + hashes + 1, hashes)),
                Some('"') if hashes == 0 => Some(text_end(chars, from + 1)),
                Some('\'') if hashes == 0 && chars[at] == 'b' => character_end(chars, from),
                _ => None,
            }
        }
        '\'' => character_end(chars, at),
        _ => None,
    }
}

fn block_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn text_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_end(chars: &[char], mut at: usize, hashes: usize) -> usize {
    while at < chars.len() {
        let closes = chars[at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        at += 1;
        if closes {
            return at + hashes;
        }
    }
    at
}

/// A character's end, or nothing where it is a lifetime.
fn character_end(chars: &[char], at: usize) -> Option<usize> {
    match (chars.get(at + 1)?, chars.get(at + 2)) {
        ('\\', _) => {
            let end = chars[at + 3..].iter().position(|c| *c == '\'')?;
            Some(at + 3 + end + 1)
        }
        (_, Some('\'')) => Some(at + 3),
        _ => None,
    }
}

fn split(source: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for (line, text) in source.lines().enumerate() {
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let word =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => rest.chars().next().map_or(1, char::len_utf8),
                word => word,
            };
            tokens.push(Token { text: rest[..length].to_owned(), line: line + 1 });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// How an item of tests is marked.
const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// Drops every item under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens.len() - at >= MARK.len()
            && MARK.iter().zip(&tokens[at..]).all(|(mark, token)| *mark == token.text);
        if !marked {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += MARK.len();
        let mut depth = 0i32;
        while at < tokens.len() {
            let text = tokens[at].text.as_str();
            at += 1;
            match text {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(text, ";" | "}" | ",") {
                break;
            }
        }
    }
    kept
}

#[test]
fn comments_texts_and_tests_are_no_code() {
    let source = r####"
        //! sled in words
        use a::b; // sled
        /* sled /* sled */ sled */
        fn f<'a>(x: &'a str) -> char { let _ = "sled \" sled"; let _ = r#"sled " sled"#; '"' }
        let c = b'\''; let d = b"sled"; let e = '\u{1f600}'; let s = br##"sled"##;
        #[cfg(test)]
        mod tests { use sled::Db; fn g() { h(); } }
        #[cfg(test)]
        use sled::Tree;
        fn last() {}
    "####;
    let words: Vec<String> = tokens(source).into_iter().map(|token| token.text).collect();
    assert!(!words.iter().any(|word| word == "sled"), "{words:?}");
    assert!(words.iter().any(|word| word == "last"), "{words:?}");
    let modules =
        "#[cfg(test)]\nmod a;\n#[cfg(test)] pub(crate) mod b;\n#[cfg(test)] mod c {}\nmod d;";
    assert_eq!(test_modules(modules), ["a", "b"]);
    let last = tokens(source).into_iter().find(|token| token.text == "last").unwrap();
    assert_eq!(last.line, 11);
}
