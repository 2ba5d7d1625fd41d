//! SOQL texts, built so that no value can leave its quotes.

use std::fmt::Write as _;

use jiff::Timestamp;

/// A text literal of more characters than this is refused by the platform (SOQL and SOSL Reference,
/// "WHERE"); no field that is worth matching by is longer.
pub(super) const LONGEST_LITERAL: usize = 4_000;

/// A name that is to stand unquoted in SOQL or in a path is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name of a Salesforce object or field")]
pub(super) struct NotAName(pub String);

/// Lets through what the platform allows in API names (letters, digits, underscores, and dots along
/// relationships) and nothing else: a name comes from a mapping file and stands unquoted.
pub(super) fn name(text: &str) -> Result<&str, NotAName> {
    let good = text.split('.').all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if good { Ok(text) } else { Err(NotAName(text.to_owned())) }
}

/// A text literal with its quotes. (SOQL and SOSL Reference, "Quoted String Escape Sequences".)
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\'' => quoted.push_str("\\'"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c.is_control() => {
                // The escape takes exactly four hexadecimal digits; every control character fits.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// A moment as a literal: unquoted, in UTC, milliseconds only where there are any.
pub(super) fn moment(at: Timestamp) -> String {
    if at.subsec_nanosecond() < 1_000_000 {
        at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    } else {
        at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }
}

/// One SELECT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Select {
    fields: String,
    object: String,
    conditions: Vec<String>,
    tail: String,
}

impl Select {
    /// `SELECT fields FROM object`.
    pub(super) fn new<'a>(
        fields: impl IntoIterator<Item = &'a str>,
        object: &str,
    ) -> Result<Self, NotAName> {
        let mut list = String::new();
        for field in fields {
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(name(field)?);
        }
        Ok(Self { fields: list, object: name(object)?.to_owned(), ..Self::default() })
    }

    /// Further columns that are no plain field: `COUNT(Id) records`.
    pub(super) fn column(mut self, expression: &'static str) -> Self {
        self.fields.push(',');
        self.fields.push_str(expression);
        self
    }

    /// One more condition that must hold.
    pub(super) fn and(mut self, condition: impl Into<String>) -> Self {
        self.conditions.push(condition.into());
        self
    }

    /// `field IN (literals)`.
    pub(super) fn one_of(self, field: &str, literals: &[String]) -> Result<Self, NotAName> {
        let condition = format!("{} IN ({})", name(field)?, literals.join(","));
        Ok(self.and(condition))
    }

    /// What follows the conditions: `ORDER BY Id LIMIT 2000`.
    pub(super) fn tail(mut self, tail: impl Into<String>) -> Self {
        self.tail = tail.into();
        self
    }

    /// The text of the query.
    pub(super) fn text(&self) -> String {
        let mut text = format!("SELECT {} FROM {}", self.fields, self.object);
        for (place, condition) in self.conditions.iter().enumerate() {
            text.push_str(if place == 0 { " WHERE " } else { " AND " });
            text.push_str(condition);
        }
        if !self.tail.is_empty() {
            text.push(' ');
            text.push_str(&self.tail);
        }
        text
    }
}

/// How many bytes `text` takes in the query part of an address.
pub(super) fn encoded_len(text: &str) -> usize {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b' ') {
                1
            } else {
                3
            }
        })
        .sum()
}

