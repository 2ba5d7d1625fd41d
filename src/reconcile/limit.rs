//! Safety limits over many plans.
//!
//! A wrong mapping, a lost permission or somebody's mass edit shows in numbers: too many records
//! changed at once, too many deletes, too many fields cleared, one side suddenly empty. Plans that
//! would go past a limit are held, and so is everything of the same sort that follows, until a
//! person has looked and released it.
//!
//! Invariant: of one sort, no more than its limit takes effect within the window without a person.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::plan::{LinkStep, Plan, WriteAction};
use crate::record::{LinkId, PerSide, Raw, Side};

/// How much may happen within the window before a person has to look.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// What the counts are counted over. One hour.
    pub window: SignedDuration,
    /// Changes made by one mapping, those of the same link each by itself: two automations that undo
    /// each other end here too. 2,000.
    pub changes: u32,
    /// The share of its links that changed, 0 to 1; one that changed twice counts once. A quarter.
    pub share: f64,
    /// From how many links on the share counts. 200.
    pub share_from: u32,
    /// Records deleted. 25.
    pub deletes: u32,
    /// Fields cleared. 500.
    pub clears: u32,
    /// Records created. 2,000.
    pub creates: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: SignedDuration::from_hours(1),
            changes: 2_000,
            share: 0.25,
            share_from: 200,
            deletes: 25,
            clears: 500,
            creates: 2_000,
        }
    }
}

/// From how many records gone on one side the side may be called empty.
const EMPTY_FROM: u32 = 20;

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Changes of links.
    Changes,
    /// The share of the mapping's links that changed.
    Share,
    /// Records deleted.
    Deletes,
    /// Fields cleared.
    Clears,
    /// Records created.
    Creates,
    /// Most of the records that were read are gone on this side.
    Empty(Side),
}

impl Limit {
    const ALL: [Self; 7] = [
        Self::Changes,
        Self::Share,
        Self::Deletes,
        Self::Clears,
        Self::Creates,
        Self::Empty(Side::HubSpot),
        Self::Empty(Side::Salesforce),
    ];
}

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which limit.
    pub limit: Limit,
    /// The mapping.
    pub mapping: String,
    /// What the plans would have come to, with what the window holds already.
    pub count: u32,
    /// How much is allowed.
    pub allowed: u32,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, mapping, count, allowed } = self;
        match limit {
            Limit::Changes => write!(f, "{mapping} would make {count} changes")?,
            Limit::Share => write!(f, "{mapping} would change {count} of its links")?,
            Limit::Deletes => write!(f, "{mapping} would delete {count} records")?,
            Limit::Clears => write!(f, "{mapping} would clear {count} fields")?,
            Limit::Creates => write!(f, "{mapping} would create {count} records")?,
            Limit::Empty(side) => write!(
                f,
                "{count} records of {mapping} are gone in {side}, most of those that were read: \
                 may the signed-in user still see them?"
            )?,
        }
        write!(f, " (at most {allowed} pass without a person)")
    }
}

/// What one plan, or many, come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weight {
    changes: u32,
    deletes: u32,
    clears: u32,
    creates: u32,
    looked: u32,
    gone: PerSide<u32>,
}

impl Weight {
    fn of(plan: &Plan) -> Self {
        let mut weight = Self { looked: u32::from(plan.link.is_some()), ..Self::default() };
        for (_, write) in plan.writes.iter() {
            let Some(write) = write else { continue };
            match write.action {
                WriteAction::Update { .. } => {
                    weight.changes = 1;
                    let cleared = write.fields.values().filter(|raw| **raw == Raw::Null).count();
                    weight.clears += u32::try_from(cleared).unwrap_or(u32::MAX);
                }
                WriteAction::Create { .. } => weight.creates += 1,
                WriteAction::Delete { .. } => weight.deletes += 1,
            }
        }
        if weight.creates > 0 {
            // The one who is created across is told the new id: that is the creation's own end.
            weight.changes = 0;
        }
        if let LinkStep::Unlink { deleted, .. } | LinkStep::Wait { deleted } = plan.step {
            *weight.gone.get_mut(deleted) = 1;
        }
        weight
    }

    const fn add(&mut self, more: &Self) {
        self.changes = self.changes.saturating_add(more.changes);
        self.deletes = self.deletes.saturating_add(more.deletes);
        self.clears = self.clears.saturating_add(more.clears);
        self.creates = self.creates.saturating_add(more.creates);
        self.looked = self.looked.saturating_add(more.looked);
        self.gone.hubspot = self.gone.hubspot.saturating_add(more.gone.hubspot);
        self.gone.salesforce = self.gone.salesforce.saturating_add(more.gone.salesforce);
    }

