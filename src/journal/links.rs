//! Links and the ways to find them: by number, record, fingerprint, mapping.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::codec::unreadable;
use super::key::{Key, Kind, Parts};
use super::pending::Subject;
use super::store::Span;
use super::txn::Txn;
use crate::reconcile::Base;
use crate::record::{Fingerprint, LinkId, PerSide, RecordRef, Side};

/// The longest name or id that is taken: far beyond what either platform hands out.
pub(super) const LONGEST_NAME: usize = 512;

/// Two records that are known to be the same person, company or deal, and what is remembered of
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkEntry {
    /// The link's number.
    pub id: LinkId,
    /// The mapping's name. It never changes.
    pub mapping: String,
    /// The records. A side may have none yet.
    pub records: PerSide<Option<RecordRef>>,
    /// Records that used to stand for this link: losers of merges, converted Leads. A record that
    /// is replaced in [`LinkEntry::records`] is added by the journal itself.
    pub aliases: BTreeSet<RecordRef>,
    /// Keyed hashes of the matching keys by which it may be found.
    pub fingerprints: BTreeSet<Fingerprint>,
    /// What both sides last agreed on.
    pub base: Base,
    /// What each side's record showed to the mapping once the last settlement that came to its end
    /// had written, as a keyed hash. None: the next settlement is to look at whatever it shows.
    pub shown: PerSide<Option<Fingerprint>>,
    /// Whether it is alive.
    pub state: LinkState,
    /// When it was made.
    pub made: Timestamp,
    /// When it was last settled to the end.
    pub settled_at: Option<Timestamp>,
    /// Why the last settlement did not come to its end.
    pub last_error: Option<String>,
}

impl LinkEntry {
    /// A new link, active and without a base.
    #[must_use]
    pub fn new(
        id: LinkId,
        mapping: impl Into<String>,
        records: PerSide<Option<RecordRef>>,
        made: Timestamp,
    ) -> Self {
        Self {
            id,
            mapping: mapping.into(),
            records,
            aliases: BTreeSet::new(),
            fingerprints: BTreeSet::new(),
            base: Base::default(),
            shown: PerSide::default(),
            state: LinkState::Active,
            made,
            settled_at: None,
            last_error: None,
        }
    }

    fn current(&self) -> impl Iterator<Item = &RecordRef> {
        self.records.iter().filter_map(|(_, record)| record.as_ref())
    }

    /// Every record that stands or stood for it.
    pub fn all_records(&self) -> BTreeSet<RecordRef> {
        self.current().chain(&self.aliases).cloned().collect()
    }
}

/// Whether a link is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It is settled whenever it changes.
    Active,
    /// A side's record left the mapping's scope.
    OutOfScope {
        /// Which side's.
        side: Side,
    },
    /// A side's record was deleted and may come back.
    Waiting {
        /// Which side's.
        deleted: Side,
    },
    /// A side's record was deleted, and the link ended. It is kept so that what remains is not
    /// created anew across.
    Unlinked {
        /// Which side's.
        deleted: Side,
        /// Why, for history.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Its records were merged into those of another link, which answers for them now.
    Retired {
        /// That link.
        into: LinkId,
    },
}

impl LinkState {
    /// Whether its records belong to it alone.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Active | Self::OutOfScope { .. } | Self::Waiting { .. })
    }

    /// The lower-case word, as counters and machine-readable output have it.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::OutOfScope { .. } => "out_of_scope",
            Self::Waiting { .. } => "waiting",
            Self::Unlinked { .. } => "unlinked",
            Self::Retired { .. } => "retired",
        }
    }

    /// The counter of links in this state.
    #[must_use]
    pub const fn counter(&self) -> &'static str {
        match self {
            Self::Active => "links.active",
            Self::OutOfScope { .. } => "links.out_of_scope",
            Self::Waiting { .. } => "links.waiting",
            Self::Unlinked { .. } => "links.unlinked",
            Self::Retired { .. } => "links.retired",
        }
    }
}

pub(super) fn link_key(id: LinkId) -> Key {
    Key::new(Kind::Link).link(id)
}

pub(super) fn by_record_key(mapping: &str, record: &RecordRef) -> Key {
    Key::new(Kind::ByRecord).text(mapping).record(record)
}

pub(super) fn by_mapping_key(mapping: &str, id: LinkId) -> Key {
    Key::new(Kind::ByMapping).text(mapping).link(id)
}

