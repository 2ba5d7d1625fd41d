//! The templates. Their names end in `.html`, by which everything that is put into them is escaped.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, HtmlEscape, UndefinedBehavior, Value};
use serde::Serialize;

pub use minijinja::Error;

const TEMPLATES: [(&str, &str); 4] = [
    ("base.html", include_str!("templates/base.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("page.html", include_str!("templates/page.html")),
    ("sign_in.html", include_str!("templates/sign_in.html")),
];

/// Renders a template. What it names and was not given is an error, not a blank.
pub(super) fn render(name: &str, context: &impl Serialize) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_filter("code", |text: &str| with_code(text));
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    environment.get_template(name)?.render(Serde(context))
}

/// What stands between backticks is a command: the messages are those of the command line.
fn with_code(text: &str) -> Value {
    let pieces: Vec<&str> = text.split('`').collect();
    // One that has no partner is a backtick.
    if pieces.len().is_multiple_of(2) {
        return Value::from(text);
    }
    let mut html = String::new();
    for (place, piece) in pieces.into_iter().enumerate() {
        let escaped = HtmlEscape(piece);
        html.push_str(&if place % 2 == 0 {
            escaped.to_string()
        } else {
            format!("<code>{escaped}</code>")
        });
    }
    Value::from_safe_string(html)
}
