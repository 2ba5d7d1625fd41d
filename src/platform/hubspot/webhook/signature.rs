//! Whether HubSpot wrote a request. (developers.hubspot.com, "Validating requests".)
//!
//! | version | header | what is signed | how |
//! | --- | --- | --- | --- |
//! | v1 | `X-HubSpot-Signature` | secret, body | SHA-256, hex |
//! | v2 | `X-HubSpot-Signature` | secret, method, URI, body | SHA-256, hex |
//! | v3 | `X-HubSpot-Signature-v3` | method, URI, body, time | HMAC-SHA-256 with the secret, base64 |
//!
//! Only v3 carries a time, so only v3 keeps a recorded request from being sent again a year later:
//! the others are accepted where a setting asks for them.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::{digest, hmac};
use secrecy::{ExposeSecret, SecretString};

/// The header of signatures of version 3.
pub const SIGNATURE_V3: &str = "x-hubspot-signature-v3";
/// The header that says when a request was signed, in milliseconds since 1970: version 3 alone.
pub const TIMESTAMP: &str = "x-hubspot-request-timestamp";
/// The header of signatures of versions 1 and 2.
pub const SIGNATURE: &str = "x-hubspot-signature";
/// The header that says which of the two it is.
pub const SIGNATURE_VERSION: &str = "x-hubspot-signature-version";

/// How far a request's time may lie from ours, in either direction. HubSpot signs each repetition
/// anew.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The secret and the body.
    V1,
    /// The method and the URI as well.
    V2,
    /// The time as well.
    V3,
}

impl Version {
    /// All of them, the weakest first.
    pub const ALL: [Self; 3] = [Self::V1, Self::V2, Self::V3];

    /// The word that headers and settings use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A request as it came, and the address that it was sent to.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole address as HubSpot called it, with scheme, host, path and query. Behind a proxy
    /// this is not the address that the request arrived at.
    pub uri: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The bytes of the body, untouched.
    pub body: &'a [u8],
}

/// Why a request is not taken for HubSpot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// It has no signature of a version that is accepted.
    #[error("the request has no signature of an accepted version")]
    Unsigned,
    /// The signature is not the one that the secret gives.
    #[error(
        "the signature is wrong: another secret, another address than HubSpot was given, or forged"
    )]
    Forged,
    /// It was signed more than five minutes from now, or the time cannot be read.
    #[error("the request was not signed within five minutes of this machine's time")]
    Stale,
}

/// Tells HubSpot's requests from others'.
pub struct Verifier {
    key: hmac::Key,
    secret: SecretString,
    accepted: Vec<Version>,
    /// Compares digests in constant time: ring keeps [`hmac::verify`] for that, and nothing else.
    compare: hmac::Key,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("accepted", &self.accepted).finish_non_exhaustive()
    }
}