pub(super) fn by_fingerprint_key(mapping: &str, print: &Fingerprint, id: LinkId) -> Key {
    Key::new(Kind::ByFingerprint).text(mapping).bytes(&print.0).link(id)
}

/// Refuses names that are empty or too long to be a key's part.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::Unfit { problem: format!("a {what} without a name") });
    }
    if name.len() > LONGEST_NAME {
        let length = name.len();
        return Err(Error::Unfit {
            problem: format!("a {what} of {length} bytes; at most {LONGEST_NAME} are possible"),
        });
    }
    Ok(())
}

pub(super) fn check_record(record: &RecordRef) -> Result<(), Error> {
    check_name("record's object", &record.object)?;
    check_name("record id", &record.id)
}

impl Txn<'_> {
    /// The link with this number.
    pub(super) fn link(&self, id: LinkId) -> Result<Option<LinkEntry>, Error> {
        self.get(&link_key(id))
    }

    /// The number of the link that answers for a record.
    pub(super) fn link_id_of(
        &self,
        mapping: &str,
        record: &RecordRef,
    ) -> Result<Option<LinkId>, Error> {
        self.get(&by_record_key(mapping, record))
    }

    /// The link that answers for a record.
    pub(super) fn link_of(
        &self,
        mapping: &str,
        record: &RecordRef,
    ) -> Result<Option<LinkEntry>, Error> {
        let Some(id) = self.link_id_of(mapping, record)? else { return Ok(None) };
        match self.link(id)? {
            Some(link) => Ok(Some(link)),
            None => Err(unreadable(
                &by_record_key(mapping, record).0,
                &format!("it names link {id}, which does not exist"),
            )),
        }
    }

    /// The links that have a fingerprint.
    pub(super) fn links_with(
        &self,
        mapping: &str,
        print: &Fingerprint,
    ) -> Result<Vec<LinkEntry>, Error> {
        let prefix = Key::new(Kind::ByFingerprint).text(mapping).bytes(&print.0);
        let mut links = Vec::new();
        for (key, _) in self.scan(&Span::prefix(&prefix.0), usize::MAX)? {
            let id = Parts::of(&key[prefix.0.len() - 1..]).link();
            if let Some(id) = id
                && let Some(link) = self.link(id)?
            {
                links.push(link);
            }
        }
        Ok(links)
    }

    /// A page of a mapping's links, by number, behind `after`.
    pub(super) fn links_page(
        &self,
        mapping: &str,
        after: Option<LinkId>,
        limit: usize,
    ) -> Result<Vec<LinkEntry>, Error> {
        let mut span = Span::prefix(&Key::new(Kind::ByMapping).text(mapping).0);
        if let Some(after) = after {
            span = span.after(&by_mapping_key(mapping, after).0);
        }
        let mut links = Vec::new();
        for (key, ()) in self.list::<()>(&span, limit)? {
            let mut parts = Parts::of(&key);
            let id = parts.text().and_then(|_| parts.link());
            let id = id.ok_or_else(|| unreadable(&key, "its key has no link number"))?;
            let link = self.link(id)?;
            links.push(link.ok_or_else(|| {
                unreadable(&key, &format!("it names link {id}, which is absent"))
            })?);
        }
        Ok(links)
    }

    /// Stores a link with all that leads to it.
    pub(super) fn put_link(
        &mut self,
        mut link: LinkEntry,
        erased: &dyn Fn(&Self, &RecordRef) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        check_name("mapping", &link.mapping)?;
        for record in link.current() {
            check_record(record)?;
        }
        let before = self.link(link.id)?;
        if let Some(before) = &before {
            self.inherit(before, &mut link)?;
        }
        let current: BTreeSet<RecordRef> = link.current().cloned().collect();
        link.aliases.retain(|alias| !current.contains(alias));
        if link.state.is_live() {
            for record in &current {
                self.claim(&link, record, erased)?;
            }
        }
        let answers = match &link.state {
            LinkState::Retired { into } => {
                self.bequeath(&link, *into)?;
                *into
            }
            _ => link.id,
        };
        for record in link.all_records() {
            let key = by_record_key(&link.mapping, &record);
            if self.may_answer(&link, &record)? {
                self.put(&key, &answers)?;
            }
            self.fold_record_into(&link.mapping, &record, answers)?;
        }
        self.index(before.as_ref(), &link)?;
        self.put(&link_key(link.id), &link)
    }

    /// What a link keeps of its earlier form: old records and aliases still lead to it.
    fn inherit(&self, before: &LinkEntry, link: &mut LinkEntry) -> Result<(), Error> {
        if before.mapping != link.mapping {
            return Err(Error::Unfit {
                problem: format!("link {} of mapping {:?} under another", link.id, before.mapping),
            });
        }
        link.aliases.extend(before.all_records());
        Ok(())
    }

    fn claim(
        &self,
        link: &LinkEntry,
        record: &RecordRef,
        erased: &dyn Fn(&Self, &RecordRef) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        if erased(self, record)? {
            return Err(Error::Purged { record: record.clone() });
        }
        if let Some(by) = self.live_owner(link, record)? {
            let (mapping, record) = (link.mapping.clone(), record.clone());
            return Err(Error::Taken { mapping, record, by });
        }
        Ok(())
    }

    /// The other live link that has the record.
    fn live_owner(&self, link: &LinkEntry, record: &RecordRef) -> Result<Option<LinkId>, Error> {
        let owner = self.link_of(&link.mapping, record)?;
        Ok(owner.filter(|owner| owner.id != link.id && owner.state.is_live()).map(|it| it.id))
    }

    /// Whether the index may name this link for a record: no other live link has it.
    fn may_answer(&self, link: &LinkEntry, record: &RecordRef) -> Result<bool, Error> {
        Ok(self.live_owner(link, record)?.is_none())
    }

    /// Lets the link `into` answer for all records of a retired one.
    fn bequeath(&mut self, link: &LinkEntry, into: LinkId) -> Result<(), Error> {
        if into == link.id {
            return Err(Error::Unfit { problem: format!("link {into} retired into itself") });
        }
        let heir = self.link(into)?.filter(|heir| heir.mapping == link.mapping);
        let Some(mut heir) = heir else {
            return Err(Error::Absent { what: format!("link {into} to retire {} into", link.id) });
        };
        let current: BTreeSet<RecordRef> = heir.current().cloned().collect();
        heir.aliases.extend(link.all_records().difference(&current).cloned());
        self.put(&link_key(into), &heir)
    }

    /// Moves the indices and counters from the link's earlier form to the present one.
    fn index(&mut self, before: Option<&LinkEntry>, link: &LinkEntry) -> Result<(), Error> {
        let none = BTreeSet::new();
        let old = before.filter(|it| is_indexed(it)).map_or(&none, |it| &it.fingerprints);
        let new = if is_indexed(link) { &link.fingerprints } else { &none };
        for print in old.difference(new) {
            self.delete(&by_fingerprint_key(&link.mapping, print, link.id))?;
        }
        for print in new.difference(old) {
            self.put(&by_fingerprint_key(&link.mapping, print, link.id), &())?;
        }
        match before {
            Some(before) if before.state.key() == link.state.key() => {}
            Some(before) => {
                self.bump(&link.mapping, before.state.counter(), -1)?;
                self.bump(&link.mapping, link.state.counter(), 1)?;
            }
            None => {
                self.put(&by_mapping_key(&link.mapping, link.id), &())?;
                self.bump(&link.mapping, link.state.counter(), 1)?;
            }
        }
        Ok(())
    }

    /// Takes a link away with everything that leads to it and all that is remembered of it.
    pub(super) fn remove_link(&mut self, link: &LinkEntry) -> Result<(), Error> {
        for record in link.all_records() {
            let key = by_record_key(&link.mapping, &record);
            if self.get::<LinkId>(&key)? == Some(link.id) {
                self.delete(&key)?;
            }
            self.drop_match(&link.mapping, &record)?;
            self.forget_subject(&Subject::Record { mapping: link.mapping.clone(), record })?;
        }
        for print in &link.fingerprints {
            self.delete(&by_fingerprint_key(&link.mapping, print, link.id))?;
        }
        self.forget_subject(&Subject::Link(link.id))?;
        self.drop_conflicts(link.id, &link.mapping)?;
        self.delete_all(&Key::new(Kind::History).link(link.id))?;
        self.remove_handoffs(link.id)?;
        self.delete(&by_mapping_key(&link.mapping, link.id))?;
        self.bump(&link.mapping, link.state.counter(), -1)?;
        self.delete(&link_key(link.id))
    }
}

/// Whether a link is found by its fingerprints: a retired one is found no more.
pub(super) const fn is_indexed(link: &LinkEntry) -> bool {
    !matches!(link.state, LinkState::Retired { .. })
}
