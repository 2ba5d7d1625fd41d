//! The Avro binary encoding, as far as change events need it. It is written here and not taken from
//! a library on purpose: what reads these bytes uses one, and a mistake there must not hide here.

/// Bytes of one datum.
#[derive(Debug, Default)]
pub(super) struct Datum(Vec<u8>);

impl Datum {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A `long`, and an `int` as well: zigzag in groups of seven bits.
    pub(super) fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.long(i64::try_from(text.len()).unwrap_or(i64::MAX));
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn texts(&mut self, texts: &[String]) {
        if !texts.is_empty() {
            self.long(i64::try_from(texts.len()).unwrap_or(i64::MAX));
            for text in texts {
                self.text(text);
            }
        }
        self.long(0);
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(super) fn double(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// The branch of a union: in an event always null or the one other type.
    pub(super) fn is_there(&mut self, there: bool) {
        self.long(i64::from(there));
    }
}
