//! Record ids: three characters of prefix, twelve of sequence, three of checksum.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A record's id in its 18-character form.
pub type Id = Arc<str>;

const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// In this order of digits the byte order of ids is the order in which they were handed out.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 18-character form of a 15-character id: each group of five characters gets one more that
/// says which of them are capitals, so that the id survives tools that fold case.
#[must_use]
pub fn with_checksum(fifteen: &str) -> String {
    let mut out = fifteen.to_owned();
    for group in fifteen.as_bytes().chunks(5) {
        let bits = group
            .iter()
            .enumerate()
            .filter(|(_, c)| c.is_ascii_uppercase())
            .fold(0_usize, |bits, (at, _)| bits | 1 << at);
        out.push(char::from(SUFFIX[bits]));
    }
    out
}

/// The 18-character form of an id in either form; `None` when it is neither, or when its checksum
/// contradicts it.
#[must_use]
pub fn normalise(text: &str) -> Option<Id> {
    if !text.is_ascii() || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    match text.len() {
        15 => Some(with_checksum(text).into()),
        18 if with_checksum(&text[..15]) == text => Some(text.into()),
        _ => None,
    }
}

/// The sequences that ids come from, one a prefix.
#[derive(Debug, Default)]
pub(super) struct Ids {
    next: BTreeMap<String, u64>,
}

impl Ids {
    /// The next id with this three-character prefix.
    pub(super) fn allocate(&mut self, prefix: &str) -> Id {
        let next = self.next.entry(prefix.to_owned()).or_insert(1);
        let mut digits = [b'0'; 9];
        let mut rest = *next;
        for digit in digits.iter_mut().rev() {
            *digit = BASE62[usize::try_from(rest % 62).unwrap_or(0)];
            rest /= 62;
        }
        *next += 1;
        // `Ls0` stands where a real org has the number of its instance.
        let mut fifteen = format!("{prefix}Ls0");
        fifteen.extend(digits.iter().map(|d| char::from(*d)));
        with_checksum(&fifteen).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_matches_real_ids() {
        // Ids of public samples of the platform's own answers.
        for id in ["003q000000KvQ1tAAF", "701E0000000JuFHIA0", "a00D0000008pQRAIA2"] {
            assert_eq!(with_checksum(&id[..15]), id);
            assert_eq!(normalise(&id[..15]).as_deref(), Some(id));
            assert_eq!(normalise(id).as_deref(), Some(id));
        }
        assert_eq!(with_checksum("000000000000000"), "000000000000000AAA");
        assert_eq!(normalise("003q000000KvQ1tAAA"), None, "a wrong checksum is no id");
        assert_eq!(normalise("003q000000KvQ1"), None);
        assert_eq!(normalise("003q0000é0KvQ1"), None);
    }

    #[test]
    fn ids_sort_in_the_order_of_allocation() {
        let mut ids = Ids::default();
        let many: Vec<Id> = (0..5000).map(|_| ids.allocate("00Q")).collect();
        assert!(many.windows(2).all(|w| w[0] < w[1]));
        assert!(many.iter().all(|id| normalise(id).as_ref() == Some(id)));
        assert_eq!(&*many[0], "00QLs0000000001MAA");
    }
}
