//! From a payload to words that the daemon knows.
//!
//! A body says nothing by itself: null may mean "cleared" and mostly means "unchanged". What an
//! update is about stands in the bitmaps of its header. Nothing here panics, whatever the bytes.

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Session;
use super::bitmap::{Position, positions};
use super::schema::{EventSchema, HEADER, Place, ValueKind};
use crate::platform::salesforce::wire::id18;
use crate::platform::transport::redact;
use crate::record::{Origin, Raw};

/// The client of Salesforce's own pages, as `changeOrigin` names it (Change Data Capture Developer
/// Guide, "Change Event Header Fields").
const PAGES: &str = "SfdcInternalAPI";

/// Why an event cannot be read. What it is about is unknown then, so that its object has to be
/// compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// The schema is none.
    #[error("its schema cannot be used: {0}")]
    Schema(String),
    /// The payload does not follow the schema.
    #[error("its payload does not follow its schema: {0}")]
    Payload(String),
    /// There is no header, or the header lacks something.
    #[error("its header has no {0}")]
    Header(&'static str),
}

/// What happened, as the event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// Records were created.
    Created,
    /// Records were changed.
    Updated,
    /// Records were deleted, or were the losers of a merge: the event does not tell which.
    Deleted,
    /// Records came back from the recycle bin.
    Restored,
    /// Something happened to the records, and the event does not carry what: `GAP_*` and kinds that
    /// are new.
    Unclear,
    /// More happened to the object than events could carry: `GAP_OVERFLOW`.
    Overflow,
}

/// One change event.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeEvent {
    /// The object: `Lead`.
    pub entity: String,
    /// What happened.
    pub kind: EventKind,
    /// The records, by their ids of 18 characters. The same change happened to all of them.
    pub ids: Vec<String>,
    /// Whether records beyond `ids` are concerned, so that the whole object has to be compared: an
    /// overflow, a wildcard id, an id that is none.
    pub beyond: bool,
    /// Whose doing it was. A hint: what a trigger or flow changes in our transaction carries our
    /// name as well.
    pub origin: Origin,
    /// Groups the events of one transaction.
    pub transaction: String,
    /// Orders the events of one transaction; objects that are not captured leave holes.
    pub sequence: i32,
    /// When the transaction was committed. Within one transaction it can differ by a second.
    pub committed: Option<Timestamp>,
    /// The new values that the event carries, by the API's field names: of an update those that
    /// changed (null where a field was cleared), of a creation all.
    pub set: BTreeMap<String, Raw>,
    /// Fields that changed and whose new values the event does not carry: long text as a
    /// difference, and what Lockstep does not read.
    pub unread: BTreeSet<String>,
    /// Whether `set` and `unread` name every field that changed. Where not, anything may have.
    pub exact: bool,
}

impl ChangeEvent {
    /// Reads a payload that was written with `schema`.
    ///
    /// # Errors
    /// Where it does not follow the schema, or is no change event.
    pub fn decode(
        schema: &EventSchema,
        payload: &[u8],
        session: &Session,
    ) -> Result<Self, Undecodable> {
        let fields = datum(schema, payload)?;
        let Some((_, Value::Record(header))) = fields.first().filter(|(name, _)| name == HEADER)
        else {
            return Err(Undecodable::Header("place: it is no change event"));
        };
        let header = Header(header);
        let kind = kind(header.text("changeType").ok_or(Undecodable::Header("changeType"))?);
        let told = header.list("recordIds").ok_or(Undecodable::Header("recordIds"))?;
        let ids: Vec<String> = told.iter().filter_map(|id| real_id(id)).collect();
        let beyond = kind == EventKind::Overflow || ids.len() < told.len() || ids.is_empty();
        let mut event = Self {
            entity: header.text("entityName").ok_or(Undecodable::Header("entityName"))?.to_owned(),
            kind,
            beyond,
            ids,
            origin: header.origin(session),
            transaction: header.text("transactionKey").unwrap_or_default().to_owned(),
            sequence: header.number("sequenceNumber").and_then(|n| n.try_into().ok()).unwrap_or(0),
            committed: header
                .number("commitTimestamp")
                .and_then(|at| Timestamp::from_millisecond(at).ok()),
            set: BTreeMap::new(),
            unread: BTreeSet::new(),
            exact: false,
        };
        match kind {
            EventKind::Created | EventKind::Restored => event.take_all(schema, &fields),
            EventKind::Updated => event.take_changed(schema, &fields, &header),
            EventKind::Deleted | EventKind::Unclear | EventKind::Overflow => {}
        }
        Ok(event)
    }

