//! Where the news of each object comes from: the platform's own word, or our asking.
//!
//! Polls are the net below what is pushed. While the word of a side arrives by itself, its objects
//! are asked for seldom ([`Options::net`](super::Options)); as soon as that cannot be relied on,
//! they are asked for as often as without it. Reliance has two enemies, and both end it: the
//! receiver says that it is not well ([`Intake::set_push`]), or a poll finds what should have been
//! pushed and was not ([`Intake::polled`]). The second is the only way to notice that a subscription
//! is silent because it is incomplete, and not because nothing happens.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::engine::lock;
use super::poll::Stream;
use crate::record::{Change, RecordRef, Side, Source};

/// How long word of a change may take before a poll that finds the change counts it as missed. Both
/// platforms' word is usually there within seconds.
const LATE: SignedDuration = SignedDuration::from_secs(90);

/// How long a side is not relied upon after a poll found what it had not said.
const DOUBT: SignedDuration = SignedDuration::from_mins(15);

/// By how much two stamps of one change may differ: Salesforce stamps a row when it is written and
/// its event when it is committed, in whole seconds; HubSpot's index stamps again.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// How many pushed records are remembered to tell what was missed. A page of either platform holds
/// a tenth of it.
const REMEMBERED: usize = 20_000;

/// How well a side's word of an object arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PushState {
    /// It is being set up; nothing has arrived yet.
    Starting,
    /// Whatever happens arrives by itself.
    Healthy,
    /// Something may have been lost; what exists is compared until nothing can be missing.
    Recovering {
        /// What happened.
        why: String,
    },
    /// Nothing arrives.
    Down {
        /// What happened.
        why: String,
        /// What a person can do, where a person has to.
        hint: Option<String>,
    },
}

impl PushState {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Recovering { .. } => "recovering",
            Self::Down { .. } => "down",
        }
    }
}

/// Whether word of every change that the mappings need would arrive, by what the platform says is
/// set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cover")]
pub enum Cover {
    /// It cannot be seen.
    #[default]
    Unknown,
    /// All of it.
    Whole,
    /// Of some no word will ever come: it is found by polling.
    Lacking {
        /// Of what: `contact.propertyChange lead_score`, `change events`.
        what: Vec<String>,
        /// What a person can do.
        hint: String,
    },
}

impl Cover {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Unknown => "unknown".to_owned(),
            Self::Whole => "whole".to_owned(),
            Self::Lacking { what, .. } => format!("lacks {}", what.len()),
        }
    }
}

/// How a side's word of one object arrives by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushHealth {
    /// How: `webhook` or `stream`.
    pub source: Source,
    /// How well.
    #[serde(flatten)]
    pub state: PushState,
    /// Since when it has been so.
    pub since: Timestamp,
    /// The last sign of life: word of a change, a keepalive, a check that all is set up.
    pub alive: Option<Timestamp>,
    /// Changes that arrived since the process started.
    pub arrived: u64,
    /// Changes that polls found and that had not arrived, since the process started.
    pub missed: u64,
    /// It is not relied upon before this time, because of such a change.
    pub doubted_until: Option<Timestamp>,
}

/// Where the news of one object comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectNews {
    /// What is relied upon: `webhook`, `stream`, or `poll`.
    pub from: Option<Source>,
    /// When each way last brought a change, by our clock.
    pub last: BTreeMap<Source, Timestamp>,
    /// How many changes each way brought since the process started; of polls only those of which no
    /// word had arrived.
    #[serde(default)]
    pub brought: BTreeMap<Source, u64>,
    /// When it was last asked for changes to the end.
    pub last_round: Option<Timestamp>,
    /// What arrives by itself; nothing where nothing is set up to.
    pub push: Option<PushHealth>,
    /// Whether that is all that the mappings need.
    #[serde(default)]
    pub cover: Cover,
}

impl ObjectNews {
    /// When any way last brought a change.
    #[must_use]
    pub fn last_news(&self) -> Option<Timestamp> {
        self.last.values().max().copied()
    }

    fn relied_upon(&self, now: Timestamp) -> Source {
        match &self.push {
            Some(push)
                if push.state == PushState::Healthy
                    && !matches!(self.cover, Cover::Lacking { .. })
                    && push.doubted_until.is_none_or(|until| until <= now) =>
            {
                push.source
            }
            _ => Source::Poll,
        }
    }
}

