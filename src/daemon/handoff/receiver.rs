//! Where notices go: the addresses of their receivers.
//!
//! Who knows the address of a chat's webhook can post to it, and so all of it is one secret. No
//! message here repeats a word of it but the receivers' names.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use crate::settings::{Effective, SecretError};

/// A receiver of notices.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address, which may be a secret in itself.
    pub url: SecretString,
    /// What notices are signed with.
    pub secret: Option<SecretString>,
}

/// Each receiver by the webhook's name in the mapping.
pub type Targets = BTreeMap<String, Target>;

/// Why the receivers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReceiversError {
    /// The secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It is not TOML.
    #[error("the notice_receivers are not TOML from line {line} on; {EXAMPLE}")]
    Toml {
        /// The line.
        line: usize,
    },
    /// A receiver is not as it should be.
    #[error("the notice_receivers: [{name}] {found}; {EXAMPLE}")]
    Unfit {
        /// The receiver.
        name: String,
        /// What is wrong with it.
        found: &'static str,
    },
}

const EXAMPLE: &str =
    "write for each webhook [its name], url = \"https://…\" and, to sign, secret = \"…\"";

/// The receivers that the settings name; none where they name none.
///
/// # Errors
/// Where they cannot be read or are not as they should be.
pub fn receivers(effective: &Effective) -> Result<Targets, ReceiversError> {
    match effective.secret("notice_receivers").filter(|secret| secret.whence().is_some()) {
        Some(secret) => parse(&secret.read()?),
        None => Ok(Targets::new()),
    }
}

fn parse(text: &SecretString) -> Result<Targets, ReceiversError> {
    let text = text.expose_secret();
    let tables: toml::Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        ReceiversError::Toml { line: before.matches('\n').count() + 1 }
    })?;
    tables
        .into_iter()
        .map(|(name, value)| match target(value) {
            Ok(target) => Ok((name, target)),
            Err(found) => Err(ReceiversError::Unfit { name, found }),
        })
        .collect()
}

fn target(value: toml::Value) -> Result<Target, &'static str> {
    let toml::Value::Table(mut table) = value else { return Err("is no table") };
    let mut text = |key: &str| match table.remove(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) if !text.trim().is_empty() => {
            Ok(Some(text.trim().to_owned()))
        }
        Some(_) => Err("has an url or a secret that is blank or no text"),
    };
    let (url, secret) = (text("url")?.ok_or("has no url")?, text("secret")?);
    if !table.is_empty() {
        return Err("has a key other than url and secret");
    }
    let parsed: Url = url.parse().map_err(|_| "has an url that is no address")?;
    let here = match parsed.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match parsed.scheme() {
        "https" => {}
        "http" if here => {}
        _ => return Err("has an url that does not begin with https://"),
    }
    Ok(Target { url: url.into(), secret: secret.map(Into::into) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_read_and_mistakes_are_told_without_a_word_of_the_secret() {
        let good = "[sales]\nurl = \"https://hooks.example.com/T1/abc\"\n\
                    [log]\nurl = \"http://127.0.0.1:9/x\"\nsecret = \"s3cret\"\n";
        let targets = parse(&good.into()).unwrap();
        assert_eq!(targets.keys().collect::<Vec<_>>(), ["log", "sales"]);
        assert_eq!(targets["log"].secret.as_ref().unwrap().expose_secret(), "s3cret");
        assert!(targets["sales"].secret.is_none());
        let shown = format!("{targets:?}");
        assert!(!shown.contains("hooks") && !shown.contains("s3cret"), "{shown}");

        for (text, found) in [
            ("[sales]\nurl = https://hush.example.com\n", "not TOML from line 2 on"),
            ("sales = \"https://hush.example.com\"\n", "[sales] is no table"),
            ("[sales]\nsecret = \"hush\"\n", "[sales] has no url"),
            ("[sales]\nurl = \"http://hush.example.com\"\n", "does not begin with https://"),
            ("[sales]\nurl = \"hush\"\n", "has an url that is no address"),
            ("[sales]\nurl = 5\n", "blank or no text"),
            ("[sales]\nurl = \"https://a.example\"\nhush = 1\n", "other than url and secret"),
        ] {
            let told = parse(&text.into()).unwrap_err().to_string();
            assert!(told.contains(found) && !told.contains("hush"), "{text}: {told}");
        }
    }

    #[test]
    fn the_example_of_the_reference_is_one() {
        let reference = include_str!("../../../mappings/README.md");
        let (_, notices) = reference.split_once("### Notices").unwrap();
        let block = notices.split("```").nth(1).unwrap().strip_prefix("text").unwrap();
        let targets = parse(&block.into()).unwrap();
        assert_eq!(targets.keys().collect::<Vec<_>>(), ["sales", "warehouse"]);
        assert!(targets["warehouse"].secret.is_some());
    }
}
