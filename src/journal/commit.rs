//! What is written together: all of it or nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Error;
use super::facts::{CursorEntry, CursorName, Encoded, Intent, MappingState, Purge};
use super::handoffs::{HandoffNews, HandoffWork};
use super::history::HistoryLine;
use super::links::LinkEntry;
use super::pending::{HearOutcome, Heard, Subject};
use super::questions::{Hold, MatchChoice, MatchEntry, RejectEntry, RejectPlace};
use super::secret::Secret;
use super::txn::Txn;
use crate::reconcile::{OpenConflict, Resolution};
use crate::record::{LinkId, RecordRef};

/// How many steps one commit takes: more belong into several.
pub const MOST_STEPS: usize = 2_000;

enum Step {
    Link(Box<LinkEntry>),
    Purge { link: LinkId, at: Timestamp },
    Hear(Heard),
    Finish { subject: Subject, version: u64, again: Option<Timestamp> },
    Postpone { subject: Subject, version: u64, until: Timestamp, error: Option<String> },
    Cursor { name: CursorName, entry: Option<CursorEntry> },
    Intend(Box<Intent>),
    Owe(Box<Intent>),
    ClearIntent(Subject),
    Conflicts { link: LinkId, mapping: String, open: BTreeMap<String, OpenConflict> },
    Resolve { link: LinkId, field: String, resolution: Resolution },
    Match(Box<MatchEntry>),
    DropMatch { mapping: String, record: RecordRef },
    ChooseMatch { mapping: String, record: RecordRef, choice: MatchChoice },
    Reject(Box<RejectEntry>),
    Rejects { subject: Subject, entries: Vec<RejectEntry> },
    DropReject(RejectPlace),
    RetryReject(RejectPlace),
    Hold(Hold),
    DropHold(u64),
    History(Box<HistoryLine>),
    Handoff(Box<HandoffNews>),
    HandoffWork(Box<HandoffWork>),
    DropHandoffs(LinkId),
    Count { mapping: String, name: String, by: i64, at: Timestamp },
    Mapping { name: String, state: MappingState },
    Keep { area: String, name: String, item: Result<Option<Encoded>, Error> },
}

impl Step {
    /// The order in which the kinds of steps are carried out: entries and intents end before links
    /// are made, so that a link does not inherit what is finished; links that end go before links
    /// that take their records.
    fn turn(&self) -> u8 {
        match self {
            Self::Finish { .. } | Self::Postpone { .. } | Self::ClearIntent(_) => 0,
            Self::Link(link) if !link.state.is_live() => 1,
            Self::Link(_) => 2,
            Self::Purge { .. } => 4,
            _ => 3,
        }
    }
}

/// Changes that are written together. Build it with the methods below and give it to
/// [`Journal::commit`](super::Journal::commit).
///
/// The order of calls does not matter but within one kind: entries and intents end first, then links
/// that ended are stored, then live links, then the rest, and purges last.
#[derive(Default)]
#[must_use]
pub struct Commit {
    steps: Vec<Step>,
}

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Entries that were to be finished and stay, because they were heard of again.
    pub again: Vec<Subject>,
    /// What became of changes.
    pub heard: HearOutcome,
}

