//! What must hold once the faults have stopped and everything is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::persons::{Deed, Edit};
use super::seams::Steps;
use crate::daemon::{Engine, Trouble};
use crate::journal::{HistoryLine, Intent, LINK_ITSELF, LinkEntry, LinkState, Subject};
use crate::mapping::{Directory, Field, Mapping, Reading};
use crate::platform::Ask;
use crate::reconcile::{Presence, Situation, Verdict, settle};
use crate::record::{LinkId, PerSide, Raw, Record, RecordRef, Side, Value};

/// Everything that both platforms hold, and everything that the journal knows.
pub(super) struct Scene {
    records: BTreeMap<RecordRef, Record>,
    links: Vec<LinkEntry>,
    conflicts: BTreeSet<(LinkId, String)>,
    rejects: BTreeSet<(Subject, String)>,
    doubts: BTreeSet<RecordRef>,
    owed: Vec<Intent>,
    waiting: Vec<String>,
    history: BTreeMap<LinkId, Vec<HistoryLine>>,
}

/// What the checks of one history came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What does not hold, in words.
    pub(super) breaches: Vec<String>,
    /// Edits that were overwritten unseen in the moment between a read and a write.
    pub(super) raced: usize,
}

/// What people did, and when it was seen.
pub(super) struct Past<'a> {
    pub(super) deeds: &'a [Deed],
    /// When the run began, by the sandbox's clock.
    pub(super) begun: Timestamp,
    /// How much later than its stamp a change in Salesforce can be seen, at most.
    pub(super) late: Duration,
    pub(super) steps: &'a Steps,
}

impl Past<'_> {
    /// Until when an edit in Salesforce that was made `at` could not be seen, since the beginning. A
    /// commit that is late keeps the whole row as it was, with the edits before it.
    fn visible(&self, edit: &Edit, at: Timestamp) -> Duration {
        let since = |at: Timestamp| Duration::try_from(at.duration_since(self.begun));
        let mut visible = since(at).unwrap_or_default() + self.late;
        for deed in self.deeds.iter().filter(|deed| deed.at >= at) {
            let made = since(deed.at).unwrap_or_default();
            let same = |other: &Edit| other.side() == edit.side() && other.id == edit.id;
            if made <= visible && deed.edits.iter().any(same) {
                visible = made + self.late;
            }
        }
        visible
    }
}

const ALL: usize = 100_000;

impl Scene {
    /// Reads both platforms by their own clients, and the journal.
    pub(super) async fn read(engine: &Engine, mapping: &Mapping) -> Result<Self, Trouble> {
        let mut records = BTreeMap::new();
        for side in Side::BOTH {
            let spec = mapping.sides.get(side);
            for object in [Some(&spec.object), spec.becomes.as_ref()].into_iter().flatten() {
                let ask = Ask {
                    object: object.clone(),
                    fields: mapping.names(side, object),
                    stamps: BTreeSet::new(),
                };
                let mut cursor = None;
                loop {
                    let page = engine.platform(side).list(&ask, cursor.as_ref()).await?;
                    for record in page.seen.into_iter().flatten() {
                        records.insert(record.key.clone(), record);
                    }
                    if !page.more {
                        break;
                    }
                    cursor = Some(page.cursor);
                }
            }
        }
        let journal = &engine.journal;
        let links = journal.links(&mapping.name, None, ALL).await?;
        let conflicts = journal.conflicts(None, None, ALL).await?;
        let rejects = journal.rejects(None, None, ALL).await?;
        let doubts = journal.matches(None, None, ALL).await?;
        let mut history = BTreeMap::new();
        for link in &links {
            history.insert(link.id, journal.history(link.id, None, ALL).await?);
        }
        Ok(Self {
            records,
            links,
            conflicts: conflicts.into_iter().map(|it| (it.link, it.field)).collect(),
            rejects: rejects.into_iter().map(|it| (it.subject, it.field)).collect(),
            doubts: doubts
                .into_iter()
                .flat_map(|it| it.candidates.into_keys().chain([it.record]))
                .collect(),
            owed: journal.unfinished(ALL).await?,
            waiting: journal
                .pending_page(None, ALL)
                .await?
                .into_iter()
                .map(|entry| {
                    format!(
                        "{} after {} attempts: {:?}",
                        entry.subject, entry.attempts, entry.last_error
                    )
                })
                .collect(),
            history,
        })
    }

