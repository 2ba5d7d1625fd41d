//! The texts of a handoff's next steps.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::sight;
use crate::handoff::Handoff;
use crate::mapping::{Mapping, Template};
use crate::platform::Identity;
use crate::reconcile::Base;
use crate::record::{PerSide, RecordRef, Side, Value};

/// The most characters of a subject (Object Reference, Task).
const SUBJECT: usize = 255;

/// The most characters of a description (Object Reference, Task).
const DESCRIPTION: usize = 32_000;

/// The most characters of the text of a task or note in HubSpot, which is HTML
/// (developers.hubspot.com, "Notes").
const HTML: usize = 65_536;

/// What is known for a text.
pub(super) struct Ground<'a> {
    pub mapping: &'a Mapping,
    pub base: &'a Base,
    pub records: &'a PerSide<Option<RecordRef>>,
    pub identities: &'a PerSide<Option<Identity>>,
    pub handoff: &'a Handoff,
    /// The earlier ones of the same link.
    pub earlier: &'a [Handoff],
    pub now: Timestamp,
}

/// The address of a record's page.
pub(super) fn page(record: &RecordRef, identity: &Identity) -> Option<String> {
    let pages = &identity.pages;
    Some(match record.side {
        Side::Salesforce => format!("{pages}/lightning/r/{}/{}/view", record.object, record.id),
        // The type ids of HubSpot's standard objects (CRM API, "object type IDs").
        Side::HubSpot => {
            let kind = match record.object.as_str() {
                "contacts" => "0-1",
                "companies" => "0-2",
                "deals" => "0-3",
                _ => return None,
            };
            format!("{pages}/{kind}/{}", record.id)
        }
    })
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Blank => Json::Null,
        Value::Text(text) => json!(text),
        Value::Number(number) => json!(number.get()),
        Value::Bool(yes) => json!(yes),
        Value::Date(date) => json!(date.to_string()),
        Value::DateTime(moment) => json!(moment.to_string()),
        Value::Choices(choices) => json!(choices),
    }
}

fn values(ground: &Ground<'_>) -> Json {
    let seen = sight(ground.mapping, ground.base, ground.now);
    let fields: Map<String, Json> =
        seen.merged.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
    let link = |side: Side| {
        let record = ground.records.get(side).as_ref()?;
        page(record, ground.identities.get(side).as_ref()?)
    };
    let id = |side: Side| ground.records.get(side).as_ref().map(|record| record.id.as_str());
    let earlier: Vec<Json> = ground
        .earlier
        .iter()
        .map(|it| {
            json!({
                "number": it.id.nth,
                "qualified_at": it.qualified_at.strftime("%Y-%m-%d").to_string(),
                "state": it.state().key(),
                "reason": it.why_ended(),
                "owner": it.owner().map(ToString::to_string),
            })
        })
        .collect();
    let handoff = ground.handoff;
    let mut all = fields.clone();
    all.insert("hubspot".to_owned(), fields.clone().into());
    all.insert("salesforce".to_owned(), fields.into());
    all.insert("owner".to_owned(), json!(handoff.owner().map(ToString::to_string)));
    all.insert("now".to_owned(), json!(ground.now.to_string()));
    all.insert(
        "links".to_owned(),
        json!({"hubspot": link(Side::HubSpot), "salesforce": link(Side::Salesforce)}),
    );
    all.insert(
        "ids".to_owned(),
        json!({"hubspot": id(Side::HubSpot), "salesforce": id(Side::Salesforce)}),
    );
    all.insert(
        "handoff".to_owned(),
        json!({
            "key": handoff.id.to_string(),
            "rule": handoff.rule,
            "reason": handoff.reason,
            "number": handoff.id.nth,
            "qualified_at": handoff.qualified_at.to_string(),
            "earlier": earlier,
        }),
    );
    all.into()
}

/// The words by which a task is found again: they stand at its end, on a line of their own.
pub(super) fn mark(handoff: &Handoff, account: &str) -> String {
    format!("[Lockstep {account} {}]", handoff.id)
}

/// The same for the task that a queue owns. Both tasks are about one person, and neither's mark stands
/// within the other's: none is found in the place of the other.
pub(super) fn queue_mark(handoff: &Handoff, account: &str) -> String {
    format!("[Lockstep {account} {} queue]", handoff.id)
}

