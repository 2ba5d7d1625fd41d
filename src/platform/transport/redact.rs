//! Takes people's addresses and secrets out of the platforms' words.

/// The longest text that is kept, in characters: platforms quote whole option lists.
const LONGEST: usize = 400;

/// `text` without e-mail addresses and tokens, and not longer than a log line can bear. For words
/// of a platform that go into an error or a log; a reject keeps the full words in the journal.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(LONGEST));
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_whitespace()
            || matches!(
                c,
                '"' | '\''
                    | '<'
                    | '>'
                    | ','
                    | ';'
                    | '('
                    | ')'
                    | '['
                    | ']'
                    | '{'
                    | '}'
                    | '='
                    | '&'
                    | '\0'
            )
        {
            clean.push_str(judge(&word));
            word.clear();
            if c != '\0' {
                clean.push(if c.is_control() { ' ' } else { c });
            }
        } else {
            word.push(c);
        }
    }
    match clean.char_indices().nth(LONGEST) {
        Some((at, _)) => {
            clean.truncate(at);
            clean.push('…');
            clean
        }
        None => clean,
    }
}

/// What stands for `word`.
fn judge(word: &str) -> &str {
    let is_address =
        word.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
            || word.contains("%40");
    // HubSpot's `pat-na1-…` and its long OAuth tokens; Salesforce's `00D…!…` sessions.
    let is_token = word.starts_with("pat-")
        || (word.starts_with("00D") && word.contains('!'))
        || (word.len() > 60
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.!+/".contains(c)));
    if is_address {
        "(address)"
    } else if is_token {
        "(token)"
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_tokens_go_the_rest_stays() {
        let long = "x".repeat(61);
        for (text, clean) in [
            ("Email address anna@example.com is invalid", "Email address (address) is invalid"),
            ("\"a@b.c\": taken", "\"(address)\": taken"),
            ("email=a%40b.c&x=1", "email=(address)&x=1"),
            ("token pat-na1-0000 expired", "token (token) expired"),
            ("00D000000000001!AQ4.x refused", "(token) refused"),
            (&long, "(token)"),
            ("The field @type, at 5 @ 3", "The field @type, at 5 @ 3"),
            ("X was not one of [A, B]", "X was not one of [A, B]"),
            ("two\nlines", "two lines"),
            ("", ""),
        ] {
            assert_eq!(redact(text), clean, "{text}");
        }
        assert_eq!(redact(&"ab ".repeat(300)).chars().count(), LONGEST + 1);
    }
}
