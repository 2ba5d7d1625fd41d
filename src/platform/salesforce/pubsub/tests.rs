use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::platform::Error;
use crate::record::{Origin, Raw};

const LEAD: &str = "00QLs0000000001MAA";

fn session() -> Session {
    Session {
        token: SecretString::from("00D!secret".to_owned()),
        instance: "https://x.my.salesforce.com".into(),
        tenant: "00DLs0000000001MAA".into(),
        user: "005Ls0000000001IAA".into(),
        client: "lockstep".into(),
    }
}

fn nullable(kind: &Json) -> Json {
    json!(["null", kind])
}

/// A schema of change events with these fields behind the header: name, type, doc.
fn schema_of(object: &str, fields: &[(&str, Json, &str)]) -> String {
    let strings = json!({"type": "array", "items": "string"});
    let kinds = [
        "CREATE",
        "UPDATE",
        "DELETE",
        "UNDELETE",
        "GAP_CREATE",
        "GAP_UPDATE",
        "GAP_DELETE",
        "GAP_UNDELETE",
        "GAP_OVERFLOW",
        "SNAPSHOT",
    ];
    let header = json!({"type": "record", "name": "ChangeEventHeader", "fields": [
        {"name": "entityName", "type": "string"},
        {"name": "recordIds", "type": strings},
        {"name": "changeType", "type": {"type": "enum", "name": "ChangeType", "symbols": kinds}},
        {"name": "changeOrigin", "type": "string"},
        {"name": "transactionKey", "type": "string"},
        {"name": "sequenceNumber", "type": "int"},
        {"name": "commitTimestamp", "type": "long"},
        {"name": "commitNumber", "type": "long"},
        {"name": "commitUser", "type": "string"},
        {"name": "nulledFields", "type": strings},
        {"name": "diffFields", "type": strings},
        {"name": "changedFields", "type": strings},
    ]});
    let mut all = vec![json!({"name": "ChangeEventHeader", "type": header})];
    for (name, kind, doc) in fields {
        all.push(json!({"name": name, "type": nullable(kind), "doc": doc, "default": null}));
    }
    json!({"type": "record", "name": format!("{object}ChangeEvent"),
        "namespace": "com.sforce.eventbus", "fields": all, "uuid": "K98a"})
    .to_string()
}

fn address() -> Json {
    let children: Vec<Json> = ["Street", "City", "State", "PostalCode", "Country"]
        .iter()
        .map(|name| json!({"name": name, "type": ["null", "string"], "default": null}))
        .collect();
    json!({"type": "record", "name": "Address", "fields": children})
}

fn person() -> Json {
    let children: Vec<Json> = ["Salutation", "FirstName", "LastName"]
        .iter()
        .map(|name| json!({"name": name, "type": ["null", "string"], "default": null}))
        .collect();
    json!({"type": "record", "name": "PersonName", "fields": children})
}

/// A Lead of eight fields, each of another kind.
fn lead() -> String {
    schema_of(
        "Lead",
        &[
            ("Name", person(), "Data:PersonName"),
            ("Address", address(), "Data:Address"),
            ("Status", json!("string"), "Data:DynamicEnum"),
            ("OwnerId", json!("string"), "ForeignKey:EntityId"),
            ("Score__c", json!("double"), "Data:Double:00NDp00000BbvCZ"),
            ("HasOptedOutOfEmail", json!("boolean"), "Data:Boolean"),
            ("ConvertedDate", json!("long"), "Data:DateOnly"),
            ("LastTransferDate", json!("long"), "Data:DateTime"),
            ("Description", json!("string"), "Data:StringPlusClob"),
            ("OtherAddress", json!("Address"), "Data:Address"),
            ("NumberOfEmployees", json!("int"), "Data:Integer"),
            ("Alarm__c", json!("long"), "Data:TimeOnly:00N"),
        ],
    )
}

struct Told<'a> {
    entity: &'a str,
    kind: &'a str,
    ids: &'a [&'a str],
    origin: &'a str,
    user: &'a str,
    changed: &'a [&'a str],
    nulled: &'a [&'a str],
    diffs: &'a [&'a str],
    body: Vec<(usize, Value)>,
}

