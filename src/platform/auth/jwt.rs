//! The signed assertion of the JWT bearer flow.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};

/// How long an assertion is good for, in seconds. Salesforce takes no more than five minutes and
/// allows for a clock that is three minutes off.
const LIFETIME: i64 = 180;

/// The private key whose certificate was uploaded to the app.
pub struct JwtKey(RsaKeyPair);

/// Why a text is no key for assertions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtKeyError {
    /// No key in PEM form.
    #[error(
        "no private key was found: the file should begin with \"-----BEGIN PRIVATE KEY-----\" or \
         \"-----BEGIN RSA PRIVATE KEY-----\""
    )]
    NotPem,
    /// The key is locked with a pass phrase.
    #[error(
        "the private key is encrypted: store it without a pass phrase (`openssl pkey -in locked.pem \
         -out server.key`) and protect the file instead"
    )]
    Encrypted,
    /// Not RSA, or damaged, or shorter than 2048 bits.
    #[error("the private key is not an RSA key of 2048 to 4096 bits ({0})")]
    NotRsa(String),
}

impl JwtKey {
    /// Reads a key in PEM form, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// Where it is no unencrypted RSA key.
    pub fn from_pem(pem: &SecretString) -> Result<Self, JwtKeyError> {
        let pem = pem.expose_secret();
        if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(JwtKeyError::Encrypted);
        }
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| JwtKeyError::NotPem)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(JwtKeyError::NotRsa("another algorithm".into())),
        };
        pair.map(Self).map_err(|why| JwtKeyError::NotRsa(why.to_string()))
    }

    /// An assertion that `issuer` (the app's consumer key) may act as `subject` (a user name)
    /// towards `audience` (the login address), signed with RS256.
    ///
    /// Nothing where the signature fails, which ring knows only for a broken random source.
    pub(super) fn assertion(
        &self,
        issuer: &str,
        subject: &str,
        audience: &str,
        now: Timestamp,
    ) -> Option<SecretString> {
        let claims = serde_json::json!({
            "iss": issuer,
            "sub": subject,
            "aud": audience,
            "exp": now.as_second() + LIFETIME,
        });
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        let mut token = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .ok()?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Some(SecretString::from(token))
    }
}

impl std::fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JwtKey(…)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// A key that was made for these tests and guards nothing.
    pub(crate) const PKCS8: &str = include_str!("testdata/pkcs8.pem");
    /// The same key in the older form.
    const PKCS1: &str = include_str!("testdata/pkcs1.pem");
    const CURVE: &str = include_str!("testdata/p256.pem");

    fn key(pem: &str) -> Result<JwtKey, JwtKeyError> {
        JwtKey::from_pem(&SecretString::from(pem))
    }

    #[test]
    fn both_forms_sign_the_same_and_the_signature_holds() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let sign = |key: &JwtKey| {
            let token = key.assertion("consumer", "ann@example.com", "https://login", now).unwrap();
            token.expose_secret().to_owned()
        };
        let (one, two) = (key(PKCS8).unwrap(), key(PKCS1).unwrap());
        let token = sign(&one);
        assert_eq!(token, sign(&two));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(text(header), r#"{"alg":"RS256"}"#);
        insta::assert_snapshot!(text(claims), @r#"{"iss":"consumer","sub":"ann@example.com","aud":"https://login","exp":1795348980}"#);
        let public = one.0.public_key().as_ref();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
    }

    #[test]
    fn what_is_no_key_is_told_why() {
        assert_eq!(key("").unwrap_err(), JwtKeyError::NotPem);
        assert_eq!(key("-----BEGIN CERTIFICATE-----").unwrap_err(), JwtKeyError::NotPem);
        let locked = PKCS8.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert_eq!(key(&locked).unwrap_err(), JwtKeyError::Encrypted);
        assert!(matches!(key(CURVE).unwrap_err(), JwtKeyError::NotRsa(_)));
        assert_eq!(format!("{:?}", key(PKCS8).unwrap()), "JwtKey(…)");
    }
}
