//! What a person decides. Each decision is stored together with a word of the change that carries
//! it out, in one commit: a crash between the two cannot lose it.

use std::collections::BTreeSet;

use jiff::{Timestamp, civil};

use super::find::{link_id, records};
use super::view::{HoldView, LinkView};
use super::{Desk, MOST};
use crate::daemon::control::{Refused, RefusedKind, Take};
use crate::daemon::limit::release;
use crate::journal::{
    Commit, Error as JournalError, Heard, HistoryLine, LINK_ITSELF, Lane, LinkEntry, LinkState,
    MatchChoice, MatchEntry, RejectEntry, Subject,
};
use crate::mapping::{Field, Kind, Mapping};
use crate::reconcile::Resolution;
use crate::record::{Change, LinkId, Number, PerSide, RecordRef, Side, Source, Value};

/// The rule by which history knows a person's decision.
const PERSON: &str = "person";

/// The most characters of a person's reason: it stands in history.
const LONGEST_REASON: usize = 500;

fn not_found(what: impl Into<String>) -> Refused {
    Refused::new(RefusedKind::NotFound, what)
}

fn usage(what: impl Into<String>) -> Refused {
    Refused::new(RefusedKind::Usage, what)
}

impl Desk<'_> {
    fn heard(self, mapping: &str, record: RecordRef) -> Heard {
        Heard {
            mapping: mapping.to_owned(),
            lane: Lane::Handoff,
            change: Change::touched(record, Source::Person),
            at: self.now,
            not_before: None,
        }
    }

    fn mapping_of<'b>(self, name: &str) -> Result<&'b Mapping, Refused>
    where
        Self: 'b,
    {
        self.mappings.get(name).map(AsRef::as_ref).ok_or_else(|| {
            let names: Vec<&str> =
                self.mappings.list.iter().map(|mapping| mapping.name.as_str()).collect();
            usage(format!("there is no mapping {name:?}"))
                .hint(format!("one of {}", names.join(", ")))
        })
    }

    async fn link(self, id: LinkId) -> Result<LinkEntry, Refused> {
        let link = self.journal.link(id).await?;
        link.ok_or_else(|| not_found(format!("there is no link {id}")))
    }

    pub(super) async fn resolve(self, id: LinkId, field: &str, take: &Take) -> Result<(), Refused> {
        let link = self.link(id).await?;
        let known = self.journal.known(vec![Subject::Link(id)]).await?;
        let open: BTreeSet<String> =
            known.into_iter().flat_map(|known| known.conflicts.into_keys()).collect();
        if !open.contains(field) {
            let message = format!("{id} has no open conflict on {field:?}");
            let open: Vec<String> = open.into_iter().collect();
            return Err(match open.len() {
                0 => not_found(message).hint("`lockstep conflicts` lists those that are open"),
                _ => not_found(message).hint(format!("open on {}", open.join(", "))),
            });
        }
        let resolution = match take {
            Take::Side(side) => Resolution::Take(*side),
            Take::Value(text) => {
                let mapping = self.mapping_of(&link.mapping)?;
                let field = mapping
                    .field(field)
                    .ok_or_else(|| not_found(format!("the mapping no longer has {field:?}")))?;
                Resolution::Set(value(field, text)?)
            }
        };
        let record = any_record(&link)?;
        let mut commit = Commit::new();
        commit.resolve(id, field, resolution).hear(self.heard(&link.mapping, record));
        self.journal.commit(commit).await?;
        Ok(())
    }

    pub(super) async fn choose_match(self, record: &str, to: Option<&str>) -> Result<(), Refused> {
        let matches = self.journal.matches(None, None, MOST).await?;
        let named: Vec<MatchEntry> =
            matches.into_iter().filter(|entry| names(&entry.record, record)).collect();
        let [entry] = named.as_slice() else {
            return Err(match named.len() {
                0 => not_found(format!("no ambiguous match waits for {record:?}"))
                    .hint("`lockstep conflicts` lists those that wait"),
                _ => usage(format!("{record:?} waits in several mappings; link it by `links add`")),
            });
        };
        let choice = match to {
            None => MatchChoice::None,
            Some(to) => {
                let candidate = entry.candidates.keys().find(|candidate| names(candidate, to));
                let candidate = candidate.ok_or_else(|| {
                    let all: Vec<String> =
                        entry.candidates.keys().map(|record| record.id.clone()).collect();
                    usage(format!("{to:?} is none of the candidates"))
                        .hint(format!("one of {}, or none", all.join(", ")))
                })?;
                MatchChoice::This(candidate.clone())
            }
        };
        let mut commit = Commit::new();
        commit
            .choose_match(&entry.mapping, entry.record.clone(), choice)
            .hear(self.heard(&entry.mapping, entry.record.clone()));
        self.journal.commit(commit).await?;
        Ok(())
    }

    pub(super) async fn add_link(
        self,
        mapping: &str,
        hubspot: &str,
        salesforce: &str,
    ) -> Result<LinkView, Refused> {
        let mapping = self.mapping_of(mapping)?;
        let record = |side: Side, id: &str| {
            let found = records(mapping, id).into_iter().find(|record| record.side == side);
            found.ok_or_else(|| {
                usage(format!("{id:?} is no id of a {side} record of mapping {:?}", mapping.name))
            })
        };
        let pair = [record(Side::HubSpot, hubspot)?, record(Side::Salesforce, salesforce)?];
        let known = self.journal.links_of(&mapping.name, pair.to_vec()).await?;
        let live = known.into_iter().flatten().find(|link| {
            !matches!(link.state, LinkState::Unlinked { .. } | LinkState::Retired { .. })
                && pair.iter().any(|record| link.records.get(record.side).as_ref() == Some(record))
        });
        if let Some(link) = live {
            return Err(usage(format!("link {} has one of these records already", link.id))
                .hint(format!("`lockstep links remove {}` ends it; both records stay", link.id)));
        }
        let id = self.journal.new_links(1).await?.into_iter().next();
        let id = id.ok_or_else(|| Refused::new(RefusedKind::Internal, "no number for the link"))?;
        let [hubspot, salesforce] = pair;
        let records =
            PerSide { hubspot: Some(hubspot.clone()), salesforce: Some(salesforce.clone()) };
        let link = LinkEntry::new(id, &mapping.name, records, self.now);
        let mut commit = Commit::new();
        commit
            .link(link.clone())
            .drop_match(&mapping.name, hubspot.clone())
            .drop_match(&mapping.name, salesforce)
            .history(self.line(id, "linked by a person"))
            .hear(self.heard(&mapping.name, hubspot));
        self.journal.commit(commit).await?;
        Ok(LinkView::new(&link))
    }

    pub(super) async fn remove_link(
        self,
        id: LinkId,
        reason: Option<&str>,
    ) -> Result<LinkView, Refused> {
        let mut link = self.link(id).await?;
        if matches!(link.state, LinkState::Unlinked { .. } | LinkState::Retired { .. }) {
            return Err(usage(format!("{id} has ended already")));
        }
        let reason = match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
            Some(reason) if reason.chars().count() > LONGEST_REASON => {
                return Err(usage(format!("the reason has more than {LONGEST_REASON} characters")));
            }
            Some(reason) => format!("ended by a person: {reason}"),
            None => "ended by a person".to_owned(),
        };
        // No record was deleted; the state keeps both from being linked or created anew.
        link.state =
            LinkState::Unlinked { deleted: Side::Salesforce, reason: reason.clone(), at: self.now };
        let mut commit = Commit::new();
        commit
            .conflicts(id, &link.mapping, std::collections::BTreeMap::new())
            .rejects(Subject::Link(id), Vec::new())
            .history(self.line(id, &reason))
            .link(link.clone());
        self.journal.commit(commit).await?;
        Ok(LinkView::new(&link))
    }

    pub(super) async fn release_hold(self, id: u64) -> Result<HoldView, Refused> {
        let hold = release(self.journal, id, self.now).await.map_err(|error| match error {
            JournalError::Absent { .. } => {
                Refused::from(error).hint("`lockstep holds list` shows those that wait")
            }
            other => other.into(),
        })?;
        Ok(HoldView::new(&hold))
    }

    fn line(self, link: LinkId, reason: &str) -> HistoryLine {
        HistoryLine {
            seq: 0,
            link,
            at: self.now,
            field: LINK_ITSELF.to_owned(),
            side: None,
            old: None,
            new: None,
            rule: PERSON.to_owned(),
            reason: reason.to_owned(),
            lost: std::collections::BTreeMap::new(),
            cause: Some(Source::Person),
        }
    }

    /// The rejects of a link or record, or all.
    async fn rejects_of(self, of: Option<&str>) -> Result<Vec<RejectEntry>, Refused> {
        let all = self.journal.rejects(None, None, MOST).await?;
        let Some(of) = of else { return Ok(all) };
        let number = link_id(of);
        let named: Vec<RejectEntry> = all
            .into_iter()
            .filter(|entry| match &entry.subject {
                Subject::Link(link) => Some(*link) == number,
                Subject::Record { record, .. } => names(record, of),
            })
            .collect();
        if named.is_empty() {
            return Err(not_found(format!("{of:?} has no refused writes"))
                .hint("`lockstep rejects` lists them"));
        }
        Ok(named)
    }

    pub(super) async fn retry_rejects(self, of: Option<&str>) -> Result<usize, Refused> {
        let entries = self.rejects_of(of).await?;
        for entry in &entries {
            let record = match &entry.subject {
                Subject::Link(link) => any_record(&self.link(*link).await?)?,
                Subject::Record { record, .. } => record.clone(),
            };
            let mut commit = Commit::new();
            commit.retry_reject(entry.place()).hear(self.heard(&entry.mapping, record));
            self.journal.commit(commit).await?;
        }
        Ok(entries.len())
    }

    pub(super) async fn drop_rejects(self, of: &str) -> Result<usize, Refused> {
        let entries = self.rejects_of(Some(of)).await?;
        let mut commit = Commit::new();
        for entry in &entries {
            commit.drop_reject(entry.place());
        }
        self.journal.commit(commit).await?;
        Ok(entries.len())
    }
}

