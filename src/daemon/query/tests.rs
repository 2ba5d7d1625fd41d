use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::daemon::control::Take;
use crate::journal::{
    Commit, Disk, Heard, HistoryLine, Hold, Lane, LinkEntry, MatchEntry, MemoryStore, RejectEntry,
    WHOLE_RECORD,
};
use crate::mapping::load;
use crate::reconcile::OpenConflict;
use crate::record::{Change, LinkId, PerSide, RecordRef, Side, Source, Value};

const LEAD: &str = "00QD000000IRFmaMAH";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn mappings() -> Mappings {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    load(crate::daemon::read_mappings(&folder).unwrap()).unwrap()
}

struct Office {
    journal: Journal,
    mappings: Mappings,
}

impl Office {
    /// A journal with one link of people: an open conflict, a reject, a line of history; and one
    /// record that may belong to two Leads.
    async fn new() -> Self {
        let journal = Journal::inline(MemoryStore::open(&Disk::new()), [7; 32]).unwrap();
        let id = journal.new_links(1).await.unwrap()[0];
        let contact = RecordRef::hubspot("contacts", "151");
        let records = PerSide {
            hubspot: Some(contact.clone()),
            salesforce: Some(RecordRef::salesforce("Lead", LEAD)),
        };
        let mut link = LinkEntry::new(id, "people", records, at(0));
        link.base.values.insert("first_name".into(), Value::text("Ann"));
        link.fingerprints.insert(journal.fingerprint("ann@example.com"));
        let conflict = OpenConflict {
            base: Some(Value::text("+1")),
            values: PerSide { hubspot: Value::text("+2"), salesforce: Value::text("+3") },
            stamps: PerSide::default(),
            since: at(5),
            reason: "both changed".into(),
            resolution: None,
        };
        let reject = RejectEntry {
            subject: Subject::Link(id),
            mapping: "people".into(),
            side: Side::Salesforce,
            field: WHOLE_RECORD.into(),
            code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".into(),
            reason: "no".into(),
            hint: None,
            attempted: BTreeMap::new(),
            since: at(6),
            last: at(6),
            tries: 1,
            retry_requested: false,
        };
        let line = HistoryLine {
            seq: 0,
            link: id,
            at: at(1),
            field: "first_name".into(),
            side: Some(Side::Salesforce),
            old: Some(Value::Blank),
            new: Some(Value::text("Ann")),
            rule: "one side changed".into(),
            reason: "HubSpot changed".into(),
            lost: BTreeMap::new(),
            cause: None,
        };
        let candidate = |id: &str| RecordRef::salesforce("Lead", format!("00QD000000IRFm{id}"));
        let ambiguous = MatchEntry {
            mapping: "people".into(),
            record: RecordRef::hubspot("contacts", "152"),
            candidates: BTreeMap::from([
                (candidate("bMAH"), "email".into()),
                (candidate("cMAH"), "email".into()),
            ]),
            since: at(7),
            reason: "two Leads have this address".into(),
            choice: None,
        };
        let mut commit = Commit::new();
        commit
            .link(link)
            .conflicts(id, "people", BTreeMap::from([("phone".into(), conflict)]))
            .reject(reject)
            .history(line)
            .ambiguous(ambiguous);
        journal.commit(commit).await.unwrap();
        Self { journal, mappings: mappings() }
    }

    async fn ask(&self, request: Request) -> Result<Json, Refused> {
        let desk = Desk { journal: &self.journal, mappings: &self.mappings, now: at(100) };
        desk.answer(&request).await.unwrap()
    }