    const fn on(&self, limit: Limit) -> u32 {
        match limit {
            Limit::Changes | Limit::Share => self.changes,
            Limit::Deletes => self.deletes,
            Limit::Clears => self.clears,
            Limit::Creates => self.creates,
            Limit::Empty(Side::HubSpot) => self.gone.hubspot,
            Limit::Empty(Side::Salesforce) => self.gone.salesforce,
        }
    }
}

/// Counts what plans come to, by mapping and over a rolling window.
#[derive(Debug, Clone)]
pub struct Limiter {
    limits: Limits,
    mappings: BTreeMap<String, Tally>,
}

#[derive(Debug, Clone, Default)]
struct Tally {
    /// What was let through, oldest first.
    passed: VecDeque<(Timestamp, Weight)>,
    /// The links among that which changed, and when last.
    changed: BTreeMap<LinkId, Timestamp>,
    /// The limits that were reached and that no person has released.
    tripped: BTreeMap<Limit, Breach>,
}

impl Limiter {
    /// Counts from nothing.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, mappings: BTreeMap::new() }
    }

    /// Weighs the plans of one batch of `mapping`, which has `links` links. The answers stand in
    /// the order of `plans`: nothing for a plan that may be carried out, and is counted; else why
    /// it is held. A plan that writes nothing and ends nothing is never held.
    pub fn weigh(
        &mut self,
        mapping: &str,
        links: u64,
        plans: &[&Plan],
        now: Timestamp,
    ) -> Vec<Option<Breach>> {
        let tally = self.mappings.entry(mapping.to_owned()).or_default();
        let weights: Vec<Weight> = plans.iter().map(|plan| Weight::of(plan)).collect();
        let since = now.saturating_sub(self.limits.window).unwrap_or(Timestamp::MIN);
        while tally.passed.front().is_some_and(|(at, _)| *at < since) {
            tally.passed.pop_front();
        }
        let mut total = Weight::default();
        for (_, weight) in &tally.passed {
            total.add(weight);
        }
        for weight in &weights {
            total.add(weight);
        }
        tally.changed.retain(|_, at| *at >= since);
        let changing: Vec<Option<LinkId>> = plans
            .iter()
            .zip(&weights)
            .map(|(plan, weight)| plan.link.filter(|_| weight.changes > 0))
            .collect();
        let all: BTreeSet<&LinkId> =
            tally.changed.keys().chain(changing.iter().flatten()).collect();
        let changed = u32::try_from(all.len()).unwrap_or(u32::MAX);
        for limit in Limit::ALL {
            let allowed = self.limits.allowed(limit, links, total.looked);
            let count = match limit {
                Limit::Share => changed,
                limit => total.on(limit),
            };
            if count > allowed && weights.iter().any(|weight| weight.on(limit) > 0) {
                let mapping = mapping.to_owned();
                tally.tripped.entry(limit).or_insert(Breach { limit, mapping, count, allowed });
            }
        }
        let mut passed = Weight::default();
        let verdicts = weights
            .iter()
            .zip(changing)
            .map(|(weight, link)| {
                let held = tally.tripped.values().find(|breach| weight.on(breach.limit) > 0);
                if held.is_none() {
                    passed.add(weight);
                    tally.changed.extend(link.map(|link| (link, now)));
                }
                held.cloned()
            })
            .collect();
        if passed != Weight::default() {
            tally.passed.push_back((now, passed));
        }
        verdicts
    }

    /// A person looked: what was counted for `mapping` is forgotten, and its plans pass again up to
    /// the limits. The held plans themselves are carried out without being weighed.
    pub fn release(&mut self, mapping: &str) {
        self.mappings.remove(mapping);
    }

    /// The limits of `mapping` that were reached and not released.
    pub fn breaches(&self, mapping: &str) -> impl Iterator<Item = &Breach> {
        self.mappings.get(mapping).into_iter().flat_map(|tally| tally.tripped.values())
    }
}

impl Limits {
    fn allowed(&self, limit: Limit, links: u64, looked: u32) -> u32 {
        match limit {
            Limit::Changes => self.changes,
            Limit::Deletes => self.deletes,
            Limit::Clears => self.clears,
            Limit::Creates => self.creates,
            Limit::Share if links <= u64::from(self.share_from) => u32::MAX,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a count; the cast saturates"
            )]
            Limit::Share => (links as f64 * self.share).floor() as u32,
            Limit::Empty(_) => EMPTY_FROM.max(looked / 2),
        }
    }
}

#[cfg(test)]
mod tests;
