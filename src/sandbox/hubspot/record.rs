//! One record with the history of its properties.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::object::Object;

/// Who made a change, as property history tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `INTEGRATION`, `CRM_UI`, `CALCULATED`, `MERGE_OBJECTS`, …: an open set.
    pub kind: Arc<str>,
    /// The app's id, or `userId:N`, or nothing.
    pub id: Option<Arc<str>>,
}

impl Source {
    /// An app's call.
    #[must_use]
    pub fn integration(app: u64) -> Self {
        Self { kind: "INTEGRATION".into(), id: Some(app.to_string().into()) }
    }

    /// A person's edit in the user interface.
    #[must_use]
    pub fn user(user: u64) -> Self {
        Self { kind: "CRM_UI".into(), id: Some(format!("userId:{user}").into()) }
    }

    /// A change that the platform made itself.
    #[must_use]
    pub fn platform(kind: &str) -> Self {
        Self { kind: kind.into(), id: None }
    }

    /// The user behind it, where a person made it.
    #[must_use]
    pub fn user_id(&self) -> Option<u64> {
        self.id.as_deref()?.strip_prefix("userId:")?.parse().ok()
    }
}

/// One value that a property had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The value; empty where it was cleared.
    pub value: String,
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub source: Source,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub id: u64,
    /// Its kind.
    pub object: Object,
    /// When it was created.
    pub created: Timestamp,
    /// When a value last changed.
    pub updated: Timestamp,
    /// When it was archived, if it is.
    pub archived: Option<Timestamp>,
    /// Counts its changes.
    pub revision: u64,
    /// The ids that it had before merges, or that were merged into it.
    pub merged: BTreeSet<u64>,
    values: BTreeMap<Arc<str>, Vec<Version>>,
}

impl Record {
    /// An empty record.
    #[must_use]
    pub fn new(object: Object, id: u64, now: Timestamp) -> Self {
        Self {
            id,
            object,
            created: now,
            updated: now,
            archived: None,
            revision: 0,
            merged: BTreeSet::new(),
            values: BTreeMap::new(),
        }
    }

    /// A stored value; an empty one counts as none.
    #[must_use]
    pub fn stored(&self, name: &str) -> Option<&str> {
        let version = self.values.get(name)?.last()?;
        (!version.value.is_empty()).then_some(version.value.as_str())
    }

    /// A value, those included that follow from the record itself.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "hs_object_id" => Some(Cow::Owned(self.id.to_string())),
            "hs_merged_object_ids" => {
                let ids: Vec<String> = self.merged.iter().map(u64::to_string).collect();
                (!ids.is_empty()).then(|| Cow::Owned(ids.join(";")))
            }
            _ if name == self.object.created() => Some(Cow::Owned(instant(self.created))),
            _ if name == self.object.modified() => Some(Cow::Owned(instant(self.updated))),
            _ => self.stored(name).map(Cow::Borrowed),
        }
    }

    /// A property's values, the newest last.
    #[must_use]
    pub fn history(&self, name: &str) -> &[Version] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every stored property that has a value.
    pub fn values(&self) -> impl Iterator<Item = (&Arc<str>, &str)> {
        self.values
            .iter()
            .filter_map(|(name, versions)| Some((name, versions.last()?.value.as_str())))
            .filter(|(_, value)| !value.is_empty())
    }

    /// Sets a value and says whether that changed anything. The modified stamp is the caller's
    /// business, because one save sets several values.
    pub fn set(&mut self, name: &Arc<str>, value: &str, at: Timestamp, source: &Source) -> bool {
        if self.stored(name).unwrap_or_default() == value {
            return false;
        }
        // The platform keeps this many versions, a contact's property more than others.
        let kept = if self.object == Object::Contact { 45 } else { 20 };
        let versions = self.values.entry(Arc::clone(name)).or_default();
        if versions.len() == kept {
            versions.remove(0);
        }
        versions.push(Version { value: value.to_owned(), at, source: source.clone() });
        true
    }
}

/// A moment as HubSpot writes it: UTC, with milliseconds only where there are any.
#[must_use]
pub fn instant(at: Timestamp) -> String {
    if at.subsec_millisecond() == 0 { format!("{at:.0}") } else { format!("{at:.3}") }
}
