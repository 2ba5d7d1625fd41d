//! Internet domains.

use url::{Host, Url};

use super::{Takes, Transform, any_argument, on_text};

/// Keeps the domain of an address.
pub static DOMAIN: Transform = Transform {
    name: "domain",
    line: "keeps the domain of an e-mail address or a web address",
    long: "`\"https://www.Example.com:443/about?x\"` and `\"ada@example.com\"` become \
           `\"example.com\"`, and `\"Müller.example\"` becomes `\"xn--mller-kva.example\"`, as the \
           internet spells it.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["text"],
    spoken: None,
    spellings: Some(addresses),
    read: |value, _| Ok(on_text(value, domain)),
    write: None,
};

/// How people and forms write a domain as a web address. One in other letters than Latin ones is looked
/// for in both its spellings. What is no domain at all may mean something else in an address.
fn addresses(name: &str) -> Vec<String> {
    let beginnings = ["", "www.", "http://", "http://www.", "https://", "https://www."];
    let unicode = url::quirks::domain_to_unicode(name);
    let with = |host: &str, end: &'static str| -> Vec<String> {
        beginnings.iter().map(|beginning| format!("{beginning}{host}{end}")).collect()
    };
    let mut all = [with(name, ""), with(name, "/")].concat();
    if !unicode.is_empty() && unicode != name {
        all.extend([with(&unicode, ""), with(&unicode, "/")].concat());
    }
    all.retain(|address| domain(address) == name);
    all
}

/// Peels until nothing is left to peel, so that the result is left as it is.
fn domain(text: &str) -> String {
    let mut host = text.trim().to_lowercase();
    loop {
        let inner = parsed(&host).unwrap_or_else(|| peeled(&host).to_owned());
        let inner = inner.trim().trim_matches('.');
        let inner = inner.strip_prefix("www.").unwrap_or(inner);
        if inner == host {
            return host;
        }
        host = inner.to_owned();
    }
}

/// The host of a web address as browsers read one (WHATWG URL): without scheme, name and password,
/// port, path, query and fragment, in ASCII. Nothing where the text is no such address. A number, which
/// browsers take for an address of the internet protocol, is none.
fn parsed(text: &str) -> Option<String> {
    let rest = match text.split_once(':') {
        Some(("http" | "https", rest)) => rest.trim_start_matches(['/', '\\']),
        // Behind a path or a query, `://` belongs to another address.
        _ => match text.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?', '#', '@']) => rest,
            _ => text,
        },
    };
    let url = Url::parse(&format!("https://{rest}")).ok()?;
    match url.host()? {
        Host::Domain(host) => Some(host.to_owned()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// What stands where the host should, in a text that is no web address.
fn peeled(host: &str) -> &str {
    let inner = host.rsplit_once("://").map_or(host, |(_, rest)| rest);
    let inner = inner.split(['/', '?', '#']).find(|part| !part.is_empty()).unwrap_or("");
    let inner = inner.rsplit('@').next().unwrap_or("");
    inner.split(':').next().unwrap_or("")
}
