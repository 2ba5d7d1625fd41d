//! Who changed which field of which link, from what to what, by which rule, and when.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Error;
use super::key::{Key, Kind, Parts};
use super::store::Span;
use super::txn::Txn;
use crate::record::{LinkId, Side, Source, Value};

/// The field of a line that concerns the link itself.
pub const LINK_ITSELF: &str = "*";

/// One line of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The line's number, given by the journal: later lines have greater ones.
    pub seq: u64,
    /// The link.
    pub link: LinkId,
    /// When.
    pub at: Timestamp,
    /// The field's canonical name, or [`LINK_ITSELF`].
    pub field: String,
    /// The side that was written; none where only the base moved or something was decided.
    pub side: Option<Side>,
    /// What that side (or the base) had.
    pub old: Option<Value>,
    /// What it has now.
    pub new: Option<Value>,
    /// Which rule decided.
    pub rule: String,
    /// The reason in a sentence.
    pub reason: String,
    /// The values that did not live on, by side.
    pub lost: BTreeMap<Side, Value>,
    /// How we heard of the change that led to it.
    pub cause: Option<Source>,
}

/// How long and how much history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryBounds {
    /// Lines older than this go.
    pub age: SignedDuration,
    /// Of one link, the older lines beyond this number go.
    pub per_link: usize,
}

impl Default for HistoryBounds {
    fn default() -> Self {
        Self { age: SignedDuration::from_hours(24 * 365), per_link: 500 }
    }
}

/// What one round of pruning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Lines that were looked at.
    pub seen: usize,
    /// Lines that went.
    pub gone: usize,
    /// Whether it came to the end of all history and begins anew next time.
    pub wrapped: bool,
}

fn line_key(link: LinkId, seq: u64) -> Key {
    Key::new(Kind::History).link(link).number(seq)
}

impl Txn<'_> {
    /// Adds a line and gives it its number.
    pub(super) fn add_history(&mut self, mut line: HistoryLine) -> Result<(), Error> {
        line.seq = self.next("history")?;
        self.put(&line_key(line.link, line.seq), &line)
    }

    /// A link's lines, the newest first, before line `before`.
    pub(super) fn history(
        &self,
        link: LinkId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryLine>, Error> {
        let mut span = Span::prefix(&Key::new(Kind::History).link(link).0);
        if let Some(before) = before {
            span = span.before(&line_key(link, before).0);
        }
        let rows = self.scan_back(&span, limit)?;
        rows.iter().map(|(key, first)| self.decode(key, first)).collect()
    }

    /// Lines of all links in the order of links, then of time, behind a line.
    pub(super) fn history_page(
        &self,
        after: Option<(LinkId, u64)>,
        limit: usize,
    ) -> Result<Vec<HistoryLine>, Error> {
        let mut span = Span::prefix(&Key::new(Kind::History).0);
        if let Some((link, seq)) = after {
            span = span.after(&line_key(link, seq).0);
        }
        Ok(self.list(&span, limit)?.into_iter().map(|(_, line)| line).collect())
    }

    /// Looks at up to `budget` lines from where the last round ended, and takes away those that
    /// are beyond the bounds.
    pub(super) fn prune_history(
        &mut self,
        bounds: &HistoryBounds,
        now: Timestamp,
        budget: usize,
    ) -> Result<Pruned, Error> {
        let oldest = now.checked_sub(bounds.age).unwrap_or(Timestamp::MIN);
        let from: Option<u64> = self.fact("prune")?;
        let mut span = Span::prefix(&Key::new(Kind::History).0);
        if let Some(link) = from {
            span.from = Key::new(Kind::History).number(link).0;
        }
        let rows = self.scan(&span, budget)?;
        let mut pruned = Pruned { seen: rows.len(), wrapped: rows.len() < budget, gone: 0 };
        let mut last = None;
        let mut keys: BTreeMap<u64, Vec<(Key, Timestamp)>> = BTreeMap::new();
        for (key, first) in rows {
            let line: HistoryLine = self.decode(&key, &first)?;
            last = Parts::of(&key).number();
            keys.entry(line.link.0).or_default().push((Key(key), line.at));
        }
        let alone = keys.len() == 1;
        for (link, lines) in &keys {
            // The last link of the page may go on behind it: it is left to the next round, unless
            // it fills the page alone and would never be looked at.
            let cut = !pruned.wrapped && last == Some(*link);
            if cut && !alone {
                continue;
            }
            let total = if cut {
                let all = Span::prefix(&Key::new(Kind::History).number(*link).0);
                self.scan(&all, usize::MAX)?.len()
            } else {
                lines.len()
            };
            let surplus = total.saturating_sub(bounds.per_link);
            for (place, (key, at)) in lines.iter().enumerate() {
                if place < surplus || *at < oldest {
                    self.delete(key)?;
                    pruned.gone += 1;
                }
            }
        }
        match last {
            Some(link) if !pruned.wrapped => {
                let stuck = alone && pruned.gone == 0;
                self.set_fact("prune", &(link + u64::from(stuck)))?;
            }
            _ => self.drop_fact("prune")?,
        }
        Ok(pruned)
    }
}