impl Commit {
    /// A commit of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it tells news of a handoff, for whoever works on them.
    #[must_use]
    pub fn tells_of_handoffs(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Handoff(_)))
    }

    /// How many steps it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    fn step(&mut self, step: Step) -> &mut Self {
        self.steps.push(step);
        self
    }

    /// Takes in the steps of another one.
    pub fn append(&mut self, other: Self) -> &mut Self {
        self.steps.extend(other.steps);
        self
    }

    /// Stores a link: a new one with a number from [`Journal::new_links`](super::Journal::new_links),
    /// or a known one in its present form. Records that it had and no longer has become aliases.
    /// Fails with [`Error::Taken`] where another live link of the mapping has one of its records,
    /// and with [`Error::Purged`] where the data of one was erased.
    pub fn link(&mut self, link: LinkEntry) -> &mut Self {
        self.step(Step::Link(Box::new(link)))
    }

    /// Takes a link away with its base, conflicts, rejects, history and everything that leads to
    /// it; what remains is that, when and where it happened, and a keyed hash of each record's id.
    pub fn purge(&mut self, link: LinkId, at: Timestamp) -> &mut Self {
        self.step(Step::Purge { link, at })
    }

    /// Folds a change into the entry of its link or record.
    pub fn hear(&mut self, heard: Heard) -> &mut Self {
        self.step(Step::Hear(heard))
    }

    /// Takes an entry out, unless it was heard of again since it was taken in `version`.
    pub fn finish(&mut self, subject: Subject, version: u64) -> &mut Self {
        self.step(Step::Finish { subject, version, again: None })
    }

    /// The same; where it was heard of again, it waits until `again` at least, so that a burst of
    /// changes is one more settlement and not one for each.
    pub fn finish_until(&mut self, subject: Subject, version: u64, again: Timestamp) -> &mut Self {
        self.step(Step::Finish { subject, version, again: Some(again) })
    }

    /// Lets an entry wait; with an error this counts as an attempt.
    pub fn postpone(
        &mut self,
        subject: Subject,
        version: u64,
        until: Timestamp,
        error: Option<String>,
    ) -> &mut Self {
        self.step(Step::Postpone { subject, version, until, error })
    }

    /// Remembers how far a sequence of changes was read.
    pub fn cursor(
        &mut self,
        name: CursorName,
        place: impl Into<String>,
        at: Timestamp,
    ) -> &mut Self {
        let entry = Some(CursorEntry { place: place.into(), at });
        self.step(Step::Cursor { name, entry })
    }

    /// Forgets how far a sequence of changes was read: it begins anew.
    pub fn forget_cursor(&mut self, name: CursorName) -> &mut Self {
        self.step(Step::Cursor { name, entry: None })
    }

    /// Writes down what is about to go out.
    pub fn intend(&mut self, intent: Intent) -> &mut Self {
        self.step(Step::Intend(Box::new(intent)))
    }

    /// Of what went out nobody knows yet what became. Lines of history that the subject owes
    /// already are kept beside those of `intent`. What a record owes its link owes, where it has
    /// one.
    pub fn owe(&mut self, intent: Intent) -> &mut Self {
        self.step(Step::Owe(Box::new(intent)))
    }

    /// What was about to go out has its result.
    pub fn clear_intent(&mut self, subject: Subject) -> &mut Self {
        self.step(Step::ClearIntent(subject))
    }

    /// Makes these the open conflicts of a link.
    pub fn conflicts(
        &mut self,
        link: LinkId,
        mapping: impl Into<String>,
        open: BTreeMap<String, OpenConflict>,
    ) -> &mut Self {
        self.step(Step::Conflicts { link, mapping: mapping.into(), open })
    }

    /// Stores a person's decision on a conflict. Its link is to be heard of in the same commit, so
    /// that it is carried out.
    pub fn resolve(
        &mut self,
        link: LinkId,
        field: impl Into<String>,
        resolution: Resolution,
    ) -> &mut Self {
        self.step(Step::Resolve { link, field: field.into(), resolution })
    }

    /// Stores an ambiguous match.
    pub fn ambiguous(&mut self, entry: MatchEntry) -> &mut Self {
        self.step(Step::Match(Box::new(entry)))
    }

    /// A record is no longer ambiguous.
    pub fn drop_match(&mut self, mapping: impl Into<String>, record: RecordRef) -> &mut Self {
        self.step(Step::DropMatch { mapping: mapping.into(), record })
    }

    /// Stores a person's choice on an ambiguous match.
    pub fn choose_match(
        &mut self,
        mapping: impl Into<String>,
        record: RecordRef,
        choice: MatchChoice,
    ) -> &mut Self {
        self.step(Step::ChooseMatch { mapping: mapping.into(), record, choice })
    }

    /// Adds a reject; one that stands there already keeps its beginning and counts on.
    pub fn reject(&mut self, entry: RejectEntry) -> &mut Self {
        self.step(Step::Reject(Box::new(entry)))
    }

    /// Makes these the rejects of a subject.
    pub fn rejects(&mut self, subject: Subject, entries: Vec<RejectEntry>) -> &mut Self {
        self.step(Step::Rejects { subject, entries })
    }

    /// Takes a reject away.
    pub fn drop_reject(&mut self, place: RejectPlace) -> &mut Self {
        self.step(Step::DropReject(place))
    }

    /// Marks a reject for another try. Its subject is to be heard of in the same commit.
    pub fn retry_reject(&mut self, place: RejectPlace) -> &mut Self {
        self.step(Step::RetryReject(place))
    }

    /// Stores a hold, with a number from [`Journal::new_hold`](super::Journal::new_hold).
    pub fn hold(&mut self, hold: Hold) -> &mut Self {
        self.step(Step::Hold(hold))
    }

    /// Takes a hold away.
    pub fn drop_hold(&mut self, id: u64) -> &mut Self {
        self.step(Step::DropHold(id))
    }

    /// Adds a line of history; the journal gives it its number.
    pub fn history(&mut self, line: HistoryLine) -> &mut Self {
        self.step(Step::History(Box::new(line)))
    }

    /// Adds what is new of a handoff to it, or opens it.
    pub fn handoff(&mut self, news: HandoffNews) -> &mut Self {
        self.step(Step::Handoff(Box::new(news)))
    }

    /// Stores what the work on a handoff came to.
    pub fn handoff_work(&mut self, work: HandoffWork) -> &mut Self {
        self.step(Step::HandoffWork(Box::new(work)))
    }

    /// Takes the handoffs of a link's number away that has no link.
    pub fn drop_handoffs(&mut self, link: LinkId) -> &mut Self {
        self.step(Step::DropHandoffs(link))
    }

    /// Adds to a counter of the mapping and of the day: `settled`, `writes.hubspot`, `rule.<name>`.
    pub fn count(
        &mut self,
        mapping: impl Into<String>,
        name: impl Into<String>,
        by: i64,
        at: Timestamp,
    ) -> &mut Self {
        self.step(Step::Count { mapping: mapping.into(), name: name.into(), by, at })
    }

    /// Remembers what is known of a mapping.
    pub fn mapping(&mut self, name: impl Into<String>, state: MappingState) -> &mut Self {
        self.step(Step::Mapping { name: name.into(), state })
    }

    /// Keeps an item under a name, in an area that belongs to the caller.
    pub fn keep<T: Serialize>(
        &mut self,
        area: impl Into<String>,
        name: impl Into<String>,
        item: &T,
    ) -> &mut Self {
        let item = postcard::to_stdvec(item)
            .map(|bytes| Some(Encoded(bytes)))
            .map_err(|error| Error::Unfit { problem: format!("a kept item: {error}") });
        self.step(Step::Keep { area: area.into(), name: name.into(), item })
    }

    /// Drops a kept item.
    pub fn drop_kept(&mut self, area: impl Into<String>, name: impl Into<String>) -> &mut Self {
        self.step(Step::Keep { area: area.into(), name: name.into(), item: Ok(None) })
    }

    /// The subjects whose entries were taken and are settled by this commit, one way or the other.
    pub(super) fn released(&self) -> Vec<Subject> {
        let ends = self.steps.iter().filter_map(|step| match step {
            Step::Finish { subject, .. } | Step::Postpone { subject, .. } => Some(subject.clone()),
            _ => None,
        });
        ends.collect()
    }

    /// Carries the steps out on `txn`.
    pub(super) fn run(mut self, txn: &mut Txn<'_>, secret: &Secret) -> Result<Done, Error> {
        if self.steps.len() > MOST_STEPS {
            let problem = format!("{} steps in one commit; at most {MOST_STEPS}", self.steps.len());
            return Err(Error::Unfit { problem });
        }
        self.steps.sort_by_key(Step::turn);
        let any_erased = txn.any_erased()?;
        let mut done = Done::default();
        for step in self.steps {
            run(step, txn, secret, any_erased, &mut done)?;
        }
        Ok(done)
    }
}

