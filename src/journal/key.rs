//! Keys: one byte that says what it is, then parts that keep their order as bytes.

use jiff::Timestamp;

use crate::record::{LinkId, RecordRef, Side};

/// What kind of row a key belongs to. The byte is part of the format: it is never given to another
/// kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Facts about the journal itself, by name.
    Meta = b'A',
    /// Counters per mapping, by name.
    Counter = b'C',
    /// Counters per mapping and day.
    Daily = b'D',
    /// Keyed hashes of records whose data was erased on request.
    Erased = b'E',
    /// Links by the fingerprint of a matching key.
    ByFingerprint = b'F',
    /// What is known of a mapping.
    Mapping = b'G',
    /// History lines by link and number.
    History = b'H',
    /// Intents by subject.
    Intent = b'I',
    /// What a room above keeps in an area of its own.
    Kept = b'J',
    /// Cursors by side, object and stream.
    Cursor = b'K',
    /// Links by number.
    Link = b'L',
    /// Links by mapping.
    ByMapping = b'M',
    /// Holds by number.
    Hold = b'O',
    /// Pending entries by subject.
    Pending = b'P',
    /// Pending entries by lane, mapping and the time from which they may be taken.
    Queue = b'Q',
    /// Links by mapping and record.
    ByRecord = b'R',
    /// Erasures by number.
    Purge = b'U',
    /// Handoffs by link and number.
    Handoff = b'N',
    /// Handoffs by a record that belongs to them.
    HandoffRecord = b'V',
    /// Handoffs by when they are looked at next.
    HandoffDue = b'W',
    /// Conflicts by link and field.
    Conflict = b'X',
    /// Ambiguous matches by mapping and record.
    Match = b'Y',
    /// Rejects by subject, side and field.
    Reject = b'Z',
    /// The further pieces of long values, by the value's key.
    Piece = b'~',
}

impl Kind {
    /// Every kind, in the order of the bytes.
    pub const ALL: [Self; 24] = [
        Self::Meta,
        Self::Counter,
        Self::Daily,
        Self::Erased,
        Self::ByFingerprint,
        Self::Mapping,
        Self::History,
        Self::Intent,
        Self::Kept,
        Self::Cursor,
        Self::Link,
        Self::ByMapping,
        Self::Handoff,
        Self::Hold,
        Self::Pending,
        Self::Queue,
        Self::ByRecord,
        Self::Purge,
        Self::HandoffRecord,
        Self::HandoffDue,
        Self::Conflict,
        Self::Match,
        Self::Reject,
        Self::Piece,
    ];

    /// The kind whose byte this is.
    #[must_use]
    pub fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The word for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "journal fact",
            Self::Counter => "counter",
            Self::Daily => "daily counter",
            Self::Erased => "erasure mark",
            Self::ByFingerprint => "fingerprint index",
            Self::Mapping => "mapping state",
            Self::History => "history line",
            Self::Intent => "intent",
            Self::Kept => "kept item",
            Self::Cursor => "cursor",
            Self::Link => "link",
            Self::ByMapping => "mapping index",
            Self::Hold => "hold",
            Self::Pending => "pending entry",
            Self::Queue => "queue index",
            Self::ByRecord => "record index",
            Self::Purge => "erasure",
            Self::Handoff => "handoff",
            Self::HandoffRecord => "handoff record index",
            Self::HandoffDue => "handoff clock index",
            Self::Conflict => "conflict",
            Self::Match => "ambiguous match",
            Self::Reject => "reject",
            Self::Piece => "piece of a long value",
        }
    }
}

/// A key, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub Vec<u8>);

impl Key {
    /// The beginning of all keys of `kind`.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self(vec![kind as u8])
    }

    /// Followed by a number, in the order of numbers.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Followed by a text. No text is the beginning of another one: the length goes first.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        // What is longer than 65,535 bytes is no name or id; checked where it comes in.
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
        self
    }

    /// Followed by a byte.
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// Followed by bytes of a fixed length.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Followed by a side.
    #[must_use]
    pub fn side(self, side: Side) -> Self {
        self.byte(match side {
            Side::HubSpot => b'h',
            Side::Salesforce => b's',
        })
    }

    /// Followed by a link's number.
    #[must_use]
    pub fn link(self, link: LinkId) -> Self {
        self.number(link.0)
    }

    /// Followed by a record.
    #[must_use]
    pub fn record(self, record: &RecordRef) -> Self {
        self.side(record.side).text(&record.object).text(&record.id)
    }

    /// Followed by a moment, in the order of time, to the microsecond.
    #[must_use]
    pub fn time(self, at: Timestamp) -> Self {
        // The sign bit is turned over so that moments before 1970 come first.
        self.number(at.as_microsecond().cast_unsigned() ^ 1 << 63)
    }
}

/// Reads the parts of a key back.
#[derive(Debug)]
pub struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// The parts behind the kind's byte.
    #[must_use]
    pub fn of(key: &'a [u8]) -> Self {
        Self(key.get(1..).unwrap_or_default())
    }

    fn split(&mut self, at: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(at)?;
        self.0 = rest;
        Some(front)
    }

    /// The next part, a number.
    pub fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.split(8)?.try_into().ok()?))
    }

    /// The next part, a text.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_be_bytes(self.split(2)?.try_into().ok()?);
        std::str::from_utf8(self.split(usize::from(length))?).ok()
    }

    /// The next part, a byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.split(1)?.first().copied()
    }

    /// The next part, a side.
    pub fn side(&mut self) -> Option<Side> {
        match self.byte()? {
            b'h' => Some(Side::HubSpot),
            b's' => Some(Side::Salesforce),
            _ => None,
        }
    }

    /// The next part, a link's number.
    pub fn link(&mut self) -> Option<LinkId> {
        self.number().map(LinkId)
    }

    /// The next part, a record.
    pub fn record(&mut self) -> Option<RecordRef> {
        let side = self.side()?;
        let object = self.text()?.to_owned();
        let id = self.text()?.to_owned();
        Some(RecordRef { side, object, id })
    }

    /// The next part, bytes of a fixed length.
    pub fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.split(N)?.try_into().ok()
    }

    /// The next part, a moment.
    pub fn time(&mut self) -> Option<Timestamp> {
        Timestamp::from_microsecond((self.number()? ^ 1 << 63).cast_signed()).ok()
    }
}

/// A key in hexadecimal, for error messages: ids without meaning to an outsider, and no data.
pub(super) fn hex(key: &[u8]) -> String {
    use std::fmt::Write as _;
    key.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
