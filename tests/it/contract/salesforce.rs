//! Salesforce's side of the contract, and what only Salesforce promises.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockstep::platform::auth::{App, JwtBearer, JwtKey, OAuth, TokenEndpoint};
use lockstep::platform::salesforce::{Salesforce, Settings};
use lockstep::platform::transport::{Http, InProcess, Net, NetSettings, RetrySettings};
use lockstep::platform::{Ask, Assignment, Outcome, Platform, RefusalKind};
use lockstep::record::{Author, Origin, Raw, Side};
use lockstep::sandbox::fault::Side as FaultSide;
use lockstep::sandbox::salesforce::oauth::{CLIENT_ID, CLIENT_SECRET, PublicKey};
use lockstep::sandbox::salesforce::schema::Field;
use lockstep::sandbox::salesforce::ui::Conversion;
use lockstep::sandbox::server::{ServeOptions, serve};
use lockstep::sandbox::{Sandbox, SandboxClock};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{Names, Scene, Stage, contract};

const HOST: &str = "https://acme.my.salesforce.com";

const NAMES: Names = Names {
    object: "Lead",
    key: "HubSpot_Id__c",
    email: "Email",
    last_name: "LastName",
    title: "Title",
    score: "Score__c",
    choice: "Status",
    choices: ["Working - Contacted", "Closed - Not Converted"],
    unknown_id: "00Q0000000zzzzzAAA",
    required: &[("LastName", "Nobody"), ("Company", "Acme")],
};

struct Org {
    sandbox: Sandbox,
    platform: Salesforce,
}

fn sandbox(start: Timestamp) -> Sandbox {
    let sandbox = Sandbox::new(3, SandboxClock::starting_at(start));
    let mut world = sandbox.world();
    let key = Field::text("HubSpot_Id__c", "HubSpot Id", 40).external_id().unique();
    world.salesforce.define_field(start, "Lead", key);
    world.salesforce.define_field(start, "Lead", Field::number("Score__c", "Score", 18, 0));
    drop(world);
    sandbox
}

fn endpoint(base: &str, http: &Arc<dyn Http>) -> TokenEndpoint {
    TokenEndpoint {
        side: Side::Salesforce,
        url: format!("{base}/services/oauth2/token").parse().unwrap(),
        http: Arc::clone(http),
        retry: RetrySettings::default(),
        seed: 1,
    }
}

fn app() -> App {
    App { id: CLIENT_ID.into(), secret: Some(SecretString::from(CLIENT_SECRET)) }
}

fn client(base: &str, http: Arc<dyn Http>) -> Salesforce {
    let tokens = OAuth::client_credentials(endpoint(base, &http), app()).unwrap();
    Salesforce::new(Settings::new(base.parse().unwrap()), http, Arc::new(tokens), 9)
}

