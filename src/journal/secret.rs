//! The journal's own key, by which values that need only be looked up are hashed.

use ring::hmac;

use crate::record::{Fingerprint, RecordRef};

/// A key that never leaves the journal.
#[derive(Clone)]
pub(super) struct Secret(hmac::Key);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    fn hash(&self, domain: u8, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[domain]);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        short
    }

    /// The fingerprint of a matching key.
    pub(super) fn fingerprint(&self, text: &str) -> Fingerprint {
        Fingerprint(self.hash(b'f', &[text.as_bytes()]))
    }

    /// The mark of a record.
    pub(super) fn record(&self, record: &RecordRef) -> [u8; 16] {
        let (side, object, id) = (record.side.key(), &record.object, &record.id);
        self.hash(b'r', &[side.as_bytes(), object.as_bytes(), id.as_bytes()])
    }
}