const TOLD: Told<'static> = Told {
    entity: "Lead",
    kind: "UPDATE",
    ids: &[LEAD],
    origin: "com/salesforce/api/rest/66.0;client=browser/",
    user: "005Ls0000000009IAA",
    changed: &[],
    nulled: &[],
    diffs: &[],
    body: Vec::new(),
};

fn some(value: Value) -> Value {
    Value::Union(1, Box::new(value))
}

fn text(text: &str) -> Value {
    some(Value::String(text.to_owned()))
}

fn record(children: &[(&str, Option<&str>)]) -> Value {
    let null = || Value::Union(0, Box::new(Value::Null));
    some(Value::Record(
        children
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map_or_else(null, text)))
            .collect(),
    ))
}

fn payload(schema: &EventSchema, told: &Told<'_>) -> Vec<u8> {
    let list = |items: &[&str]| {
        Value::Array(items.iter().map(|item| Value::String((*item).to_owned())).collect())
    };
    let string = |text: &str| Value::String(text.to_owned());
    let kinds = [
        "CREATE",
        "UPDATE",
        "DELETE",
        "UNDELETE",
        "GAP_CREATE",
        "GAP_UPDATE",
        "GAP_DELETE",
        "GAP_UNDELETE",
        "GAP_OVERFLOW",
        "SNAPSHOT",
    ];
    let place = kinds.iter().position(|kind| *kind == told.kind).unwrap();
    let header = vec![
        ("entityName", string(told.entity)),
        ("recordIds", list(told.ids)),
        ("changeType", Value::Enum(u32::try_from(place).unwrap(), told.kind.to_owned())),
        ("changeOrigin", string(told.origin)),
        ("transactionKey", string("0002343d-9d90-e395-ed20-cf416ba652ad")),
        ("sequenceNumber", Value::Int(1)),
        ("commitTimestamp", Value::Long(1_714_089_600_000)),
        ("commitNumber", Value::Long(1_725_346_778_429_841_409)),
        ("commitUser", string(told.user)),
        ("nulledFields", list(told.nulled)),
        ("diffFields", list(told.diffs)),
        ("changedFields", list(told.changed)),
    ];
    let header = header.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut fields = vec![("ChangeEventHeader".to_owned(), Value::Record(header))];
    for (at, place) in schema.fields.iter().enumerate().skip(1) {
        let value = told.body.iter().find(|(position, _)| *position == at);
        let value =
            value.map_or(Value::Union(0, Box::new(Value::Null)), |(_, value)| value.clone());
        fields.push((place.name.clone(), value));
    }
    GenericDatumWriter::builder(&schema.avro)
        .build()
        .unwrap()
        .write_value_to_vec(Value::Record(fields))
        .unwrap()
}

fn read(told: &Told<'_>) -> ChangeEvent {
    let schema = EventSchema::parse(&lead()).unwrap();
    ChangeEvent::decode(&schema, &payload(&schema, told), &session()).unwrap()
}

fn names<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

fn set(event: &ChangeEvent) -> BTreeSet<&str> {
    event.set.keys().map(String::as_str).collect()
}

fn unread(event: &ChangeEvent) -> BTreeSet<&str> {
    event.unread.iter().map(String::as_str).collect()
}