    /// What the journal says at the end, for the trace of a history that did not end well.
    pub(super) fn journal(&self) -> Vec<String> {
        let line = |line: &HistoryLine| {
            let HistoryLine { at, field, side, old, new, lost, rule, reason, .. } = line;
            format!("  {at} {field} {side:?}: {old:?} -> {new:?}, lost {lost:?} ({rule}: {reason})")
        };
        let mut lines = Vec::new();
        for link in &self.links {
            let LinkEntry { id, state, records, aliases, fingerprints, .. } = link;
            let prints: Vec<String> = fingerprints
                .iter()
                .map(|it| it.0.iter().take(3).map(|b| format!("{b:02x}")).collect())
                .collect();
            lines.push(format!("link {id}: {state:?} {records:?}, once {aliases:?}, {prints:?}"));
            lines.extend(self.history.get(id).into_iter().flatten().map(line));
        }
        for intent in &self.owed {
            lines.push(format!("owed by {}", intent.subject));
            lines.extend(intent.lines.iter().map(line));
        }
        lines.extend(self.doubts.iter().map(|record| format!("a person is asked about {record}")));
        lines
    }

    /// Every breach of what must hold, in words.
    pub(super) async fn breaches(
        &self,
        engine: &Engine,
        mapping: &Mapping,
        past: &Past<'_>,
    ) -> Result<Found, Trouble> {
        let mut found = Found::default();
        let directory = engine.directory(mapping, self.records.values()).await?;
        self.agreement(engine, mapping, &directory, &mut found.breaches);
        self.nobody_twice(mapping, &mut found.breaches);
        self.everybody_linked_once(&mut found.breaches);
        self.nobody_comes_back(&mut found.breaches);
        self.edits(mapping, &directory, past, &mut found);
        let waiting = self.waiting.iter().map(|entry| format!("it still waits: {entry}"));
        found.breaches.extend(waiting);
        let report = engine.journal.check().await?;
        found.breaches.extend(
            report
                .problems
                .iter()
                .map(|it| format!("the journal's {} is wrong: {}", it.kind, it.what)),
        );
        Ok(found)
    }

    fn agreement(
        &self,
        engine: &Engine,
        mapping: &Mapping,
        directory: &dyn Directory,
        found: &mut Vec<String>,
    ) {
        for link in self.links.iter().filter(|link| link.state == LinkState::Active) {
            let get =
                |side: Side| link.records.get(side).as_ref().and_then(|it| self.records.get(it));
            let (Some(hubspot), Some(salesforce)) = (get(Side::HubSpot), get(Side::Salesforce))
            else {
                found.push(format!(
                    "link {} is active and lacks a record: {:?}",
                    link.id, link.records
                ));
                continue;
            };
            let plan = settle(&Situation {
                mapping,
                link: Some(link.id),
                linked: &link.records,
                base: &link.base,
                present: PerSide {
                    hubspot: Presence::Here(hubspot),
                    salesforce: Presence::Here(salesforce),
                },
                open: &BTreeMap::new(),
                directory,
                now: engine.clock.now(),
            });
            let left: BTreeSet<&str> = plan
                .decisions
                .iter()
                .filter(|decision| decision.verdict == Verdict::LeftAlone)
                .map(|decision| decision.field.as_str())
                .collect();
            for field in &mapping.fields {
                let read = |record| reading(mapping, field, directory, record);
                let (Some(h), Some(s)) = (read(hubspot), read(salesforce)) else { continue };
                let subject = Subject::Link(link.id);
                let named = left.contains(field.name.as_str())
                    || self.conflicts.contains(&(link.id, field.name.clone()))
                    || self
                        .rejects
                        .iter()
                        .any(|(of, name)| *of == subject && (*name == field.name || name == "*"));
                if h != s && !named {
                    found.push(format!(
                        "link {}: {} is {h} in HubSpot and {s} in Salesforce, and nothing names it",
                        link.id, field.name
                    ));
                }
            }
        }
    }