#[derive(Debug, Default)]
struct Book {
    objects: BTreeMap<(Side, String), ObjectNews>,
    rounds: BTreeMap<(Side, String, Stream), Timestamp>,
    /// The latest change of each record of which word arrived, by the platform's stamp.
    heard: BTreeMap<RecordRef, Timestamp>,
    /// What was stamped before this may have been forgotten.
    forgotten: Option<Timestamp>,
}

/// Where the news of every object comes from.
#[derive(Debug, Default)]
pub struct Intake(Mutex<Book>);

impl Intake {
    /// How word of `object` arrives by itself. Nothing where nothing is set up to.
    #[must_use]
    pub fn push(&self, side: Side, object: &str) -> Option<PushHealth> {
        lock(&self.0).objects.get(&(side, object.to_owned()))?.push.clone()
    }

    /// Where the news of `object` comes from.
    #[must_use]
    pub fn news(&self, side: Side, object: &str, now: Timestamp) -> ObjectNews {
        let found = lock(&self.0).objects.get(&(side, object.to_owned())).cloned();
        let mut news = found.unwrap_or_default();
        news.from = Some(news.relied_upon(now));
        news
    }

    /// Notes how well word of `object` arrives by `source`. [`PushState::Healthy`] is a promise: any
    /// change from now on arrives, or this is called again. It is a sign of life as well.
    pub fn set_push(
        &self,
        side: Side,
        object: &str,
        source: Source,
        state: PushState,
        now: Timestamp,
    ) {
        let mut book = lock(&self.0);
        let Book { objects, rounds, .. } = &mut *book;
        let news = objects.entry((side, object.to_owned())).or_default();
        let healthy = state == PushState::Healthy;
        if healthy && news.push.as_ref().is_none_or(|push| push.state != PushState::Healthy) {
            // What happened between the last round and the first word is for one more round.
            rounds.retain(|(of, name, _), _| *of != side || name != object);
        }
        match &mut news.push {
            Some(push) => {
                if push.state.word() != state.word() {
                    push.since = now;
                }
                push.source = source;
                push.state = state;
            }
            None => {
                news.push = Some(PushHealth {
                    source,
                    state,
                    since: now,
                    alive: None,
                    arrived: 0,
                    missed: 0,
                    doubted_until: None,
                });
            }
        }
        if healthy && let Some(push) = &mut news.push {
            push.alive = Some(now);
        }
    }

    /// Notes whether word of every change of `object` would arrive, by what the platform says.
    pub(super) fn set_cover(&self, side: Side, object: &str, cover: Cover) {
        let mut book = lock(&self.0);
        let news = book.objects.entry((side, object.to_owned())).or_default();
        if let (Cover::Lacking { what, hint }, true) = (&cover, news.cover != cover) {
            let what = what.join(", ");
            tracing::warn!(%side, object, %what, %hint, "no word of some changes will arrive");
        }
        news.cover = cover;
    }

    /// Whether of some object no word of some changes will arrive.
    pub(super) fn is_lacking(&self) -> bool {
        let book = lock(&self.0);
        book.objects.values().any(|news| matches!(news.cover, Cover::Lacking { .. }))
    }

    /// Forgets that word of `object` ever arrived by itself: nothing is set up to any more.
    pub fn unset_push(&self, side: Side, object: &str) {
        if let Some(news) = lock(&self.0).objects.get_mut(&(side, object.to_owned())) {
            news.push = None;
        }
    }

    /// Notes a sign of life of what brings word of `object`.
    pub fn alive(&self, side: Side, object: &str, now: Timestamp) {
        if let Some(news) = lock(&self.0).objects.get_mut(&(side, object.to_owned()))
            && let Some(push) = &mut news.push
        {
            push.alive = Some(now);
        }
    }

    /// Notes changes that arrived by themselves. To be called once they are durable.
    pub fn pushed(&self, changes: &[Change], now: Timestamp) {
        let mut book = lock(&self.0);
        for change in changes {
            let record = &change.record;
            let news = book.objects.entry((record.side, record.object.clone())).or_default();
            news.last.insert(change.source, now);
            *news.brought.entry(change.source).or_default() += 1;
            if let Some(push) = &mut news.push {
                push.arrived += 1;
                push.alive = Some(now);
            }
            let at = change.at.unwrap_or(now);
            let known = book.heard.entry(record.clone()).or_insert(at);
            *known = (*known).max(at);
        }
        if book.heard.len() > REMEMBERED {
            let mut times: Vec<Timestamp> = book.heard.values().copied().collect();
            times.sort_unstable();
            let oldest = times[times.len() / 2];
            book.heard.retain(|_, at| *at > oldest);
            book.forgotten = book.forgotten.max(Some(oldest));
        }
    }