/// Splits `literals` into runs of at most `most` that take at most `bytes` in an address. A run holds
/// at least one.
pub(super) fn runs(literals: Vec<String>, most: usize, bytes: usize) -> Vec<Vec<String>> {
    let mut runs: Vec<Vec<String>> = Vec::new();
    let mut used = 0;
    for literal in literals {
        // The comma between two literals is escaped too.
        let cost = encoded_len(&literal) + 3;
        match runs.last_mut() {
            Some(run) if run.len() < most && used + cost <= bytes => {
                run.push(literal);
                used += cost;
            }
            _ => {
                runs.push(vec![literal]);
                used = cost;
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        let table = [
            ("plain", r"'plain'"),
            ("O'Brien", r"'O\'Brien'"),
            (r"a\", r"'a\\'"),
            (r"\' OR Name != '", r"'\\\' OR Name != \''"),
            ("two\nlines\ttab", r"'two\nlines\ttab'"),
            ("\"quoted\"", "'\\\"quoted\\\"'"),
            ("\u{8}\u{c}\u{1}", r"'\b\f\u0001'"),
            ("Žižek 😀", "'Žižek 😀'"),
            ("", "''"),
        ];
        for (value, literal) in table {
            assert_eq!(quote(value), literal, "{value:?}");
        }
    }

    proptest! {
        /// Reading the literal as the platform does, up to the first bare quote, gives the value
        /// back and leaves nothing over.
        #[test]
        fn a_literal_reads_back(value in any::<String>()) {
            let literal = quote(&value);
            let mut rest = literal[1..].chars();
            let mut read = String::new();
            loop {
                match rest.next() {
                    Some('\'') => break,
                    Some('\\') => match rest.next() {
                        Some('n') => read.push('\n'),
                        Some('r') => read.push('\r'),
                        Some('t') => read.push('\t'),
                        Some('b') => read.push('\u{8}'),
                        Some('f') => read.push('\u{c}'),
                        Some('u') => {
                            let digits: String = rest.by_ref().take(4).collect();
                            let code = u32::from_str_radix(&digits, 16).unwrap();
                            read.push(char::from_u32(code).unwrap());
                        }
                        Some(c) => read.push(c),
                        None => prop_assert!(false, "ends in a backslash"),
                    },
                    Some(c) => read.push(c),
                    None => prop_assert!(false, "no closing quote"),
                }
            }
            prop_assert_eq!(rest.as_str(), "");
            prop_assert_eq!(read, value);
        }

        /// Runs keep order and lose nothing.
        #[test]
        fn runs_lose_nothing(values in prop::collection::vec(".{0,40}", 0..50), most in 1usize..9) {
            let runs = runs(values.clone(), most, 200);
            prop_assert!(runs.iter().all(|run| !run.is_empty() && run.len() <= most));
            prop_assert_eq!(runs.concat(), values);
        }
    }

    #[test]
    fn only_names_stand_unquoted() {
        for good in ["Lead", "HubSpot_Score__c", "Owner.Name", "ns__Field__c"] {
            assert_eq!(name(good), Ok(good));
        }
        for bad in ["", "Id FROM User", "a-b", "Näme", "Owner.", ".Name", "_x", "9a", "a;b", "a'b"]
        {
            assert_eq!(name(bad), Err(NotAName(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn a_query_reads_as_one_would_write_it() {
        let query = Select::new(["Id", "Email"], "Lead")
            .unwrap()
            .one_of("Email", &["ann@example.com", "o'neil@example.com"].map(quote))
            .unwrap()
            .and("IsConverted = false")
            .tail("ORDER BY Id LIMIT 10");
        insta::assert_snapshot!(query.text(), @r"SELECT Id,Email FROM Lead WHERE Email IN ('ann@example.com','o\'neil@example.com') AND IsConverted = false ORDER BY Id LIMIT 10");
        let counts = Select::new(["Status"], "Lead").unwrap().column("COUNT(Id) records");
        insta::assert_snapshot!(counts.tail("GROUP BY Status").text(), @"SELECT Status,COUNT(Id) records FROM Lead GROUP BY Status");
    }

    #[test]
    fn a_moment_is_a_bare_literal() {
        let at = |text: &str| moment(text.parse().unwrap());
        assert_eq!(at("2026-05-01T07:25:37Z"), "2026-05-01T07:25:37Z");
        assert_eq!(at("2026-05-01T09:25:37.5+02:00"), "2026-05-01T07:25:37.500Z");
    }
}