    /// No two live records of a side have one address, but for those that a person is asked about,
    /// for what remains of links that ended, and for whom people merged on one side only: with those
    /// they go on as they like.
    fn nobody_twice(&self, mapping: &Mapping, found: &mut Vec<String>) {
        let Some(key) = mapping.matching.first() else { return };
        let mut seen: BTreeMap<(Side, String), &RecordRef> = BTreeMap::new();
        for record in self.records.values().filter(|it| it.successor.is_none() && !it.deleted) {
            let side = record.key.side;
            let Some(address) = record.get(key.fields.get(side)).as_text() else { continue };
            if self.is_left(&record.key) {
                continue;
            }
            if let Some(other) = seen.insert((side, address.to_lowercase()), &record.key)
                && !self.doubts.contains(other)
                && !self.doubts.contains(&record.key)
            {
                found.push(format!("{} and {other} are the same person", record.key));
            }
        }
    }

    /// Whether the record is what remains of a link that ended, or belongs to one who was merged.
    fn is_left(&self, record: &RecordRef) -> bool {
        let mut links = self.links.iter().filter(|link| link.all_records().contains(record));
        let ended = links.clone().any(|link| matches!(link.state, LinkState::Unlinked { .. }));
        let merged = links.clone().any(|link| link.state.is_live() && was_merged(link));
        merged || (ended && links.all(|link| !link.state.is_live()))
    }

    fn everybody_linked_once(&self, found: &mut Vec<String>) {
        let mut seen: BTreeMap<&RecordRef, LinkId> = BTreeMap::new();
        for link in self.links.iter().filter(|link| link.state.is_live()) {
            for (_, record) in link.records.iter() {
                let Some(record) = record else { continue };
                if let Some(other) = seen.insert(record, link.id) {
                    found.push(format!("{record} belongs to links {other} and {}", link.id));
                }
            }
        }
    }

    /// Every value that a person set is there, or was replaced by a later edit, or stands in the
    /// history as what a rule did away with, or is parked, or was made in the very moment of a
    /// write.
    fn edits(
        &self,
        mapping: &Mapping,
        directory: &dyn Directory,
        past: &Past<'_>,
        found: &mut Found,
    ) {
        for (at, deed) in past.deeds.iter().enumerate() {
            for edit in &deed.edits {
                let later = &past.deeds[at + 1..];
                let replaced = later.iter().any(|deed| {
                    deed.takes.iter().any(|take| take.takes(edit))
                        || deed.edits.iter().any(|other| other.replaces(edit))
                });
                if replaced || self.kept(mapping, directory, edit) {
                    continue;
                }
                let made = deed.at.duration_since(past.begun);
                let made = Duration::try_from(made).unwrap_or_default();
                let visible = if edit.in_hubspot { made } else { past.visible(edit, deed.at) };
                if past.steps.raced(edit.side(), &edit.id, edit.field, (made, visible)) {
                    found.raced += 1;
                    past.steps.note(|| format!("overwritten unseen: {}", deed.words));
                    continue;
                }
                let what = format!("lost without a trace: {:?} of {}", edit.value, deed.words);
                found.breaches.push(what);
            }
        }
    }

    fn kept(&self, mapping: &Mapping, directory: &dyn Directory, edit: &Edit) -> bool {
        let side = edit.side();
        let Some((field, object)) = mapped(mapping, side, edit.field) else { return true };
        let raw = if edit.value.is_empty() { Raw::Null } else { Raw::text(edit.value.as_str()) };
        let Reading::Value(meant) = field.read(mapping, side, object, &raw, directory) else {
            return true;
        };
        let is = |record: &RecordRef| record.side == side && record.id == edit.id;
        let says =
            |record: &Record| reading(mapping, field, directory, record).as_ref() == Some(&meant);
        // Where it was made an edit may stand although the link has another record by now: of two
        // that were merged across, one waits for a person.
        let own = self.records.iter().find(|(key, record)| is(key) && record.key == **key);
        if own.is_some_and(|(_, record)| says(record)) {
            return true;
        }
        // Several links can have had the record: one that retired bequeaths it to its heir, and each
        // has a history of its own.
        let heirs = self.heirs(side, &edit.id);
        // A record without a link tells by itself what an interrupted settlement has written.
        let owes = |subject: &Subject| match subject {
            Subject::Record { record, .. } => heirs.contains(record),
            Subject::Link(_) => false,
        };
        let tells = |line: &HistoryLine| {
            let values = line.old.iter().chain(&line.new).chain(line.lost.values());
            line.field == field.name && values.into_iter().any(|it| *it == meant)
        };
        let mut owed = self.owed.iter().filter(|it| owes(&it.subject)).flat_map(|it| &it.lines);
        if owed.any(tells) {
            return true;
        }
        let linked: Vec<&LinkEntry> = self
            .links
            .iter()
            .filter(|link| link.all_records().iter().any(|record| heirs.contains(record)))
            .collect();
        let known = linked.iter().any(|link| {
            let lines = self.history.get(&link.id).map(Vec::as_slice).unwrap_or_default();
            let told = lines.iter().any(tells);
            let records = link.records.iter().filter_map(|(_, it)| it.as_ref());
            let there = records.filter_map(|record| self.records.get(record)).any(says);
            told || there || self.conflicts.contains(&(link.id, field.name.clone()))
        });
        // A record that was deleted took its values with it; one that was converted lives on in
        // another record of its link. An heir has other records too, but not in its place.
        let on = |link: &LinkEntry| link.records.get(side).clone();
        let left =
            linked.iter().any(|link| !link.state.is_live() && on(link).is_some_and(|it| is(&it)));
        let moved =
            linked.iter().any(|link| link.state.is_live() && on(link).is_some_and(|it| !is(&it)));
        let lives_on = own.is_some() || (moved && !left);
        known || !lives_on
    }

