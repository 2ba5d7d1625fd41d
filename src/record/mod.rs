//! The words that both sides share: side, value, id, record, change.
//!
//! Pure: no clock, no network, no storage. Platforms convert their wire formats into these types at
//! the door; every other room speaks only these.

mod change;
mod id;
mod raw;
mod value;

pub use change::{Change, ChangeKind, Origin, Source};
pub use id::{Fingerprint, LinkId, RecordRef, SalesforceId, SalesforceIdError, object_of_prefix};
pub use raw::{Author, Raw, Record, Stamp, Version};
pub use value::{Number, Value};

use serde::{Deserialize, Serialize};

/// One of the two systems.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// HubSpot.
    HubSpot,
    /// Salesforce.
    Salesforce,
}

impl Side {
    /// Both sides, in the order in which they are printed.
    pub const BOTH: [Self; 2] = [Self::HubSpot, Self::Salesforce];

    /// The side across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::HubSpot => Self::Salesforce,
            Self::Salesforce => Self::HubSpot,
        }
    }

    /// The product's name, as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HubSpot => "HubSpot",
            Self::Salesforce => "Salesforce",
        }
    }

    /// The lower-case word that settings, mapping files and machine-readable output use.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::HubSpot => "hubspot",
            Self::Salesforce => "salesforce",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One thing for each side.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PerSide<T> {
    /// HubSpot's.
    pub hubspot: T,
    /// Salesforce's.
    pub salesforce: T,
}

impl<T> PerSide<T> {
    /// What `side` has.
    pub const fn get(&self, side: Side) -> &T {
        match side {
            Side::HubSpot => &self.hubspot,
            Side::Salesforce => &self.salesforce,
        }
    }

    /// What `side` has, to change it.
    pub const fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::HubSpot => &mut self.hubspot,
            Side::Salesforce => &mut self.salesforce,
        }
    }

    /// Makes one thing for each side.
    pub fn from_fn(mut make: impl FnMut(Side) -> T) -> Self {
        Self { hubspot: make(Side::HubSpot), salesforce: make(Side::Salesforce) }
    }

    /// Each side with what it has.
    pub fn iter(&self) -> impl Iterator<Item = (Side, &T)> {
        Side::BOTH.into_iter().map(|side| (side, self.get(side)))
    }
}
