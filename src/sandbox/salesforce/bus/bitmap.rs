//! Which fields an event is about, as the platform writes it: bits by position.

use std::collections::{BTreeMap, BTreeSet};

use super::schema::Place;

/// The positions of some fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bitmap {
    /// Positions in the whole event: the header is 0.
    top: BTreeSet<usize>,
    /// Positions within a compound, by the compound's position in the whole event.
    nested: BTreeMap<usize, BTreeSet<usize>>,
}

impl Bitmap {
    pub(super) fn set(&mut self, place: Place) {
        match place.child {
            None => self.top.insert(place.top + 1),
            Some(child) => self.nested.entry(place.top + 1).or_default().insert(child),
        };
    }

    /// `0x400800` for fields of the event, `4-0x01` for those within the compound at position 4:
    /// hexadecimal of whole bytes, the least significant bit the first position.
    pub(super) fn written(&self) -> Vec<String> {
        let mut items = Vec::new();
        if !self.top.is_empty() {
            items.push(hexadecimal(&self.top));
        }
        items.extend(self.nested.iter().map(|(at, bits)| format!("{at}-{}", hexadecimal(bits))));
        items
    }
}

fn hexadecimal(bits: &BTreeSet<usize>) -> String {
    let bytes = bits.last().map_or(0, |last| last / 8 + 1);
    let mut out = String::from("0x");
    for byte in (0..bytes).rev() {
        let value =
            (0..8).filter(|bit| bits.contains(&(byte * 8 + bit))).fold(0, |v, b| v | 1 << b);
        out.push_str(&format!("{value:02X}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_written_as_the_platform_does() {
        let written = |places: &[(usize, Option<usize>)]| {
            let mut map = Bitmap::default();
            for (position, child) in places {
                map.set(Place { top: position - 1, child: *child });
            }
            map.written().join(" ")
        };
        // The vectors of published events: Account, Account, Lead.
        assert_eq!(written(&[(11, None), (22, None)]), "0x400800");
        assert_eq!(written(&[(22, None), (4, Some(0))]), "0x400000 4-0x01");
        let lead = [12, 19, 20, 21, 22, 23, 27].map(|at| (at, None));
        assert_eq!(written(&lead), "0x08F81000");
        assert_eq!(written(&[(16, None)]), "0x010000");
        assert_eq!(written(&[(4, Some(0)), (4, Some(1))]), "4-0x03");
        assert_eq!(written(&[]), "");
    }
}