    /// Takes every value that a whole body carries. Null is left out: a field that the user may not
    /// see is null as well.
    fn take_all(&mut self, schema: &EventSchema, fields: &[(String, Value)]) {
        for (place, (_, value)) in schema.fields.iter().zip(fields).skip(1) {
            if !matches!(unwrap(value), Value::Null) {
                self.take(place, value);
            }
        }
    }

    fn take_changed(
        &mut self,
        schema: &EventSchema,
        fields: &[(String, Value)],
        header: &Header<'_>,
    ) {
        let lists = ["changedFields", "nulledFields", "diffFields"];
        let [changed, nulled, diffs] =
            lists.map(|list| header.list(list).and_then(|items| positions(&items)));
        self.exact = changed.is_some() && nulled.is_some() && diffs.is_some();
        let diffs: BTreeSet<Position> = diffs.into_iter().flatten().collect();
        let all: BTreeSet<Position> = [changed, nulled]
            .into_iter()
            .flatten()
            .flatten()
            .chain(diffs.iter().cloned())
            .collect();
        for position in all {
            let differs = diffs.contains(&position);
            let (at, child) = match position {
                Position::Field(at) => (Some(at), None),
                Position::Child(at, child) => (Some(at), Some(child)),
                Position::Named(name) => match schema.position(&name) {
                    Some(at) => (Some(at), None),
                    None => {
                        self.unread.insert(name);
                        continue;
                    }
                },
            };
            // A bit beyond the schema stands for a field that nobody can name: it is not mapped.
            let Some((place, (_, value))) =
                at.filter(|at| *at > 0).and_then(|at| schema.fields.get(at).zip(fields.get(at)))
            else {
                continue;
            };
            if differs {
                self.unread.insert(place.name.clone());
            } else if let Some(child) = child {
                self.take_child(place, value, child);
            } else {
                self.take(place, value);
            }
        }
    }

    /// Takes a field that changed as a whole.
    fn take(&mut self, place: &Place, value: &Value) {
        let value = unwrap(value);
        if place.children.is_empty() {
            self.take_value(&place.name, raw(place.kind, value));
            return;
        }
        match value {
            // A person account's name is a record, a business account's is text.
            Value::String(_) => self.take_value(&place.name, raw(ValueKind::Plain, value)),
            _ => {
                for child in 0..place.children.len() {
                    self.take_child(place, value, child);
                }
            }
        }
    }

    /// Takes one child of a compound field. The compound's own text changed with it, and is not
    /// carried.
    fn take_child(&mut self, place: &Place, value: &Value, child: usize) {
        self.unread.insert(place.name.clone());
        let Some(name) = place.children.get(child) else { return };
        let read = match unwrap(value) {
            Value::Record(children) => {
                children.get(child).and_then(|(_, value)| raw(ValueKind::Plain, unwrap(value)))
            }
            Value::Null => Some(Raw::Null),
            _ => None,
        };
        self.take_value(name, read);
    }

    fn take_value(&mut self, name: &str, value: Option<Raw>) {
        match value {
            Some(value) => {
                self.set.insert(name.to_owned(), value);
            }
            None => {
                self.unread.insert(name.to_owned());
            }
        }
    }
}