    /// Notes what a poll found that both sides do not agree on already, and whether any of it should
    /// have arrived before. Says how many did not.
    ///
    /// What was stamped before the push was healthy is none of its affair; nor is what is so new
    /// that its word may be on its way; nor, where many arrived since, what is older than the oldest
    /// that is remembered.
    pub fn polled(&self, side: Side, object: &str, found: &[Change], now: Timestamp) -> usize {
        let mut book = lock(&self.0);
        let Book { objects, heard, forgotten, .. } = &mut *book;
        let news = objects.entry((side, object.to_owned())).or_default();
        let untold = |change: &&Change| {
            let told = heard.get(&change.record).and_then(|at| at.saturating_add(SKEW).ok());
            told.is_none() || told < change.at
        };
        let first = found.iter().filter(untold).count();
        if first > 0 {
            news.last.insert(Source::Poll, now);
            *news.brought.entry(Source::Poll).or_default() += first as u64;
        }
        let Some(push) = news.push.as_mut().filter(|push| push.state == PushState::Healthy) else {
            return 0;
        };
        let from = Some(push.since).max(*forgotten).unwrap_or(push.since).saturating_add(SKEW);
        let until = now.saturating_sub(LATE);
        let (Ok(from), Ok(until)) = (from, until) else { return 0 };
        let missed = found
            .iter()
            .filter(|change| change.at.is_some_and(|at| at >= from && at <= until))
            .filter(untold)
            .count();
        if missed > 0 {
            push.missed += missed as u64;
            push.doubted_until = now.saturating_add(DOUBT).ok();
        }
        missed
    }

    /// Notes that `object` was asked for its changes to the end.
    pub(super) fn note_round(&self, side: Side, object: &str, stream: Stream, now: Timestamp) {
        let mut book = lock(&self.0);
        book.rounds.insert((side, object.to_owned(), stream), now);
        book.objects.entry((side, object.to_owned())).or_default().last_round = Some(now);
    }

