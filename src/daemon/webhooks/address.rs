//! The address that HubSpot called, which is a part of what it signed.

use std::net::IpAddr;

use http::header::{FORWARDED, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use url::Url;

use crate::settings::{Network, Webhooks};

static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Finds out which address was called.
///
/// Nothing of it is trusted: a wrong address gives a wrong signature, and nobody without the secret
/// can make a right one for it. The headers of strangers are ignored all the same, so that nobody
/// can have a request to another service of the same app accepted here.
#[derive(Debug)]
pub(super) struct Address {
    public: Option<Url>,
    trusted: Vec<Network>,
    scheme: &'static str,
}

impl Address {
    pub(super) fn new(settings: &Webhooks, tls: bool) -> Self {
        Self {
            public: settings.public_url.clone(),
            trusted: settings.trusted_proxies.clone(),
            scheme: if tls { "https" } else { "http" },
        }
    }

    /// The address that the sender called; nothing where nothing tells its host.
    pub(super) fn called(&self, peer: Option<IpAddr>, parts: &Parts) -> Option<String> {
        let path = parts.uri.path();
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Some(public) = &self.public {
            // An address without a path stands for the server; the proxy passes the path on.
            let bare = public.path() == "/";
            let start = public.as_str().trim_end_matches('/');
            return Some(format!("{start}{}{query}", if bare { path } else { "" }));
        }
        let told = if peer.is_some_and(|peer| self.trusts(peer)) {
            told(&parts.headers)
        } else {
            Told::default()
        };
        let host = told.host.or_else(|| text(&parts.headers, &HOST).map(str::to_owned));
        let host = host.or_else(|| parts.uri.authority().map(ToString::to_string))?;
        let scheme = told.scheme.unwrap_or_else(|| self.scheme.to_owned());
        Some(format!("{scheme}://{host}{path}{query}"))
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

/// What a proxy says of the address.
#[derive(Debug, Default)]
struct Told {
    scheme: Option<String>,
    host: Option<String>,
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // Of several proxies the first one saw the caller.
    let text = headers.get(name)?.to_str().ok()?;
    text.split(',').next().map(str::trim).filter(|text| !text.is_empty())
}

/// `Forwarded` (RFC 7239), or the older headers that most proxies set.
fn told(headers: &HeaderMap) -> Told {
    let mut told = Told::default();
    for pair in text(headers, &FORWARDED).into_iter().flat_map(|first| first.split(';')) {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "proto" => told.scheme = Some(value),
            "host" => told.host = Some(value),
            _ => {}
        }
    }
    let older = |name| text(headers, name).map(str::to_owned);
    told.scheme = older(&FORWARDED_PROTO).or(told.scheme);
    told.host = older(&FORWARDED_HOST).or(told.host);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(
        public: Option<&str>,
        tls: bool,
        peer: &str,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Option<String> {
        let address = Address {
            public: public.map(|url| url.parse().unwrap()),
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            scheme: if tls { "https" } else { "http" },
        };
        let mut request = http::Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        address.called(peer.parse().ok(), &parts)
    }

    #[test]
    fn the_setting_the_trusted_proxy_and_the_request_tell_in_this_order() {
        let host = ("host", "127.0.0.1:8766");
        let proxy = [
            host,
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "sync.example.com, inner"),
        ];
        let standard = [
            host,
            ("forwarded", "for=1.2.3.4;proto=https;host=\"sync.example.com\", for=10.0.0.2"),
        ];
        let set = "https://sync.example.com/hooks/hubspot";
        let local = "http://127.0.0.1:8766/webhooks/hubspot?a=1";
        let public = "https://sync.example.com/webhooks/hubspot?a=1";
        for (setting, tls, peer, headers, found) in [
            (Some(set), false, "1.2.3.4", &proxy[..], "https://sync.example.com/hooks/hubspot?a=1"),
            (Some("https://sync.example.com"), false, "1.2.3.4", &[], public),
            (Some("https://sync.example.com/"), false, "1.2.3.4", &[], public),
            (None, false, "10.1.2.3", &proxy[..], public),
            (None, false, "10.1.2.3", &standard[..], public),
            (None, false, "1.2.3.4", &proxy[..], local),
            (None, false, "", &proxy[..], local),
            (None, false, "10.1.2.3", &[host], local),
            (None, true, "1.2.3.4", &[("host", "sync.example.com")], public),
        ] {
            let got = called(setting, tls, peer, "/webhooks/hubspot?a=1", headers);
            assert_eq!(got.as_deref(), Some(found), "{setting:?} {peer}");
        }
        let absolute = "http://sync.example.com/webhooks/hubspot";
        assert_eq!(called(None, false, "1.2.3.4", absolute, &[]).as_deref(), Some(absolute));
        assert_eq!(called(None, false, "1.2.3.4", "/webhooks/hubspot", &[]), None);
    }
}