/// A text. One that cannot be made says so, and why it qualified.
fn rendered(template: &Template, ground: &Ground<'_>, most: usize) -> String {
    template.render(&values(ground), most).unwrap_or_else(|error| {
        tracing::warn!(%error, mapping = %ground.mapping.name, "a handoff's text cannot be made");
        format!("Qualified: {}", ground.handoff.reason)
    })
}

/// The subject of a handoff's task, on one line.
pub(super) fn subject(template: &Template, ground: &Ground<'_>) -> String {
    let subject = rendered(template, ground, SUBJECT);
    subject.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an input of something that is started gets; it is for a machine, so that none that cannot be
/// made gets anything else.
pub(super) fn input(template: &Template, ground: &Ground<'_>) -> Result<String, String> {
    template.render(&values(ground), DESCRIPTION).map_err(|error| error.to_string())
}

/// What the task of a handoff says, with the words by which it is found again.
pub(super) fn marked(template: &Template, ground: &Ground<'_>, mark: &str) -> String {
    let room = DESCRIPTION - mark.chars().count() - 2;
    let text = rendered(template, ground, room);
    format!("{text}\n\n{mark}")
}

/// The same as HubSpot takes it.
pub(super) fn marked_html(template: &Template, ground: &Ground<'_>, mark: &str) -> String {
    const GAP: &str = "<br><br>";
    let text = rendered(template, ground, DESCRIPTION);
    let text = html(&text, HTML - mark.chars().count() - GAP.len());
    format!("{text}{GAP}{mark}")
}

/// A plain text as HTML, of at most `most` characters.
fn html(text: &str, most: usize) -> String {
    let mut html = String::with_capacity(text.len());
    let mut length = 0;
    for letter in text.chars() {
        let mut own = [0; 4];
        let piece: &str = match letter {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\n' => "<br>",
            '\r' => "",
            other => other.encode_utf8(&mut own),
        };
        length += piece.chars().count();
        if length > most {
            break;
        }
        html.push_str(piece);
    }
    html
}

#[cfg(test)]
mod tests {
    use super::{Handoff, html, mark, queue_mark};
    use crate::handoff::{HandoffId, Witness};
    use crate::record::LinkId;

    fn handoff(link: u64, nth: u32) -> Handoff {
        Handoff {
            id: HandoffId { link: LinkId(link), nth },
            mapping: "people".to_owned(),
            rule: "score".to_owned(),
            reason: "the score reached 50".to_owned(),
            qualified_at: jiff::Timestamp::UNIX_EPOCH,
            witness: Witness::Lockstep,
            groups: Default::default(),
            facts: Default::default(),
        }
    }

    #[test]
    fn no_mark_stands_within_another() {
        // Tasks that stand in orgs carry the owner's mark as it is here.
        assert_eq!(mark(&handoff(7, 1), "00D1"), "[Lockstep 00D1 L7-1]");
        let handoffs = [handoff(7, 1), handoff(7, 11), handoff(77, 1), handoff(1, 7)];
        let mut marks = Vec::new();
        for account in ["", "00D1", "00D1 L7-1"] {
            marks.extend(handoffs.iter().map(|it| mark(it, account)));
            marks.extend(handoffs.iter().map(|it| queue_mark(it, account)));
        }
        for (place, own) in marks.iter().enumerate() {
            for (other, mark) in marks.iter().enumerate() {
                assert!(place == other || !own.contains(mark), "{own} {mark}");
            }
        }
    }

    #[test]
    fn a_plain_text_is_html_that_is_never_cut_within_an_entity() {
        for (text, most, expected) in [
            (
                "Ada & Co <ada@example.com>\nScore: 61",
                99,
                "Ada &amp; Co &lt;ada@example.com&gt;<br>Score: 61",
            ),
            ("a\r\nb", 99, "a<br>b"),
            ("\"ä\"", 99, "&quot;ä&quot;"),
            ("ab&c", 6, "ab"),
            ("ab&c", 7, "ab&amp;"),
            ("", 0, ""),
        ] {
            assert_eq!(html(text, most), expected, "{text:?}");
        }
    }
}