    /// Whether `object` is to be asked for its changes now: always where nothing that arrives by
    /// itself is relied upon, else when the last round is `net` old.
    pub(super) fn is_due(
        &self,
        side: Side,
        object: &str,
        stream: Stream,
        net: SignedDuration,
        now: Timestamp,
    ) -> bool {
        let book = lock(&self.0);
        let key = (side, object.to_owned());
        let relied = book.objects.get(&key).map(|news| news.relied_upon(now));
        if matches!(relied, None | Some(Source::Poll)) {
            return true;
        }
        let last = book.rounds.get(&(side, key.1, stream));
        last.is_none_or(|last| now.duration_since(*last) >= net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn change(id: &str, second: i64, source: Source) -> Change {
        let record = RecordRef { side: Side::Salesforce, object: "Lead".into(), id: id.to_owned() };
        Change { at: Some(at(second)), ..Change::touched(record, source) }
    }

    const NET: SignedDuration = SignedDuration::from_mins(5);

    fn due(intake: &Intake, second: i64) -> bool {
        intake.is_due(Side::Salesforce, "Lead", Stream::Changed, NET, at(second))
    }

    fn set(intake: &Intake, state: PushState, second: i64) {
        intake.set_push(Side::Salesforce, "Lead", Source::Stream, state, at(second));
    }

    #[test]
    fn polls_stretch_while_push_is_healthy_and_tighten_when_it_is_not() {
        let intake = Intake::default();
        assert!(due(&intake, 0), "nothing is pushed");
        intake.note_round(Side::Salesforce, "Lead", Stream::Changed, at(0));
        assert!(due(&intake, 15));
        set(&intake, PushState::Starting, 20);
        assert!(due(&intake, 30), "starting is not healthy");
        set(&intake, PushState::Healthy, 40);
        assert!(due(&intake, 41), "one more round for what happened before");
        intake.note_round(Side::Salesforce, "Lead", Stream::Changed, at(41));
        set(&intake, PushState::Healthy, 42);
        assert!(!due(&intake, 45));
        assert!(due(&intake, 341), "the net is due");
        intake.note_round(Side::Salesforce, "Lead", Stream::Deleted, at(0));
        assert!(
            intake.is_due(Side::Salesforce, "Lead", Stream::Deleted, NET, at(300)),
            "each listing has its own round"
        );
        for state in [
            PushState::Recovering { why: "the replay id expired".into() },
            PushState::Down { why: "cut".into(), hint: None },
        ] {
            set(&intake, state, 50);
            assert!(due(&intake, 51));
        }
    }

    #[test]
    fn what_a_poll_finds_and_push_should_have_brought_ends_the_reliance_for_a_while() {
        for (name, pushed, found, missed) in [
            ("it arrived", Some(400), 400, 0),
            ("its commit is stamped later than its row", Some(402), 400, 0),
            ("a later change of it arrived", Some(900), 400, 0),
            ("an earlier change of it arrived", Some(300), 400, 1),
            ("nothing arrived", None, 400, 1),
            ("it was made before push was healthy", None, 110, 0),
            ("its word may be on its way", None, 960, 0),
        ] {
            let intake = Intake::default();
            set(&intake, PushState::Healthy, 100);
            if let Some(second) = pushed {
                intake.pushed(&[change("00Q1", second, Source::Stream)], at(second));
            }
            let found = [change("00Q1", found, Source::Poll)];
            let count = intake.polled(Side::Salesforce, "Lead", &found, at(1000));
            assert_eq!(count, missed, "{name}");
            intake.note_round(Side::Salesforce, "Lead", Stream::Changed, at(1000));
            assert_eq!(due(&intake, 1015), missed > 0, "{name}");
            let later = 1000 + DOUBT.as_secs();
            intake.note_round(Side::Salesforce, "Lead", Stream::Changed, at(later));
            assert!(!due(&intake, later + 15), "{name}: doubt ends");
        }
    }

    #[test]
    fn status_says_what_is_relied_upon_and_how_old_the_last_word_is() {
        let intake = Intake::default();
        intake.polled(Side::Salesforce, "Lead", &[change("00Q1", 1, Source::Poll)], at(5));
        let news = intake.news(Side::Salesforce, "Lead", at(6));
        assert_eq!((news.from, news.last_news()), (Some(Source::Poll), Some(at(5))));
        set(&intake, PushState::Healthy, 10);
        intake.pushed(&[change("00Q1", 20, Source::Stream)], at(21));
        let news = intake.news(Side::Salesforce, "Lead", at(22));
        assert_eq!((news.from, news.last_news()), (Some(Source::Stream), Some(at(21))));
        assert_eq!(news.push.map(|push| push.arrived), Some(1));
        intake.unset_push(Side::Salesforce, "Lead");
        assert_eq!(intake.news(Side::Salesforce, "Lead", at(30)).from, Some(Source::Poll));
    }

    #[test]
    fn what_no_word_comes_of_is_polled_for_however_healthy_the_rest_is() {
        let intake = Intake::default();
        set(&intake, PushState::Healthy, 0);
        intake.note_round(Side::Salesforce, "Lead", Stream::Changed, at(1));
        let cover = |cover| intake.set_cover(Side::Salesforce, "Lead", cover);
        assert!(!due(&intake, 15), "what cannot be seen is no reason");
        cover(Cover::Lacking { what: vec!["change events".into()], hint: "select it".into() });
        assert!(due(&intake, 15) && intake.is_lacking());
        assert_eq!(intake.news(Side::Salesforce, "Lead", at(15)).from, Some(Source::Poll));
        cover(Cover::Whole);
        assert!(!due(&intake, 15) && !intake.is_lacking());
    }

    #[test]
    fn what_is_remembered_of_arrivals_is_bounded_and_tells_no_false_misses() {
        let intake = Intake::default();
        set(&intake, PushState::Healthy, 0);
        let count = i64::try_from(REMEMBERED).unwrap() + 1;
        let many: Vec<Change> =
            (0..count).map(|n| change(&format!("00Q{n}"), 100 + n, Source::Stream)).collect();
        intake.pushed(&many, at(count));
        assert!(lock(&intake.0).heard.len() <= REMEMBERED);
        let found = [change("00Q1", 101, Source::Poll)];
        let now = at(count + 1000);
        assert_eq!(intake.polled(Side::Salesforce, "Lead", &found, now), 0);
    }
}
