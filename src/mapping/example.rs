//! Examples: what the admin says should come out for given records.
//!
//! They are the admin's own tests of a mapping. `reconcile` runs them; this room only reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::diagnostic::{Diagnostic, Severity, Source};
use crate::record::{PerSide, Raw, Value};

/// One example of a mapping.
///
/// In an example nobody is looked up: an owner's id *is* the owner's e-mail address (or `queue:`
/// and a queue's name), and the id of a record of another mapping is its link's number (`L7`).
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// What both sides last agreed on, by canonical name; `None` where they meet for the first
    /// time.
    pub base: Option<BTreeMap<String, Value>>,
    /// Each side's record in the side's own spelling; `None` where there is none. The fields that
    /// the example does not name are blank.
    pub records: PerSide<Option<ExampleRecord>>,
    /// The one-time rules that have applied before.
    pub applied: BTreeSet<String>,
    /// The time of the settlement.
    pub now: Timestamp,
    /// What should come out.
    pub expect: Expected,
    /// The file that it stands in.
    pub source: Arc<Source>,
    /// Where in it, in bytes.
    pub span: Range<usize>,
}

/// One side's record in an example.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleRecord {
    /// The object: `Lead`, or `Contact` for a Lead that has been converted.
    pub object: String,
    /// The values in the side's own spelling, by the side's field names.
    pub fields: BTreeMap<String, Raw>,
    /// When a field got its value, exactly, by the side's field names.
    pub changed: BTreeMap<String, Timestamp>,
}

/// What should come out of an example.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// Exactly what is written to each side, in the side's own spelling, without the id fields.
    /// Empty: nothing is written there.
    pub writes: PerSide<BTreeMap<String, Raw>>,
    /// Which rule decides, by canonical field name, for the fields of interest.
    pub rules: BTreeMap<String, String>,
    /// The fields that are parked for a person, exactly.
    pub conflicts: BTreeSet<String>,
    /// The fields whose values cannot be settled, exactly.
    pub rejects: BTreeSet<String>,
}

impl Example {
    /// A finding about this example, where something else came out.
    #[must_use]
    pub fn finding(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            source: Arc::clone(&self.source),
            span: self.span.clone(),
            severity: Severity::Error,
            code: "example",
            message: format!("the example {:?} fails: {}", self.name, message.into()),
            label: "this example".to_owned(),
            help: Some(
                "change the mapping until the example holds, or the example if the mapping is right"
                    .to_owned(),
            ),
        }
    }
}
