//! Which fields changed: bitmaps over the positions of a schema's fields.
//!
//! An item `0x400800` has a bit for each field of the schema, the lowest for the first; an item
//! `4-0x01` has a bit for each child of the compound field at position 4, whose own bit is not set
//! then. (Change Data Capture Developer Guide, "Change Event Fields".)

/// A field, or a part of a compound one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// The field at this position of the schema.
    Field(usize),
    /// A child of the compound field at the first position.
    Child(usize, usize),
    /// A field that is named and not counted. Salesforce's own examples reckon with it.
    Named(String),
}

/// No bitmap is longer than this: it is enough for 65,536 fields, and an org's object has at most
/// 800.
const LONGEST: usize = 16_384;

/// The positions that the items of a bitmap field name. Nothing where an item is of no known shape:
/// then it is unknown what changed.
#[must_use]
pub fn positions(items: &[impl AsRef<str>]) -> Option<Vec<Position>> {
    let mut found = Vec::new();
    for item in items.iter().map(AsRef::as_ref) {
        if let Some((parent, bits)) = item.split_once('-') {
            let parent: usize = parent.parse().ok()?;
            found.extend(ones(bits)?.into_iter().map(|child| Position::Child(parent, child)));
        } else if item.starts_with("0x") || item.starts_with("0X") {
            found.extend(ones(item)?.into_iter().map(Position::Field));
        } else if item.starts_with(|first: char| first.is_ascii_alphabetic()) {
            found.push(Position::Named(item.to_owned()));
        } else {
            return None;
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// The set bits of `0x…`, a big-endian number in hexadecimal.
fn ones(item: &str) -> Option<Vec<usize>> {
    let digits = item.strip_prefix("0x").or_else(|| item.strip_prefix("0X"))?;
    if digits.is_empty() || digits.len() > LONGEST {
        return None;
    }
    let mut found = Vec::new();
    for (place, digit) in digits.chars().rev().enumerate() {
        let digit = digit.to_digit(16)?;
        found.extend((0..4).filter(|bit| digit >> bit & 1 == 1).map(|bit| place * 4 + bit));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Position::{Child, Field, Named};
    use super::*;

    #[test]
    fn bits_are_counted_from_the_lowest() {
        for (items, wanted) in [
            (vec![], vec![]),
            (vec!["0x400800"], vec![Field(11), Field(22)]),
            (vec!["0x08F81000"], [12, 19, 20, 21, 22, 23, 27].map(Field).to_vec()),
            (vec!["0x400000", "4-0x01"], vec![Field(22), Child(4, 0)]),
            (vec!["4-0x01"], vec![Child(4, 0)]),
            (vec!["0x00"], vec![]),
            (vec!["0Xff"], (0..8).map(Field).collect()),
            (vec!["Status"], vec![Named("Status".into())]),
        ] {
            assert_eq!(positions(&items), Some(wanted), "{items:?}");
        }
    }

    #[test]
    fn what_is_no_bitmap_says_nothing() {
        for item in ["", "0x", "0xG0", "-0x01", "x-0x01", "4-01", "4-", "!"] {
            assert_eq!(positions(&[item]), None, "{item:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(items in proptest::collection::vec(".{0,40}", 0..5)) {
            let _ = positions(&items);
        }

        #[test]
        fn a_set_of_positions_survives(set in proptest::collection::btree_set(0_usize..120, 0..20)) {
            let mut bytes = [0_u8; 15];
            for place in &set {
                bytes[14 - place / 8] |= 1 << (place % 8);
            }
            let item = format!("0x{}", bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
            let wanted: Vec<Position> = set.into_iter().map(Field).collect();
            prop_assert_eq!(positions(&[item]), Some(wanted));
        }
    }
}
