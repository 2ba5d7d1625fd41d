//! The HubSpot client against the sandbox's HubSpot, in process, on a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep::platform::hubspot::{HubSpot, Settings};
use lockstep::platform::transport::{InProcess, StaticToken, Window};
use lockstep::platform::{
    Action, Ask, Cursor, ErrorKind, FieldKind, Outcome, Platform, RefusalKind, Write, WriteOptions,
};
use lockstep::record::{Author, ChangeKind, Raw, Record};
use lockstep::sandbox::fault::{How, Side};
use lockstep::sandbox::hubspot::limits::Limits;
use lockstep::sandbox::hubspot::oauth::PRIVATE_TOKEN;
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::properties::Property;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::{Sandbox, SandboxClock};
use secrecy::SecretString;
use url::Url;

/// A sandbox with a unique property for Salesforce's ids, and a client of it.
struct Stage {
    sandbox: Sandbox,
    hubspot: HubSpot,
}

impl Stage {
    fn new() -> Self {
        Self::at_version("2026-09")
    }

    fn at_version(version: &str) -> Self {
        let clock = SandboxClock::starting_at("2026-11-22T08:00:00Z".parse().unwrap());
        let sandbox = Sandbox::new(7, clock);
        {
            let now = sandbox.clock().now();
            let account = &mut sandbox.world().hubspot;
            account.limiter.limits = Limits::none();
            let unique = Property::custom("sf_lead_id", "Salesforce Lead id", "string").unique();
            account.define(Object::Contact, unique, now).unwrap();
        }
        let mut settings = Settings::at(Url::parse("https://api.hubapi.com").unwrap());
        settings.version = version.parse().unwrap();
        let http = Arc::new(InProcess::new(sandbox.hubspot()));
        let token = Arc::new(StaticToken::new(&SecretString::from(PRIVATE_TOKEN)));
        let hubspot = HubSpot::new(settings, http, token, 1);
        Self { sandbox, hubspot }
    }

    fn now(&self) -> Timestamp {
        self.sandbox.clock().now()
    }

    fn contact(&self, values: &[(&str, &str)]) -> String {
        let now = self.now();
        let account = &mut self.sandbox.world().hubspot;
        account.create_as_user(Object::Contact, values, FIRST_USER, now).unwrap().to_string()
    }

    fn contacts(&self, number: usize) -> Vec<String> {
        (0..number)
            .map(|n| {
                self.contact(&[
                    ("email", &format!("p{n}@example.com")),
                    ("lastname", &format!("P{n}")),
                ])
            })
            .collect()
    }

    fn value(&self, id: &str, name: &str) -> Option<String> {
        self.sandbox.world().hubspot.value(Object::Contact, id.parse().unwrap(), name)
    }

    fn calls(&self) -> u64 {
        self.sandbox.world().calls.total(Side::HubSpot)
    }

    fn fault(&self, name: &str, times: u32) {
        self.sandbox.world().faults.arm(name, Some(Side::HubSpot), How::Next(times)).unwrap();
    }

    async fn write(&self, write: Write) -> Outcome {
        self.hubspot.write(&[write]).await.remove(0)
    }

    /// The whole round from `cursor` on, and where the next begins.
    async fn poll(
        &self,
        cursor: Option<Cursor>,
        since: Timestamp,
    ) -> (BTreeMap<String, ChangeKind>, Cursor) {
        let (mut cursor, mut found) = (cursor, BTreeMap::new());
        loop {
            let page =
                self.hubspot.changed(&ask(&["email"]), cursor.as_ref(), since).await.unwrap();
            found.extend(page.changes.into_iter().map(|change| (change.record.id, change.kind)));
            if !page.more {
                return (found, page.cursor);
            }
            cursor = Some(page.cursor);
        }
    }
}

