//! Writes down what events say.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::TopicPlan;
use super::place::{Place, written};
use super::reader::End;
use crate::daemon::directory::Snapshot;
use crate::daemon::{Engine, Trouble};
use crate::journal::{LinkEntry, LinkState, Standing, Subject};
use crate::mapping::{Mapping, Reading};
use crate::platform::Cursor;
use crate::platform::salesforce::pubsub::{ChangeEvent, EventKind, Events, Fetched};
use crate::reconcile::WriteAction;
use crate::record::{Change, ChangeKind, Origin, Raw, Record, RecordRef, Side, Source};

/// What a delivery comes to.
#[derive(Debug, Default)]
struct News {
    /// Every change that arrived.
    all: Vec<Change>,
    /// Those that are to be settled.
    heard: Vec<Change>,
    /// What the events show of their records.
    shown: Vec<Record>,
    /// Objects that have to be compared as a whole.
    compare: BTreeSet<String>,
    why: Option<String>,
}

impl News {
    fn compare(&mut self, objects: impl IntoIterator<Item = String>, why: String) {
        self.compare.extend(objects);
        self.why.get_or_insert(why);
    }
}

impl Engine {
    /// Writes one delivery down with the place behind it, and puts in line what has to be compared.
    /// Says the place that is remembered now.
    pub(super) async fn take_in_events(
        &self,
        events: &Arc<Events>,
        plan: &TopicPlan,
        before: Place,
        fetched: Fetched,
    ) -> Result<Place, End> {
        let mut news = News::default();
        for raw in &fetched.events {
            match events.read(raw).await? {
                Ok(event) => self.weigh(plan, &event, &mut news).await?,
                Err(why) => {
                    tracing::error!(topic = %plan.topic, id = %raw.id, %why, "an event cannot be read");
                    news.compare(plan.objects.clone(), format!("an event cannot be read: {why}"));
                }
            }
        }
        let mut place = before.clone();
        // Behind the last event of this delivery, not at the latest of the topic, which may be
        // ahead of it.
        let behind = fetched.events.last().map_or(&fetched.latest, |event| &event.replay);
        if !behind.0.is_empty() {
            place.replay = Some(behind.to_text());
        }
        if !news.compare.is_empty() {
            place.compare.append(&mut news.compare);
            place.why = news.why.take().or(place.why);
        }
        if place != before || !news.heard.is_empty() {
            let (name, text) = written(plan, &place);
            let urgent = self.urgent(&news.shown).await?;
            let heard = self.in_lanes(news.heard, &urgent);
            self.hear_with_cursor(heard, name, Cursor(text)).await?;
        }
        self.intake.pushed(&news.all, self.clock.now());
        self.note_deliveries(fetched.events.len()).await?;
        if !place.compare.is_empty() {
            self.compare_objects(plan, &mut place).await?;
        }
        Ok(place)
    }

    /// Puts everything that is to be compared in line, then forgets that it was owed.
    async fn compare_objects(&self, plan: &TopicPlan, place: &mut Place) -> Result<(), Trouble> {
        let why = place.why.clone().unwrap_or_default();
        for object in &place.compare {
            let links = self.sweep_object(Side::Salesforce, object, &why).await?;
            tracing::warn!(%object, links, %why, "word of changes was lost: everything is compared");
        }
        place.compare.clear();
        // Without the reason: whoever reads it after a restart would take it for owed.
        let kept = Place { why: None, ..place.clone() };
        self.remember_place(plan, kept).await
    }

    /// What an event comes to.
    async fn weigh(
        &self,
        plan: &TopicPlan,
        event: &ChangeEvent,
        news: &mut News,
    ) -> Result<(), Trouble> {
        let object = &event.entity;
        let mappings = self.mappings_of(Side::Salesforce, object);
        if mappings.is_empty() || !plan.objects.contains(object) {
            return Ok(());
        }
        if event.beyond {
            let why = match event.kind {
                EventKind::Overflow => format!("more changed in {object} than events can say"),
                _ => format!("an event of {object} does not name its records"),
            };
            news.compare([object.clone()], why);
        }
        let latest = event.committed;
        self.note_side(Side::Salesforce, |state| state.last_change = state.last_change.max(latest));
        for id in &event.ids {
            let record = RecordRef::salesforce(object.clone(), id.clone());
            let mut change = Change::touched(record.clone(), Source::Stream);
            change.at = event.committed;
            change.origin = event.origin;
            if event.kind == EventKind::Deleted {
                change.kind = ChangeKind::Deleted;
            }
            news.all.push(change.clone());
            if !self.changes_nothing(&mappings, event, &record).await? {
                if change.kind == ChangeKind::Touched {
                    news.shown.push(Record { fields: event.set.clone(), ..Record::new(record) });
                }
                news.heard.push(change);
            }
        }
        Ok(())
    }