fn org() -> Org {
    let sandbox = sandbox("2026-11-22T08:00:00Z".parse().unwrap());
    let http = Arc::new(InProcess::new(sandbox.salesforce()));
    Org { platform: client(HOST, http), sandbox }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

impl Org {
    /// A person acts in the org.
    fn act<T>(
        &self,
        what: impl FnOnce(
            &mut lockstep::sandbox::salesforce::world::Org,
            Timestamp,
            &lockstep::sandbox::salesforce::id::Id,
        ) -> T,
    ) -> T {
        let now = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        let person = world.salesforce.staff.sales[0].clone();
        what(&mut world.salesforce, now, &person)
    }

    fn owner(&self, id: &str) -> Value {
        let world = self.sandbox.world();
        world.salesforce.record(id).unwrap().get("OwnerId").clone()
    }
}

impl Scene for Org {
    fn platform(&self) -> &dyn Platform {
        &self.platform
    }
    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
    fn fault_side(&self) -> FaultSide {
        FaultSide::Salesforce
    }
    fn names(&self) -> Names {
        NAMES
    }
    fn edit(&self, id: &str, field: &str, value: &str) {
        let values = map(json!({ field: value }));
        self.act(|org, now, person| org.person_edits(now, person, id, &values)).unwrap();
    }
    fn delete(&self, id: &str) {
        self.act(|org, now, person| org.person_deletes(now, person, id)).unwrap();
    }
    fn merge(&self, winner: &str, loser: &str) {
        let loser = [loser.into()];
        self.act(|org, now, person| org.merge(now, person, winner, &loser, &Map::new())).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract_in_process() {
    contract(&org()).await;
}

#[tokio::test]
async fn keeps_the_contract_over_tcp() {
    let sandbox = sandbox(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 56));
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    let net: Arc<dyn Http> = Arc::new(Net::new(&NetSettings::default()).unwrap());
    let org = Org { platform: client(&serving.salesforce_url(), net), sandbox };
    contract(&org).await;
    serving.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_score_does_not_give_the_lead_another_owner() {
    let org = org();
    let stage = Stage(&org);
    let queue = org.sandbox.world().salesforce.staff.queue.clone();
    let id = stage.person("owned").await;
    let owner = org.owner(&id);
    org.sandbox.world().salesforce.rules.lead_assignment = Some(queue.clone());
    let mut write = stage.update(&id, &[("Score__c", Raw::Number(80.0))]);
    assert!(matches!(org.platform.write(&[write.clone()]).await[0], Outcome::Done { .. }));
    assert_eq!(org.owner(&id), owner);
    write.options.assign = Assignment::Active;
    assert!(matches!(org.platform.write(&[write]).await[0], Outcome::Done { .. }));
    assert_eq!(org.owner(&id), json!(&*queue));
}

#[tokio::test(start_paused = true)]
async fn a_converted_lead_leads_to_its_contact_and_is_left_alone() {
    let org = org();
    let stage = Stage(&org);
    let id = stage.person("converted").await;
    let converted = org
        .act(|org, now, person| org.convert_lead(now, person, &id, &Conversion::default()))
        .unwrap();
    let lead = stage.read_one(&id).await.unwrap();
    assert!(!lead.deleted);
    assert_eq!(lead.get("IsConverted"), &Raw::Bool(true));
    let contact = lead.successor.unwrap();
    assert_eq!((contact.object.as_str(), contact.id.as_str()), ("Contact", &*converted.contact));
    let write = stage.update(&id, &[("Score__c", Raw::Number(1.0))]);
    match org.platform.write(&[write]).await.remove(0) {
        Outcome::Refused(refusal) => assert_eq!(refusal.kind, RefusalKind::Converted),
        other => panic!("{other:?}"),
    }
    let email = ["converted@contract.example.com".to_owned()];
    assert!(org.platform.find(&stage.ask(), "Email", &email).await.unwrap().is_empty());
    let contacts = Ask {
        object: "Contact".into(),
        fields: BTreeSet::from(["Email".to_owned()]),
        stamps: BTreeSet::new(),
    };
    let found = org.platform.find(&contacts, "Email", &email).await.unwrap();
    assert_eq!(found[0].key, contact);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_commits_late_is_seen_by_a_later_round() {
    let org = org();
    let stage = Stage(&org);
    let id = stage.person("late").await;
    let since = org.sandbox.clock().now();
    let ask = stage.ask();
    let poll = async |cursor: Option<lockstep::platform::Cursor>| {
        let page = org.platform.changed(&ask, cursor.as_ref(), since).await.unwrap();
        assert!(!page.more);
        let title = page
            .seen
            .iter()
            .flatten()
            .find(|record| record.key.id == id)
            .map(|record| record.get("Title").clone());
        (page.cursor, title)
    };
    tokio::time::advance(Duration::from_secs(60)).await;
    org.sandbox.world().salesforce.settings.late_commit = SignedDuration::from_secs(300);
    org.edit(&id, "Title", "Committed late");
    org.sandbox.world().salesforce.settings.late_commit = SignedDuration::ZERO;
    let mut cursor = None;
    let mut seen_after = None;
    for minute in 0..12 {
        // Other leads keep the stamps moving past the late one.
        stage.person(&format!("other{minute}")).await;
        let (next, title) = poll(cursor).await;
        cursor = Some(next);
        if title == Some(Raw::text("Committed late")) && seen_after.is_none() {
            seen_after = Some(minute);
        }
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert_eq!(seen_after, Some(5), "as soon as it is committed, and not lost");
}

#[tokio::test(start_paused = true)]
async fn whole_batches_of_one_second_are_paged_without_loss() {
    let org = org();
    let stage = Stage(&org);
    let since = org.sandbox.clock().now();
    org.sandbox.world().salesforce.settings.page_size = 50;
    let writes: Vec<_> = (0..600)
        .map(|n| stage.upsert(&format!("same{n}"), &[("LastName", Raw::text("Same"))]))
        .collect();
    let outcomes = org.platform.write(&writes).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. })));
    let mut seen = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = org.platform.changed(&stage.ask(), cursor.as_ref(), since).await.unwrap();
        for change in page.changes {
            assert!(seen.insert(change.record.id), "twice in one round");
        }
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), 600);
}

