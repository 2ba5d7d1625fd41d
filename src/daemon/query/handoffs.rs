//! Handoffs, as people ask for them.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Desk;
use super::figures::NoTerms;
use crate::daemon::control::{Refused, RefusedKind};
use crate::daemon::directory::Owners;
use crate::daemon::handoff::Preview;
use crate::handoff::story::{Line, story};
use crate::handoff::stuck::Stuck;
use crate::handoff::{Handoff, State};
use crate::platform::Identity;
use crate::record::PerSide;

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

impl Desk<'_> {
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
        let all = match link {
            Some(link) => {
                let entries = self.journal.handoffs_of(vec![link]).await?;
                let mut all = Vec::new();
                for entry in entries.into_iter().flatten() {
                    all.push(self.known(entry.handoff).await?);
                }
                all
            }
            None => self.all_handoffs().await?,
        };
        let none = NoTerms::new();
        let mut views: Vec<HandoffView> = all
            .iter()
            .map(|known| {
                let course = if link.is_some() { story(&known.handoff) } else { Vec::new() };
                let stuck = known.stuck(&none, owners.as_deref(), self.now);
                HandoffView::new(&known.handoff, stuck, course)
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.qualified_at));
        Ok(views)
    }

    /// The next steps of a record's handoff, with what they say or would say.
    ///
    /// # Errors
    /// Where there is no such record, its mapping asks for no next step, or the journal cannot be used.
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
            let message = format!("the mapping {:?} asks for no next step", link.mapping);
            Refused::new(RefusedKind::Usage, message).hint(
                "write [handoff] with [handoff.task] or [handoff.hubspot_task] in its file; \
                 mappings/README.md says how",
            )
        })
    }
}