fn run(
    step: Step,
    txn: &mut Txn<'_>,
    secret: &Secret,
    any_erased: bool,
    done: &mut Done,
) -> Result<(), Error> {
    let erased = |txn: &Txn<'_>, record: &RecordRef| {
        if any_erased { txn.is_erased(&secret.record(record)) } else { Ok(false) }
    };
    match step {
        Step::Link(link) => txn.put_link(*link, &erased),
        Step::Purge { link, at } => purge(txn, secret, link, at),
        Step::Hear(heard) => {
            if erased(txn, &heard.change.record)? {
                done.heard.erased += 1;
            } else if txn.hear(&heard)? {
                done.heard.new += 1;
            } else {
                done.heard.folded += 1;
            }
            Ok(())
        }
        Step::Finish { subject, version, again } => {
            if !txn.finish(&subject, version, again)? {
                done.again.push(subject);
            }
            Ok(())
        }
        Step::Postpone { subject, version, until, error } => {
            txn.postpone(&subject, version, until, error)
        }
        Step::Cursor { name, entry } => txn.set_cursor(&name, entry.as_ref()),
        Step::Intend(intent) => txn.intend(&intent),
        Step::Owe(intent) => txn.owe(*intent),
        Step::ClearIntent(subject) => txn.clear_intent(&subject),
        Step::Conflicts { link, mapping, open } => txn.set_conflicts(link, &mapping, open),
        Step::Resolve { link, field, resolution } => txn.resolve(link, &field, resolution),
        Step::Match(entry) => txn.put_match(*entry),
        Step::DropMatch { mapping, record } => txn.drop_match(&mapping, &record),
        Step::ChooseMatch { mapping, record, choice } => {
            txn.choose_match(&mapping, &record, choice)
        }
        Step::Reject(entry) => txn.put_reject(*entry),
        Step::Rejects { subject, entries } => txn.set_rejects(&subject, entries),
        Step::DropReject(place) => txn.drop_reject(&place).map(drop),
        Step::RetryReject(place) => txn.request_retry(&place).map(drop),
        Step::Hold(hold) => txn.put_hold(&hold),
        Step::DropHold(id) => txn.drop_hold(id),
        Step::History(line) => txn.add_history(*line),
        Step::Handoff(news) => txn.hear_of_handoff(*news),
        Step::HandoffWork(work) => txn.work_on_handoff(*work),
        Step::DropHandoffs(link) => txn.remove_handoffs(link),
        Step::Count { mapping, name, by, at } => txn.count(&mapping, &name, by, at),
        Step::Mapping { name, state } => txn.set_mapping_state(&name, &state),
        Step::Keep { area, name, item } => txn.keep(&area, &name, item?.as_ref()),
    }
}

fn purge(txn: &mut Txn<'_>, secret: &Secret, id: LinkId, at: Timestamp) -> Result<(), Error> {
    let Some(link) = txn.link(id)? else { return Ok(()) };
    txn.remove_link(&link)?;
    for record in link.all_records() {
        txn.mark_erased(&secret.record(&record), at)?;
    }
    txn.add_purge(&Purge { at, mapping: link.mapping, link: id })
}
