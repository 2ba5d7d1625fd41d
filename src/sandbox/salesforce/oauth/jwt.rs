//! Signed assertions, checked as the platform checks them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

/// How far in the past an expiry may lie.
const SKEW: SignedDuration = SignedDuration::from_secs(180);
/// How far in the future it may lie.
const AHEAD: SignedDuration = SignedDuration::from_secs(300);

/// An RSA public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// PKCS#1 `RSAPublicKey` in DER.
    pub(super) der: Vec<u8>,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "found no RSA public key; expected a certificate, a public key or an RSA public key in PEM or DER, as \
     `openssl req -x509` and `openssl rsa -pubout` write them"
)]
pub struct KeyError;

/// `SEQUENCE { OBJECT rsaEncryption, NULL }`: it stands right before the key in a certificate and in
/// a SubjectPublicKeyInfo.
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

impl PublicKey {
    /// Reads a certificate, a public key or an RSA public key, in PEM or DER.
    ///
    /// # Errors
    /// When there is no RSA key in it.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        let der = match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN") => {
                let body: String = text
                    .lines()
                    .skip_while(|l| !l.starts_with("-----BEGIN"))
                    .skip(1)
                    .take_while(|l| !l.starts_with("-----END"))
                    .collect();
                STANDARD.decode(body.trim()).map_err(|_| KeyError)?
            }
            _ => bytes.to_vec(),
        };
        if let Some(at) = der.windows(RSA_ENCRYPTION.len()).position(|w| w == RSA_ENCRYPTION) {
            let bits = element(&der[at + RSA_ENCRYPTION.len()..], 0x03).ok_or(KeyError)?;
            // The first byte of a bit string counts its unused bits.
            let key = bits.get(1..).ok_or(KeyError)?;
            return Ok(Self { der: key.to_vec() });
        }
        // An RSAPublicKey is a sequence that begins with an integer.
        match element(&der, 0x30).and_then(<[u8]>::first) {
            Some(0x02) => Ok(Self { der }),
            _ => Err(KeyError),
        }
    }
}

/// The content of a DER element with this tag at the start of `bytes`.
fn element(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let [found, first, rest @ ..] = bytes else { return None };
    if *found != tag {
        return None;
    }
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let digits = rest.get(..count).filter(|d| d.len() <= 4)?;
        (digits.iter().fold(0, |n, b| n << 8 | usize::from(*b)), &rest[count..])
    };
    rest.get(..length)
}

/// The claims of an assertion that matter.
#[derive(Debug)]
pub(super) struct Claims {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
}

/// Reads the claims without believing them.
pub(super) fn claims(assertion: &str) -> Option<(Claims, i64)> {
    let mut parts = assertion.split('.');
    let header: Value = decode(parts.next()?)?;
    let payload: Value = decode(parts.next()?)?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return None;
    }
    let text = |name: &str| payload.get(name).and_then(Value::as_str).map(str::to_owned);
    // Some clients send the expiry as a text, and it works.
    let expiry = payload.get("exp")?;
    let expiry = expiry.as_i64().or_else(|| expiry.as_str()?.parse().ok())?;
    let subject = text("sub").or_else(|| text("prn"))?;
    Some((Claims { issuer: text("iss")?, subject, audience: text("aud")? }, expiry))
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
}

/// Whether the key signed the assertion.
pub(super) fn is_signed(assertion: &str, key: &PublicKey) -> bool {
    let Some((signed, signature)) = assertion.rsplit_once('.') else { return false };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')) else {
        return false;
    };
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.der)
        .verify(signed.as_bytes(), &signature)
        .is_ok()
}

/// Whether an expiry lies in the window that the platform accepts.
pub(super) fn is_timely(expiry: i64, now: Timestamp) -> bool {
    let ahead = expiry - now.as_second();
    ahead > -SKEW.as_secs() && ahead <= AHEAD.as_secs()
}
