//! How HubSpot signs what it sends. The developer documentation's "validating requests" page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac};

/// Version 1: SHA-256 of secret and body, in hexadecimal.
#[must_use]
pub fn v1(secret: &str, body: &[u8]) -> String {
    hex(&[secret.as_bytes(), body])
}

/// Version 2: SHA-256 of secret, method, URI and body, in hexadecimal.
#[must_use]
pub fn v2(secret: &str, method: &str, uri: &str, body: &[u8]) -> String {
    hex(&[secret.as_bytes(), method.as_bytes(), uri.as_bytes(), body])
}

/// Version 3: HMAC-SHA-256 of method, URI (with a part of its escapes undone), body and timestamp
/// in milliseconds, by the secret, in base64.
#[must_use]
pub fn v3(secret: &str, method: &str, uri: &str, body: &[u8], timestamp: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(method.as_bytes());
    context.update(decoded(uri).as_bytes());
    context.update(body);
    context.update(timestamp.to_string().as_bytes());
    BASE64_STANDARD.encode(context.sign())
}

fn hex(parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The escapes that are undone before signing, and no others.
const UNDONE: [(&str, char); 12] = [
    ("%3A", ':'),
    ("%2F", '/'),
    ("%3F", '?'),
    ("%40", '@'),
    ("%21", '!'),
    ("%24", '$'),
    ("%27", '\''),
    ("%28", '('),
    ("%29", ')'),
    ("%2A", '*'),
    ("%2C", ','),
    ("%3B", ';'),
];

fn decoded(uri: &str) -> String {
    let mut out = String::with_capacity(uri.len());
    let mut rest = uri;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let escape = rest.get(..3).unwrap_or_default();
        match UNDONE.iter().find(|(text, _)| text.eq_ignore_ascii_case(escape)) {
            Some((_, plain)) => {
                out.push(*plain);
                rest = &rest[3..];
            }
            None => {
                out.push('%');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";
    const URI: &str = "https://www.example.com/webhook_uri";
    const BODY: &[u8] = b"{'example_field':'example_value'}";

    /// The vectors of the official clients' own tests.
    #[test]
    fn signatures_match_the_official_clients() {
        let webhook = br#"[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]"#;
        for (body, expected) in [
            (BODY, "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750"),
            (&webhook[..], "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"),
        ] {
            assert_eq!(v1(SECRET, body), expected);
        }
        for (method, body, expected) in [
            ("POST", BODY, "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383"),
            ("GET", b"", "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"),
            (
                "POST",
                br#"{"example_field":"example_value"}"#,
                "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
            ),
        ] {
            assert_eq!(v2(SECRET, method, URI, body), expected);
        }
        for (timestamp, expected) in [
            (1_693_657_560_000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
            (1_700_000_300_000, "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
        ] {
            assert_eq!(v3(SECRET, "POST", URI, BODY, timestamp), expected);
        }
    }

    #[test]
    fn only_the_listed_escapes_are_undone() {
        for (uri, plain) in [
            ("https://a.example/x?q=a%3Ab%2fc%40d", "https://a.example/x?q=a:b/c@d"),
            ("https://a.example/%20%25%3D", "https://a.example/%20%25%3D"),
            ("https://a.example/%3", "https://a.example/%3"),
            ("https://a.example/%é", "https://a.example/%é"),
        ] {
            assert_eq!(decoded(uri), plain);
        }
    }
}
