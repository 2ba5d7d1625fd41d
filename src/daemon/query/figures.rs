//! The handoffs' figures: the report, what does not move, and what is counted for monitoring.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Desk;
use crate::daemon::control::Refused;
use crate::daemon::directory::Owners;
use crate::daemon::handoff::sight;
use crate::daemon::page::{Leaders, StuckKind};
use crate::handoff::level::{Standing, calendar_of, standing};
use crate::handoff::report::{By, Item, Query, Report, Terms, report};
use crate::handoff::stuck::{Around, Stuck, stuck};
use crate::handoff::{Handoff, HandoffId, How, State};
use crate::mapping::Mapping;
use crate::mapping::handoff::{Calendar, Goal, HandoffSpec, ServiceLevels};
use crate::reconcile::Base;
use crate::record::Side;

/// Handoffs that are read at a time.
const PAGE: usize = 1_000;

/// How many of each kind that does not move are named.
const NAMED: usize = 3;

/// What the report is to be about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportOf {
    /// Handoffs that qualified at this time or later.
    pub since: Option<Timestamp>,
    /// Handoffs that qualified before this time.
    pub until: Option<Timestamp>,
    /// What groups are made of.
    pub by: Option<By>,
}

/// What is counted of one mapping's handoffs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HandoffCounts {
    /// How many stand where.
    pub states: BTreeMap<State, u64>,
    /// How many missed a deadline, whether it was made good later or not.
    pub breaches: BTreeMap<Goal, u64>,
    /// From qualified to created in Salesforce: of each that was, the system's share of its time.
    pub system: Vec<SignedDuration>,
}

/// A handoff with what its mapping says, where that is still in force.
pub(super) struct Known {
    pub(super) handoff: Handoff,
    mapping: Option<Arc<Mapping>>,
    /// What is agreed of its record, where the mapping has regions: it says whose business time
    /// counts.
    base: Option<Base>,
}

/// The terms of a handoff whose mapping is no longer in force: none.
pub(super) struct NoTerms {
    levels: ServiceLevels,
    calendar: Calendar,
}

impl NoTerms {
    pub(super) fn new() -> Self {
        Self { levels: ServiceLevels::default(), calendar: Calendar::always() }
    }
}

impl Known {
    fn spec(&self) -> Option<&HandoffSpec> {
        self.mapping.as_ref()?.handoff.as_ref()
    }

    fn terms<'a>(&'a self, none: &'a NoTerms, now: Timestamp) -> Terms<'a> {
        let Some((mapping, spec)) = self.mapping.as_ref().zip(self.spec()) else {
            return Terms { levels: &none.levels, calendar: &none.calendar };
        };
        let calendar = match &self.base {
            Some(base) => calendar_of(spec, &sight(mapping, base, now)).1,
            None => &spec.calendar,
        };
        Terms { levels: &spec.levels, calendar }
    }

    fn item<'a>(&'a self, none: &'a NoTerms, now: Timestamp) -> Item<'a> {
        Item { handoff: &self.handoff, terms: self.terms(none, now) }
    }

    /// Why it does not move, where it does not.
    pub(super) fn stuck(
        &self,
        none: &NoTerms,
        owners: Option<&Owners>,
        now: Timestamp,
    ) -> Option<Stuck> {
        let Terms { levels, calendar } = self.terms(none, now);
        // Before Salesforce was asked who is there, nobody has left.
        let active = |email: &str| {
            owners.is_none_or(|owners| owners.active_id(Side::Salesforce, email).is_some())
        };
        let wants_task = self.spec().is_some_and(|spec| spec.task.is_some());
        stuck(&self.handoff, &Around { levels, calendar, wants_task, active: &active, now })
    }
}

