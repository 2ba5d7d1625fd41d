use std::cell::Cell;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::sandbox::fault::How;
use crate::sandbox::hubspot::ui::FIRST_USER;
use crate::sandbox::hubspot::write::By;
use crate::sandbox::{Sandbox, SandboxClock};

const URL: &str = "https://sync.example.com/webhooks/hubspot?x=a%3Ab";

/// A sandbox whose private app hears everything.
struct Rig {
    sandbox: Sandbox,
    now: Cell<Timestamp>,
}

impl Rig {
    fn new() -> Self {
        let start: Timestamp = "2026-05-01T08:00:00Z".parse().unwrap();
        let sandbox = Sandbox::new(3, SandboxClock::starting_at(start));
        {
            let mut world = sandbox.world();
            let account = &mut world.hubspot;
            let app = account.webhooks.app_mut(PRIVATE_APP).unwrap();
            app.set_target_url(Some(URL)).unwrap();
            account.subscribe_to_everything(PRIVATE_APP, start).unwrap();
        }
        Self { sandbox, now: Cell::new(start) }
    }

    fn now(&self) -> Timestamp {
        self.now.get()
    }

    fn pass(&self, seconds: i64) {
        self.now.set(self.now() + SignedDuration::from_secs(seconds));
    }

    fn due(&self) -> Vec<Delivery> {
        self.sandbox.world().webhooks_due(self.now())
    }

    fn answer(&self, delivery: &Delivery, status: u16) {
        let status = StatusCode::from_u16(status).unwrap();
        self.sandbox.world().webhook_answered(delivery.id, Ok(status), self.now());
    }

    fn create(&self, email: &str) -> u64 {
        let values = [("email", email)];
        let now = self.now();
        let mut world = self.sandbox.world();
        world.hubspot.create_as_user(Object::Contact, &values, FIRST_USER, now).unwrap()
    }

    fn edit(&self, id: u64, name: &str, value: &str) {
        let now = self.now();
        let mut world = self.sandbox.world();
        world.hubspot.edit_as_user(Object::Contact, id, &[(name, value)], FIRST_USER, now).unwrap();
    }

    fn arm(&self, name: &str, how: How) {
        self.sandbox.world().faults.arm(name, None, how).unwrap();
    }

    /// Takes and answers everything that is due now.
    fn drain(&self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let due = self.due();
            if due.is_empty() {
                return all;
            }
            for delivery in due {
                self.answer(&delivery, 200);
                all.extend(events(&delivery));
            }
        }
    }
}

fn events(delivery: &Delivery) -> Vec<Value> {
    serde_json::from_slice(delivery.request.body()).unwrap()
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> &'a str {
    delivery.request.headers()[name].to_str().unwrap()
}

fn kinds(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .map(|event| {
            let kind = event["subscriptionType"].as_str().unwrap();
            match event["propertyName"].as_str() {
                Some(name) => format!("{kind} {name}={}", event["propertyValue"].as_str().unwrap()),
                None => kind.to_owned(),
            }
        })
        .collect()
}

fn is_genuine(delivery: &Delivery) -> bool {
    let body = delivery.request.body();
    let timestamp: i64 = header(delivery, "x-hubspot-request-timestamp").parse().unwrap();
    let v1 = header(delivery, "x-hubspot-signature") == sign::v1(PRIVATE_APP_SECRET, body);
    let v3 = header(delivery, "x-hubspot-signature-v3")
        == sign::v3(PRIVATE_APP_SECRET, "POST", URL, body, timestamp);
    assert_eq!(v1, v3);
    v1
}