    /// Whether an update left every mapped field as both sides last agreed on it: the echo of our
    /// own write above all.
    ///
    /// An update names the fields that its transaction changed, and their values after it. Where all
    /// of these are mapped to values that equal the base, settling now could only find what an
    /// earlier or a later event says: whatever else is different was changed by another transaction,
    /// which has an event of its own, before this one in the stream or behind it. Two things make the
    /// base unfit as a witness, and the record is read then: an entry that waits or is being settled
    /// (it may be about to move the base, and hearing of it costs nothing more), and a conflict, which
    /// a return to the base would end. What a settlement under way is writing at this moment, and
    /// that carries our name, is the one exception: see [`is_being_written`]. A refused write is no
    /// such thing: it is not tried again for a value that stays.
    async fn changes_nothing(
        &self,
        mappings: &[Arc<Mapping>],
        event: &ChangeEvent,
        key: &RecordRef,
    ) -> Result<bool, Trouble> {
        if event.kind != EventKind::Updated || !event.exact || converts(event) {
            return Ok(false);
        }
        for mapping in mappings {
            let touched: Vec<String> = mapping
                .names(Side::Salesforce, &key.object)
                .into_iter()
                .filter(|name| names(event, name))
                .collect();
            // Where no field of the mapping changed, there is nothing to settle, whatever the base.
            if !touched.is_empty() && !self.shows_base(mapping, event, key, &touched).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn shows_base(
        &self,
        mapping: &Arc<Mapping>,
        event: &ChangeEvent,
        key: &RecordRef,
        touched: &[String],
    ) -> Result<bool, Trouble> {
        let side = Side::Salesforce;
        let standings = self.journal.standings(&mapping.name, vec![key.clone()]).await?;
        let Some(standing) = standings.into_iter().flatten().next() else { return Ok(false) };
        let link = &standing.link;
        if link.state != LinkState::Active || link.records.get(side).as_ref() != Some(key) {
            return Ok(false);
        }
        let mut record = Record::new(key.clone());
        for name in touched {
            let Some((_, value)) =
                event.set.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
            else {
                return Ok(false);
            };
            if event.origin != Origin::Lockstep || !is_being_written(&standing, key, name, value) {
                record.fields.insert(name.clone(), value.clone());
            }
        }
        if record.fields.is_empty() {
            return Ok(true);
        }
        let known = self.journal.known(vec![Subject::Link(link.id)]).await?;
        if standing.waits || known.iter().any(|known| !known.conflicts.is_empty()) {
            return Ok(false);
        }
        let snapshot = self.snapshot_of(mapping, [&record]).await?;
        Ok(record.fields.iter().all(|(name, value)| agrees(mapping, link, name, value, &snapshot)))
    }
}

/// Whether a settlement under way writes this very value. It ends with the value as its base, so
/// that its own word adds nothing; whoever changes the value after it has an event of their own.
fn is_being_written(standing: &Standing, key: &RecordRef, name: &str, value: &Raw) -> bool {
    let write = standing.intent.as_ref().and_then(|intent| intent.writes.salesforce.as_ref());
    write.is_some_and(|write| {
        let same = match &write.action {
            WriteAction::Update { id } => *id == key.id,
            WriteAction::Create { .. } => true,
            WriteAction::Delete { .. } => false,
        };
        let sent = write.fields.get(name);
        same && sent.is_some_and(|sent| sent == value || (sent.is_blank() && value.is_blank()))
    })
}

/// Whether a value is what both sides last agreed on, in every field that carries it.
fn agrees(
    mapping: &Mapping,
    link: &LinkEntry,
    name: &str,
    value: &Raw,
    snapshot: &Snapshot,
) -> bool {
    let side = Side::Salesforce;
    let Some(key) = link.records.get(side) else { return false };
    if *name == mapping.sides.get(side).id_field {
        let across = link.records.get(side.other()).as_ref();
        return across.map(|across| across.id.as_str()) == value.as_text();
    }
    let mut fields = mapping
        .fields
        .iter()
        .filter(|field| {
            let place = field.sides.get(side).as_ref();
            place.and_then(|place| place.name(&key.object)) == Some(name)
        })
        .peekable();
    // A field by which records are matched, and that no field of the mapping carries, says nothing.
    fields.peek().is_some()
        && fields.all(|field| match field.read(mapping, side, &key.object, value, snapshot) {
            Reading::Value(value) => link.base.values.get(&field.name) == Some(&value),
            Reading::Aside(_) | Reading::Bad(_) => false,
        })
}

/// Whether the event says that a field of this name changed.
fn names(event: &ChangeEvent, name: &str) -> bool {
    let is = |known: &String| known.eq_ignore_ascii_case(name);
    // `Owner.Name` changes with the reference that leads there.
    let lead = name.split_once('.').map(|(lead, _)| format!("{lead}Id"));
    let leads = |known: &String| lead.as_ref().is_some_and(|lead| known.eq_ignore_ascii_case(lead));
    event.set.keys().chain(&event.unread).any(|known| is(known) || leads(known))
}

/// Whether a Lead became a Contact: its link moves.
fn converts(event: &ChangeEvent) -> bool {
    event
        .set
        .keys()
        .chain(&event.unread)
        .any(|name| name.eq_ignore_ascii_case("IsConverted") || name.starts_with("Converted"))
}