#[test]
fn an_update_says_what_its_bitmaps_say_and_no_more() {
    let address = &[
        ("Street", Some("Ring 1")),
        ("City", None),
        ("State", None),
        ("PostalCode", None),
        ("Country", None),
    ];
    for (case, told, wanted, rest) in [
        (
            "a field that has a value and is in no bitmap did not change",
            Told { changed: &["0x08"], body: vec![(3, text("Open")), (4, text(LEAD))], ..TOLD },
            vec!["Status"],
            vec![],
        ),
        (
            "a child of an address",
            Told { changed: &["2-0x01"], body: vec![(2, record(address))], ..TOLD },
            vec!["Street"],
            vec!["Address"],
        ),
        (
            "a child of an address whose type is only referred to",
            Told { changed: &["10-0x03"], body: vec![(10, record(address))], ..TOLD },
            vec!["OtherCity", "OtherStreet"],
            vec!["OtherAddress"],
        ),
        (
            "a whole compound field",
            Told {
                changed: &["0x02"],
                body: vec![(
                    1,
                    record(&[("Salutation", None), ("FirstName", Some("A")), ("LastName", None)]),
                )],
                ..TOLD
            },
            vec!["FirstName", "LastName", "Salutation"],
            vec!["Name"],
        ),
        (
            "a long text as a difference",
            Told { changed: &["0x0208"], diffs: &["0x0200"], body: vec![(3, text("x"))], ..TOLD },
            vec!["Status"],
            vec!["Description"],
        ),
        (
            "a time of day",
            Told { changed: &["0x1000"], body: vec![(12, some(Value::Long(1)))], ..TOLD },
            vec![],
            vec!["Alarm__c"],
        ),
        (
            "a bit beyond the schema",
            Told { changed: &["0xFF0000000008"], ..TOLD },
            vec!["Status"],
            vec![],
        ),
        (
            "a child beyond the record",
            Told { changed: &["2-0x8000"], ..TOLD },
            vec![],
            vec!["Address"],
        ),
        (
            "a named field",
            Told { changed: &["Status", "New__c"], ..TOLD },
            vec!["Status"],
            vec!["New__c"],
        ),
    ] {
        let event = read(&told);
        assert_eq!((set(&event), unread(&event)), (names(&wanted), names(&rest)), "{case}");
        assert!(event.exact, "{case}");
    }
    assert!(!read(&Told { changed: &["?"], ..TOLD }).exact, "an item of no known shape");
}

#[test]
fn values_are_spelt_as_the_rest_api_spells_them() {
    let event = read(&Told {
        changed: &["0x09F8"],
        nulled: &["0x08"],
        body: vec![
            (4, text("005Ls0000000009")),
            (5, some(Value::Double(42.5))),
            (6, some(Value::Boolean(true))),
            (7, some(Value::Long(1_719_705_600_000))),
            (8, some(Value::Long(1_714_089_600_000))),
            (11, some(Value::Int(7))),
        ],
        ..TOLD
    });
    for (name, wanted) in [
        ("Status", Raw::Null),
        ("OwnerId", Raw::text("005Ls0000000009IAA")),
        ("Score__c", Raw::Number(42.5)),
        ("HasOptedOutOfEmail", Raw::Bool(true)),
        ("ConvertedDate", Raw::text("2024-06-30")),
        ("LastTransferDate", Raw::text("2024-04-26T00:00:00Z")),
        ("NumberOfEmployees", Raw::Number(7.0)),
    ] {
        assert_eq!(event.set.get(name), Some(&wanted), "{name}");
    }
}

#[test]
fn a_creation_carries_what_is_not_blank() {
    for kind in ["CREATE", "UNDELETE"] {
        let event = read(&Told { kind, body: vec![(3, text("Open"))], ..TOLD });
        assert_eq!(set(&event), names(&["Status"]));
        assert!(!event.exact, "what is null may be hidden from the user");
    }
}

#[test]
fn who_is_concerned() {
    for (kind, ids, real, beyond, wanted) in [
        ("UPDATE", vec![LEAD, "00QLs0000000002"], 2, false, EventKind::Updated),
        ("DELETE", vec![LEAD], 1, false, EventKind::Deleted),
        ("GAP_UPDATE", vec![LEAD], 1, false, EventKind::Unclear),
        ("GAP_DELETE", vec![LEAD], 1, false, EventKind::Unclear),
        ("SNAPSHOT", vec![LEAD], 1, false, EventKind::Unclear),
        ("GAP_UPDATE", vec!["00Q*"], 0, true, EventKind::Unclear),
        ("GAP_OVERFLOW", vec!["000000000000000AAA"], 0, true, EventKind::Overflow),
        ("GAP_OVERFLOW", vec![LEAD], 1, true, EventKind::Overflow),
        ("UPDATE", vec![LEAD, "?"], 1, true, EventKind::Updated),
        ("UPDATE", vec![], 0, true, EventKind::Updated),
    ] {
        let event = read(&Told { kind, ids: &ids, ..TOLD });
        assert_eq!(
            (event.kind, event.ids.len(), event.beyond),
            (wanted, real, beyond),
            "{kind} {ids:?}"
        );
        assert!(event.ids.iter().all(|id| id.len() == 18));
    }
}