/// The fields of a payload, in the schema's order.
fn datum(schema: &EventSchema, payload: &[u8]) -> Result<Vec<(String, Value)>, Undecodable> {
    let wrong = |why: apache_avro::Error| Undecodable::Payload(redact(&why.to_string()));
    let mut rest = Rest { bytes: payload, short: false };
    let reader = GenericDatumReader::builder(&schema.avro).build().map_err(wrong)?;
    let value = reader.read_value(&mut rest).map_err(wrong)?;
    if rest.short {
        return Err(Undecodable::Payload("it ends too early".to_owned()));
    }
    if !rest.bytes.is_empty() {
        return Err(Undecodable::Payload(format!("{} bytes are left over", rest.bytes.len())));
    }
    match value {
        Value::Record(fields) => Ok(fields),
        _ => Err(Undecodable::Payload("it is no record".to_owned())),
    }
}

/// What is left of a payload. The decoder takes the end of input for null, so it is noted here: a
/// payload that was cut short must not pass for one in which the last fields are blank.
struct Rest<'a> {
    bytes: &'a [u8],
    short: bool,
}

impl std::io::Read for Rest<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.short |= into.len() > self.bytes.len();
        self.bytes.read(into)
    }
}

struct Header<'a>(&'a [(String, Value)]);

impl Header<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| unwrap(value))
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::String(text) | Value::Enum(_, text) => Some(text),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Int(number) => Some(i64::from(*number)),
            Value::Long(number) | Value::TimestampMillis(number) => Some(*number),
            _ => None,
        }
    }

    fn list(&self, name: &str) -> Option<Vec<&str>> {
        let Value::Array(items) = self.get(name)? else { return None };
        let text = |item| match unwrap(item) {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        };
        items.iter().map(text).collect()
    }

    /// Whose doing the change was: by the name that our calls carry, or by our user.
    fn origin(&self, session: &Session) -> Origin {
        let user = self.text("commitUser").and_then(id18);
        let said = self.text("changeOrigin").unwrap_or_default();
        let client = said
            .split(';')
            .find_map(|part| part.trim().strip_prefix("client="))
            .map(|client| client.trim_end_matches('/'));
        if client == Some(session.client.as_str()) || user.as_ref() == Some(&session.user) {
            Origin::Lockstep
        } else if client == Some(PAGES) {
            Origin::Person
        } else if user.is_some() || client.is_some() {
            Origin::Elsewhere
        } else {
            Origin::Unknown
        }
    }
}

/// The id in 18 characters, where it is one record's: `001*` and `000000000000000AAA` are not.
fn real_id(id: &str) -> Option<String> {
    id18(id).filter(|id| !id.starts_with("000000000000000"))
}

fn kind(change_type: &str) -> EventKind {
    match change_type {
        "CREATE" => EventKind::Created,
        "UPDATE" => EventKind::Updated,
        "DELETE" => EventKind::Deleted,
        "UNDELETE" => EventKind::Restored,
        "GAP_OVERFLOW" => EventKind::Overflow,
        _ => EventKind::Unclear,
    }
}

/// What a union holds.
fn unwrap(value: &Value) -> &Value {
    match value {
        Value::Union(_, inner) => inner,
        other => other,
    }
}

/// A value in the spelling of the REST API. Nothing where it is of a kind that is not read.
fn raw(kind: ValueKind, value: &Value) -> Option<Raw> {
    match (kind, value) {
        (_, Value::Null) => Some(Raw::Null),
        (ValueKind::Other, _) => None,
        (ValueKind::Date, Value::Long(at)) => {
            let day = Timestamp::from_millisecond(*at).ok()?.to_zoned(TimeZone::UTC).date();
            Some(Raw::text(day.to_string()))
        }
        (ValueKind::DateTime, Value::Long(at)) => {
            Some(Raw::text(Timestamp::from_millisecond(*at).ok()?.to_string()))
        }
        (ValueKind::Reference, Value::String(id)) => {
            Some(Raw::Text(id18(id).unwrap_or_else(|| id.clone())))
        }
        (_, Value::String(text)) => Some(Raw::Text(text.clone())),
        (_, Value::Boolean(truth)) => Some(Raw::Bool(*truth)),
        (_, Value::Int(number)) => Some(Raw::Number(f64::from(*number))),
        (_, Value::Float(number)) if number.is_finite() => Some(Raw::Number(f64::from(*number))),
        (_, Value::Double(number)) if number.is_finite() => Some(Raw::Number(*number)),
        _ => None,
    }
}
