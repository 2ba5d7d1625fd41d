//! Names of companies.

use super::{Takes, Transform, any_argument, on_text};

/// What companies append to their names, in small letters and without points.
const FORMS: &[&str] = &[
    "ab",
    "ag",
    "as",
    "bv",
    "co",
    "company",
    "corp",
    "corporation",
    "gmbh",
    "inc",
    "incorporated",
    "kg",
    "limited",
    "llc",
    "llp",
    "ltd",
    "nv",
    "oy",
    "plc",
    "pty",
    "sa",
    "sarl",
    "sas",
    "se",
    "spa",
    "srl",
];

/// Brings company names to a form that can be compared.
pub static COMPANY_NAME: Transform = Transform {
    name: "company_name",
    line: "brings company names to a form that can be compared",
    long: "`\"ACME, Inc.\"` and `\"Acme\"` become `\"acme\"`: small letters, no punctuation, no \
           legal form at the end. For `[[match]]`; a field that is written with it would lose its \
           spelling.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, _| Ok(on_text(value, company)),
    write: None,
};

fn company(text: &str) -> String {
    let lower = text.to_lowercase().replace('.', "");
    let mut words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    while words.len() > 1 && words.last().is_some_and(|word| FORMS.contains(word)) {
        words.pop();
    }
    words.join(" ")
}
