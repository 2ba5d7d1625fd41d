//! What a mapping means, as a number: to notice that it changed.

use std::fmt::Write as _;

use super::model::{Mapping, UnknownOwner};

/// The fingerprint of what the mapping means. Names, order of rules, tables and conditions count;
/// comments, descriptions and examples do not.
pub(super) fn of(mapping: &Mapping) -> u64 {
    let mut hash = Fnv::new();
    let parts = (
        &mapping.name,
        &mapping.sides,
        &mapping.matching,
        &mapping.fields,
        &mapping.stages,
        &mapping.qualifications,
        &mapping.queues,
    );
    // The compiled form is ordered throughout and prints conditions by their text, so its debug
    // form is a faithful account of it. Writing to the hash cannot fail.
    let _ = write!(hash, "{parts:?}");
    // What came later counts only where it is used: a mapping that hands nothing off stays the same
    // when handoffs learn something new.
    if let Some(handoff) = &mapping.handoff {
        let _ = write!(hash, "{handoff:?}");
    }
    if mapping.unknown_owner != UnknownOwner::default() {
        let _ = write!(hash, "{:?}", mapping.unknown_owner);
    }
    hash.0
}

/// FNV-1a: the same in every run and on every machine, unlike the standard library's hashes.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}