    /// A record, by its id, and those that took its place one after the other: one that was converted
    /// before it had a link is remembered by the link of what it became.
    fn heirs(&self, side: Side, id: &str) -> BTreeSet<RecordRef> {
        let is = |record: &&RecordRef| record.side == side && record.id == id;
        let linked = self.links.iter().flat_map(LinkEntry::all_records);
        let mut heirs: BTreeSet<RecordRef> =
            self.records.keys().cloned().chain(linked).filter(|it| is(&it)).collect();
        let mut last: Vec<RecordRef> = heirs.iter().cloned().collect();
        while let Some(record) = last.pop() {
            let next = self.records.get(&record).and_then(|record| record.successor.clone());
            if let Some(next) = next.filter(|next| heirs.insert(next.clone())) {
                last.push(next);
            }
        }
        heirs
    }

    /// Nobody who was deleted on a side is created there anew, unless a person asks for it.
    fn nobody_comes_back(&self, found: &mut Vec<String>) {
        for link in self.links.iter().filter(|link| link.state.is_live() && !was_merged(link)) {
            let lines = self.history.get(&link.id).map(Vec::as_slice).unwrap_or_default();
            let Some((side, made)) = lines
                .iter()
                .find(|line| line.field == LINK_ITSELF && line.rule == "created")
                .and_then(|line| Some((line.side?, line.at)))
            else {
                continue;
            };
            let ended = self.links.iter().find(|other| {
                matches!(&other.state,
                    LinkState::Unlinked { deleted, at, .. } if *deleted == side && *at < made)
                    && !other.fingerprints.is_disjoint(&link.fingerprints)
            });
            if let Some(ended) = ended {
                let of = ended.id;
                found.push(format!("whom link {of} lost in {side} came back by link {}", link.id));
            }
        }
    }
}

/// Whether people merged a record of the link with another: it goes by the addresses of both.
fn was_merged(link: &LinkEntry) -> bool {
    let all = link.all_records();
    let kinds: BTreeSet<_> = all.iter().map(|it| (it.side, &it.object)).collect();
    kinds.len() < all.len()
}

/// The field that a platform's name stands for, and an object of the side that has it.
fn mapped<'a>(mapping: &'a Mapping, side: Side, name: &str) -> Option<(&'a Field, &'a str)> {
    let spec = mapping.sides.get(side);
    let objects = [Some(&spec.object), spec.becomes.as_ref()];
    objects.into_iter().flatten().find_map(|object| {
        let is = |field: &&Field| {
            field.sides.get(side).as_ref().and_then(|place| place.name(object)) == Some(name)
        };
        Some((mapping.fields.iter().find(is)?, object.as_str()))
    })
}

/// What a record says of a field, where that can be compared.
fn reading(
    mapping: &Mapping,
    field: &Field,
    directory: &dyn Directory,
    record: &Record,
) -> Option<Value> {
    let RecordRef { side, object, .. } = &record.key;
    let name = field.sides.get(*side).as_ref()?.name(object)?;
    match field.read(mapping, *side, object, record.get(name), directory) {
        Reading::Value(value) => Some(value),
        Reading::Aside(_) | Reading::Bad(_) => None,
    }
}