#[test]
fn our_own_writes_are_told_by_their_name_or_by_the_user() {
    let own = "005Ls0000000001IAA";
    for (origin, user, wanted) in [
        ("com/salesforce/api/rest/66.0;client=lockstep", "005Ls0000000009IAA", Origin::Lockstep),
        ("com/salesforce/api/rest/66.0;client=lockstep/", "", Origin::Lockstep),
        ("com/salesforce/api/rest/66.0;client=lockstep2", "005Ls0000000009IAA", Origin::Elsewhere),
        ("com/salesforce/api/soap/60.0;client=SfdcInternalAPI/", "", Origin::Person),
        ("", own, Origin::Lockstep),
        ("", "005Ls0000000001", Origin::Lockstep),
        ("", "", Origin::Unknown),
    ] {
        assert_eq!(read(&Told { origin, user, ..TOLD }).origin, wanted, "{origin} {user}");
    }
}

#[test]
fn a_payload_that_was_cut_does_not_pass_for_blank_fields() {
    let schema = EventSchema::parse(&lead()).unwrap();
    let whole = payload(&schema, &Told { changed: &["0x08"], body: vec![(3, text("x"))], ..TOLD });
    for length in 0..whole.len() {
        let read = ChangeEvent::decode(&schema, &whole[..length], &session());
        assert!(read.is_err(), "{length} of {} bytes", whole.len());
    }
    let mut longer = whole;
    longer.push(0);
    assert!(ChangeEvent::decode(&schema, &longer, &session()).is_err());
}

proptest! {
    #[test]
    fn no_payload_is_too_much(
        flips in proptest::collection::vec((0_usize..400, any::<u8>()), 0..12),
        cut in 0_usize..400,
    ) {
        let schema = EventSchema::parse(&lead()).unwrap();
        let told = Told { changed: &["0x08", "2-0x01"], body: vec![(3, text("x"))], ..TOLD };
        let mut bytes = payload(&schema, &told);
        for (at, byte) in flips {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        if cut < bytes.len() / 4 {
            bytes.truncate(bytes.len() - cut);
        }
        let _ = ChangeEvent::decode(&schema, &bytes, &session());
    }

    #[test]
    fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let schema = EventSchema::parse(&lead()).unwrap();
        let _ = ChangeEvent::decode(&schema, &bytes, &session());
    }

    #[test]
    fn a_replay_id_is_kept_as_it_is(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let id = ReplayId(bytes);
        prop_assert_eq!(ReplayId::from_text(&id.to_text()), Some(id));
    }
}

#[test]
fn what_is_no_replay_id_is_none() {
    for text in ["0", "0g", "é1", "+1"] {
        assert_eq!(ReplayId::from_text(text), None, "{text}");
    }
}

/// Where recorded answers of the real platform lie, where they are at hand.
fn samples() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/facts/samples/salesforce");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there are no samples in {}", folder.display());
    None
}

#[test]
fn real_schemas_can_be_read() {
    let Some(folder) = samples() else { return };
    for (file, position, name, children) in [
        ("AccountChangeEventGRPCSchema.avsc", 5, "BillingAddress", "BillingStreet"),
        ("AccountChangeEvent.avsc", 6, "ShippingAddress", "ShippingStreet"),
        ("ContactChangeEventGRPCSchema.avsc", 3, "Name", "Salutation"),
        ("Some_Custom_Object__ChangeEventGRPCSchema.avsc", 0, "ChangeEventHeader", ""),
    ] {
        let schema = EventSchema::parse(&std::fs::read_to_string(folder.join(file)).unwrap());
        let schema = schema.unwrap_or_else(|error| panic!("{file}: {error}"));
        let place = &schema.fields[position];
        assert_eq!(place.name, name, "{file}");
        assert_eq!(place.children.first().map_or("", String::as_str), children, "{file}");
    }
}