    async fn waits(&self, subject: Subject) -> bool {
        self.journal.pending(subject).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn a_link_is_found_by_whatever_people_paste() {
    let office = Office::new().await;
    for what in [
        "L1",
        "l1",
        "L1-2",
        "151",
        LEAD,
        "00QD000000IRFma",
        " Ann@Example.com ",
        "https://app.hubspot.com/contacts/44/record/0-1/151/",
        "https://acme.lightning.force.com/lightning/r/Lead/00QD000000IRFmaMAH/view",
    ] {
        let found = office.ask(Request::FindLinks { what: what.into() }).await.unwrap();
        assert_eq!(found[0]["link"], json!("L1"), "{what}");
        assert_eq!(found.as_array().unwrap().len(), 1, "{what}");
    }
    for what in ["L2", "L1-x", "L1-", "999", "bob@example.com", "", "00QD000000IRFmx"] {
        let found = office.ask(Request::FindLinks { what: what.into() }).await.unwrap();
        assert_eq!(found, json!([]), "{what}");
        let refused = office.ask(Request::Explain { of: what.into() }).await.unwrap_err();
        assert_eq!(refused.kind, RefusedKind::NotFound);
    }
}

#[tokio::test]
async fn a_link_is_explained_with_all_that_is_open() {
    let office = Office::new().await;
    let told = office.ask(Request::Explain { of: "151".into() }).await.unwrap();
    assert_eq!(told["hubspot"], json!("contacts 151"));
    assert_eq!(told["state"], json!("active"));
    assert_eq!(told["fields"]["first_name"]["value"], json!("Ann"));
    assert_eq!(told["fields"]["first_name"]["last"]["rule"], json!("one side changed"));
    assert_eq!(told["conflicts"][0]["salesforce"], json!("+3"));
    assert_eq!(told["rejects"][0]["field"], json!("*"));
    // What is printed reads back.
    serde_json::from_value::<Explained>(told).unwrap();
    let lines =
        office.ask(Request::History { of: "L1".into(), limit: 9, before: None }).await.unwrap();
    assert_eq!(lines.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_decision_and_the_change_that_carries_it_out_are_one() {
    let office = Office::new().await;
    let link = LinkId(1);
    let resolve = |field: &str, take| Request::Resolve { link, field: field.into(), take };
    assert!(!office.waits(Subject::Link(link)).await);
    office.ask(resolve("phone", Take::Side(Side::HubSpot))).await.unwrap();
    assert!(office.waits(Subject::Link(link)).await);
    let open = office.ask(Request::Conflicts { mapping: None, limit: 10 }).await.unwrap();
    assert_eq!(open["fields"][0]["decided"], json!("hubspot"));
    office.ask(resolve("phone", Take::Value(" +4 ".into()))).await.unwrap();
    let open = office.ask(Request::Conflicts { mapping: None, limit: 10 }).await.unwrap();
    assert_eq!(open["fields"][0]["decided"], json!("+4"));

    let refused = office.ask(resolve("email", Take::Side(Side::HubSpot))).await.unwrap_err();
    assert_eq!(refused.hint.as_deref(), Some("open on phone"));
    let none =
        Request::Resolve { link: LinkId(9), field: "x".into(), take: Take::Side(Side::HubSpot) };
    assert_eq!(office.ask(none).await.unwrap_err().kind, RefusedKind::NotFound);
}

#[tokio::test]
async fn an_ambiguous_match_takes_one_of_its_candidates_or_none() {
    let office = Office::new().await;
    let choose =
        |to: Option<&str>| Request::ChooseMatch { record: "152".into(), to: to.map(str::to_owned) };
    assert_eq!(office.ask(choose(Some(LEAD))).await.unwrap_err().kind, RefusedKind::Usage);
    office.ask(choose(Some("00QD000000IRFmb"))).await.unwrap();
    let open = office.ask(Request::Conflicts { mapping: None, limit: 10 }).await.unwrap();
    assert_eq!(open["matches"][0]["decided"], json!("Salesforce Lead 00QD000000IRFmbMAH"));
    office.ask(choose(None)).await.unwrap();
    let record = RecordRef::hubspot("contacts", "152");
    assert!(office.waits(Subject::Record { mapping: "people".into(), record }).await);
}

#[tokio::test]
async fn refused_writes_are_tried_again_or_dropped() {
    let office = Office::new().await;
    let retry = |of: Option<&str>| Request::RetryRejects { of: of.map(str::to_owned) };
    assert_eq!(office.ask(retry(Some("L1"))).await.unwrap(), json!(1));
    assert!(office.waits(Subject::Link(LinkId(1))).await);
    let listed = office.ask(Request::Rejects { mapping: None, limit: 10 }).await.unwrap();
    assert_eq!(listed[0]["retry"], json!(true));
    assert_eq!(office.ask(Request::DropRejects { of: "L1".into() }).await.unwrap(), json!(1));
    let gone = office.ask(Request::DropRejects { of: "L1".into() }).await.unwrap_err();
    assert_eq!(gone.kind, RefusedKind::NotFound);
    assert_eq!(office.ask(retry(None)).await.unwrap(), json!(0));
}

#[tokio::test]
async fn links_are_made_and_ended_by_hand() {
    let office = Office::new().await;
    let add = |hubspot: &str, salesforce: &str| Request::AddLink {
        mapping: "people".into(),
        hubspot: hubspot.into(),
        salesforce: salesforce.into(),
    };
    let taken = office.ask(add("151", "00QD000000IRFmd")).await.unwrap_err();
    assert_eq!(
        taken.hint.as_deref(),
        Some("`lockstep links remove L1` ends it; both records stay")
    );
    assert_eq!(office.ask(add("x", LEAD)).await.unwrap_err().kind, RefusedKind::Usage);
    let other =
        Request::AddLink { mapping: "nope".into(), hubspot: "1".into(), salesforce: LEAD.into() };
    assert!(office.ask(other).await.unwrap_err().hint.unwrap().contains("people"));

    let end = |reason: Option<&str>| Request::RemoveLink {
        link: LinkId(1),
        reason: reason.map(str::to_owned),
    };
    let wordy = office.ask(end(Some(&"x".repeat(501)))).await.unwrap_err();
    assert_eq!(wordy.kind, RefusedKind::Usage);
    let ended = office.ask(end(Some(" two people, one address "))).await.unwrap();
    assert_eq!(ended["state"], json!("unlinked"));
    assert_eq!(ended["why"], json!("ended by a person: two people, one address"));
    let lines = Request::History { of: "L1".into(), limit: 1, before: None };
    let lines = office.ask(lines).await.unwrap();
    assert_eq!(lines[0]["reason"], ended["why"], "history does not say why");
    let open = office.ask(Request::Conflicts { mapping: None, limit: 10 }).await.unwrap();
    assert_eq!(open["fields"], json!([]));
    assert!(office.ask(end(None)).await.is_err());

    let made = office.ask(add("151", LEAD)).await.unwrap();
    let number: u64 = made["link"].as_str().unwrap()[1..].parse().unwrap();
    assert!(number > 1);
    assert!(office.waits(Subject::Link(LinkId(number))).await);
    let lines = Request::History { of: format!("L{number}"), limit: 9, before: None };
    assert_eq!(office.ask(lines).await.unwrap()[0]["reason"], json!("linked by a person"));
}

#[tokio::test]
async fn a_hold_is_released_without_a_daemon() {
    let office = Office::new().await;
    let journal = &office.journal;
    let heard = |record: RecordRef| Heard {
        mapping: "people".into(),
        lane: Lane::Ordinary,
        change: Change::touched(record, Source::Poll),
        at: at(1),
        not_before: None,
    };
    let lone = RecordRef::hubspot("contacts", "900");
    let link = RecordRef::hubspot("contacts", "151");
    let other = RecordRef::hubspot("contacts", "901");
    let all = [&lone, &link, &other].map(|record| heard(record.clone()));
    journal.hear(all.to_vec(), None).await.unwrap();
    let subject =
        |record: &RecordRef| Subject::Record { mapping: "people".into(), record: record.clone() };
    let id = journal.new_hold().await.unwrap();
    let mut commit = Commit::new();
    commit.hold(Hold {
        id,
        mapping: Some("people".into()),
        reason: "2 of 2 links would change".into(),
        count: 2,
        since: at(2),
        sample: Vec::new(),
        released: None,
    });
    // The third waits for its time as well, and for no hold.
    for (held, subject) in
        [(true, subject(&lone)), (true, Subject::Link(LinkId(1))), (false, subject(&other))]
    {
        let version = journal.pending(subject.clone()).await.unwrap().unwrap().version;
        if held {
            commit.keep("held", subject.to_string(), &id);
        }
        commit.postpone(subject, version, at(1_000_000), None);
    }
    journal.commit(commit).await.unwrap();
    let due = async |subject: Subject| journal.pending(subject).await.unwrap().unwrap().due;
    assert_eq!(due(subject(&lone)).await, at(1_000_000));

    let held = office.ask(Request::ReleaseHold { hold: id }).await.unwrap();
    assert_eq!(held["released"], json!(at(100)));
    assert!(due(subject(&lone)).await <= at(100));
    assert!(due(Subject::Link(LinkId(1))).await <= at(100));
    assert_eq!(due(subject(&other)).await, at(1_000_000), "it waits for something else");
    let again = office.ask(Request::ReleaseHold { hold: id }).await.unwrap();
    assert_eq!(again["released"], held["released"]);
    let none = office.ask(Request::ReleaseHold { hold: 99 }).await.unwrap_err();
    assert_eq!(none.kind, RefusedKind::NotFound);
    assert!(none.hint.unwrap().contains("holds list"));
}

#[test]
fn what_a_person_types_fits_the_field_or_is_told_what_would() {
    let mappings = mappings();
    let people = mappings.get("people").unwrap();
    for field in &people.fields {
        let typed = decide::value(field, "certainly not a value of this kind \u{1f980}");
        if let Err(refused) = typed {
            assert!(refused.message.contains(&field.name), "{refused}");
        }
        assert_eq!(decide::value(field, " "), Ok(Value::Blank));
    }
}
