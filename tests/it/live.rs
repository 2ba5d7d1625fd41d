//! The shipped mappings against accounts that are not as they expect.

use std::sync::Arc;
use std::time::Duration;

use lockstep::cli::rehearsal::{Clients, in_process, set_up};
use lockstep::daemon::{Clock, Engine, Misfit, Options, misfits, read_mappings};
use lockstep::journal::{Disk, Journal, MemoryStore};
use lockstep::mapping::{Mappings, Source, load};
use lockstep::record::Side;
use lockstep::sandbox::hubspot::oauth::{PRIVATE_TOKEN, SCOPES};
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::properties::Property;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::salesforce::flows::{Flow, Variable};
use lockstep::sandbox::salesforce::schema::Field;
use lockstep::sandbox::{Sandbox, SandboxClock};
use serde_json::json;

fn shipped() -> Mappings {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
    load(read_mappings(folder.as_ref()).unwrap()).unwrap()
}

fn sandbox() -> Sandbox {
    let start = "2026-11-02T09:00:00Z".parse().unwrap();
    let sandbox = Sandbox::new(1, SandboxClock::starting_at(start));
    set_up(&sandbox);
    sandbox
}

/// An Account's Website and a company's domain are the same in two spellings, and no name helps.
#[tokio::test(start_paused = true)]
async fn a_company_is_recognised_by_its_domain_in_any_usual_spelling() {
    for website in ["https://www.acme.example/", "http://acme.example", "www.ACME.example"] {
        let sandbox = sandbox();
        let now = sandbox.clock().now();
        {
            let mut world = sandbox.world();
            let company = [("name", "Acme"), ("domain", "acme.example")];
            world.hubspot.create_as_user(Object::Company, &company, FIRST_USER, now).unwrap();
            let account = json!({ "Name": "Something else", "Website": website });
            let org = &mut world.salesforce;
            let user = org.staff.sales[0].clone();
            let account = account.as_object().unwrap();
            org.person_creates(now, &user, "Account", account).unwrap();
        }
        // HubSpot's search shows a new record after some seconds.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let platforms = in_process(&sandbox, &Clients::default()).unwrap();
        let journal = Journal::inline(MemoryStore::open(&Disk::default()), [7; 32]).unwrap();
        let clock = Clock::starting_at(sandbox.clock().now());
        let engine =
            Engine::new(journal.clone(), platforms, shipped(), clock, Options::default(), 1);
        engine.start().await.unwrap();
        engine.listen().await.unwrap();
        let settled = engine.settle_all(Duration::from_secs(10)).await.unwrap();
        let rejects = journal.rejects(None, None, 10).await.unwrap();
        let world = sandbox.world();
        let companies: Vec<_> = world.hubspot.all(Object::Company).collect();
        assert_eq!(companies.len(), 1, "{website}: a second company was created");
        let account = world.salesforce.records("Account").next().unwrap();
        assert_eq!(
            account.text("HubSpot_Id__c"),
            Some(companies[0].id.to_string().as_str()),
            "{website}: not linked: {settled:?} {rejects:?}"
        );
    }
}

async fn compared(sandbox: &Sandbox) -> Vec<Misfit> {
    let platforms = in_process(sandbox, &Clients::default()).unwrap();
    misfits(&shipped().list, &platforms).await.unwrap()
}

