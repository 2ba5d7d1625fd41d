//! Internet domains.

use super::{Takes, Transform, any_argument, on_text};

/// Keeps the domain of an address.
pub static DOMAIN: Transform = Transform {
    name: "domain",
    line: "keeps the domain of an e-mail address or a web address",
    long: "`\"https://www.Example.com/about\"` and `\"ada@example.com\"` become \
           `\"example.com\"`.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["text"],
    spoken: None,
    spellings: Some(addresses),
    read: |value, _| Ok(on_text(value, domain)),
    write: None,
};

/// How people and forms write a domain as a web address.
fn addresses(domain: &str) -> Vec<String> {
    let beginnings = ["", "www.", "http://", "http://www.", "https://", "https://www."];
    let with = |end: &'static str| {
        beginnings.iter().map(move |beginning| format!("{beginning}{domain}{end}"))
    };
    with("").chain(with("/")).collect()
}

/// Peels until nothing is left to peel, so that the result is left as it is.
fn domain(text: &str) -> String {
    let mut host = text.trim().to_lowercase();
    loop {
        let inner = host.rsplit_once("://").map_or(host.as_str(), |(_, rest)| rest);
        let inner = inner.split(['/', '?', '#']).find(|part| !part.is_empty()).unwrap_or("");
        let inner = inner.rsplit('@').next().unwrap_or("");
        let inner = inner.split(':').next().unwrap_or("");
        let inner = inner.trim().trim_matches('.');
        let inner = inner.strip_prefix("www.").unwrap_or(inner);
        if inner == host {
            return host;
        }
        host = inner.to_owned();
    }
}
