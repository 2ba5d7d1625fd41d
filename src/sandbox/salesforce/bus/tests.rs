use std::cell::{Cell, RefCell};

use apache_avro::Schema as Avro;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Decoded;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::sandbox::fault::How;
use crate::sandbox::salesforce::changes::Channel;
use crate::sandbox::salesforce::dml::Write;
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::oauth::CLIENT_ID;
use crate::sandbox::salesforce::schema::Field;
use crate::sandbox::salesforce::ui::Conversion;
use crate::sandbox::{Sandbox, SandboxClock};

const LEADS: &str = "/data/LeadChangeEvent";
const ALL: &str = "/data/ChangeEvents";

/// An org and a signed-in subscriber.
struct Rig {
    sandbox: Sandbox,
    caller: Caller,
    now: Cell<Timestamp>,
    schemas: RefCell<BTreeMap<String, (Avro, Value)>>,
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn want(topic: &str, count: i32) -> FetchRequest {
    FetchRequest { topic_name: topic.to_owned(), num_requested: count, ..FetchRequest::default() }
}

fn after(topic: &str, replay: &[u8]) -> FetchRequest {
    FetchRequest { replay_preset: Preset::Custom, replay_id: replay.to_vec(), ..want(topic, 100) }
}

impl Rig {
    fn new() -> Self {
        let start: Timestamp = "2026-05-01T08:00:00Z".parse().unwrap();
        let sandbox = Sandbox::new(3, SandboxClock::starting_at(start));
        let caller = {
            let mut world = sandbox.world();
            let World { salesforce: org, random, .. } = &mut *world;
            let (id, user) = (org.id.clone(), org.staff.integration.clone());
            org.record_events();
            Caller {
                access_token: org.auth.open_session(&id, start, &user, CLIENT_ID, random),
                instance_url: "https://sandbox.my.salesforce.com".to_owned(),
                tenant_id: id.to_string(),
            }
        };
        Self { sandbox, caller, now: Cell::new(start), schemas: RefCell::default() }
    }

    fn now(&self) -> Timestamp {
        self.now.get()
    }

    fn pass(&self, seconds: i64) {
        self.now.set(self.now() + SignedDuration::from_secs(seconds));
    }

    fn arm(&self, name: &str) {
        self.sandbox.world().faults.arm(name, None, How::Next(1)).unwrap();
    }

    fn subscribe(&self, request: &FetchRequest) -> Result<Subscription, BusError> {
        self.sandbox.world().event_subscribe(&self.caller, request, self.now())
    }

    fn next(&self, stream: &mut Subscription) -> Next {
        stream.next(&mut self.sandbox.world(), self.now())
    }

