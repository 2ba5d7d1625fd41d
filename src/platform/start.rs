//! What is started by name: an autolaunched flow of Salesforce's, a sequence of HubSpot's.
//!
//! Starting something is no write: it makes no record that could be read before it is repeated. So it
//! is sent once, and whoever asks for it writes down first that it is about to be.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::record::Raw;

/// Something to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The platform's name for it: a flow's API name, a sequence's id.
    pub name: String,
    /// What it gets, by the names that the platform gives its inputs. A blank is not sent.
    pub inputs: BTreeMap<String, Raw>,
}

/// Whether something was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It was.
    Yes {
        /// What the platform keeps of it.
        id: String,
        /// When, where the platform says so.
        at: Option<Timestamp>,
    },
    /// It was not.
    No,
    /// The platform keeps nothing by which that could be told.
    Untold,
}

/// Something that can be started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Startable {
    /// The platform's name for it.
    pub name: String,
    /// What it takes.
    pub inputs: Vec<StartInput>,
}

/// One thing that it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartInput {
    /// Its name. Case counts.
    pub name: String,
    /// What it holds, in the platform's word: `STRING`, `BOOLEAN`.
    pub kind: String,
    /// Whether it cannot be started without.
    pub required: bool,
    /// Whether it holds a list.
    pub many: bool,
}