impl Desk<'_> {
    /// Every handoff, with its mapping's terms.
    pub(super) async fn all_handoffs(self) -> Result<Vec<Known>, Refused> {
        let mut all: Vec<Known> = Vec::new();
        loop {
            let after = all.last().map(|last| last.handoff.id);
            let page = self.journal.handoffs(after, PAGE).await?;
            let full = page.len() == PAGE;
            for entry in page {
                all.push(self.known(entry.handoff).await?);
            }
            if !full {
                return Ok(all);
            }
        }
    }

    pub(super) async fn known(self, handoff: Handoff) -> Result<Known, Refused> {
        let mapping = self.mappings.get(&handoff.mapping).map(Arc::clone);
        let spec = mapping.as_ref().and_then(|mapping| mapping.handoff.as_ref());
        let base = if spec.is_some_and(|spec| !spec.regions.is_empty()) {
            self.journal.link(handoff.id.link).await?.map(|link| link.base)
        } else {
            None
        };
        Ok(Known { handoff, mapping, base })
    }

    /// The report.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn report(self, of: &ReportOf) -> Result<Report, Refused> {
        Ok(self.report_on(&self.all_handoffs().await?, of))
    }

    fn report_on(self, all: &[Known], of: &ReportOf) -> Report {
        let none = NoTerms::new();
        let items: Vec<Item<'_>> = all.iter().map(|known| known.item(&none, self.now)).collect();
        report(&items, &Query { since: of.since, until: of.until, by: of.by, now: self.now })
    }

    /// The report and what does not move, as the page shows them; nothing where no mapping hands
    /// anything off and none ever did. What does not move is told whenever it qualified. `owners`
    /// tells who is no longer active, where that is known.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn leaders(
        self,
        of: &ReportOf,
        owners: Option<Arc<Owners>>,
    ) -> Result<Option<Leaders>, Refused> {
        let all = self.all_handoffs().await?;
        if all.is_empty() && self.mappings.list.iter().all(|mapping| mapping.handoff.is_none()) {
            return Ok(None);
        }
        let none = NoTerms::new();
        let mut kinds: BTreeMap<Stuck, Vec<(Timestamp, HandoffId)>> = BTreeMap::new();
        for known in &all {
            if let Some(kind) = known.stuck(&none, owners.as_deref(), self.now) {
                let waits = (known.handoff.since(), known.handoff.id);
                kinds.entry(kind).or_default().push(waits);
            }
        }
        let stuck = kinds
            .into_iter()
            .map(|(kind, mut waiting)| {
                waiting.sort_unstable();
                let longest = waiting.iter().take(NAMED).map(|(_, id)| id.to_string()).collect();
                StuckKind { kind, count: waiting.len() as u64, longest }
            })
            .collect();
        Ok(Some(Leaders { report: self.report_on(&all, of), stuck, remarks: Vec::new() }))
    }

    /// What is counted of handoffs, by mapping: of those that hand something off.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn handoff_counts(self) -> Result<BTreeMap<String, HandoffCounts>, Refused> {
        let handing = self.mappings.list.iter().filter(|mapping| mapping.handoff.is_some());
        let mut counts: BTreeMap<String, HandoffCounts> =
            handing.map(|mapping| (mapping.name.clone(), HandoffCounts::default())).collect();
        if counts.is_empty() {
            return Ok(counts);
        }
        let none = NoTerms::new();
        for known in self.all_handoffs().await? {
            let handoff = &known.handoff;
            let Some(count) = counts.get_mut(&handoff.mapping) else { continue };
            *count.states.entry(handoff.state()).or_default() += 1;
            let Terms { levels, calendar } = known.terms(&none, self.now);
            for goal in [Goal::Touch, Goal::Accept] {
                let standing = standing(handoff, goal, levels, calendar, self.now);
                if standing == Standing::Breached {
                    *count.breaches.entry(goal).or_default() += 1;
                }
            }
            if let Some((sent, How::Created)) = handoff.sent() {
                let took = sent.duration_since(handoff.qualified_at);
                count.system.extend((!took.is_negative()).then_some(took));
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handoff::{Fact, Facts, Owner, Touch, What, Witness};
    use crate::journal::{Commit, Disk, HandoffNews, Journal, LinkEntry, MemoryStore};
    use crate::mapping::{Mappings, load};
    use crate::record::{LinkId, PerSide, RecordRef, Value};

    /// The shipped people, with a region that works at the weekend.
    fn mappings() -> Mappings {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/people.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let region = "[[handoff.region]]\nname = \"fairs\"\nwhen = \"company == 'Fair'\"\n\
                      zone = \"UTC\"\ndays = [\"saturday\", \"sunday\"]\n\n[handoff.levels]";
        let text = text.replacen("[handoff.levels]", region, 1);
        load(vec![(path.to_owned(), text)]).unwrap_or_else(|report| panic!("{}", report.plain()))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Saturday, 7 November 2026.
    fn qualified_at() -> Timestamp {
        at("2026-11-07T09:00:00Z")
    }

    /// A handoff of a link, with what happened so many minutes after it qualified.
    fn handoff(link: LinkId, mapping: &str, facts: Vec<(i64, What)>) -> Handoff {
        let mut known = Facts::default();
        for (minutes, what) in facts {
            let at = qualified_at() + SignedDuration::from_mins(minutes);
            known.add(Fact { at, what, witness: Witness::Salesforce });
        }
        Handoff {
            id: HandoffId { link, nth: 1 },
            mapping: mapping.to_owned(),
            rule: "score".to_owned(),
            reason: "the score reached 50".to_owned(),
            qualified_at: qualified_at(),
            witness: Witness::HubSpot,
            groups: BTreeMap::new(),
            facts: known,
        }
    }

    fn course(minutes: i64, touched: Option<i64>) -> Vec<(i64, What)> {
        let record = RecordRef::salesforce("Lead", "00Q000000000001AAA");
        let mut facts = vec![
            (minutes, What::Sent { record, how: How::Created }),
            (minutes, What::Assigned { to: Owner::person("ann@example.com") }),
        ];
        facts.extend(touched.map(|at| (at, What::Touched { method: Touch::Call, by: None })));
        facts
    }

    /// One of a fair, touched the same day; one of the usual calendar, touched the same day; one
    /// untouched; one whose mapping is gone.
    async fn journal() -> Journal {
        let journal = Journal::inline(MemoryStore::open(&Disk::new()), [7; 32]).unwrap();
        let links = journal.new_links(4).await.unwrap();
        let mut commit = Commit::new();
        for (place, id) in links.iter().enumerate() {
            let records = PerSide {
                hubspot: Some(RecordRef::hubspot("contacts", format!("15{place}"))),
                salesforce: None,
            };
            let mut link = LinkEntry::new(*id, "people", records, qualified_at());
            let company = if place == 0 { "Fair" } else { "Works" };
            link.base.values.insert("company".into(), Value::text(company));
            commit.link(link);
        }
        let handoffs = [
            handoff(links[0], "people", course(1, Some(301))),
            handoff(links[1], "people", course(2, Some(302))),
            handoff(links[2], "people", course(3, None)),
            handoff(links[3], "bygone", course(4, None)),
        ];
        for handoff in handoffs {
            let (id, facts) = (handoff.id, Vec::new());
            let look = qualified_at();
            commit.handoff(HandoffNews { id, opened: Some(handoff), facts, look });
        }
        journal.commit(commit).await.unwrap();
        journal
    }

    #[tokio::test]
    async fn business_time_is_that_of_the_records_region() {
        let (journal, mappings) = (journal().await, mappings());
        let now = at("2026-11-12T09:00:00Z");
        let desk = Desk { journal: &journal, mappings: &mappings, now };
        let report = desk.report(&ReportOf::default()).await.unwrap();
        assert_eq!(report.total.balance.qualified, 4);
        // Five hours on a Saturday: all of them count at a fair, and none elsewhere.
        let people = report.total.people;
        assert_eq!((people.raw.count, people.raw.median), (2, Some(18_000.0)));
        assert_eq!((people.business.median, people.business.p95), (Some(9_000.0), Some(18_000.0)));
        let touch = report.total.levels.iter().find(|level| level.goal == Goal::Touch).unwrap();
        // Four hours were over at the fair; the one that nobody touched was due on Monday.
        assert_eq!((touch.kept.count, touch.kept.of), (1, 3));

        let counts = desk.handoff_counts().await.unwrap();
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["people"]);
        let people = &counts["people"];
        assert_eq!(people.states[&State::Touched], 2);
        assert_eq!(people.states[&State::Assigned], 1);
        assert_eq!(people.breaches[&Goal::Touch], 2);
        assert_eq!(people.system.len(), 3);
    }

    #[tokio::test]
    async fn leaders_see_what_does_not_move_by_kind() {
        let (journal, mappings) = (journal().await, mappings());
        let now = at("2026-11-12T09:00:00Z");
        let desk = Desk { journal: &journal, mappings: &mappings, now };
        let nobody = Arc::new(Owners::default());
        let since = Some(at("2026-11-08T00:00:00Z"));
        let of = ReportOf { since, ..ReportOf::default() };
        for (owners, kinds) in [
            // Whether Ann is still there is not known. The mapping wants a task that nobody has
            // seen; the one of the bygone mapping is told where nothing is asked for.
            (
                None,
                [(Stuck::NoTask, vec!["L3-1", "L1-1", "L2-1"]), (Stuck::Untouched, vec!["L4-1"])],
            ),
            (
                Some(nobody),
                [(Stuck::InactiveOwner, vec!["L3-1", "L4-1", "L1-1"]), (Stuck::Silent, vec![])],
            ),
        ] {
            let leaders = desk.leaders(&of, owners).await.unwrap().unwrap();
            assert_eq!(leaders.report.total.balance.qualified, 0, "none qualified since");
            for (kind, longest) in kinds {
                let found = leaders.stuck.iter().find(|it| it.kind == kind);
                let named = found.map(|it| it.longest.clone()).unwrap_or_default();
                assert_eq!(named, longest, "{kind:?}: {:?}", leaders.stuck);
            }
        }
        let none = Mappings::default();
        let empty = Journal::inline(MemoryStore::open(&Disk::new()), [7; 32]).unwrap();
        let desk = Desk { journal: &empty, mappings: &none, now };
        assert!(desk.leaders(&of, None).await.unwrap().is_none());
    }
}