/// What hinders, one a line: `side object field: what`.
fn hindering(found: &[Misfit]) -> Vec<String> {
    found.iter().filter(|misfit| misfit.hinders).map(|misfit| misfit.what.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn accounts_that_are_set_up_fit() {
    let found = compared(&sandbox()).await;
    assert_eq!(hindering(&found), [""; 0], "{found:#?}");
    // Salesforce's texts are shorter than HubSpot's, which is told once for each object.
    for object in ["Lead", "Contact", "Account"] {
        let told: Vec<&str> = found
            .iter()
            .filter(|misfit| misfit.object == object && misfit.what.contains("longer texts"))
            .map(|misfit| misfit.help.as_deref().unwrap())
            .collect();
        assert!(matches!(told[..], [help] if help.contains("truncate = ")), "{object}: {found:#?}");
    }
    let deals = found.iter().find(|misfit| misfit.object == "Opportunity");
    assert_eq!(deals, None, "the name is cut to what Salesforce takes");
}

#[tokio::test(start_paused = true)]
async fn every_planted_difference_is_told_in_one_run() {
    let sandbox = sandbox();
    let now = sandbox.clock().now();
    {
        let mut world = sandbox.world();
        let hubspot = &mut world.hubspot;
        assert!(hubspot.archive_property(Object::Contact, "qualified_because", now));
        assert!(hubspot.archive_property(Object::Contact, "handoff_owner", now));
        let stages = [
            ("lead", "Lead"),
            ("subscriber", "Subscriber"),
            ("marketingqualifiedlead", "Marketing Qualified Lead"),
            ("salesqualifiedlead", "Sales Qualified Lead"),
            ("opportunity", "Opportunity"),
            ("customer", "Customer"),
            ("evangelist", "Evangelist"),
            ("other", "Other"),
        ];
        assert!(hubspot.set_choices(Object::Contact, "lifecyclestage", &stages, now));
        let statuses = [
            ("NEW", "New"),
            ("OPEN", "Open"),
            ("IN_PROGRESS", "In progress"),
            ("OPEN_DEAL", "Open deal"),
            ("UNQUALIFIED", "Unqualified"),
            ("ATTEMPTED_TO_CONTACT", "Attempted to contact"),
            ("CONNECTED", "Connected"),
            ("BAD_TIMING", "Bad timing"),
            ("NURTURE", "Nurture"),
            ("PARKED", "Parked"),
        ];
        assert!(hubspot.set_choices(Object::Contact, "hs_lead_status", &statuses, now));
        for number in 1..=3 {
            let email = format!("person{number}@example.com");
            let person = [("email", email.as_str()), ("hs_lead_status", "NURTURE")];
            hubspot.create_as_user(Object::Contact, &person, FIRST_USER, now).unwrap();
        }
        let org = &mut world.salesforce;
        org.drop_field(now, "Lead", "HubSpot_Score__c");
        org.define_field(now, "Lead", Field::number("HubSpot_Scores__c", "Score", 18, 2));
        org.define_field(now, "Account", Field::text("HubSpot_Id__c", "HubSpot id", 20));
        org.define_field(now, "Contact", Field::text("HubSpot_Campaign__c", "C", 255).read_only());
        let stage = Field::picklist("Lifecycle_Stage__c", "Stage", &["Subscriber", "Lead"]);
        org.define_field(now, "Contact", stage.restricted());
        org.define_field(now, "Opportunity", Field::text("Region__c", "Region", 10).required());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let found = compared(&sandbox).await;
    let told = hindering(&found);
    for planted in [
        "HubSpot contacts has no field `qualified_because`",
        "HubSpot contacts has no field `handoff_owner`",
        "HubSpot's stages stand in another order than the mapping's: lead, subscriber, \
         marketingqualifiedlead, salesqualifiedlead, opportunity, customer, evangelist, other",
        "the table has no row for \"NURTURE\" of HubSpot contacts's `hs_lead_status`, which 3 \
         records have",
        "Salesforce Lead has no field `HubSpot_Score__c`",
        "Salesforce Account's `HubSpot_Id__c` holds the other side's id, and is not unique",
        "Salesforce Account's `HubSpot_Id__c` is no external id",
        "Salesforce Contact's `HubSpot_Campaign__c` cannot be written",
        "Salesforce Contact's `Lifecycle_Stage__c` has no choice \"Customer\"",
    ] {
        assert!(told.contains(&planted.to_owned()), "{planted}\n{told:#?}");
    }
    let other = |what: &str| found.iter().find(|misfit| misfit.what.contains(what)).unwrap();
    let help = |what: &str| other(what).help.clone().unwrap();
    assert!(help("no field `HubSpot_Score__c`").starts_with("did you mean `HubSpot_Scores__c`?"));
    for warned in [
        "\"PARKED\" of HubSpot contacts's `hs_lead_status`, which no record has yet",
        "Salesforce creates no Opportunity without `Region__c`, which is not mapped",
    ] {
        assert!(!other(warned).hinders, "{warned}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_without_a_scope_is_told() {
    let sandbox = sandbox();
    let scopes = [
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.objects.companies.read",
        "crm.objects.deals.read",
        "crm.objects.deals.write",
        "crm.objects.owners.read",
        "crm.schemas.contacts.read",
        "crm.schemas.companies.read",
        "crm.schemas.deals.read",
    ];
    sandbox.world().hubspot.auth.restrict(PRIVATE_TOKEN, &scopes);
    let found = compared(&sandbox).await;
    assert_eq!(hindering(&found), ["the app does not have the scope crm.objects.companies.write"]);
}

#[tokio::test(start_paused = true)]
async fn calls_and_e_mails_that_the_app_may_not_read_are_told_where_they_count() {
    let sandbox = sandbox();
    // They have no scope of their own: HubSpot lets those see them who see contacts.
    let scopes =
        ["crm.objects.companies.read", "crm.objects.deals.read", "crm.objects.owners.read"];
    sandbox.world().hubspot.auth.restrict(PRIVATE_TOKEN, &scopes);
    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    let (mappings, sources) = people_with("");
    let found = misfits(&mappings.list, &platforms).await.unwrap();
    for object in ["calls", "emails"] {
        let told: Vec<_> = found.iter().filter(|misfit| misfit.object == object).collect();
        let [misfit] = told[..] else { panic!("{object}: {found:#?}") };
        assert!(misfit.hinders && misfit.side == Side::HubSpot, "{misfit:?}");
        let what = format!("the account does not describe {object}: ");
        assert!(misfit.what.starts_with(&what) && misfit.what.contains("scopes"), "{misfit:?}");
        let (source, span) = misfit.spot.find("people", &sources).unwrap();
        assert_eq!(&source.text[span], "true", "the key `hubspot` of [handoff.touch]");
    }
    // Where they do not count, nobody misses them.
    let found = compared(&sandbox).await;
    assert!(
        !found.iter().any(|it| ["calls", "emails"].contains(&it.object.as_str())),
        "{found:#?}"
    );
}

/// The shipped people mapping with blocks under its handoff.
fn people_with(blocks: &str) -> (Mappings, [Arc<Source>; 1]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/people.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replacen("[handoff.calendar]", &format!("{blocks}\n[handoff.calendar]"), 1);
    let text = text.replacen("[handoff.touch]", "[handoff.touch]\nhubspot = true", 1);
    let source = Source { path: "people.toml".to_owned(), text: text.clone() };
    (load(vec![("people.toml".to_owned(), text)]).unwrap(), [Arc::new(source)])
}

/// What a handoff may ask for besides, much of it wrong.
const NEXT_STEPS: &str = r#"
[handoff.hubspot_task]
type = "RING"
queue = "99"

[handoff.campaign]
id = "701000000000001AAA"

[handoff.queue_task]
queue = "Inbound Leads"
"#;

#[tokio::test(start_paused = true)]
async fn a_sequence_is_looked_for_with_its_sender_and_scopes() {
    let sandbox = sandbox();
    let told = async |sender: &str| {
        let block = format!("[handoff.sequence]\nid = \"4711\"\nsender = \"{sender}\"\n");
        let (mappings, _) = people_with(&block);
        let platforms = in_process(&sandbox, &Clients::default()).unwrap();
        let found = misfits(&mappings.list, &platforms).await.unwrap();
        let own = found.into_iter().filter(|it| it.object == "sequences" && it.hinders);
        own.map(|it| it.what).collect::<Vec<_>>()
    };
    let nobody = ["HubSpot shows no sequence 4711 to Maya Keller, Tom Okafor, Ines Prado"];
    assert_eq!(told("owner").await, nobody);
    sandbox.world().hubspot.add_sequence(4_711, "Welcome");
    assert_eq!(told("owner").await, [""; 0]);
    assert_eq!(told("tom.okafor@example.com").await, [""; 0]);
    assert_eq!(told("eve@example.com").await, ["HubSpot has no active user eve@example.com"]);
    {
        // One who made it sees a sequence that is not shared.
        let sequences = &mut sandbox.world().hubspot.sequences;
        sequences.known.get_mut(&4_711).unwrap().shared = false;
    }
    assert_eq!(told("owner").await, [""; 0]);
    assert_eq!(
        told("tom.okafor@example.com").await,
        ["HubSpot shows no sequence 4711 to Tom Okafor"]
    );
    let kept: Vec<&str> =
        SCOPES.into_iter().filter(|scope| !scope.starts_with("automation.")).collect();
    sandbox.world().hubspot.auth.restrict(PRIVATE_TOKEN, &kept);
    let scopes = [
        "the app does not have the scope automation.sequences.read",
        "the app does not have the scope automation.sequences.enrollments.write",
    ];
    assert_eq!(told("owner").await, scopes);
}

#[tokio::test(start_paused = true)]
async fn a_flow_is_looked_for_with_what_it_takes() {
    let sandbox = sandbox();
    let (mappings, sources) = people_with(
        r#"
[handoff.flow]
name = "Lead_Handed_Off"

[handoff.flow.inputs]
recordId = "{{ ids.salesforce }}"
reson = "{{ handoff.reason }}"
urgent = "yes"
"#,
    );
    let told = async |hinders: bool| {
        let platforms = in_process(&sandbox, &Clients::default()).unwrap();
        let found = misfits(&mappings.list, &platforms).await.unwrap();
        let own = found.into_iter().filter(|it| it.object == "Flow" && it.hinders == hinders);
        own.map(|it| {
            let (source, span) = it.spot.find("people", &sources).unwrap();
            let at = source.text[span].lines().next().unwrap_or_default().to_owned();
            format!("{}; {} ({at})", it.what, it.help.unwrap_or_default())
        })
        .collect::<Vec<_>>()
    };
    let missing =
        ["Salesforce has no active autolaunched flow Lead_Handed_Off, or hides it; activate it, \
         correct its API name, or let the signed-in user run it (\"Run Flows\", or the flow's own \
         access) (\"Lead_Handed_Off\")"];
    assert_eq!(told(true).await, missing);
    let off = Flow { active: false, ..Flow::taking(&["recordId"]) };
    sandbox.world().salesforce.flows.insert("Lead_Handed_Off".to_owned(), off);
    assert_eq!(told(true).await, missing);
    let variable = |name: &str, kind: &str, required| Variable {
        name: name.to_owned(),
        kind: kind.to_owned(),
        required,
    };
    let inputs = vec![
        variable("recordId", "STRING", false),
        variable("reason", "STRING", true),
        variable("urgent", "BOOLEAN", false),
    ];
    let flow = Flow { inputs, ..Flow::taking(&[]) };
    sandbox.world().salesforce.flows.insert("Lead_Handed_Off".to_owned(), flow);
    let hindering = told(true).await;
    assert_eq!(hindering.len(), 2, "{hindering:?}");
    assert!(hindering[0].starts_with(
        "the flow Lead_Handed_Off has no input variable `reson`; it has recordId, reason, urgent"
    ));
    assert!(
        hindering[1].starts_with("the flow Lead_Handed_Off cannot be started without `reason`")
    );
    let warned = told(false).await;
    assert!(
        warned[0].starts_with("the flow's input variable `urgent` is a BOOLEAN; it gets a text")
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_handoff_needs_besides_fields_is_looked_for() {
    let sandbox = sandbox();
    let (mappings, sources) = people_with(NEXT_STEPS);
    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    let found = misfits(&mappings.list, &platforms).await.unwrap();
    assert_eq!(
        hindering(&found),
        [
            "HubSpot tasks's `hs_task_type` has no choice \"RING\"",
            "HubSpot tasks's `hs_queue_membership_ids` has no choice \"99\"",
            "Salesforce has no queue called \"Inbound Leads\", or hides it",
            "Salesforce has no Campaign 701000000000001AAA, or hides it",
        ]
    );
    for misfit in found.iter().filter(|misfit| misfit.hinders) {
        let (source, span) = misfit.spot.find("people", &sources).unwrap();
        let named = ["\"RING\"", "\"99\"", "\"701000000000001AAA\"", "\"Inbound Leads\""];
        assert!(named.contains(&&source.text[span]), "{misfit:?}");
    }
    let help = |found: &[Misfit], what: &str| {
        let told = found.iter().find(|misfit| misfit.what.contains(what)).unwrap();
        told.help.clone().unwrap()
    };
    assert_eq!(help(&found, "no queue called"), "did you mean \"Inbound leads\"?");
    let now = sandbox.clock().now();
    {
        let mut world = sandbox.world();
        let campaign = json!({"Name": "Spring", "IsActive": false});
        let id = Some("701000000000001AAA".into());
        world.salesforce.seed(now, "Campaign", id, campaign);
        world.salesforce.seed_queue(now, None, "Inbound Leads", &["Lead", "Case"], &[]);
        let hubspot = &mut world.hubspot;
        assert!(hubspot.set_choices(Object::Task, "hs_task_type", &[("RING", "Ring")], now));
        let queues = [("99", "Callbacks")];
        assert!(hubspot.set_choices(Object::Task, "hs_queue_membership_ids", &queues, now));
    }
    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    let found = misfits(&mappings.list, &platforms).await.unwrap();
    let may_not = "Salesforce's queue \"Inbound Leads\" may not own tasks";
    assert_eq!(hindering(&found), [may_not], "{found:#?}");
    assert_eq!(help(&found, may_not), "add Task to it in Setup, Queues, Supported Objects");
    {
        let org = &mut sandbox.world().salesforce;
        let queue = org.staff_named("Inbound Leads").unwrap();
        org.seed(now, "QueueSobject", None, json!({"QueueId": &*queue, "SobjectType": "Task"}));
    }
    let found = misfits(&mappings.list, &platforms).await.unwrap();
    assert_eq!(hindering(&found), [""; 0], "{found:#?}");
    let told = |it: &&Misfit| it.what.ends_with("701000000000001AAA is not active");
    assert!(found.iter().any(|it| told(&it)));
}

#[tokio::test(start_paused = true)]
async fn a_members_status_is_one_of_the_campaigns_own() {
    let sandbox = sandbox();
    let now = sandbox.clock().now();
    {
        let org = &mut sandbox.world().salesforce;
        let id = Some("701000000000001AAA".into());
        let campaign = org.seed(now, "Campaign", id, json!({"Name": "Spring", "IsActive": true}));
        let status = json!({"CampaignId": &*campaign, "Label": "Attended", "HasResponded": true});
        org.seed(now, "CampaignMemberStatus", None, status);
        let other = org.seed(now, "Campaign", None, json!({"Name": "Fair", "IsActive": true}));
        let status = json!({"CampaignId": &*other, "Label": "Visited", "HasResponded": true});
        org.seed(now, "CampaignMemberStatus", None, status);
    }
    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    for (status, help) in [
        ("Sent", None),
        ("Attended", None),
        ("Atended", Some("did you mean \"Attended\"?")),
        (
            "Visited",
            Some(
                "it has \"Attended\", \"Responded\", \"Sent\"; Salesforce would take \"Sent\" without \
                 a word",
            ),
        ),
    ] {
        let block =
            format!("[handoff.campaign]\nid = \"701000000000001AAA\"\nstatus = {status:?}\n");
        let (mappings, sources) = people_with(&block);
        let found = misfits(&mappings.list, &platforms).await.unwrap();
        let told: Vec<&Misfit> = found.iter().filter(|misfit| misfit.hinders).collect();
        let Some(help) = help else {
            assert_eq!(told, [] as [&Misfit; 0], "{status}");
            continue;
        };
        let what =
            format!("Salesforce's Campaign 701000000000001AAA has no member status {status:?}");
        assert!(matches!(told[..], [it] if it.what == what), "{told:#?}");
        assert_eq!(told[0].help.as_deref(), Some(help));
        let (source, span) = told[0].spot.find("people", &sources).unwrap();
        assert_eq!(source.text[span], format!("{status:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_property_that_cannot_hold_what_it_is_told_is_named() {
    let sandbox = sandbox();
    let now = sandbox.clock().now();
    {
        let hubspot = &mut sandbox.world().hubspot;
        for (name, kind, read_only) in [
            ("handoff_state", "enumeration", false),
            ("handoff_touched_at", "date", false),
            ("handoff_amount", "bool", false),
            ("handoff_owner", "number", false),
            ("handoff_reason", "string", true),
        ] {
            assert!(hubspot.archive_property(Object::Contact, name, now));
            let property = Property::custom(name, name, kind);
            let property = if read_only { property.read_only() } else { property };
            hubspot.define(Object::Contact, property, now).unwrap();
        }
        let states = [("assigned", "Assigned"), ("won", "Won")];
        assert!(hubspot.set_choices(Object::Contact, "handoff_state", &states, now));
    }
    let found = compared(&sandbox).await;
    assert_eq!(
        hindering(&found),
        [
            "HubSpot contacts's `handoff_state` has no choice for qualified, excluded, rejected, \
             sent, touched, accepted, returned, lapsed, lost",
            "HubSpot contacts's `handoff_owner` does not hold any text",
            "HubSpot contacts's `handoff_touched_at` does not hold a date with a time",
            "HubSpot contacts's `handoff_reason` cannot be written",
            "HubSpot contacts's `handoff_amount` does not hold a number",
        ]
    );
}