fn ask(fields: &[&str]) -> Ask {
    Ask {
        object: "contacts".into(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        stamps: BTreeSet::new(),
    }
}

fn write(action: Action, fields: &[(&str, &str)]) -> Write {
    Write {
        object: "contacts".into(),
        action,
        fields: fields
            .iter()
            .map(|(name, value)| {
                ((*name).to_owned(), if value.is_empty() { Raw::Null } else { Raw::text(*value) })
            })
            .collect(),
        clear_first: BTreeSet::new(),
        options: WriteOptions::default(),
    }
}

fn update(id: &str, fields: &[(&str, &str)]) -> Write {
    write(Action::Update { id: id.into() }, fields)
}

fn upsert(key: &str, fields: &[(&str, &str)]) -> Write {
    write(Action::Upsert { key_field: "sf_lead_id".into(), key: key.into() }, fields)
}

fn found(read: &[Option<Record>]) -> Vec<Option<&str>> {
    read.iter().map(|record| record.as_ref().map(|record| record.key.id.as_str())).collect()
}

#[track_caller]
fn refused(outcome: Outcome) -> lockstep::platform::Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn done(outcome: Outcome) -> (String, bool, BTreeMap<String, Raw>) {
    match outcome {
        Outcome::Done { id, created, echoed } => (id, created, echoed),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_and_where_and_when() {
    for version in ["v3", "2026-03", "2026-09"] {
        let stage = Stage::at_version(version);
        let identity = stage.hubspot.identity().await.unwrap();
        assert!(!identity.account.is_empty() && !identity.author_id.is_empty(), "{identity:?}");
        assert!(identity.scopes.contains("crm.objects.contacts.write"), "{identity:?}");
        let time = stage.hubspot.server_time().await.unwrap();
        assert!((stage.now().as_second() - time.as_second()).abs() <= 1, "{time}");
        assert_eq!(stage.hubspot.budget().made, stage.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn the_schema_is_the_accounts() {
    let stage = Stage::new();
    let schema = stage.hubspot.schema("contacts").await.unwrap();
    for (name, kind, unique, updatable) in [
        ("email", FieldKind::Text, true, true),
        ("sf_lead_id", FieldKind::Text, true, true),
        ("lifecyclestage", FieldKind::Choice, false, true),
        ("hubspot_owner_id", FieldKind::Owner, false, true),
        ("hs_object_id", FieldKind::Number, true, false),
        ("associations.companies", FieldKind::Reference, false, true),
    ] {
        let field = &schema.fields[name];
        assert_eq!(
            (&field.kind, field.unique, field.updatable),
            (&kind, unique, updatable),
            "{name}"
        );
    }
    let stages: Vec<_> = schema.fields["lifecyclestage"]
        .choices
        .iter()
        .map(|choice| choice.value.as_str())
        .collect();
    assert_eq!(stages[..3], ["subscriber", "lead", "marketingqualifiedlead"]);
    let calls = stage.calls();
    stage.hubspot.schema("contacts").await.unwrap();
    assert_eq!(stage.calls(), calls);
    stage.hubspot.forget_schema("contacts");
    stage.hubspot.schema("contacts").await.unwrap();
    assert_eq!(stage.calls(), calls + 1);
    assert!(stage.hubspot.owners().await.unwrap().iter().any(|owner| owner.active));
}

#[tokio::test(start_paused = true)]
async fn reading_joins_merged_and_archived_records() {
    let stage = Stage::new();
    let ids = stage.contacts(5);
    let number = |place: usize| ids[place].parse::<u64>().unwrap();
    let survivor = {
        let now = stage.now();
        let account = &mut stage.sandbox.world().hubspot;
        account.archive(Object::Contact, number(4), FIRST_USER, now).unwrap();
        account
            .merge_as_user(Object::Contact, number(1), number(2), FIRST_USER, now)
            .unwrap()
            .to_string()
    };
    let wanted = [&ids[3], &ids[1], "999999", &ids[4], &ids[2], &survivor, &ids[0]];
    let wanted: Vec<String> = wanted.iter().map(|id| (*id).to_owned()).collect();
    let mut ask = ask(&["email", "phone", "no_such"]);
    for stamps in [false, true] {
        if stamps {
            ask.stamps = ["email".to_owned()].into();
        }
        let read = stage.hubspot.read(&ask, &wanted).await.unwrap();
        let s = survivor.as_str();
        assert_eq!(
            found(&read),
            [Some(ids[3].as_str()), Some(s), None, Some(&ids[4]), Some(s), Some(s), Some(&ids[0])]
        );
        assert!(read[3].as_ref().unwrap().deleted);
        assert!(!read[1].as_ref().unwrap().deleted);
        let first = read[0].as_ref().unwrap();
        assert_eq!(first.get("email"), &Raw::text("p3@example.com"));
        assert_eq!(first.fields["phone"], Raw::Null);
        assert!(!first.fields.contains_key("no_such"));
        assert_eq!(first.stamps.contains_key("email"), stamps);
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_read_takes_the_fewest_calls() {
    let stage = Stage::new();
    let ids = stage.contacts(250);
    let read = stage.hubspot.read(&ask(&["email"]), &ids).await.unwrap();
    assert_eq!(found(&read), ids.iter().map(|id| Some(id.as_str())).collect::<Vec<_>>());
    assert_eq!(stage.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_change_tells_whether_it_was_ours() {
    let stage = Stage::new();
    stage.hubspot.identity().await.unwrap();
    let id = stage.contact(&[("email", "a@example.com"), ("city", "Bonn")]);
    done(stage.write(update(&id, &[("phone", "1")])).await);
    let mut ask = ask(&["city", "phone"]);
    ask.stamps = ask.fields.clone();
    let read = stage.hubspot.read(&ask, &[id]).await.unwrap().remove(0).unwrap();
    assert_eq!(read.stamps["phone"].by, Some(Author::Lockstep));
    assert_eq!(read.stamps["city"].by, Some(Author::Other(format!("userId:{FIRST_USER}"))));
    assert!(read.stamps.values().all(|stamp| stamp.exact));
}

#[tokio::test(start_paused = true)]
async fn every_record_of_a_mixed_batch_has_its_own_outcome() {
    let stage = Stage::new();
    let ids = stage.contacts(100);
    let now = stage.now();
    stage
        .sandbox
        .world()
        .hubspot
        .archive(Object::Contact, ids[9].parse().unwrap(), FIRST_USER, now)
        .unwrap();
    let writes: Vec<Write> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| match n {
            3 => update(id, &[("hs_lead_status", "Nonsense"), ("city", "Bonn")]),
            4 => update(id, &[("email", "p5@example.com")]),
            6 => update(id, &[("no_such_property", "x")]),
            7 => update(id, &[("email", "not an address")]),
            8 => update(id, &[("num_associated_deals", "7")]),
            _ => update(id, &[("city", "Bonn")]),
        })
        .collect();
    let outcomes = stage.hubspot.write(&writes).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let kind = match n {
            3 | 6 | 8 => RefusalKind::Schema,
            4 => RefusalKind::Duplicate { existing: Some(ids[5].clone()) },
            7 => RefusalKind::Value,
            9 => RefusalKind::Gone,
            _ => {
                done(outcome);
                assert_eq!(stage.value(&ids[n], "city").as_deref(), Some("Bonn"), "{n}");
                continue;
            }
        };
        assert_eq!(refused(outcome).kind, kind, "{n}");
    }
    assert!(stage.calls() < 25, "{}", stage.calls());
}

#[tokio::test(start_paused = true)]
async fn an_upsert_creates_once() {
    let stage = Stage::new();
    let lead = |n: usize| format!("00Q0000000000{n:02}AAA");
    let writes: Vec<Write> = (0..30)
        .map(|n| upsert(&lead(n), &[("email", &format!("n{n}@example.com")), ("lastname", "N")]))
        .collect();
    let first: Vec<_> = stage.hubspot.write(&writes).await.into_iter().map(done).collect();
    assert!(first.iter().all(|(_, created, _)| *created));
    let second: Vec<_> = stage.hubspot.write(&writes).await.into_iter().map(done).collect();
    assert!(second.iter().all(|(_, created, _)| !created));
    let ids = |all: &[(String, bool, BTreeMap<String, Raw>)]| -> Vec<String> {
        all.iter().map(|(id, ..)| id.clone()).collect()
    };
    assert_eq!(ids(&first), ids(&second));
    for (n, id) in ids(&first).iter().enumerate() {
        assert_eq!(stage.value(id, "sf_lead_id"), Some(lead(n)));
    }
    // The address belongs to someone else: the record to match is named.
    let clash = upsert(&lead(77), &[("email", "n3@example.com")]);
    let refusal = refused(stage.write(clash).await);
    assert_eq!(refusal.kind, RefusalKind::Duplicate { existing: Some(first[3].0.clone()) });
}

#[tokio::test(start_paused = true)]
async fn a_backward_stage_is_told_or_insisted_on() {
    let stage = Stage::new();
    let id = stage.contact(&[("email", "a@example.com"), ("lifecyclestage", "opportunity")]);
    let forward = update(&id, &[("lifecyclestage", "customer")]);
    done(stage.write(forward).await);
    let mut back = update(&id, &[("lifecyclestage", "lead"), ("city", "Bonn")]);
    let refusal = refused(stage.write(back.clone()).await);
    assert_eq!(
        (refusal.kind, refusal.fields),
        (RefusalKind::Kept, vec!["lifecyclestage".to_owned()])
    );
    assert_eq!(stage.value(&id, "lifecyclestage").as_deref(), Some("customer"));
    back.clear_first = ["lifecyclestage".to_owned()].into();
    let (_, _, echoed) = done(stage.write(back).await);
    assert_eq!(echoed["lifecyclestage"], Raw::text("lead"));
    assert_eq!(stage.value(&id, "lifecyclestage").as_deref(), Some("lead"));
    done(stage.write(update(&id, &[("lifecyclestage", "")])).await);
    assert_eq!(stage.value(&id, "lifecyclestage").unwrap_or_default(), "");
}

#[tokio::test(start_paused = true)]
async fn archiving_twice_is_no_error() {
    let stage = Stage::new();
    let ids = stage.contacts(3);
    for _ in 0..2 {
        let writes: Vec<Write> =
            ids.iter().map(|id| write(Action::Delete { id: id.clone() }, &[])).collect();
        for outcome in stage.hubspot.write(&writes).await {
            done(outcome);
        }
    }
    assert_eq!(stage.sandbox.world().hubspot.archived(Object::Contact).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_primary_company_is_read_and_written() {
    let stage = Stage::new();
    let id = stage.contact(&[("email", "a@example.com")]);
    let companies: Vec<String> = {
        let now = stage.now();
        let account = &mut stage.sandbox.world().hubspot;
        ["A", "B"]
            .map(|name| account.create_as_user(Object::Company, &[("name", name)], FIRST_USER, now))
            .map(|id| id.unwrap().to_string())
            .to_vec()
    };
    let ask = ask(&["email", "associations.companies"]);
    let company = async || {
        let read = stage.hubspot.read(&ask, std::slice::from_ref(&id)).await.unwrap().remove(0);
        read.unwrap().get("associations.companies").clone()
    };
    assert_eq!(company().await, Raw::Null);
    for place in [0, 1, 1, 0] {
        let own = companies[place].as_str();
        let (_, _, echoed) = done(
            stage.write(update(&id, &[("associations.companies", own), ("city", "Bonn")])).await,
        );
        assert_eq!(echoed["associations.companies"], Raw::text(own));
        assert_eq!(company().await, Raw::text(own), "{place}");
    }
    let refusal = refused(stage.write(update(&id, &[("associations.companies", "999999")])).await);
    assert_eq!(refusal.fields, ["associations.companies"]);
    done(stage.write(update(&id, &[("associations.companies", "")])).await);
    assert_ne!(company().await, Raw::text(&companies[0]));
}

#[tokio::test(start_paused = true)]
async fn finding_reads_the_record_or_the_index() {
    let stage = Stage::new();
    let ids = stage.contacts(3);
    done(stage.write(update(&ids[0], &[("sf_lead_id", "00Q1"), ("phone", "ABC")])).await);
    for late in [false, true] {
        for (field, value, fresh) in [
            ("email", "P0@Example.com", true),
            ("sf_lead_id", "00Q1", true),
            ("hs_object_id", ids[0].as_str(), true),
            ("phone", "abc", false),
        ] {
            let values = [value.to_owned(), "nobody@example.com".into(), "77".into()];
            let hits = stage.hubspot.find(&ask(&["email"]), field, &values).await.unwrap();
            let hits: Vec<_> = hits.iter().map(|record| record.key.id.as_str()).collect();
            let expected: &[&str] = if fresh || late { &[&ids[0]] } else { &[] };
            assert_eq!(hits, expected, "{field} {late}");
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    // The index still has the old number; the record does not.
    done(stage.write(update(&ids[0], &[("phone", "7")])).await);
    let hits = stage.hubspot.find(&ask(&[]), "phone", &["abc".to_owned()]).await.unwrap();
    assert!(hits.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_change_is_lost_however_late_the_index_is() {
    let stage = Stage::new();
    {
        let settings = &mut stage.sandbox.world().hubspot.settings;
        settings.search_lag = jiff::SignedDuration::from_secs(50);
        settings.search_lag_varies = true;
    }
    let since = stage.now();
    let mut cursor = None;
    let mut seen = BTreeSet::new();
    let mut ids = Vec::new();
    for round in 0..40 {
        let id = stage.contact(&[("email", &format!("r{round}@example.com"))]);
        ids.push(id);
        tokio::time::sleep(Duration::from_secs(7)).await;
        let (changes, next) = stage.poll(cursor, since).await;
        seen.extend(changes.into_keys());
        cursor = Some(next);
    }
    tokio::time::sleep(Duration::from_secs(55)).await;
    let (changes, next) = stage.poll(cursor, since).await;
    seen.extend(changes.into_keys());
    assert_eq!(seen, ids.into_iter().collect());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let (_, next) = stage.poll(Some(next), since).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(stage.poll(Some(next), since).await.0.is_empty());
}

#[tokio::test(start_paused = true)]
async fn more_than_ten_thousand_changes_are_all_seen() {
    let stage = Stage::new();
    let since = stage.now();
    let ids: BTreeSet<String> = stage.contacts(10_450).into_iter().collect();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (changes, _) = stage.poll(None, since).await;
    assert_eq!(changes.into_keys().collect::<BTreeSet<_>>(), ids);
    let mut cursor = None;
    let mut listed = BTreeSet::new();
    loop {
        let page = stage.hubspot.list(&ask(&["email"]), cursor.as_ref()).await.unwrap();
        assert!(page.seen.iter().all(Option::is_some));
        listed.extend(page.changes.into_iter().map(|change| change.record.id));
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    assert_eq!(listed, ids);
}

#[tokio::test(start_paused = true)]
async fn merges_and_deletions_are_told_apart() {
    let stage = Stage::new();
    let ids = stage.contacts(4);
    let since = stage.now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let number = |place: usize| ids[place].parse::<u64>().unwrap();
    let survivor = {
        let now = stage.now();
        let account = &mut stage.sandbox.world().hubspot;
        account.archive(Object::Contact, number(0), FIRST_USER, now).unwrap();
        account.merge_as_user(Object::Contact, number(1), number(2), FIRST_USER, now).unwrap()
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (changes, _) = stage.poll(None, since).await;
    for id in &ids[1..3] {
        let Some(ChangeKind::Merged { into }) = changes.get(id) else { panic!("{changes:?}") };
        assert_eq!(into.id, survivor.to_string());
    }
    let mut cursor = None;
    let mut gone = BTreeMap::new();
    for _ in 0..2 {
        let page = stage.hubspot.deleted("contacts", cursor.as_ref(), since).await.unwrap();
        assert!(!page.more);
        gone.extend(page.changes.into_iter().map(|change| (change.record.id, change.kind)));
        cursor = Some(page.cursor);
    }
    assert_eq!(gone.get(&ids[0]), Some(&ChangeKind::Deleted));
    assert!(!gone.contains_key(&ids[3]));
}

#[tokio::test(start_paused = true)]
async fn values_are_counted_by_search() {
    let stage = Stage::new();
    for (n, status) in ["NEW", "NEW", "OPEN", ""].into_iter().enumerate() {
        stage.contact(&[("email", &format!("c{n}@example.com")), ("hs_lead_status", status)]);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let values = ["NEW", "OPEN", "CONNECTED"].map(str::to_owned);
    let counts = stage.hubspot.count_by("contacts", "hs_lead_status", &values).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|(value, count)| (value.as_str(), *count)).collect();
    assert_eq!(counts, [("", 1), ("CONNECTED", 0), ("NEW", 2), ("OPEN", 1)]);
}

#[tokio::test(start_paused = true)]
async fn limits_are_kept_by_waiting() {
    let stage = Stage::new();
    stage.sandbox.world().hubspot.limiter.limits = Limits::default();
    let ids = stage.contacts(60);
    for id in &ids {
        for _ in 0..5 {
            stage.hubspot.read(&ask(&["email"]), std::slice::from_ref(id)).await.unwrap();
        }
    }
    for n in 0..20 {
        stage.hubspot.find(&ask(&[]), "phone", &[n.to_string()]).await.unwrap();
    }
    let refused = |stage: &Stage| {
        let world = stage.sandbox.world();
        let counted = world.calls.counted().iter();
        counted.filter(|(key, _)| key.status == Some(429)).map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!(refused(&stage), 0);
}

#[tokio::test(start_paused = true)]
async fn another_app_that_uses_up_the_searches_only_costs_time() {
    let stage = Stage::new();
    let limits = Limits { search: Some(1), ..Limits::default() };
    stage.sandbox.world().hubspot.limiter.limits = limits;
    for n in 0..10 {
        stage.hubspot.find(&ask(&[]), "phone", &[n.to_string()]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn faults_on_reads_only_cost_time() {
    for fault in [
        "too-many-requests",
        "unavailable",
        "html",
        "server-error",
        "empty-body",
        "timeout-after",
        "hang-before",
        "hang-after",
        "cut-after",
        "slow",
    ] {
        let stage = Stage::new();
        let ids = stage.contacts(3);
        stage.fault(fault, 1);
        let read = stage.hubspot.read(&ask(&["email"]), &ids).await;
        let read = read.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert!(read.iter().all(Option::is_some), "{fault}");
        assert!(stage.calls() >= 1, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_done_once_or_said_to_be_unclear() {
    for (fault, lost) in [
        ("unavailable", true),
        ("html", true),
        ("server-error", true),
        ("empty-body", true),
        ("timeout-after", true),
        ("hang-before", true),
        ("hang-after", true),
        ("cut-after", true),
        ("slow", false),
    ] {
        let stage = Stage::new();
        let id = stage.contact(&[("email", "a@example.com")]);
        stage.fault(fault, 1);
        match stage.write(update(&id, &[("city", "Bonn")])).await {
            Outcome::Done { id: same, created: false, .. } if !lost => {
                assert_eq!(same, id, "{fault}");
            }
            Outcome::Unknown(_) if lost => {}
            other => panic!("{fault}: {other:?}"),
        }

        stage.fault(fault, 1);
        let new = upsert("00Q1", &[("email", "b@example.com")]);
        match stage.write(new.clone()).await {
            Outcome::Done { created: true, .. } if !lost => {}
            Outcome::Unknown(error) if lost => {
                assert!(matches!(error.kind, ErrorKind::Retry { .. }), "{fault}: {error}");
            }
            other => panic!("{fault}: {other:?}"),
        }
        done(stage.write(new).await);
        assert_eq!(stage.sandbox.world().hubspot.all(Object::Contact).count(), 2, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_put_off_for_long_is_given_back() {
    for (fault, late) in [("too-many-requests", true), ("locked", false)] {
        let stage = Stage::new();
        let id = stage.contact(&[("email", "a@example.com")]);
        let new = upsert("00Q1", &[("email", "b@example.com")]);
        for write in [update(&id, &[("city", "Bonn")]), new] {
            stage.fault(fault, 1);
            let start = tokio::time::Instant::now();
            match stage.write(write.clone()).await {
                Outcome::Late { left } if late => assert!(left.as_secs() >= 2, "{left:?}"),
                Outcome::NotDone(_) if !late => {}
                other => panic!("{fault}: {other:?}"),
            }
            assert!(start.elapsed().as_secs() < 3, "{fault}: {:?}", start.elapsed());
            tokio::time::sleep(Duration::from_secs(11)).await;
            done(stage.write(write).await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_ends_in_a_word_to_a_person() {
    let stage = Stage::new();
    let id = stage.contact(&[("email", "a@example.com")]);
    stage
        .sandbox
        .world()
        .faults
        .arm("expired-forever", Some(Side::HubSpot), How::Each(1.0))
        .unwrap();
    let error = stage.hubspot.read(&ask(&["email"]), std::slice::from_ref(&id)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::SignIn);
    assert!(error.hint.is_some());
    assert!(!error.to_string().contains("pat-na1"), "{error}");
    assert_eq!(stage.calls(), 2);
    let Outcome::NotDone(error) = stage.write(update(&id, &[("city", "Bonn")])).await else {
        panic!("nothing was written")
    };
    assert_eq!(error.kind, ErrorKind::SignIn);
}

#[tokio::test(start_paused = true)]
async fn a_used_up_day_says_until_when() {
    let stage = Stage::new();
    stage.hubspot.identity().await.unwrap();
    stage.fault("daily-limit", 1);
    let error = stage.hubspot.read(&ask(&["email"]), &["1".to_owned()]).await.unwrap_err();
    let ErrorKind::WaitUntil(until) = error.kind else { panic!("{error:?}") };
    assert!(until > stage.now());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let run = async || {
        let stage = Stage::new();
        let ids = stage.contacts(30);
        let errors = How::Each(0.4);
        stage.sandbox.world().faults.arm("server-error", Some(Side::HubSpot), errors).unwrap();
        let start = tokio::time::Instant::now();
        for id in &ids {
            let _ = stage.hubspot.read(&ask(&["email"]), std::slice::from_ref(id)).await;
        }
        (start.elapsed(), stage.calls())
    };
    assert_eq!(run().await, run().await);
}

#[test]
fn the_window_is_a_setting() {
    let settings = Settings::new().unwrap();
    assert_eq!(settings.base.as_str(), "https://api.hubapi.com/");
    assert_eq!(settings.window, Window { max: 100, per: Duration::from_secs(10) });
}
