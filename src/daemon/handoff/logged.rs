//! Calls and e-mails that people logged in HubSpot.
//!
//! A touch is what a person did: HubSpot names the user who created an activity. What an app, a
//! workflow or an import created names none, or its source, and does not count.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::follow::{Followed, STREAM, Seen};
use crate::daemon::directory::Owners;
use crate::daemon::{Engine, Trouble};
use crate::handoff::touch::{Act, Deed, Doer, touch};
use crate::handoff::{Owner, belongs};
use crate::journal::{CursorName, HandoffNews};
use crate::mapping::Mapping;
use crate::mapping::handoff::TouchSpec;
use crate::platform::{Ask, ErrorKind};
use crate::record::{Record, RecordRef, Side};

/// The first of the contacts that an activity is about.
const ABOUT: &str = "associations.contacts";

/// What is read of every activity.
const OF_ALL: [&str; 5] =
    [ABOUT, "hs_timestamp", "hubspot_owner_id", "hs_object_source", "hs_created_by_user_id"];

/// What is read of a call besides.
const OF_CALLS: [&str; 2] = ["hs_call_direction", "hs_call_status"];

/// What is read of an e-mail besides.
const OF_EMAILS: [&str; 2] = ["hs_email_direction", "hs_email_status"];

/// Sources that stand for a machine, although they may name the user who set it up.
/// (developers.hubspot.com, contacts guide: the set is open, and a source that is not known here is
/// a person's where it names one.)
const MACHINES: [&str; 9] = [
    "INTEGRATION",
    "API",
    "IMPORT",
    "MIGRATION",
    "AUTOMATION_PLATFORM",
    "AUTOMATION_JOURNEY",
    "WORKFLOWS",
    "SEQUENCES",
    "CALCULATED",
];

/// Whether activities of an object count.
fn counts(spec: &TouchSpec, object: &str) -> bool {
    let kind = if object == "calls" { spec.calls } else { spec.emails };
    spec.hubspot && kind
}

impl Engine {
    /// Reads the calls and e-mails that were logged in HubSpot to their present end, for the mappings
    /// by which they count.
    pub(super) async fn follow_logged(
        &self,
        mappings: &[Arc<Mapping>],
        followed: &mut Followed,
    ) -> Result<(), Trouble> {
        for (object, own) in [("calls", OF_CALLS), ("emails", OF_EMAILS)] {
            let wanting: Vec<Arc<Mapping>> = mappings
                .iter()
                .filter(|it| it.handoff.as_ref().is_some_and(|spec| counts(&spec.touch, object)))
                .cloned()
                .collect();
            if wanting.is_empty() {
                continue;
            }
            // An account that hides them keeps nothing else back; `check --live` tells.
            match self.platform(Side::HubSpot).schema(object).await {
                Err(error) if matches!(error.kind, ErrorKind::Request | ErrorKind::Stop) => {
                    tracing::warn!(%error, object, "what people logged in HubSpot is not seen");
                    continue;
                }
                other => self.watch(Side::HubSpot, other)?,
            };
            let fields = OF_ALL.iter().chain(&own).map(|name| (*name).to_owned()).collect();
            let ask = Ask { object: object.to_owned(), fields, stamps: BTreeSet::new() };
            let name = CursorName {
                side: Side::HubSpot,
                object: object.to_owned(),
                stream: STREAM.to_owned(),
            };
            self.follow_object(&ask, name, &wanting, followed).await?;
        }
        Ok(())
    }

    /// Touches of people who were handed off.
    pub(super) async fn of_logged(
        &self,
        mapping: &Mapping,
        object: &str,
        seen: &[Seen],
    ) -> Result<Vec<HandoffNews>, Trouble> {
        let Some(spec) = &mapping.handoff else { return Ok(Vec::new()) };
        let owners = self.owners(false).await?;
        let done: Vec<(RecordRef, Deed)> = seen
            .iter()
            .filter_map(|(_, record)| {
                let record = record.as_ref()?;
                let about = RecordRef::hubspot("contacts", record.get(ABOUT).as_text()?);
                Some((about, deed(record, object, &owners)?))
            })
            .collect();
        let about = done.iter().map(|(about, _)| about.clone()).collect();
        let links = self.journal.links_of(&mapping.name, about).await?;
        let mut news = Vec::new();
        for ((_, deed), link) in done.into_iter().zip(links) {
            let (Some(link), Some(fact)) = (link, touch(&spec.touch, &deed)) else { continue };
            let handoffs = self.handoffs(link.id).await?;
            // What was done before the first qualification belongs to none.
            let place = belongs(&handoffs, fact.at);
            if place.is_some_and(|place| handoffs[place].qualified_at <= fact.at) {
                news.extend(self.news_of(&handoffs, fact));
            }
        }
        Ok(news)
    }
}