#[test]
fn an_edit_is_told_with_its_source() {
    let rig = Rig::new();
    let id = rig.create("ada@example.com");
    let told = rig.drain();
    insta::assert_snapshot!(kinds(&told).join("\n"), @r"
    contact.propertyChange lifecyclestage=lead
    contact.propertyChange hs_pipeline=contacts-lifecycle-pipeline
    contact.propertyChange email=ada@example.com
    contact.creation
    ");
    rig.edit(id, "hs_lead_status", "OPEN");
    rig.edit(id, "hs_lead_status", "");
    let told = rig.drain();
    assert_eq!(
        kinds(&told),
        ["contact.propertyChange hs_lead_status=OPEN", "contact.propertyChange hs_lead_status="]
    );
    let mut event = told[0].clone();
    event["subscriptionId"] = 0.into();
    event["eventId"] = 0.into();
    insta::assert_snapshot!(event.to_string(), @r#"{"eventId":0,"subscriptionId":0,"portalId":44237313,"appId":19083857,"occurredAt":1777622400000,"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":101000000001,"propertyName":"hs_lead_status","propertyValue":"OPEN","changeSource":"CRM_UI","sourceId":"userId:51001"}"#);
    let now = rig.now();
    {
        let mut world = rig.sandbox.world();
        let app = By::app(PRIVATE_APP, now);
        let values = vec![("jobtitle".to_owned(), "CTO".to_owned())];
        world.hubspot.update(Object::Contact, id, &values, &app).unwrap();
        // What the platform computes is not told.
        world.hubspot.compute(Object::Contact, id, &[("hubspotscore", "7")], now).unwrap();
    }
    let told = rig.drain();
    assert_eq!(kinds(&told), ["contact.propertyChange jobtitle=CTO"]);
    assert_eq!(told[0]["changeSource"], "INTEGRATION");
    assert_eq!(told[0]["sourceId"], PRIVATE_APP.to_string());
}

#[test]
fn ends_and_edges_are_told() {
    let rig = Rig::new();
    let (a, b) = (rig.create("a@example.com"), rig.create("b@example.com"));
    let now = rig.now();
    let company = {
        let mut world = rig.sandbox.world();
        let account = &mut world.hubspot;
        account.create_as_user(Object::Company, &[("name", "Acme")], FIRST_USER, now).unwrap()
    };
    rig.drain();
    let step = |work: &dyn Fn(&mut Account)| {
        work(&mut rig.sandbox.world().hubspot);
        rig.drain()
    };
    let edge = ((Object::Contact, a), (Object::Company, company));
    let told = step(&|account| account.associate_as_user(edge.0, edge.1, FIRST_USER, now).unwrap());
    let shown: Vec<String> = told
        .iter()
        .map(|event| {
            assert!(event.get("objectId").is_none());
            format!("{} {}", event["associationType"], event["isPrimaryAssociation"])
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    "CONTACT_TO_COMPANY" false
    "COMPANY_TO_CONTACT" false
    "CONTACT_TO_COMPANY" true
    "COMPANY_TO_CONTACT" true
    "#);
    let told = step(&|account| {
        assert!(account.dissociate_as_user(edge.0, edge.1, FIRST_USER, now));
    });
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|event| event["associationRemoved"] == true));
    let told = step(&|account| account.archive(Object::Contact, a, FIRST_USER, now).unwrap());
    assert_eq!((told[0]["changeFlag"].as_str(), told.len()), (Some("DELETED"), 1));
    let told = step(&|account| account.restore(Object::Contact, a, FIRST_USER, now).unwrap());
    assert_eq!(told[0]["changeFlag"], "RESTORED");
    let told = step(&|account| {
        account.merge_as_user(Object::Contact, a, b, FIRST_USER, now).unwrap();
    });
    assert_eq!(kinds(&told), ["contact.merge", "contact.deletion", "contact.deletion"]);
    assert_eq!(told[0]["primaryObjectId"], a);
    assert_eq!(told[0]["mergedObjectIds"], serde_json::json!([b]));
    let survivor = told[0]["newObjectId"].as_u64().unwrap();
    assert!(survivor != a && survivor != b);
    let told = step(&|account| account.erase_contact(survivor, FIRST_USER, now));
    assert_eq!(kinds(&told), ["contact.privacyDeletion", "contact.deletion"]);
}

#[test]
fn generic_types_carry_the_kind() {
    let rig = Rig::new();
    let now = rig.now();
    {
        let mut world = rig.sandbox.world();
        let hooks = &mut world.hubspot.webhooks;
        hooks.install(7, "another");
        hooks.app_mut(7).unwrap().set_target_url(Some("http://127.0.0.1:1/x")).unwrap();
        for (kind, property) in
            [("object.creation", None), ("object.propertyChange", Some("email"))]
        {
            hooks.subscribe(7, kind, property, Some("0-1"), true, now).unwrap();
        }
    }
    rig.create("ada@example.com");
    let due = rig.due();
    let generic: Vec<&Delivery> = due.iter().filter(|delivery| delivery.app == 7).collect();
    let told = events(generic[0]);
    assert_eq!(kinds(&told), ["object.propertyChange email=ada@example.com", "object.creation"]);
    assert!(told.iter().all(|event| event["objectTypeId"] == "0-1"));
}

#[test]
fn subscriptions_are_checked() {
    let rig = Rig::new();
    let now = rig.now();
    let mut world = rig.sandbox.world();
    let hooks = &mut world.hubspot.webhooks;
    let mut refused = |kind: &str, property: Option<&str>, object: Option<&str>| {
        let done = hooks.subscribe(PRIVATE_APP, kind, property, object, true, now);
        done.unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused("contact.changed", None, None), @"`contact.changed` is no type of event; one is contact.propertyChange");
    insta::assert_snapshot!(refused("product.associationChange", None, None), @"`product.associationChange` is no type of event; one is contact.propertyChange");
    insta::assert_snapshot!(refused("contact.propertyChange", None, None), @"contact.propertyChange: found propertyName None; only propertyChange takes one, and needs it");
    insta::assert_snapshot!(refused("company.propertyChange", Some("hs_lastmodifieddate"), None), @"no app can subscribe to changes of hs_lastmodifieddate");
    insta::assert_snapshot!(refused("object.creation", None, None), @"object.creation: found objectTypeId None; object.* types need one such as 0-1");
    assert!(refused("contact.creation", None, None).contains("already"));
    let app = hooks.app_mut(PRIVATE_APP).unwrap();
    insta::assert_snapshot!(app.set_target_url(Some("sync.example.com")).unwrap_err().to_string(), @"`sync.example.com` is no absolute http or https URL; one is https://sync.example.com/webhooks/hubspot");
}

#[test]
fn at_most_ten_deliveries_of_at_most_a_hundred_events_fly() {
    let rig = Rig::new();
    let id = rig.create("ada@example.com");
    rig.drain();
    for at in 0..1250 {
        rig.edit(id, "jobtitle", &format!("title {at}"));
    }
    let due = rig.due();
    assert_eq!(due.len(), 10);
    assert!(due.iter().all(|delivery| delivery.events == 100 && is_genuine(delivery)));
    assert!(rig.due().is_empty(), "all places are taken");
    rig.answer(&due[3], 204);
    let more = rig.due();
    assert_eq!(more.len(), 1);
    let tally = rig.sandbox.world().hubspot.webhooks.tally();
    assert_eq!((tally.queued, tally.in_flight, tally.arrived), (150, 10, 2));
}

#[test]
fn a_delivery_is_tried_eleven_times_within_a_day() {
    let rig = Rig::new();
    rig.create("ada@example.com");
    let start = rig.now();
    let mut spaces = Vec::new();
    let mut stamps = Vec::new();
    let mut last = start;
    for attempt in 0..=10 {
        let at = rig.sandbox.world().webhooks_wake().unwrap();
        rig.now.set(at.max(rig.now()));
        let due = rig.due();
        assert_eq!(due.len(), 1);
        let delivery = &due[0];
        assert_eq!(delivery.attempt, attempt);
        assert!(is_genuine(delivery), "signed anew, with a timestamp of its own");
        assert!(events(delivery).iter().all(|event| event["attemptNumber"] == attempt));
        stamps.push(header(delivery, "x-hubspot-request-timestamp").to_owned());
        spaces.push(rig.now().duration_since(last).as_secs());
        last = rig.now();
        match attempt % 3 {
            0 => rig.answer(delivery, 503),
            1 => rig.sandbox.world().webhook_answered(
                delivery.id,
                Err(Unanswered::Broken),
                rig.now(),
            ),
            // No answer at all: five seconds later it counts as failed.
            _ => {
                let until = rig.sandbox.world().webhooks_wake().unwrap();
                assert_eq!(until.duration_since(rig.now()), SignedDuration::from_secs(5));
                rig.pass(5);
                assert!(rig.due().is_empty());
            }
        }
    }
    stamps.dedup();
    assert_eq!(stamps.len(), 11);
    assert!(spaces[2..].windows(2).all(|w| w[1] > w[0] / 2), "{spaces:?}");
    assert!(last.duration_since(start) <= SignedDuration::from_hours(24), "{spaces:?}");
    assert!(last.duration_since(start) >= SignedDuration::from_hours(11), "{spaces:?}");
    assert_eq!(rig.sandbox.world().webhooks_wake(), None);
    let tally = rig.sandbox.world().hubspot.webhooks.tally();
    assert_eq!((tally.failed, tally.given_up, tally.arrived), (11, 1, 0));
}

#[test]
fn each_fault_strikes() {
    let rig = Rig::new();
    let id = rig.create("ada@example.com");
    rig.drain();
    let edits = |from: u32| {
        for at in from..from + 20 {
            rig.edit(id, "jobtitle", &format!("title {at:02}"));
        }
    };
    rig.arm("webhooks-shuffled", How::Next(1));
    edits(0);
    let told = kinds(&rig.drain());
    let mut sorted = told.clone();
    sorted.sort();
    assert_ne!(told, sorted);
    assert_eq!(told.len(), 20);

    rig.arm("webhooks-duplicated", How::Next(1));
    edits(20);
    let first = rig.drain();
    rig.pass(30);
    assert_eq!(rig.drain(), first, "the same events once more");

    rig.arm("webhooks-late", How::Next(1));
    edits(40);
    assert!(rig.drain().is_empty());
    rig.pass(300);
    assert_eq!(rig.drain().len(), 20);

    rig.arm("webhooks-lost", How::Next(1));
    edits(60);
    assert!(rig.drain().is_empty());
    assert_eq!(rig.sandbox.world().webhooks_wake(), None);

    rig.arm("webhooks-forged", How::Next(1));
    edits(80);
    let due = rig.due();
    assert_eq!(due.len(), 2);
    for delivery in &due {
        assert_eq!(is_genuine(delivery), delivery.genuine);
        // Nobody repeats a forgery that was refused.
        rig.answer(delivery, if delivery.genuine { 200 } else { 401 });
    }
    assert_eq!(rig.sandbox.world().webhooks_wake(), None);

    rig.arm("webhooks-repeated", How::Next(1));
    edits(100);
    let first = rig.due();
    rig.answer(&first[0], 200);
    rig.pass(720);
    let again = rig.due();
    assert!(!again[0].genuine && is_genuine(&again[0]));
    for name in ["x-hubspot-request-timestamp", "x-hubspot-signature-v3"] {
        assert_eq!(header(&again[0], name), header(&first[0], name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever goes wrong on the way, an event that no fault loses arrives.
    #[test]
    fn every_event_arrives(seed: u64) {
        let mut chance = fastrand::Rng::with_seed(seed);
        let rig = Rig::new();
        for fault in ["shuffled", "duplicated", "late", "forged", "repeated"] {
            rig.arm(&format!("webhooks-{fault}"), How::Each(0.2));
        }
        let id = rig.create("ada@example.com");
        let mut told = BTreeSet::new();
        let mut arrived = BTreeSet::new();
        for round in 0..60 {
            let busy = round < 40;
            for _ in 0..if busy { chance.u32(0..60) } else { 0 } {
                let title = format!("title {}", told.len());
                rig.edit(id, "jobtitle", &title);
                told.insert(title);
            }
            for delivery in rig.due() {
                prop_assert!(delivery.events <= 100 && delivery.attempt <= 10);
                let status = if busy { chance.u16(0..3) } else { 0 };
                match status {
                    0 => {
                        if delivery.genuine {
                            let titles = events(&delivery).into_iter().filter_map(|event| {
                                event["propertyValue"].as_str().map(str::to_owned)
                            });
                            arrived.extend(titles);
                        }
                        rig.answer(&delivery, 200);
                    }
                    1 => rig.answer(&delivery, chance.u16(400..600)),
                    _ => {}
                }
            }
            rig.pass(if busy { chance.i64(0..20) } else { 3600 });
        }
        for title in &told {
            prop_assert!(arrived.contains(title), "{title} never arrived");
        }
        let tally = rig.sandbox.world().hubspot.webhooks.tally();
        prop_assert_eq!((tally.queued, tally.waiting, tally.given_up), (0, 0, 0));
    }
}
