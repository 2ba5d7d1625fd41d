//! Handoffs and their report, as people ask for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Desk;
use crate::daemon::control::{Refused, RefusedKind};
use crate::daemon::directory::Owners;
use crate::daemon::handoff::Preview;
use crate::handoff::report::{By, Item, Query, Report, Terms, report};
use crate::handoff::story::{Line, story};
use crate::handoff::stuck::{Around, Stuck, stuck};
use crate::handoff::{Handoff, State};
use crate::mapping::handoff::{Calendar, ServiceLevels};
use crate::platform::Identity;
use crate::record::{PerSide, Side};

/// Handoffs that are read at a time.
const PAGE: usize = 1_000;

/// One handoff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandoffView {
    /// Its key: the link and which of its handoffs. The task carries it.
    pub key: String,
    /// The mapping.
    pub mapping: String,
    /// Where it stands.
    pub state: State,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When it qualified.
    #[schemars(with = "String")]
    pub qualified_at: Timestamp,
    /// The qualification.
    pub rule: String,
    /// Its reason.
    pub reason: String,
    /// Who has it.
    pub owner: Option<String>,
    /// Where the person came from.
    pub source: Option<String>,
    /// What kind of customer it would be.
    pub segment: Option<String>,
    /// The record in Salesforce.
    pub record: Option<String>,
    /// The task in Salesforce.
    pub task: Option<String>,
    /// The opportunity in Salesforce.
    pub opportunity: Option<String>,
    /// When it was first touched.
    #[schemars(with = "Option<String>")]
    pub touched_at: Option<Timestamp>,
    /// When sales first answered.
    #[schemars(with = "Option<String>")]
    pub answered_at: Option<Timestamp>,
    /// Why it ended, where it ended other than well.
    pub why: Option<String>,
    /// What was won, in hundredths of the account's currency.
    pub won_cents: Option<i64>,
    /// Why it does not move, where it does not.
    pub stuck: Option<Stuck>,
    /// What to do about it.
    pub next_step: Option<String>,
    /// Its course in words; only where one record is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub course: Vec<Line>,
}

impl HandoffView {
    fn new(handoff: &Handoff, stuck: Option<Stuck>, course: Vec<Line>) -> Self {
        let group = |name: &str| handoff.groups.get(name).cloned();
        let id = |record: &crate::record::RecordRef| record.id.clone();
        Self {
            key: handoff.id.to_string(),
            mapping: handoff.mapping.clone(),
            state: handoff.state(),
            since: handoff.since(),
            qualified_at: handoff.qualified_at,
            rule: handoff.rule.clone(),
            reason: handoff.reason.clone(),
            owner: handoff.owner().map(ToString::to_string),
            source: group("source"),
            segment: group("segment"),
            record: handoff.record().map(id),
            task: handoff.task().map(id),
            opportunity: handoff.opportunity().map(id),
            touched_at: handoff.touched().map(|(at, ..)| at),
            answered_at: handoff.answered_at(),
            why: handoff.why_ended().map(str::to_owned),
            won_cents: handoff.won_cents(),
            stuck,
            next_step: stuck.map(|stuck| stuck.next_step().to_owned()),
            course,
        }
    }
}

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

/// A mapping's terms, or those of a mapping that is no longer in force: none.
struct All {
    list: Vec<Handoff>,
    terms: BTreeMap<String, (ServiceLevels, Calendar, bool)>,
    none: (ServiceLevels, Calendar, bool),
}

impl All {
    fn of(&self, handoff: &Handoff) -> &(ServiceLevels, Calendar, bool) {
        self.terms.get(&handoff.mapping).unwrap_or(&self.none)
    }
}

impl Desk<'_> {
    async fn all_handoffs(self) -> Result<All, Refused> {
        let mut list = Vec::new();
        let mut after = None;
        loop {
            let page = self.journal.handoffs(after, PAGE).await?;
            let full = page.len() == PAGE;
            list.extend(page.into_iter().map(|entry| entry.handoff));
            after = list.last().map(|last: &Handoff| last.id);
            if !full {
                break;
            }
        }
        let terms = self.mappings.list.iter().filter_map(|mapping| {
            let spec = mapping.handoff.as_ref()?;
            let terms = (spec.levels.clone(), spec.calendar.clone(), spec.task.is_some());
            Some((mapping.name.clone(), terms))
        });
        let none = (ServiceLevels::default(), Calendar::always(), false);
        Ok(All { list, terms: terms.collect(), none })
    }

    /// All handoffs, the latest first; of one record with its course where `of` names it. `owners`
    /// tells who is no longer active, where that is known.
    ///
    /// # Errors
    /// Where there is no such record, or the journal cannot be used.
    pub async fn handoffs(
        self,
        of: Option<&str>,
        owners: Option<Arc<Owners>>,
    ) -> Result<Vec<HandoffView>, Refused> {
        let link = match of {
            Some(of) => Some(self.one(of).await?.id),
            None => None,
        };
        let active = |email: &str| {
            owners.as_ref().is_none_or(|owners| owners.active_id(Side::Salesforce, email).is_some())
        };
        let mut all = self.all_handoffs().await?;
        if let Some(link) = link {
            all.list.retain(|handoff| handoff.id.link == link);
        }
        let mut views: Vec<HandoffView> = all
            .list
            .iter()
            .map(|handoff| {
                let (levels, calendar, wants_task) = all.of(handoff);
                let around = Around {
                    levels,
                    calendar,
                    wants_task: *wants_task,
                    active: &active,
                    now: self.now,
                };
                let course = if link.is_some() { story(handoff) } else { Vec::new() };
                HandoffView::new(handoff, stuck(handoff, &around), course)
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.qualified_at));
        Ok(views)
    }

    /// The report.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn report(self, of: &ReportOf) -> Result<Report, Refused> {
        let all = self.all_handoffs().await?;
        let items: Vec<Item<'_>> = all
            .list
            .iter()
            .map(|handoff| {
                let (levels, calendar, _) = all.of(handoff);
                Item { handoff, terms: Terms { levels, calendar } }
            })
            .collect();
        let query = Query { since: of.since, until: of.until, by: of.by, now: self.now };
        Ok(report(&items, &query))
    }

    /// What the task of a record's handoff says or would say.
    ///
    /// # Errors
    /// Where there is no such record, its mapping asks for no task, or the journal cannot be used.
    pub async fn handoff_preview(
        self,
        of: &str,
        identities: &PerSide<Option<Identity>>,
    ) -> Result<Preview, Refused> {
        let link = self.one(of).await?;
        let known = self.journal.handoffs_of(vec![link.id]).await?;
        let known: Vec<Handoff> = known.into_iter().flatten().map(|it| it.handoff).collect();
        let mapping = self.mappings.get(&link.mapping);
        let made = mapping.and_then(|mapping| {
            crate::daemon::handoff::preview(mapping, &link, &known, identities, self.now)
        });
        made.ok_or_else(|| {
            let message = format!("the mapping {:?} asks for no task", link.mapping);
            Refused::new(RefusedKind::Usage, message).hint(
                "write [handoff] with [handoff.task] in its file; mappings/README.md says how",
            )
        })
    }
}