/// What somebody did; nothing for what did not happen, or not yet.
fn deed(record: &Record, object: &str, owners: &Owners) -> Option<Deed> {
    let text = |name: &str| record.get(name).as_text().unwrap_or_default();
    let act = if object == "calls" {
        let open = ["QUEUED", "RINGING", "CONNECTING", "CALLING_CRM_USER", "IN_PROGRESS"];
        let status = text("hs_call_status");
        let never = open.contains(&status) || ["FAILED", "CANCELED"].contains(&status);
        let outbound = text("hs_call_direction") != "INBOUND";
        (!never).then_some(Act::Call { outbound })?
    } else {
        let status = text("hs_email_status");
        let gone = status.is_empty() || status == "SENT";
        // A forwarded one is somebody's letter that was filed.
        gone.then(|| Act::Email { outbound: text("hs_email_direction") == "EMAIL" })?
    };
    let by = if MACHINES.contains(&text("hs_object_source"))
        || text("hs_created_by_user_id").is_empty()
    {
        Doer::Automation
    } else {
        let owner = owners.get(Side::HubSpot, text("hubspot_owner_id"));
        let email = owner.and_then(|owner| owner.email.as_deref());
        email.map_or(Doer::Unknown, |email| Doer::Person(Owner::person(email)))
    };
    let at = moment(text("hs_timestamp")).or(record.created)?;
    Some(Deed { at, side: Side::HubSpot, by, act })
}

/// A moment in HubSpot's spellings.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| Timestamp::from_millisecond(text.parse().ok()?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform;
    use crate::record::{PerSide, Raw};

    fn record(object: &str, values: &[(&str, &str)]) -> Record {
        let mut record = Record::new(RecordRef::hubspot(object, "1"));
        for (name, value) in values {
            record.fields.insert((*name).to_owned(), Raw::text(*value));
        }
        record
    }

    #[test]
    fn only_what_a_user_sent_is_a_deed_of_theirs() {
        let ann = platform::Owner {
            id: "7".into(),
            email: Some("ann@example.com".into()),
            name: "Ann".into(),
            active: true,
            queue: false,
            user: None,
        };
        let owners = Owners::new(PerSide { hubspot: vec![ann], salesforce: vec![] });
        let told = |object: &str, more: &[(&str, &str)]| {
            let mut values = vec![
                ("hs_timestamp", "2026-11-02T10:00:00Z"),
                ("hubspot_owner_id", "7"),
                ("hs_object_source", "CRM_UI"),
                ("hs_created_by_user_id", "51001"),
            ];
            values.extend_from_slice(more);
            let Some(deed) = deed(&record(object, &values), object, &owners) else {
                return "nothing".to_owned();
            };
            let by = match deed.by {
                Doer::Person(owner) => owner.name,
                other => format!("{other:?}"),
            };
            let (Act::Call { outbound } | Act::Email { outbound }) = deed.act else { panic!() };
            format!("{by} {}", if outbound { "out" } else { "in" })
        };
        for (object, more, expected) in [
            ("calls", vec![], "ann@example.com out"),
            ("calls", vec![("hs_call_status", "NO_ANSWER")], "ann@example.com out"),
            ("calls", vec![("hs_call_direction", "OUTBOUND")], "ann@example.com out"),
            ("calls", vec![("hs_call_direction", "INBOUND")], "ann@example.com in"),
            ("calls", vec![("hs_call_status", "RINGING")], "nothing"),
            ("calls", vec![("hs_call_status", "FAILED")], "nothing"),
            ("calls", vec![("hubspot_owner_id", "8")], "Unknown out"),
            ("calls", vec![("hs_created_by_user_id", "")], "Automation out"),
            ("calls", vec![("hs_object_source", "INTEGRATION")], "Automation out"),
            ("calls", vec![("hs_timestamp", "soon")], "nothing"),
            ("emails", vec![("hs_email_direction", "EMAIL")], "ann@example.com out"),
            ("emails", vec![("hs_email_direction", "INCOMING_EMAIL")], "ann@example.com in"),
            ("emails", vec![("hs_email_direction", "FORWARDED_EMAIL")], "ann@example.com in"),
            ("emails", vec![("hs_email_status", "SCHEDULED")], "nothing"),
            ("emails", vec![("hs_email_status", "BOUNCED")], "nothing"),
            ("emails", vec![("hs_object_source", "AUTOMATION_PLATFORM")], "Automation in"),
        ] {
            assert_eq!(told(object, &more), expected, "{object} {more:?}");
        }
        assert_eq!(moment("1762077600000"), "2025-11-02T10:00:00Z".parse().ok());
    }
}
