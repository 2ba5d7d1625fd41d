//! Texts with places for values, in the syntax that HubSpot admins know from HubL.
//!
//! A text is for a person and must come out whatever is known: a value that is missing is left
//! empty, also where a part of something missing is asked for, and a text that cannot be made at all
//! falls back to what its owner says.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value as Jinja};

use super::condition::ConditionError;

/// How many instructions one text may cost. A long one with loops needs a few thousand.
const FUEL: u64 = 50_000;

/// A compiled text.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    engine: Arc<Environment<'static>>,
}

/// The template's name within its engine.
const NAME: &str = "text";

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    /// Where it is not well formed: what was found, and where.
    pub fn compile(source: &str) -> Result<Self, ConditionError> {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Chainable);
        engine.set_fuel(Some(FUEL));
        // A blank is `none`; what stands for it in a text is nothing.
        engine.set_formatter(|out, state, value| {
            if value.is_none() || value.is_undefined() {
                return Ok(());
            }
            minijinja::escape_formatter(out, state, value)
        });
        engine.add_template_owned(NAME, source.to_owned())?;
        Ok(Self { source: source.into(), engine: Arc::new(engine) })
    }

    /// The text as the admin wrote it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it uses, dotted: `score`, `handoff.reason`.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        match self.engine.get_template(NAME) {
            Ok(template) => template.undeclared_variables(true).into_iter().collect(),
            Err(_) => BTreeSet::new(),
        }
    }

    /// The text with `values`, cut to `most` characters at a word's end.
    ///
    /// # Errors
    /// Where a filter refuses a value or the fuel runs out.
    pub fn render(
        &self,
        values: &serde_json::Value,
        most: usize,
    ) -> Result<String, ConditionError> {
        let template = self.engine.get_template(NAME)?;
        let text = template.render(Jinja::from(Serde(values)))?;
        Ok(cut(text.trim(), most))
    }
}

/// At most `most` characters of `text`; what is cut off ends at a word and with an ellipsis.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let short: String = text.chars().take(most.saturating_sub(1)).collect();
    let whole = short.rfind(char::is_whitespace).filter(|end| *end >= short.len() / 2);
    let kept = whole.map_or(short.as_str(), |end| short[..end].trim_end());
    let ellipsis = if most == 0 { "" } else { "…" };
    format!("{kept}{ellipsis}")
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_missing_value_never_breaks_a_text() {
        let values =
            json!({"name": "Ada", "score": 62.0, "company": null, "deals": [{"name": "A"}]});
        for (source, text) in [
            ("{{ name }}: {{ score|int }}", "Ada: 62"),
            ("{{ name }} of {{ company }}.", "Ada of ."),
            ("{{ nobody.knows.this }}|{{ company.name }}", "|"),
            ("{% if company %}{{ company }}{% else %}no company{% endif %}", "no company"),
            ("{% for deal in deals %}{{ deal.name }}{% endfor %}", "A"),
            ("{% for it in missing %}{{ it }}{% endfor %}end", "end"),
            ("{{ company|default('unknown', true) }}", "unknown"),
        ] {
            let template = Template::compile(source).unwrap();
            assert_eq!(template.render(&values, 100).as_deref(), Ok(text), "{source}");
        }
    }

    #[test]
    fn what_is_no_template_or_never_ends_is_an_error() {
        assert!(Template::compile("{{ name").is_err());
        assert!(Template::compile("{% if x %}").is_err());
        let endless = Template::compile(
            "{% for i in range(9000) %}{% for j in range(9000) %}x{% endfor %}{% endfor %}",
        );
        assert!(endless.unwrap().render(&json!({}), 10).is_err());
    }

    #[test]
    fn a_long_text_is_cut_at_a_word() {
        assert_eq!(cut("a few words more", 11), "a few…");
        assert_eq!(cut("a few words", 11), "a few words");
        assert_eq!(cut("Donaudampfschiff", 6), "Donau…");
        assert_eq!(cut("äöü", 2), "ä…");
        assert_eq!(cut("abc", 0), "");
        for most in 0..20 {
            assert!(cut("one two three four", most).chars().count() <= most);
        }
    }

    #[test]
    fn a_template_tells_what_it_uses() {
        let template = Template::compile("{{ score }} {{ handoff.reason }}").unwrap();
        let names: Vec<String> = template.names().into_iter().collect();
        assert_eq!(names, ["handoff.reason", "score"]);
    }
}
