//! What people ask of the journal, and what they decide.
//!
//! [`Desk`] answers in the daemon and, where none runs, in a command that has opened the journal
//! itself. It needs neither platform. The answers are plain values with documented fields: they are
//! what `--json` prints.

mod decide;
mod figures;
mod find;
mod handoffs;
mod view;

pub(super) use view::plain;

pub use figures::{HandoffCounts, ReportOf};
pub use handoffs::HandoffView;
pub use view::{
    ConflictView, Conflicts, Explained, HistoryView, HoldView, LinkView, MatchView, PendingView,
    Refs, RejectView,
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use super::control::{Refused, RefusedKind, Request};
use super::page::Waiting;
use super::{Engine, Trouble};
use crate::journal::{self, Journal, LinkEntry, Subject};
use crate::mapping::Mappings;

/// The most items that one answer holds.
pub const MOST: usize = 10_000;

/// Answers from the journal.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    /// What is remembered.
    pub journal: &'a Journal,
    /// The mappings in force.
    pub mappings: &'a Mappings,
    /// Now.
    pub now: Timestamp,
}

impl From<journal::Error> for Refused {
    fn from(error: journal::Error) -> Self {
        let kind = match error {
            journal::Error::Absent { .. } => RefusedKind::NotFound,
            journal::Error::Taken { .. } | journal::Error::Purged { .. } => RefusedKind::Usage,
            _ => RefusedKind::Journal,
        };
        Self { kind, message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

fn json(answer: &impl Serialize) -> Result<Json, Refused> {
    serde_json::to_value(answer)
        .map_err(|error| Refused::new(RefusedKind::Internal, format!("no answer: {error}")))
}

impl Desk<'_> {
    /// Answers a request that the journal alone can answer; nothing for the others, which need the
    /// running daemon.
    ///
    /// | request | answer |
    /// | --- | --- |
    /// | `explain` | [`Explained`] |
    /// | `history` | a list of [`HistoryView`] |
    /// | `find_links` | a list of [`LinkView`] |
    /// | `add_link`, `remove_link` | [`LinkView`] |
    /// | `conflicts` | [`Conflicts`] |
    /// | `resolve`, `choose_match` | nothing |
    /// | `rejects` | a list of [`RejectView`] |
    /// | `retry_rejects`, `drop_rejects` | how many |
    /// | `holds` | a list of [`HoldView`] |
    /// | `release_hold` | [`HoldView`] |
    /// | `handoffs` | a list of [`HandoffView`] |
    /// | `handoff_preview` | [`Preview`](super::handoff::Preview) |
    /// | `report` | [`Report`](crate::handoff::report::Report) |
    /// | `leaders` | [`Leaders`](super::page::Leaders), or nothing where nobody hands anything off |
    ///
    /// # Errors
    /// Where there is no such thing, or the journal cannot be used.
    pub async fn answer(self, request: &Request) -> Option<Result<Json, Refused>> {
        Some(match request {
            Request::Explain { of } => self.explain(of).await.and_then(|it| json(&it)),
            Request::History { of, limit, before } => {
                self.history(of, *limit, *before).await.and_then(|it| json(&it))
            }
            Request::FindLinks { what } => self.found(what).await.and_then(|it| json(&it)),
            Request::Conflicts { mapping, limit } => {
                self.conflicts(mapping.as_deref(), *limit).await.and_then(|it| json(&it))
            }
            Request::Rejects { mapping, limit } => {
                self.rejects(mapping.as_deref(), *limit).await.and_then(|it| json(&it))
            }
            Request::Handoffs { of } => {
                self.handoffs(of.as_deref(), None).await.and_then(|it| json(&it))
            }
            Request::HandoffPreview { of } => {
                let nobody = Default::default();
                self.handoff_preview(of, &nobody).await.and_then(|it| json(&it))
            }
            Request::Report { of } => self.report(of).await.and_then(|it| json(&it)),
            Request::Leaders { of } => self.leaders(of, None).await.and_then(|it| json(&it)),
            Request::Holds => self.holds().await.and_then(|it| json(&it)),
            Request::AddLink { mapping, hubspot, salesforce } => {
                self.add_link(mapping, hubspot, salesforce).await.and_then(|it| json(&it))
            }
            Request::RemoveLink { link, reason } => {
                self.remove_link(*link, reason.as_deref()).await.and_then(|it| json(&it))
            }
            Request::ReleaseHold { hold } => {
                self.release_hold(*hold).await.and_then(|it| json(&it))
            }
            Request::Resolve { link, field, take } => {
                self.resolve(*link, field, take).await.map(|()| Json::Null)
            }
            Request::ChooseMatch { record, to } => {
                self.choose_match(record, to.as_deref()).await.map(|()| Json::Null)
            }
            Request::RetryRejects { of } => {
                self.retry_rejects(of.as_deref()).await.and_then(|it| json(&it))
            }
            Request::DropRejects { of } => self.drop_rejects(of).await.and_then(|it| json(&it)),
            Request::Status
            | Request::Health
            | Request::Plan { .. }
            | Request::Sync
            | Request::Reload => return None,
        })
    }

    /// What waits for a person, at most so many of each kind.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn waiting(self, limit: usize) -> Result<Waiting, Refused> {
        Ok(Waiting {
            conflicts: self.conflicts(None, limit).await?,
            rejects: self.rejects(None, limit).await?,
            holds: self.holds().await?,
        })
    }

    /// What is known of a link, with what both sides hold right now. Where they cannot be asked, the
    /// answer says why and tells what is remembered.
    ///
    /// # Errors
    /// Where there is no such link, or the journal cannot be used.
    pub async fn explain_now(self, of: &str, engine: &Engine) -> Result<Explained, Refused> {
        let mut explained = self.explain(of).await?;
        match engine.explain(&self.one(of).await?).await {
            Ok(present) => explained.present = Some(present),
            Err(Trouble::Journal(error)) => return Err(error.into()),
            Err(error) => explained.not_asked = Some(error.to_string()),
        }
        Ok(explained)
    }

    async fn explain(self, of: &str) -> Result<Explained, Refused> {
        let link = self.one(of).await?;
        let subject = Subject::Link(link.id);
        let known = self.journal.known(vec![subject.clone()]).await?;
        let known = known.into_iter().next();
        let pending = self.journal.pending(subject).await?;
        let history = self.journal.history(link.id, None, 200).await?;
        let (conflicts, rejects) =
            known.map_or_else(Default::default, |known| (known.conflicts, known.rejects));
        Ok(Explained::new(&link, &conflicts, &rejects, pending.as_ref(), &history))
    }

    async fn history(
        self,
        of: &str,
        limit: usize,
        before: Option<u64>,
    ) -> Result<Vec<HistoryView>, Refused> {
        let found = self.find(of).await?;
        if found.is_empty() && before.is_none() {
            let owed = self.owed(of, limit.min(MOST)).await?;
            if !owed.is_empty() {
                return Ok(owed);
            }
        }
        let link = only(of, found)?;
        let lines = self.journal.history(link.id, before, limit.min(MOST)).await?;
        Ok(lines.iter().map(HistoryView::new).collect())
    }

    /// What was written to a record without a link, as when a settlement was interrupted and the
    /// record across was deleted since: no link tells of it.
    async fn owed(self, of: &str, limit: usize) -> Result<Vec<HistoryView>, Refused> {
        let mut views = Vec::new();
        for mapping in &self.mappings.list {
            for record in find::records_of(mapping, of) {
                let name = record.to_string();
                let subject = Subject::Record { mapping: mapping.name.clone(), record };
                let known = self.journal.known(vec![subject]).await?;
                let lines = known.into_iter().filter_map(|known| known.intent);
                views.extend(
                    lines
                        .flat_map(|intent| intent.lines)
                        .map(|line| HistoryView { link: name.clone(), ..HistoryView::new(&line) }),
                );
            }
        }
        views.truncate(limit);
        Ok(views)
    }

    async fn found(self, what: &str) -> Result<Vec<LinkView>, Refused> {
        let links = self.find(what).await?;
        Ok(links.iter().map(LinkView::new).collect())
    }

    async fn conflicts(self, mapping: Option<&str>, limit: usize) -> Result<Conflicts, Refused> {
        let (mapping, limit) = (mapping.map(str::to_owned), limit.min(MOST));
        let fields = self.journal.conflicts(mapping.clone(), None, limit).await?;
        let matches = self.journal.matches(mapping, None, limit).await?;
        Ok(Conflicts {
            fields: fields.iter().map(ConflictView::new).collect(),
            matches: matches.iter().map(MatchView::new).collect(),
        })
    }

    async fn rejects(
        self,
        mapping: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RejectView>, Refused> {
        let mapping = mapping.map(str::to_owned);
        let rejects = self.journal.rejects(mapping, None, limit.min(MOST)).await?;
        Ok(rejects.iter().map(RejectView::new).collect())
    }

    async fn holds(self) -> Result<Vec<HoldView>, Refused> {
        Ok(self.journal.holds().await?.iter().map(HoldView::new).collect())
    }

    /// The one link that `what` names.
    async fn one(self, what: &str) -> Result<LinkEntry, Refused> {
        only(what, self.find(what).await?)
    }
}

/// The one link among those that `what` names.
fn only(what: &str, mut links: Vec<LinkEntry>) -> Result<LinkEntry, Refused> {
    match links.len() {
        0 => Err(Refused::new(RefusedKind::NotFound, format!("no link belongs to {what:?}")).hint(
            "name it by its number (L12), by the id or page address of either record, or by \
                     the key that records are matched by (an e-mail address)",
        )),
        1 => Ok(links.remove(0)),
        _ => {
            let numbers: Vec<String> =
                links.iter().map(|link| format!("{} ({})", link.id, link.mapping)).collect();
            Err(Refused::new(
                RefusedKind::Usage,
                format!("{what:?} belongs to several links: {}", numbers.join(", ")),
            )
            .hint("name one by its number"))
        }
    }
}

#[cfg(test)]
mod tests;