#[tokio::test(start_paused = true)]
async fn authors_are_told_apart() {
    let org = org();
    let stage = Stage(&org);
    let identity = org.platform.identity().await.unwrap();
    assert_eq!(identity.user, "integration.user@lockstep.example");
    let since = org.sandbox.clock().now();
    let (ours, theirs) = (stage.person("ours").await, stage.person("theirs").await);
    org.edit(&theirs, "Title", "By a person");
    let by = |record: Option<lockstep::record::Record>| record.unwrap().stamp("Title").unwrap().by;
    assert_eq!(by(stage.read_one(&ours).await), Some(Author::Lockstep));
    let person = org.sandbox.world().salesforce.staff.sales[0].to_string();
    assert_eq!(by(stage.read_one(&theirs).await), Some(Author::Other(person)));
    let page = org.platform.changed(&stage.ask(), None, since).await.unwrap();
    let origin =
        |id: &str| page.changes.iter().find(|change| change.record.id == id).unwrap().origin;
    assert_eq!(origin(&ours), Origin::Lockstep);
    assert_eq!(origin(&theirs), Origin::Elsewhere);
}

#[tokio::test(start_paused = true)]
async fn sessions_end_and_assertions_renew_them() {
    const KEY: &str = include_str!("../../../src/platform/auth/testdata/pkcs8.pem");
    const PUBLIC: &[u8] = include_bytes!("../../../src/platform/auth/testdata/public.pem");
    let sandbox = sandbox("2026-11-22T08:00:00Z".parse().unwrap());
    let public = PublicKey::read(PUBLIC).unwrap();
    sandbox.world().salesforce.auth.set_public_key(CLIENT_ID, public);
    let http: Arc<dyn Http> = Arc::new(InProcess::new(sandbox.salesforce()));
    let clock = sandbox.clock().clone();
    let jwt = JwtBearer {
        consumer_key: CLIENT_ID.into(),
        user: "integration.user@lockstep.example".into(),
        audience: HOST.into(),
        key: Arc::new(JwtKey::from_pem(&SecretString::from(KEY)).unwrap()),
        clock: Arc::new(move || clock.now()),
    };
    let tokens = Arc::new(OAuth::jwt_bearer(endpoint(HOST, &http), jwt));
    let settings = Settings::new(HOST.parse().unwrap());
    let org = Org { platform: Salesforce::new(settings, http, tokens, 9), sandbox };
    let stage = Stage(&org);
    let id = stage.person("session").await;
    for _ in 0..3 {
        org.sandbox.world().salesforce.auth.expire_sessions();
        assert!(stage.read_one(&id).await.is_some());
        // Longer than a session lives without a call.
        tokio::time::advance(Duration::from_secs(3 * 3600)).await;
        assert!(stage.read_one(&id).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn locked_rows_are_waited_for() {
    use lockstep::sandbox::fault::How;
    let org = org();
    let stage = Stage(&org);
    let id = stage.person("locked").await;
    let write = stage.update(&id, &[("Title", Raw::text("Patient"))]);
    org.sandbox.world().faults.arm("locked", Some(FaultSide::Salesforce), How::Next(2)).unwrap();
    assert!(matches!(org.platform.write(&[write]).await[0], Outcome::Done { .. }));
    assert_eq!(stage.read_one(&id).await.unwrap().get("Title"), &Raw::text("Patient"));
}
