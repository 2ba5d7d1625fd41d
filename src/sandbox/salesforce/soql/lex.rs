//! Words of a SOQL text.

use super::SoqlError;

/// One word and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub word: Word,
    /// The byte where it begins.
    pub at: usize,
}

/// The kinds of words.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// A name, a keyword or a dotted path.
    Name(String),
    /// A quoted text, unescaped.
    Text(String),
    /// A number, a date or a date time, as written.
    Literal(String),
    /// A comparison, a bracket, a comma or a colon.
    Sign(&'static str),
    /// The end of the text.
    End,
}

impl Word {
    /// The word as an error message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Name(text) | Self::Literal(text) => text.clone(),
            Self::Text(text) => format!("'{text}'"),
            Self::Sign(sign) => (*sign).to_owned(),
            Self::End => "<EOF>".to_owned(),
        }
    }
}

/// Cuts a text into words, the last of them [`Word::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Token>, SoqlError> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let word = match byte {
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'\'' => {
                let (word, end) = quoted(text, at)?;
                at = end;
                Word::Text(word)
            }
            b if b.is_ascii_alphabetic() || b == b'_' => {
                at = end_of(bytes, at, |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
                Word::Name(text[start..at].to_owned())
            }
            b if b.is_ascii_digit() => {
                at = end_of(bytes, at + 1, |b| b.is_ascii_alphanumeric() || b"-:.+".contains(&b));
                Word::Literal(text[start..at].to_owned())
            }
            b'-' | b'+' | b'.' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                at = end_of(bytes, at + 1, |b| b.is_ascii_digit() || b == b'.');
                Word::Literal(text[start..at].trim_start_matches('+').to_owned())
            }
            _ => {
                let sign = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ",", ":"]
                    .into_iter()
                    .find(|sign| text[at..].starts_with(sign))
                    .ok_or_else(|| {
                        let found = text[at..].chars().next().unwrap_or(' ');
                        SoqlError::malformed(text, at, format!("unexpected token: '{found}'"))
                    })?;
                at += sign.len();
                Word::Sign(if sign == "<>" { "!=" } else { sign })
            }
        };
        out.push(Token { word, at: start });
    }
    out.push(Token { word: Word::End, at: text.len() });
    Ok(out)
}

fn end_of(bytes: &[u8], from: usize, part: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|b| !part(*b)).map_or(bytes.len(), |n| from + n)
}

/// A quoted text from its opening quote: the unescaped text and the byte behind the closing quote.
fn quoted(text: &str, open: usize) -> Result<(String, usize), SoqlError> {
    let mut out = String::new();
    let mut chars = text[open + 1..].char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '\'' => return Ok((out, open + 1 + offset + 1)),
            '\\' => {
                let Some((_, escaped)) = chars.next() else { break };
                match escaped {
                    'n' | 'N' => out.push('\n'),
                    'r' | 'R' => out.push('\r'),
                    't' | 'T' => out.push('\t'),
                    'b' | 'B' => out.push('\u{8}'),
                    'f' | 'F' => out.push('\u{c}'),
                    '\'' | '"' | '\\' => out.push(escaped),
                    // LIKE needs to know that the next one stands for itself.
                    '%' | '_' => {
                        out.push('\\');
                        out.push(escaped);
                    }
                    'u' | 'U' => {
                        let hex: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                        match u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32) {
                            Some(c) => out.push(c),
                            None => return Err(bad_escape(text, open + 1 + offset)),
                        }
                    }
                    _ => return Err(bad_escape(text, open + 1 + offset)),
                }
            }
            _ => out.push(c),
        }
    }
    Err(SoqlError::malformed(text, open, "line breaks not allowed in string literals".to_owned()))
}

fn bad_escape(text: &str, at: usize) -> SoqlError {
    SoqlError::malformed(text, at, "Illegal string literal: invalid escape sequence".to_owned())
}
