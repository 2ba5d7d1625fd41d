//! What is counted, in Prometheus' words.
//!
//! [`Metrics`] is a value that the engine holds: what happens is counted as it happens. What merely
//! *is* (queues, links, calls, the journal) is not kept a second time: [`Scrape`] takes it from the
//! status and the journal's statistics whenever somebody asks. Both are written as OpenMetrics text.
//!
//! Labels hold names of mappings, objects and routes, and words of this program. All of them are as
//! many as the mapping files make them, and none is a person's.

mod scrape;

pub use scrape::{CONTENT_TYPE, Scrape};

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Engine, Settled, Trouble};
use crate::journal::{CursorName, HearOutcome, Heard, PendingEntry};
use crate::record::Side;

/// A label's name and value, in the order in which they are written.
type Labels = Vec<(&'static str, String)>;

/// What every name begins with.
const PREFIX: &str = "lockstep";

/// The upper bounds of the buckets of a wait, in seconds: from the window that changes share to the
/// day at which a settlement has long been a problem.
const WAITS: [f64; 14] = [
    0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1_800.0, 3_600.0, 14_400.0, 86_400.0,
];

/// What is counted while the process runs. It begins at nothing with each process.
pub struct Metrics {
    registry: Registry,
    heard: Family<Labels, Counter>,
    settlements: Family<Labels, Counter>,
    writes: Family<Labels, Counter>,
    waits: Family<Labels, Histogram, fn() -> Histogram>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let waits: Family<Labels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(WAITS));
        let metrics = Self {
            heard: Family::default(),
            settlements: Family::default(),
            writes: Family::default(),
            waits: waits.clone(),
            registry: Registry::default(),
        };
        registry.register(
            "changes_heard",
            "Changes that were written down, by mapping, by the record's side and object, and by \
             how they were heard of",
            metrics.heard.clone(),
        );
        registry.register(
            "settlements",
            "Entries that were settled: finished, postponed (tried again later) or held (stopped \
             by a safety limit)",
            metrics.settlements.clone(),
        );
        registry.register(
            "writes",
            "Records written: created, updated, deleted, or refused by the platform",
            metrics.writes.clone(),
        );
        registry.register_with_unit(
            "settle_wait",
            "From the first word of a change to the end of its settlement, by lane",
            Unit::Seconds,
            waits,
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts changes that are durable.
    fn heard(&self, changes: &[Labels]) {
        for labels in changes {
            self.heard.get_or_create(labels).inc();
        }
    }

    /// Counts what settling a mapping's entries came to.
    pub(super) fn settled(&self, mapping: &str, settled: &Settled) {
        for (outcome, count) in [
            ("finished", settled.finished),
            ("postponed", settled.postponed),
            ("held", settled.held),
        ] {
            self.outcome(mapping, outcome, count);
        }
        for side in Side::BOTH {
            for (kind, count) in [
                ("created", settled.created.get(side)),
                ("updated", settled.written.get(side)),
                ("deleted", settled.deleted.get(side)),
                ("refused", settled.refused.get(side)),
            ] {
                let labels = vec![
                    ("mapping", mapping.to_owned()),
                    ("side", side.key().to_owned()),
                    ("kind", kind.to_owned()),
                ];
                self.writes.get_or_create(&labels).inc_by(*count as u64);
            }
        }
    }

    /// Counts entries whose settlement did not come to its end as a whole.
    pub(super) fn failed(&self, mapping: &str, entries: usize) {
        self.outcome(mapping, "postponed", entries);
    }

    fn outcome(&self, mapping: &str, outcome: &str, count: usize) {
        let labels = vec![("mapping", mapping.to_owned()), ("outcome", outcome.to_owned())];
        self.settlements.get_or_create(&labels).inc_by(count as u64);
    }

    /// Notes how long an entry waited that is settled.
    pub(super) fn waited(&self, entry: &PendingEntry, now: Timestamp) {
        let waited = now.duration_since(entry.first_heard).as_secs_f64().max(0.0);
        let labels =
            vec![("mapping", entry.mapping.clone()), ("lane", entry.lane.key().to_owned())];
        self.waits.get_or_create(&labels).observe(waited);
    }
}

impl Engine {
    /// Writes changes down, with the cursor behind them where they come from a sequence, and counts
    /// them. Durable once this returns.
    ///
    /// # Errors
    /// Where the journal cannot be used now.
    pub(super) async fn hear(
        &self,
        heard: Vec<Heard>,
        cursor: Option<(CursorName, String, Timestamp)>,
    ) -> Result<HearOutcome, Trouble> {
        let labels: Vec<Labels> = heard
            .iter()
            .map(|heard| {
                let record = &heard.change.record;
                vec![
                    ("mapping", heard.mapping.clone()),
                    ("side", record.side.key().to_owned()),
                    ("object", record.object.clone()),
                    ("source", heard.change.source.word().to_owned()),
                ]
            })
            .collect();
        let outcome = self.journal.hear(heard, cursor).await?;
        self.metrics.heard(&labels);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