fn any_record(link: &LinkEntry) -> Result<RecordRef, Refused> {
    let record = link.records.iter().find_map(|(_, record)| record.clone());
    record.ok_or_else(|| not_found(format!("{} has no record on either side", link.id)))
}

/// Whether `text` names the record: by its id, or as it is printed.
fn names(record: &RecordRef, text: &str) -> bool {
    let same_id = match record.side {
        Side::HubSpot => record.id == text,
        Side::Salesforce => {
            crate::record::SalesforceId::parse(text).is_ok_and(|id| id.as_str() == record.id)
        }
    };
    same_id || record.to_string() == text
}

/// What a person typed as the field has it.
pub(super) fn value(field: &Field, text: &str) -> Result<Value, Refused> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Value::Blank);
    }
    let wrong = |right: &str| usage(format!("{text:?} is no value of {}: {right}", field.name));
    Ok(match &field.kind {
        Kind::Number => text
            .parse()
            .ok()
            .and_then(Number::new)
            .map(Value::Number)
            .ok_or_else(|| wrong("write a number"))?,
        Kind::Bool => match text {
            "true" | "yes" => Value::Bool(true),
            "false" | "no" => Value::Bool(false),
            _ => return Err(wrong("write yes or no")),
        },
        Kind::Date => {
            Value::Date(text.parse::<civil::Date>().map_err(|_| wrong("write 2026-11-22"))?)
        }
        Kind::DateTime => Value::date_time(
            text.parse::<Timestamp>().map_err(|_| wrong("write 2026-11-22T15:30:00Z"))?,
        ),
        Kind::Choices => Value::choices(text.split(';').map(|choice| choice.trim().to_owned())),
        Kind::Choice => {
            let known: Vec<&str> = field
                .table
                .iter()
                .flat_map(|table| table.rows.iter().map(|row| row.key.as_str()))
                .collect();
            if !known.is_empty() && !known.contains(&text) {
                return Err(wrong(&format!("one of {}", known.join(", "))));
            }
            Value::text(text)
        }
        Kind::Owner => Value::text(text.to_lowercase()),
        Kind::Text => Value::text(text),
        Kind::Link { .. } => return Err(wrong("take one of the sides' values")),
    })
}