    fn response(&self, stream: &mut Subscription) -> FetchResponse {
        match self.next(stream) {
            Next::Response(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn failed(&self, stream: &mut Subscription) -> BusError {
        match self.next(stream) {
            Next::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    fn events(&self, stream: &mut Subscription) -> Vec<Shown> {
        self.response(stream).events.iter().map(|event| self.show(event)).collect()
    }

    /// An integration's write through the REST API, its transaction included.
    fn write<T>(&self, work: impl FnOnce(&mut Org, &Write) -> T) -> T {
        let mut world = self.sandbox.world();
        let org = &mut world.salesforce;
        org.begin(self.now());
        let user = org.staff.integration.clone();
        let client = Some("lockstep".to_owned());
        let write =
            Write { channel: Channel::Rest(660), client, ..Write::by_person(self.now(), &user) };
        work(org, &write)
    }

    fn lead(&self, last: &str) -> Id {
        let values = map(json!({"LastName": last, "Company": "Acme", "Email": "a@example.com"}));
        self.write(|org, write| org.create(write, "Lead", &values).unwrap())
    }

    fn edit(&self, object: &str, id: &str, values: Value) {
        self.write(|org, write| org.update(write, object, id, &map(values)).unwrap());
    }

    fn show(&self, event: &Delivered) -> Shown {
        let mut schemas = self.schemas.borrow_mut();
        let (avro, schema) = schemas.entry(event.schema_id.clone()).or_insert_with(|| {
            let mut world = self.sandbox.world();
            let schema = world.event_schema(&self.caller, &event.schema_id, self.now()).unwrap();
            let json = serde_json::from_str(&schema.json).unwrap();
            (Avro::parse_str(&schema.json).unwrap(), json)
        });
        let mut bytes = &event.payload[..];
        let reader = GenericDatumReader::builder(avro).build().unwrap();
        let decoded = reader.read_value(&mut bytes).unwrap();
        assert!(bytes.is_empty(), "nothing is left behind the datum");
        let Value::Object(mut body) = plain(&decoded) else { panic!("no record") };
        let header = body.remove("ChangeEventHeader").unwrap();
        let changed = paths(schema, &header["changedFields"]);
        Shown { id: event.id.clone(), header, body, changed, replay: event.replay_id }
    }
}

/// An event, decoded by another implementation of Avro.
struct Shown {
    id: String,
    header: Value,
    body: Map<String, Value>,
    changed: Vec<String>,
    replay: [u8; 8],
}

impl Shown {
    fn kind(&self) -> String {
        let text = |name: &str| self.header[name].as_str().unwrap().to_owned();
        format!("{} {}", text("entityName"), text("changeType"))
    }

    fn bits(&self, which: &str) -> String {
        let items = self.header[which].as_array().unwrap();
        items.iter().map(|item| item.as_str().unwrap()).collect::<Vec<_>>().join(" ")
    }
}

/// Nulls left out.
fn plain(value: &Decoded) -> Value {
    match value {
        Decoded::Record(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .filter(|(_, value)| !value.is_null())
            .collect::<Map<_, _>>()
            .into(),
        Decoded::Union(_, value) => plain(value),
        Decoded::Array(items) => items.iter().map(plain).collect(),
        Decoded::String(text) | Decoded::Enum(_, text) => json!(text),
        Decoded::Int(number) => json!(number),
        Decoded::Long(number) => json!(number),
        Decoded::Double(number) => json!(number),
        Decoded::Boolean(truth) => json!(truth),
        Decoded::Null => Value::Null,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_create_and_its_header() {
    let rig = Rig::new();
    let mut stream = rig.subscribe(&want(LEADS, 10)).unwrap();
    assert_eq!(rig.next(&mut stream), Next::Wait(Some(rig.now() + SignedDuration::from_secs(60))));
    let lead = rig.lead("Okafor");
    let response = rig.response(&mut stream);
    assert_eq!(response.pending_num_requested, 9);
    assert_eq!(response.latest_replay_id, response.events[0].replay_id);
    let event = rig.show(&response.events[0]);
    assert_eq!(event.header["recordIds"], json!([&*lead]));
    assert_eq!(event.bits("changedFields"), "");
    let mut header = event.header.clone();
    header["transactionKey"] = Value::Null;
    insta::assert_snapshot!(header.to_string(), @r#"{"entityName":"Lead","recordIds":["00QLs0000000001MAA"],"changeType":"CREATE","changeOrigin":"com/salesforce/api/rest/66.0;client=lockstep","transactionKey":null,"sequenceNumber":1,"commitTimestamp":1777622400000,"commitNumber":1725346778429841410,"commitUser":"005Ls0000000001IAA","nulledFields":[],"diffFields":[],"changedFields":[]}"#);
    insta::assert_snapshot!(Value::Object(event.body).to_string(), @r#"{"LastModifiedById":"005Ls0000000001IAA","Name":{"LastName":"Okafor"},"Company":"Acme","Email":"a@example.com","Status":"Open - Not Contacted","OwnerId":"005Ls0000000001IAA","HasOptedOutOfEmail":false,"IsConverted":false,"IsUnreadByOwner":true,"CreatedDate":1777622400000,"CreatedById":"005Ls0000000001IAA","LastModifiedDate":1777622400000}"#);
}

#[test]
fn updates_have_the_documented_bits() {
    let rig = Rig::new();
    let account = rig.write(|org, write| {
        org.create(write, "Account", &map(json!({"Name": "Acme", "Fax": "1"}))).unwrap()
    });
    rig.pass(5);
    let mut stream = rig.subscribe(&want("/data/AccountChangeEvent", 100)).unwrap();
    let long: Vec<String> = (0..40).map(|at| format!("line {at} of a long description")).collect();
    let long = long.join("\n");
    let steps = [
        (json!({"Industry": "Energy"}), "0x400800", "", ""),
        (json!({"Fax": null}), "0x400080", "0x80", ""),
        (json!({"BillingStreet": "1 Main St"}), "0x400000 4-0x01", "", ""),
        (
            json!({"BillingStreet": null, "BillingCity": "Oslo", "ShippingCountry": "Norway"}),
            "0x400000 4-0x03 5-0x10",
            "4-0x01",
            "",
        ),
        (json!({"Description": long}), "0x410000", "", ""),
        (json!({"Description": long.replace("line 7 ", "line 8 ")}), "0x410000", "", "0x010000"),
        (json!({"Description": null, "NumberOfEmployees": 12}), "0x412000", "0x010000", ""),
    ];
    for (values, changed, nulled, diff) in steps {
        rig.edit("Account", &account, values.clone());
        let events = rig.events(&mut stream);
        assert_eq!(events.len(), 1);
        let bits = ["changedFields", "nulledFields", "diffFields"].map(|at| events[0].bits(at));
        assert_eq!(bits, [changed, nulled, diff], "{values}");
        assert!(events[0].body.contains_key("LastModifiedDate"));
    }
    rig.edit("Account", &account, json!({"AnnualRevenue": 1.5, "BillingCity": "Bergen"}));
    let body = Value::Object(rig.events(&mut stream).remove(0).body).to_string();
    insta::assert_snapshot!(body, @r#"{"LastModifiedDate":1777622405000,"BillingAddress":{"City":"Bergen"},"AnnualRevenue":2.0}"#);
}

#[test]
fn documented_orders_come_first_and_published_schemas_parse() {
    let rig = Rig::new();
    let topic = |name: &str| {
        let mut world = rig.sandbox.world();
        let topic = world.event_topic(&rig.caller, name, rig.now()).unwrap();
        let schema = world.event_schema(&rig.caller, &topic.schema_id, rig.now()).unwrap();
        let json: Value = serde_json::from_str(&schema.json).unwrap();
        assert_eq!(json["uuid"], schema.id);
        Avro::parse_str(&schema.json).unwrap();
        let names: Vec<String> = json["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| field["name"].as_str().unwrap().to_owned())
            .collect();
        (topic.schema_id, names)
    };
    for (object, place, name) in [
        ("Lead", 12, "Status"),
        ("Lead", 27, "LastModifiedDate"),
        ("Lead", 41, "GenderIdentity"),
        ("Contact", 4, "MailingAddress"),
        ("Contact", 36, "GenderIdentity"),
        ("Account", 22, "LastModifiedDate"),
        ("Account", 35, "OperatingHoursId"),
        ("Opportunity", 5, "StageName"),
        ("Opportunity", 30, "LastCloseDateChangedHistoryId"),
    ] {
        let (_, names) = topic(&format!("/data/{object}ChangeEvent"));
        assert_eq!(names[0], "ChangeEventHeader");
        assert_eq!(names[place], name, "{object}");
    }
    let (before, names) = topic(LEADS);
    assert!(!names.iter().any(|name| matches!(name.as_str(), "City" | "FirstName" | "IsDeleted")));
    let field = Field::number("Score__c", "Score", 18, 0);
    rig.sandbox.world().salesforce.define_field(rig.now(), "Lead", field);
    let (after, more) = topic(LEADS);
    assert_ne!(before, after);
    assert_eq!(more[..names.len()], names);
    assert_eq!(more[names.len()..], ["Score__c"]);
    // The old one is still there for old events.
    assert!(rig.sandbox.world().event_schema(&rig.caller, &before, rig.now()).is_ok());
    assert_eq!(topic("/data/TaskChangeEvent").1[1], "WhoId");
}

#[test]
fn a_conversion_is_one_transaction() {
    let rig = Rig::new();
    let lead = rig.lead("Okafor");
    rig.pass(5);
    let mut stream = rig.subscribe(&want(ALL, 100)).unwrap();
    {
        let mut world = rig.sandbox.world();
        let user = world.salesforce.staff.sales[0].clone();
        let how = Conversion::default();
        world.salesforce.convert_lead(rig.now(), &user, &lead, &how).unwrap();
    }
    let events = rig.events(&mut stream);
    let shown: Vec<String> = events
        .iter()
        .map(|e| {
            [e.kind(), e.header["sequenceNumber"].to_string(), e.bits("changedFields")]
                .join(" ")
                .trim_end()
                .to_owned()
        })
        .collect();
    // The contact role between them is not selected: a gap in the numbers.
    insta::assert_snapshot!(shown.join("\n"), @r"
    Account CREATE 1
    Contact CREATE 2
    Opportunity CREATE 3
    Lead UPDATE 5 0x19F81000
    ");
    assert!(
        events.windows(2).all(|w| w[0].header["transactionKey"] == w[1].header["transactionKey"])
    );
    assert_eq!(
        events[0].header["changeOrigin"],
        "com/salesforce/api/soap/60.0;client=SfdcInternalAPI/"
    );
}

#[test]
fn merges_bins_and_equal_changes() {
    let rig = Rig::new();
    let (a, b) = (rig.lead("One"), rig.lead("Two"));
    rig.pass(5);
    let mut stream = rig.subscribe(&want(LEADS, 100)).unwrap();
    let now = rig.now();
    let act = |work: &dyn Fn(&mut Org, &Id)| {
        let mut world = rig.sandbox.world();
        let user = world.salesforce.staff.sales[0].clone();
        work(&mut world.salesforce, &user);
    };
    let kinds = |stream: &mut Subscription| -> Vec<String> {
        let events = rig.events(stream);
        events
            .iter()
            .map(|e| format!("{} {}", e.kind(), e.header["recordIds"].as_array().unwrap().len()))
            .collect()
    };
    act(&|org, user| {
        org.merge(now, user, &a, std::slice::from_ref(&b), &map(json!({"Title": "CTO"}))).unwrap()
    });
    assert_eq!(kinds(&mut stream), ["Lead DELETE 1", "Lead UPDATE 1"]);
    act(&|org, user| org.person_deletes(now, user, &a).unwrap());
    assert_eq!(kinds(&mut stream), ["Lead DELETE 1"]);
    act(&|org, user| org.person_undeletes(now, user, &a).unwrap());
    let back = rig.events(&mut stream).remove(0);
    assert_eq!(back.kind(), "Lead UNDELETE");
    assert_eq!(back.body["Title"], "CTO");
    // A hard delete is told to nobody: only the way into the bin is.
    act(&|org, user| org.person_hard_deletes(now, user, &a).unwrap());
    assert_eq!(kinds(&mut stream), ["Lead DELETE 1"]);
    // The same change of many records in one transaction is one event.
    let many: Vec<Id> = (0..5).map(|at| rig.lead(&format!("L{at}"))).collect();
    rig.events(&mut stream);
    rig.pass(5);
    rig.write(|org, write| {
        for id in &many {
            org.update(write, "Lead", id, &map(json!({"Rating": "Hot"}))).unwrap();
        }
    });
    assert_eq!(kinds(&mut stream), ["Lead UPDATE 5"]);
    // Two writes to one record in one transaction are one event with the last values.
    rig.write(|org, write| {
        org.update(write, "Lead", &many[0], &map(json!({"Title": "A", "Rating": "Cold"}))).unwrap();
        org.update(write, "Lead", &many[0], &map(json!({"Title": "B"}))).unwrap();
    });
    let event = rig.events(&mut stream).remove(0);
    assert_eq!((&event.body["Title"], &event.body["Rating"]), (&json!("B"), &json!("Cold")));
    // What is rolled back was never there.
    rig.write(|org, write| {
        let start = org.savepoint();
        org.update(write, "Lead", &many[0], &map(json!({"Title": "C"}))).unwrap();
        org.roll_back(start);
    });
    assert!(matches!(rig.next(&mut stream), Next::Wait(_)));
}

#[test]
fn flow_control_keepalives_and_closing() {
    let rig = Rig::new();
    let mut stream = rig.subscribe(&want(LEADS, 3)).unwrap();
    for at in 0..5 {
        rig.lead(&format!("L{at}"));
    }
    assert_eq!(rig.events(&mut stream).len(), 3);
    assert_eq!(rig.next(&mut stream), Next::Wait(Some(rig.now() + SignedDuration::from_secs(60))));
    let more = |stream: &mut Subscription, topic: &str, count: i32| {
        stream.request(&mut rig.sandbox.world(), &want(topic, count), rig.now())
    };
    rig.pass(59);
    more(&mut stream, "", 250).unwrap();
    let response = rig.response(&mut stream);
    assert_eq!((response.events.len(), response.pending_num_requested), (2, 98), "capped at 100");
    rig.pass(60);
    let alive = rig.response(&mut stream);
    assert!(alive.events.is_empty());
    assert!(alive.latest_replay_id > response.latest_replay_id, "a quiet stream moves on");
    assert!(rig.subscribe(&after(LEADS, &alive.latest_replay_id)).is_ok());
    let error = more(&mut stream, ALL, 5).unwrap_err();
    assert_eq!(
        error.code.unwrap(),
        "sfdc.platform.eventbus.grpc.subscription.fetch.topic.mismatch"
    );
    assert_eq!(rig.next(&mut stream), Next::Closed);
    // Nothing requested for a minute: the server closes.
    let mut stream = rig.subscribe(&want(LEADS, 1)).unwrap();
    rig.lead("Last");
    rig.events(&mut stream);
    rig.pass(60);
    assert_eq!(rig.next(&mut stream), Next::Closed);
}

#[test]
fn replay_begins_where_it_is_told() {
    let rig = Rig::new();
    let ids: Vec<Id> = (0..4).map(|at| rig.lead(&format!("L{at}"))).collect();
    let earliest = FetchRequest { replay_preset: Preset::Earliest, ..want(LEADS, 100) };
    let all = rig.events(&mut rig.subscribe(&earliest).unwrap());
    assert_eq!(all.len(), 4);
    let numbers: Vec<u64> = all.iter().map(|e| u64::from_be_bytes(e.replay)).collect();
    assert!(numbers.windows(2).all(|w| w[0] < w[1]));
    assert!(numbers.windows(2).any(|w| w[1] > w[0] + 1), "not contiguous: {numbers:?}");
    let rest = rig.events(&mut rig.subscribe(&after(LEADS, &all[1].replay)).unwrap());
    assert_eq!(rest[0].header["recordIds"][0], &*ids[2]);
    assert_eq!(rest.len(), 2);
    for (bad, code) in [
        (&b""[..], "validation.failed"),
        (b"\x01\x02", "corrupted"),
        (&(numbers[0] + 1_000_000).to_be_bytes(), "corrupted"),
        (&3_u64.to_be_bytes(), "corrupted"),
    ] {
        let error = rig.subscribe(&after(LEADS, bad)).unwrap_err();
        assert_eq!(error.status, 3);
        assert!(error.code.unwrap().ends_with(&format!("subscription.fetch.replayid.{code}")));
    }
    rig.pass(72 * 3600 + 1);
    let caller = {
        let mut world = rig.sandbox.world();
        let World { salesforce: org, random, .. } = &mut *world;
        let (id, user) = (org.id.clone(), org.staff.integration.clone());
        let access_token = org.auth.open_session(&id, rig.now(), &user, CLIENT_ID, random);
        Caller { access_token, ..rig.caller.clone() }
    };
    let mut world = rig.sandbox.world();
    let error = world.event_subscribe(&caller, &after(LEADS, &all[3].replay), rig.now());
    assert!(error.unwrap_err().code.unwrap().ends_with("replayid.corrupted"), "too old");
}

#[test]
fn topics_and_channels() {
    let rig = Rig::new();
    rig.sandbox.world().salesforce.bus.add_channel("Sync__chn", &["Contact", "Campaign"]);
    let mut channel = rig.subscribe(&want("/data/Sync__chn", 10)).unwrap();
    let mut all = rig.subscribe(&want(ALL, 10)).unwrap();
    rig.lead("Okafor");
    rig.write(|org, write| {
        org.create(write, "Contact", &map(json!({"LastName": "Tanaka"}))).unwrap();
        org.create(write, "Campaign", &map(json!({"Name": "Spring"}))).unwrap();
    });
    let kinds = |stream: &mut Subscription| -> Vec<String> {
        rig.events(stream).iter().map(Shown::kind).collect()
    };
    assert_eq!(kinds(&mut channel), ["Contact CREATE", "Campaign CREATE"]);
    assert_eq!(kinds(&mut all), ["Lead CREATE", "Contact CREATE"]);
    for topic in
        ["/data/leadChangeEvent", "/data/Nothing__chn", "/event/X__e", "/data/UserChangeEvent"]
    {
        let error = rig.subscribe(&want(topic, 1)).unwrap_err();
        assert_eq!(error.status, 5);
        assert!(error.code.unwrap().ends_with("topic.not.found"), "{topic}");
    }
    let error = rig.subscribe(&want(LEADS, 0)).unwrap_err();
    assert!(error.code.unwrap().ends_with("fetch.requested.events.invalid"));
}

#[test]
fn callers_are_checked() {
    let rig = Rig::new();
    let refused = |change: &dyn Fn(&mut Caller)| {
        let mut caller = rig.caller.clone();
        change(&mut caller);
        let error = rig.sandbox.world().event_topic(&caller, LEADS, rig.now()).unwrap_err();
        assert_eq!(error.status, 16);
        error.code.unwrap().rsplit_once("grpc.").unwrap().1.to_owned()
    };
    assert_eq!(refused(&|c| c.access_token = "no".to_owned()), "service.auth.error");
    assert_eq!(refused(&|c| c.access_token.clear()), "service.auth.headers.invalid");
    assert_eq!(
        refused(&|c| c.tenant_id = "00D000000000001".to_owned()),
        "service.auth.headers.invalid"
    );
    assert_eq!(refused(&|c| c.instance_url = "nowhere".to_owned()), "service.auth.headers.invalid");
    let short = Caller { tenant_id: rig.caller.tenant_id[..15].to_owned(), ..rig.caller.clone() };
    assert!(rig.sandbox.world().event_topic(&short, LEADS, rig.now()).is_ok());
    rig.sandbox.world().salesforce.auth.expire_sessions();
    assert_eq!(refused(&|_| {}), "service.auth.error");
}

#[test]
fn faults_of_events() {
    let rig = Rig::new();
    let lead = rig.lead("Okafor");
    let mut stream = rig.subscribe(&want(LEADS, 100)).unwrap();
    let mut struck = |fault: &str| {
        rig.pass(1);
        rig.arm(fault);
        let title = format!("after {fault}");
        rig.edit("Lead", &lead, json!({ "Title": title }));
        match rig.next(&mut stream) {
            Next::Response(response) => {
                response.events.iter().map(|event| rig.show(event)).collect()
            }
            _ => Vec::new(),
        }
    };
    let gap = struck("gap");
    assert_eq!((gap[0].kind().as_str(), gap[0].body.len()), ("Lead GAP_UPDATE", 0));
    assert_eq!(gap[0].header["recordIds"], json!([&*lead]));
    let overflow = struck("overflow");
    assert_eq!(overflow[0].kind(), "Lead GAP_OVERFLOW");
    assert_eq!(overflow[0].header["recordIds"], json!(["000000000000000AAA"]));
    let wild = struck("wildcard-event");
    assert_eq!(wild[0].header["recordIds"], json!(["00Q*"]));
    let twice = struck("duplicate-event");
    assert_eq!(twice.len(), 2);
    assert_eq!(twice[0].id, twice[1].id);
    assert!(twice[0].replay < twice[1].replay);
    assert!(struck("lost-event").is_empty());
    let added = struck("stream-schema-change");
    assert_eq!(added[0].body["Title"], "after stream-schema-change");
    assert!(rig.sandbox.world().salesforce.object("Lead").unwrap().field("Added_1__c").is_some());
    assert!(struck("late-event").is_empty());
    let until = rig.sandbox.world().salesforce.bus.next_publication().unwrap();
    assert_eq!(rig.next(&mut stream), Next::Wait(Some(until)));
    rig.now.set(until);
    assert_eq!(rig.events(&mut stream)[0].body["Title"], "after late-event");
}

#[test]
fn faults_of_streams() {
    let rig = Rig::new();
    let open = || {
        let stream = rig.subscribe(&want(LEADS, 100)).unwrap();
        rig.lead("Okafor");
        stream
    };
    rig.arm("stream-cut");
    let error = rig.failed(&mut open());
    assert_eq!((error.status, error.code), (14, None));
    rig.arm("stream-stall");
    let mut stream = open();
    for _ in 0..3 {
        assert_eq!(rig.next(&mut stream), Next::Wait(None));
        rig.pass(300);
    }
    rig.arm("quota-exhausted");
    let mut stream = rig.subscribe(&want(LEADS, 100));
    assert!(stream.unwrap_err().code.unwrap().ends_with("subscription.limit.exceeded"));
    rig.sandbox.world().salesforce.bus.settings.daily_deliveries = 1;
    let mut both = open();
    assert_eq!(rig.events(&mut both).len(), 1);
    assert_eq!(rig.sandbox.world().salesforce.bus.delivered_today(), 1);
    rig.lead("Tanaka");
    assert!(rig.failed(&mut both).code.unwrap().ends_with("subscription.limit.exceeded"));
    rig.sandbox.world().salesforce.bus.settings.daily_deliveries = 1000;
    rig.arm("pubsub-unavailable");
    stream = rig.subscribe(&want(LEADS, 1));
    let error = stream.unwrap_err();
    assert_eq!(error.status, 13);
    insta::assert_snapshot!(error.message.split(" rpcId").next().unwrap(), @"The service is unavailable. Try again later.");
    let known = rig.response(&mut open()).latest_replay_id;
    rig.arm("replay-expired");
    let error = rig.subscribe(&after(LEADS, &known)).unwrap_err();
    assert!(error.code.unwrap().ends_with("replayid.corrupted"));
    assert!(rig.subscribe(&after(LEADS, &known)).is_ok());
}

#[test]
fn a_late_commit_is_told_late() {
    let rig = Rig::new();
    let lead = rig.lead("Okafor");
    let mut stream = rig.subscribe(&want(LEADS, 100)).unwrap();
    rig.write(|org, write| {
        let late = Write { late: Some(SignedDuration::from_secs(30)), ..write.clone() };
        org.update(&late, "Lead", &lead, &map(json!({"Title": "CTO"}))).unwrap();
    });
    let at = rig.now() + SignedDuration::from_secs(30);
    assert_eq!(rig.next(&mut stream), Next::Wait(Some(at)));
    rig.pass(30);
    assert_eq!(rig.events(&mut stream)[0].body["Title"], "CTO");
}

#[test]
fn more_changes_than_are_kept_are_an_overflow() {
    let rig = Rig::new();
    let lead = rig.lead("Okafor");
    let mut stream = rig.subscribe(&want(LEADS, 100)).unwrap();
    rig.write(|org, write| {
        for at in 0..20_100 {
            org.update(write, "Lead", &lead, &map(json!({"Title": format!("{at}")}))).unwrap();
        }
    });
    let events = rig.events(&mut stream);
    assert_eq!(events[0].kind(), "Lead GAP_OVERFLOW");
}

/// What a subscriber knows of a record that applies each event as the guide says: what is changed is
/// set or cleared, the rest stays.
#[derive(Default)]
struct Replica(BTreeMap<String, Map<String, Value>>);

impl Replica {
    fn apply(&mut self, event: &Shown) {
        for id in event.header["recordIds"].as_array().unwrap() {
            let record = self.0.entry(id.as_str().unwrap().to_owned()).or_default();
            if event.kind().ends_with("CREATE") {
                *record = flat(&event.body);
            }
            let body = flat(&event.body);
            for path in &event.changed {
                match body.get(path) {
                    Some(value) => record.insert(path.clone(), value.clone()),
                    None => record.remove(path),
                };
            }
        }
    }
}

/// Compounds as `Address.City`.
fn flat(body: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in body {
        match value {
            Value::Object(children) => out.extend(
                children.iter().map(|(child, value)| (format!("{name}.{child}"), value.clone())),
            ),
            _ => drop(out.insert(name.clone(), value.clone())),
        }
    }
    out
}

/// The paths that bitmaps name, by the schema's own JSON.
fn paths(schema: &Value, items: &Value) -> Vec<String> {
    fn records<'a>(at: &'a Value, found: &mut BTreeMap<&'a str, &'a Value>) {
        match at {
            Value::Object(map) => {
                if at["type"] == "record" {
                    found.insert(at["name"].as_str().unwrap(), at);
                }
                map.values().for_each(|value| records(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| records(item, found)),
            _ => {}
        }
    }
    let mut known = BTreeMap::new();
    records(schema, &mut known);
    let name = |record: &Value, at: usize| {
        record["fields"][at]["name"].as_str().unwrap_or("unknown").to_owned()
    };
    let mut out = Vec::new();
    for item in items.as_array().unwrap() {
        let item = item.as_str().unwrap();
        let (place, bits) = item.rsplit_once('-').map_or((None, item), |(p, b)| (Some(p), b));
        let bits = u128::from_str_radix(bits.trim_start_matches("0x"), 16).unwrap();
        for at in (0..128).filter(|at| bits >> at & 1 == 1) {
            out.push(match place {
                None => name(schema, at),
                Some(place) => {
                    let top: usize = place.parse().unwrap();
                    let kind = &schema["fields"][top]["type"][1];
                    let kind = kind.as_str().or_else(|| kind["name"].as_str()).unwrap();
                    format!("{}.{}", name(schema, top), name(known[kind], at))
                }
            });
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Who applies every event knows what the org holds, wherever the stream began anew.
    #[test]
    fn events_tell_the_whole_truth(seed: u64) {
        let mut chance = fastrand::Rng::with_seed(seed);
        let rig = Rig::new();
        let score = Field::number("Score__c", "Score", 18, 2);
        rig.sandbox.world().salesforce.define_field(rig.now(), "Lead", score);
        let mut stream = rig.subscribe(&want(LEADS, 100)).unwrap();
        let mut replica = Replica::default();
        let mut leads: Vec<Id> = Vec::new();
        const FIELDS: [(&str, &str); 7] = [
            ("Title", "Title"), ("Rating", "Rating"), ("City", "Address.City"),
            ("Country", "Address.Country"), ("FirstName", "Name.FirstName"),
            ("AnnualRevenue", "AnnualRevenue"), ("Score__c", "Score__c"),
        ];
        for _ in 0..40 {
            if leads.is_empty() || chance.u8(0..5) == 0 {
                leads.push(rig.lead(&format!("L{}", leads.len())));
            }
            let lead = leads[chance.usize(0..leads.len())].clone();
            let mut values = Map::new();
            for (field, _) in FIELDS {
                let number = matches!(field, "AnnualRevenue" | "Score__c");
                let value = match chance.u8(0..4) {
                    0 => Value::Null,
                    1 if number => json!(chance.u32(0..1000)),
                    1 => json!(["Hot", "Warm", "Cold"][chance.usize(0..3)]),
                    _ => continue,
                };
                values.insert(field.to_owned(), value);
            }
            rig.edit("Lead", &lead, Value::Object(values));
            rig.pass(chance.i64(0..3));
            if chance.bool() {
                while let Next::Response(response) = rig.next(&mut stream) {
                    response.events.iter().for_each(|event| replica.apply(&rig.show(event)));
                    if chance.bool() {
                        stream = rig.subscribe(&after(LEADS, &response.latest_replay_id)).unwrap();
                    } else {
                        let more = want("", 100);
                        stream.request(&mut rig.sandbox.world(), &more, rig.now()).unwrap();
                    }
                }
            }
        }
        while let Next::Response(response) = rig.next(&mut stream) {
            response.events.iter().for_each(|event| replica.apply(&rig.show(event)));
        }
        let world = rig.sandbox.world();
        for lead in &leads {
            let record = world.salesforce.record(lead).unwrap();
            for (field, path) in FIELDS {
                let known = replica.0[&**lead].get(path).unwrap_or(&Value::Null);
                let held = record.get(field);
                let same = known == held || known.as_f64().is_some() && known.as_f64() == held.as_f64();
                prop_assert!(same, "{field}: known {known}, held {held}");
            }
        }
    }
}