impl Verifier {
    /// By the app's client secret, for the versions that are accepted.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub fn new(
        secret: &SecretString,
        accepted: impl IntoIterator<Item = Version>,
    ) -> Result<Self, ring::error::Unspecified> {
        let mut accepted: Vec<Version> = accepted.into_iter().collect();
        accepted.sort_unstable_by(|one, other| other.cmp(one));
        accepted.dedup();
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()),
            secret: secret.clone(),
            accepted,
            compare: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
        })
    }

    /// What the headers alone tell, before the body is read: whether there is a signature at all,
    /// and whether it is too old.
    ///
    /// # Errors
    /// Where no body could make the request good.
    pub fn glance(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), Unverified> {
        let mut carried =
            self.accepted.iter().filter(|version| signature_of(headers, **version).is_some());
        match carried.next() {
            None => Err(Unverified::Unsigned),
            Some(Version::V3)
                if !header(headers, TIMESTAMP).is_some_and(|stamp| is_fresh(stamp, now)) =>
            {
                Err(Unverified::Stale)
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether HubSpot wrote `request`, at `now`. The strongest accepted version that the request
    /// carries decides alone: a wrong signature is not made good by a weaker right one.
    ///
    /// # Errors
    /// Where it did not, as far as can be told.
    pub fn check(&self, request: &Signed<'_>, now: Timestamp) -> Result<Version, Unverified> {
        let carried = self.accepted.iter().find_map(|version| {
            let signature = signature_of(request.headers, *version)?;
            Some((*version, signature))
        });
        let (version, signature) = carried.ok_or(Unverified::Unsigned)?;
        let right = match version {
            Version::V1 => self.is_digest(signature, &["", ""], request.body),
            Version::V2 => spellings(request.uri).any(|uri| {
                self.is_digest(signature, &[request.method.as_str(), &uri], request.body)
            }),
            Version::V3 => {
                // Before any hashing: what is too old costs nothing.
                let stamp = header(request.headers, TIMESTAMP).ok_or(Unverified::Stale)?;
                if !is_fresh(stamp, now) {
                    return Err(Unverified::Stale);
                }
                let Ok(signature) = STANDARD.decode(signature) else {
                    return Err(Unverified::Forged);
                };
                spellings(request.uri).any(|uri| {
                    let signed = [
                        request.method.as_str().as_bytes(),
                        uri.as_bytes(),
                        request.body,
                        stamp.as_bytes(),
                    ]
                    .concat();
                    hmac::verify(&self.key, &signed, &signature).is_ok()
                })
            }
        };
        if right { Ok(version) } else { Err(Unverified::Forged) }
    }

    /// Whether `signature` is the hex digest of the secret, `parts` and `body`.
    fn is_digest(&self, signature: &str, parts: &[&str], body: &[u8]) -> bool {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.secret.expose_secret().as_bytes());
        for part in parts {
            context.update(part.as_bytes());
        }
        context.update(body);
        let right = hex(context.finish().as_ref());
        let tag = hmac::sign(&self.compare, right.as_bytes());
        let given = signature.to_ascii_lowercase();
        hmac::verify(&self.compare, given.as_bytes(), tag.as_ref()).is_ok()
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

fn signature_of(headers: &HeaderMap, version: Version) -> Option<&str> {
    if version == Version::V3 {
        return header(headers, SIGNATURE_V3);
    }
    // Requests of the oldest kind do not say which version they are.
    let said = header(headers, SIGNATURE_VERSION).unwrap_or(Version::V1.word());
    header(headers, SIGNATURE).filter(|_| said.eq_ignore_ascii_case(version.word()))
}

fn is_fresh(stamp: &str, now: Timestamp) -> bool {
    let signed = stamp.parse().ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    signed.is_some_and(|signed| now.duration_since(signed).abs() <= TOLERANCE)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// What HubSpot says that it decodes in the URI before it signs. Its own client libraries do not:
/// both spellings are accepted.
const DECODED: [(&str, char); 12] = [
    ("3A", ':'),
    ("2F", '/'),
    ("3F", '?'),
    ("40", '@'),
    ("21", '!'),
    ("24", '$'),
    ("27", '\''),
    ("28", '('),
    ("29", ')'),
    ("2A", '*'),
    ("2C", ','),
    ("3B", ';'),
];

/// The URI as it was called, and decoded where that differs.
fn spellings(uri: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let decoded = uri.contains('%').then(|| decode(uri)).filter(|decoded| decoded != uri);
    std::iter::once(Cow::Borrowed(uri)).chain(decoded.map(Cow::Owned))
}

fn decode(uri: &str) -> String {
    let mut parts = uri.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let known = part
            .get(..2)
            .and_then(|code| DECODED.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)));
        match known {
            Some((_, character)) => {
                decoded.push(*character);
                decoded.push_str(&part[2..]);
            }
            None => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";
    const URI: &str = "https://www.example.com/webhook_uri";
    const QUOTED: &str = "{'example_field':'example_value'}";

    fn verifier(accepted: &[Version]) -> Verifier {
        Verifier::new(&SecretString::from(SECRET), accepted.iter().copied()).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    /// A request that the secret signs by version 3.
    fn sign(uri: &str, body: &str, millis: i64) -> HeaderMap {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = hmac::sign(&key, format!("POST{uri}{body}{millis}").as_bytes());
        headers(&[(SIGNATURE_V3, &STANDARD.encode(tag)), (TIMESTAMP, &millis.to_string())])
    }

    /// Known answers: what HubSpot's client libraries for four languages test themselves by.
    #[test]
    fn what_hubspots_own_libraries_accept_is_accepted() {
        let webhook = r#"[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]"#;
        for (version, method, body, signature) in [
            (
                "v1",
                "POST",
                QUOTED,
                "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750",
            ),
            (
                "v1",
                "POST",
                webhook,
                "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de",
            ),
            (
                "v2",
                "POST",
                QUOTED,
                "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383",
            ),
            ("v2", "GET", "", "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"),
            (
                "v2",
                "POST",
                r#"{"example_field":"example_value"}"#,
                "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
            ),
        ] {
            let method = method.parse().unwrap();
            let headers = headers(&[(SIGNATURE, signature), (SIGNATURE_VERSION, version)]);
            let signed =
                Signed { method: &method, uri: URI, headers: &headers, body: body.as_bytes() };
            let found = verifier(&Version::ALL).check(&signed, at(0));
            assert_eq!(found.map(Version::word), Ok(version), "{body}");
            let refused = verifier(&[Version::V3]).check(&signed, at(0));
            assert_eq!(refused, Err(Unverified::Unsigned), "only what a setting asks for");
        }
        for (millis, signature) in [
            (1_693_657_560_000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
            (1_700_000_300_000, "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
        ] {
            let headers = headers(&[(SIGNATURE_V3, signature), (TIMESTAMP, &millis.to_string())]);
            let signed = Signed {
                method: &Method::POST,
                uri: URI,
                headers: &headers,
                body: QUOTED.as_bytes(),
            };
            assert_eq!(verifier(&[Version::V3]).check(&signed, at(millis)), Ok(Version::V3));
        }
    }

    #[test]
    fn a_request_is_good_for_five_minutes_of_either_clock() {
        let verifier = verifier(&[Version::V3]);
        let sent = 1_700_000_000_000;
        let headers = sign(URI, QUOTED, sent);
        let signed =
            Signed { method: &Method::POST, uri: URI, headers: &headers, body: QUOTED.as_bytes() };
        for (late, found) in [
            (0, Ok(Version::V3)),
            (300_000, Ok(Version::V3)),
            (-300_000, Ok(Version::V3)),
            (300_001, Err(Unverified::Stale)),
            (-300_001, Err(Unverified::Stale)),
        ] {
            assert_eq!(verifier.check(&signed, at(sent + late)), found, "{late} ms late");
        }
    }

    #[test]
    fn whatever_is_changed_the_signature_no_longer_fits() {
        let verifier = verifier(&Version::ALL);
        let sent = 1_700_000_000_000;
        let whole = sign(URI, QUOTED, sent);
        let check = |method: &Method, uri: &str, headers: &HeaderMap, body: &[u8]| {
            verifier.check(&Signed { method, uri, headers, body }, at(sent))
        };
        let right = (&Method::POST, URI, &whole, QUOTED.as_bytes());
        assert_eq!(check(right.0, right.1, right.2, right.3), Ok(Version::V3));
        let mut other_time = whole.clone();
        other_time.insert(TIMESTAMP, HeaderValue::from_static("1700000000001"));
        let mut no_time = whole.clone();
        no_time.remove(TIMESTAMP);
        let mut odd_time = whole.clone();
        odd_time.insert(TIMESTAMP, HeaderValue::from_static("now"));
        let mut no_base64 = whole.clone();
        no_base64.insert(SIGNATURE_V3, HeaderValue::from_static("!"));
        let none = HeaderMap::new();
        let http = URI.replace("https", "http");
        for (method, uri, headers, body, why) in [
            (&Method::PUT, URI, &whole, right.3, Unverified::Forged),
            (right.0, &http, &whole, right.3, Unverified::Forged),
            (right.0, URI, &whole, b"{}", Unverified::Forged),
            (right.0, URI, &other_time, right.3, Unverified::Forged),
            (right.0, URI, &no_base64, right.3, Unverified::Forged),
            (right.0, URI, &no_time, right.3, Unverified::Stale),
            (right.0, URI, &odd_time, right.3, Unverified::Stale),
            (right.0, URI, &none, right.3, Unverified::Unsigned),
        ] {
            assert_eq!(check(method, uri, headers, body), Err(why));
        }
    }

    #[test]
    fn a_wrong_signature_is_not_made_good_by_a_weaker_one() {
        let mut both = sign(URI, "another body", 1_700_000_000_000);
        both.extend(headers(&[(
            SIGNATURE,
            "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750",
        )]));
        let signed =
            Signed { method: &Method::POST, uri: URI, headers: &both, body: QUOTED.as_bytes() };
        let now = at(1_700_000_000_000);
        assert_eq!(verifier(&Version::ALL).check(&signed, now), Err(Unverified::Forged));
        assert_eq!(verifier(&[Version::V1]).check(&signed, now), Ok(Version::V1));
    }

    #[test]
    fn both_spellings_of_the_address_are_accepted() {
        let called = "https://sync.example.com/webhooks/hubspot?a=%3A%2f%3F%40%21%24%27%28%29%2A%2C%3B&b=%20%zz%2";
        assert_eq!(
            decode(called),
            "https://sync.example.com/webhooks/hubspot?a=:/?@!$'()*,;&b=%20%zz%2"
        );
        for signed_as in [called, &decode(called)] {
            let headers = sign(signed_as, QUOTED, 1_700_000_000_000);
            let signed = Signed {
                method: &Method::POST,
                uri: called,
                headers: &headers,
                body: QUOTED.as_bytes(),
            };
            let found = verifier(&[Version::V3]).check(&signed, at(1_700_000_000_000));
            assert_eq!(found, Ok(Version::V3), "{signed_as}");
        }
    }

    proptest! {
        #[test]
        fn no_header_and_no_address_is_too_odd(
            uri in ".*", body in any::<Vec<u8>>(),
            v3 in "[ -~]{0,60}", old in "[ -~]{0,70}", stamp in "[ -~]{0,20}", version in "v[0-9]",
        ) {
            let headers = headers(&[
                (SIGNATURE_V3, &v3), (SIGNATURE, &old), (TIMESTAMP, &stamp),
                (SIGNATURE_VERSION, &version),
            ]);
            let signed = Signed { method: &Method::POST, uri: &uri, headers: &headers, body: &body };
            for accepted in Version::ALL {
                prop_assert!(verifier(&[accepted]).check(&signed, at(0)).is_err());
            }
        }
    }
}