#[test]
fn the_guides_bitmaps_name_the_guides_fields() {
    let Some(folder) = samples() else { return };
    let order = std::fs::read_to_string(folder.join("field_order_from_samples.json")).unwrap();
    let order: Json = serde_json::from_str(&order).unwrap();
    for (object, changed, diffs, wanted) in [
        ("Account", &["0x400800"][..], &[][..], &["Industry", "LastModifiedDate"][..]),
        ("Account", &["0x410000"], &["0x010000"], &["Description", "LastModifiedDate"]),
        (
            "Account",
            &["0x400000", "4-0x01"],
            &[],
            &["BillingAddress", "BillingStreet", "LastModifiedDate"],
        ),
        ("Account", &["0x400080"], &[], &["Fax", "LastModifiedDate"]),
        (
            "Lead",
            &["0x08F81000"],
            &[],
            &[
                "ConvertedAccountId",
                "ConvertedContactId",
                "ConvertedDate",
                "ConvertedOpportunityId",
                "IsConverted",
                "LastModifiedDate",
                "Status",
            ],
        ),
    ] {
        let places = order["schemas"][format!("{object}ChangeEvent")].as_array().unwrap();
        let mut defined = false;
        let fields: Vec<(&str, Json, &str)> = places[1..]
            .iter()
            .map(|place| match place["name"].as_str().unwrap() {
                name if name.ends_with("Address") => {
                    let kind = if defined { json!("Address") } else { address() };
                    defined = true;
                    (name, kind, "Data:Address")
                }
                name => (name, json!("string"), "Data:Text"),
            })
            .collect();
        let schema = EventSchema::parse(&schema_of(object, &fields)).unwrap();
        let told = Told { entity: object, changed, diffs, ..TOLD };
        let event = ChangeEvent::decode(&schema, &payload(&schema, &told), &session()).unwrap();
        let all: BTreeSet<&str> = set(&event).union(&unread(&event)).copied().collect();
        assert_eq!(all, names(wanted), "{object} {changed:?}");
    }
}

#[derive(Default)]
struct OneSchema {
    asked: AtomicUsize,
    refuse: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

#[async_trait]
impl EventBus for OneSchema {
    async fn topic(&self, _: &Session, _: &str) -> Result<Topic, StreamError> {
        Err(StreamError::broken("not asked for"))
    }

    async fn schema(&self, _: &Session, _: &str) -> Result<String, StreamError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.refuse.load(Ordering::Relaxed) > 0 {
            self.refuse.fetch_sub(1, Ordering::Relaxed);
            return Err(StreamError {
                status: 16,
                code: Some(format!("{PREFIX}service.auth.error")),
                message: "expired".into(),
                rpc_id: None,
            });
        }
        Ok(lead())
    }

    async fn subscribe(
        &self,
        _: &Session,
        _: &str,
        _: &Replay,
        _: u32,
    ) -> Result<Box<dyn EventStream>, StreamError> {
        Err(StreamError::broken("not asked for"))
    }
}

#[async_trait]
impl Sessions for OneSchema {
    async fn session(&self) -> Result<Session, Error> {
        Ok(session())
    }

    async fn refused(&self, token: &SecretString) {
        use secrecy::ExposeSecret;
        self.refused.lock().unwrap().push(token.expose_secret().to_owned());
    }
}

#[tokio::test]
async fn a_new_schema_costs_one_call_and_a_stale_session_one_more() {
    let both = Arc::new(OneSchema { refuse: AtomicUsize::new(1), ..OneSchema::default() });
    let events = Events::new(Arc::<OneSchema>::clone(&both), Arc::<OneSchema>::clone(&both));
    let schema = EventSchema::parse(&lead()).unwrap();
    let raw = |schema_id: &str| RawEvent {
        id: "e".into(),
        schema_id: schema_id.into(),
        payload: payload(&schema, &TOLD),
        replay: ReplayId(vec![1]),
    };
    for _ in 0..3 {
        events.read(&raw("first")).await.unwrap().unwrap();
    }
    assert_eq!(both.asked.load(Ordering::Relaxed), 2, "refused once, then answered");
    assert_eq!(*both.refused.lock().unwrap(), ["00D!secret"]);
    events.read(&raw("second")).await.unwrap().unwrap();
    events.read(&raw("first")).await.unwrap().unwrap();
    assert_eq!(both.asked.load(Ordering::Relaxed), 3);
    both.refuse.store(9, Ordering::Relaxed);
    let error = events.read(&raw("third")).await.unwrap_err();
    assert_eq!(error.cure().0, Cure::SignIn, "it signs in again once, not for ever");
}
