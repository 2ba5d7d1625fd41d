//! How soon an edit is on the other side, and how fast webhooks are acknowledged: each beside a bare
//! relay, in one run.
//!
//! `cargo bench --bench push` runs the built binary between the sandbox's two platforms over TCP.
//!
//! - **Latency.** Ten edits a second, each of another person, from the moment of the edit in the
//!   sandbox to the moment that the value stands in the other platform: both ways, while nothing
//!   else happens and while a backfill runs. Beside it a relay that is told in the same way and
//!   makes the same two calls (read here, write there), with no journal and no decision.
//! - **Handoff.** Ten scores a second that qualify a contact, each to the moment that the Lead and
//!   the Task for its owner exist. The relay reads the contact and makes both, in three calls.
//! - **Acknowledgement.** Two hundred deliveries of a hundred events in flight, answered once they
//!   are durable. Beside it a receiver that checks the signature and answers. What the disk allows is
//!   measured by itself: writes of 4 KiB, each made durable.
//!
//! What a run on two shared cores gave, as ratios. Of the relay's p50: edits 1.1 times, the handoff 1.7
//! times. Of the quiet p99, while 100,000 are taken in: 0.9 and 1.0 times for edits, 1.1 times for
//! handoffs (the p99 of a hundred is its second slowest, which one stray moment makes: other runs had
//! up to twice that). Events made durable: 7 to 11 for each 4 KiB that the disk flushes by itself, more
//! than 30,000 a second on it, and a tenth of what a receiver takes that only checks.
//!
//! `PUSH_SECONDS` (10), `PUSH_BACKFILL` (100000) and `PUSH_WINDOWS` (`500ms`, the values of
//! settle.window that are measured) change what is measured. `PUSH_KEEP=1` keeps the daemon's folder
//! with its log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures real time, and fails by panicking"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, StatusCode};
use lockstep::cli::rehearsal::{Clients, connect_with_events, set_up};
use lockstep::daemon::network;
use lockstep::platform::hubspot::webhook::{Signed, Verifier, Version};
use lockstep::platform::salesforce::pubsub::{Grpc, GrpcSettings, Replay};
use lockstep::platform::transport::Http;
use lockstep::record::PerSide;
use lockstep::sandbox::hubspot::limits::Limits;
use lockstep::sandbox::hubspot::oauth::{PRIVATE_APP, PRIVATE_APP_SECRET, PRIVATE_TOKEN};
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::salesforce::oauth::{CLIENT_ID, CLIENT_SECRET};
use lockstep::sandbox::server::{ServeOptions, Serving, serve};
use lockstep::sandbox::{Sandbox, SandboxClock};
use ring::hmac;
use secrecy::SecretString;
use serde_json::{Value, json};

/// Edits in a second.
const RATE: u32 = 10;
/// Deliveries in flight.
const IN_FLIGHT: usize = 200;
/// Events of a delivery.
const EVENTS: usize = 100;

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let seconds = number("PUSH_SECONDS", 10);
    let backfill = number("PUSH_BACKFILL", 100_000);
    let windows = std::env::var("PUSH_WINDOWS").unwrap_or_else(|_| "500ms".to_owned());
    println!("{RATE} edits a second for {seconds} s; all times in milliseconds");
    for window in windows.split_whitespace() {
        let mut site = Site::new(window, seconds * RATE).await;
        println!("settle.window = {window}:");
        let relay = site.relayed().await;
        for (way, relay) in Way::ALL.into_iter().zip(&relay) {
            relay.print(&format!("{}, bare relay", way.name()), None);
        }
        let mut quiet = Vec::new();
        for (way, relay) in Way::ALL.into_iter().zip(&relay) {
            let times = site.measure(way).await;
            times.print(&format!("{}, quiet", way.name()), Some(relay));
            quiet.push(times);
        }
        site.begin_to_take_in(backfill).await;
        for ((way, relay), quiet) in Way::ALL.into_iter().zip(&relay).zip(&quiet) {
            let times = site.measure(way).await;
            times.print(&format!("{}, backfill of {backfill}", way.name()), Some(relay));
            println!("    p99 during the backfill / quiet: {:.2}", ratio(times.p(99), quiet.p(99)));
        }
        println!("    the backfill was {}", site.backfill_left());
        site.close().await;
    }
    acknowledge(seconds).await;
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(1e-9)
}

/// What was measured.
#[derive(Debug, Default)]
struct Times(Vec<Duration>, usize);

impl Times {
    fn p(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(at).copied().unwrap_or_default()
    }

    fn print(&self, name: &str, relay: Option<&Self>) {
        let ms = |percent| self.p(percent).as_secs_f64() * 1e3;
        let beside = relay.map(|relay| {
            let of = |percent| ratio(self.p(percent), relay.p(percent));
            format!("; of the relay's: p50 {:.1}, p95 {:.1}, p99 {:.1}", of(50), of(95), of(99))
        });
        println!(
            "  {name}: p50 {:.1}, p95 {:.1}, p99 {:.1} ({} edits, {} not seen){}",
            ms(50),
            ms(95),
            ms(99),
            self.0.len(),
            self.1,
            beside.unwrap_or_default()
        );
    }
}

/// Which way an edit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A person's phone, typed in in HubSpot.
    ToSalesforce,
    /// A person's phone, typed in in Salesforce.
    ToHubSpot,
    /// A score that qualifies a contact, to the Lead and its Task.
    Handoff,
}

impl Way {
    const ALL: [Self; 3] = [Self::ToSalesforce, Self::ToHubSpot, Self::Handoff];

    const fn name(self) -> &'static str {
        match self {
            Self::ToSalesforce => "HubSpot to Salesforce",
            Self::ToHubSpot => "Salesforce to HubSpot",
            Self::Handoff => "qualified to Lead and Task",
        }
    }
}

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if std::env::var_os("PUSH_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The binary between two platforms that know the same people.
struct Site {
    sandbox: Sandbox,
    serving: Option<Serving>,
    folder: Folder,
    door: SocketAddr,
    daemon: Option<Killed>,
    /// Contacts and their Leads.
    people: Vec<(u64, String)>,
    /// Contacts that are not qualified yet.
    prospects: Vec<u64>,
    next: u32,
}

fn values<'a>(email: &'a str, stage: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("email", email),
        ("firstname", "Ada"),
        ("lastname", "King"),
        ("company", "Engines"),
        ("lifecyclestage", stage),
    ]
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Site {
    async fn new(window: &str, people: u32) -> Self {
        let start = jiff::Timestamp::now();
        let sandbox = Sandbox::new(1, SandboxClock::starting_at(start));
        set_up(&sandbox);
        sandbox.world().hubspot.limiter.limits = Limits::none();
        let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
        let name = format!("lockstep-push-{}-{window}-{people}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(folder.0.join("mappings")).unwrap();
        for file in ["people.toml", "companies.toml", "deals.toml"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings").join(file);
            std::fs::copy(from, folder.0.join("mappings").join(file)).unwrap();
        }
        let door = free();
        let text = format!(
            "[directories]\nstate = \"state\"\nruntime = \"run\"\nmappings = \"mappings\"\n\
             [hubspot]\nbase_url = {:?}\ncalls_per_ten_seconds = 100000\n\
             searches_per_second = 1000\n\
             [salesforce]\nlogin_url = {:?}\nauth = \"client-credentials\"\n\
             client_id = {CLIENT_ID:?}\nevents_url = {:?}\n\
             [settle]\nwindow = {window:?}\n\
             [limits]\nchanges = 10000000\nshare = 1.0\ncreates = 10000000\n\
             [webhooks]\nlisten = \"{door}\"\n",
            serving.hubspot_url(),
            serving.salesforce_url(),
            serving.pubsub_url(),
        );
        std::fs::write(folder.0.join("lockstep.toml"), text).unwrap();
        let mut site = Self {
            sandbox,
            serving: Some(serving),
            folder,
            door,
            daemon: None,
            people: Vec::new(),
            prospects: Vec::new(),
            next: 0,
        };
        let mut contacts = Vec::new();
        for person in 0..people {
            let email = format!("person{person}@example.com");
            contacts.push(site.contact(&email, "marketingqualifiedlead"));
        }
        // For the relay, the quiet time and the backfill.
        for prospect in 0..people * 3 {
            let contact = site.contact(&format!("prospect{prospect}@example.com"), "subscriber");
            site.prospects.push(contact);
        }
        site.subscribe(Some(site.target()));
        site.start();
        site.until_linked(&contacts).await;
        // What the first meeting wrote comes back; then all is quiet.
        tokio::time::sleep(Duration::from_secs(5)).await;
        site
    }

    fn target(&self) -> String {
        format!("http://{}/webhooks/hubspot", self.door)
    }

    fn subscribe(&self, target: Option<String>) {
        let now = self.sandbox.clock().now();
        let account = &mut self.sandbox.world().hubspot;
        account.subscribe_to_everything(PRIVATE_APP, now).unwrap();
        let app = account.webhooks.app_mut(PRIVATE_APP).unwrap();
        app.set_target_url(target.as_deref()).unwrap();
    }

    fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.0.join("log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command
            .args(["--config", "lockstep.toml", "run"])
            .current_dir(&self.folder.0)
            .env("LOCKSTEP_HUBSPOT__TOKEN", PRIVATE_TOKEN)
            .env("LOCKSTEP_SALESFORCE__CLIENT_SECRET", CLIENT_SECRET)
            .env("LOCKSTEP_WEBHOOKS__SECRET", PRIVATE_APP_SECRET)
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        self.daemon = Some(Killed(command.spawn().unwrap()));
    }

    fn contact(&self, email: &str, stage: &str) -> u64 {
        let now = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        let values = values(email, stage);
        world.hubspot.create_as_user(Object::Contact, &values, FIRST_USER, now).unwrap()
    }

    async fn until_linked(&mut self, contacts: &[u64]) {
        for _ in 0..1_200 {
            let leads: BTreeMap<String, String> = {
                let world = self.sandbox.world();
                let leads = world.salesforce.records("Lead");
                leads
                    .filter_map(|lead| {
                        Some((lead.text("HubSpot_Id__c")?.to_owned(), lead.id.to_string()))
                    })
                    .collect()
            };
            if leads.len() >= contacts.len() {
                let people = contacts.iter().map(|id| (*id, leads[&id.to_string()].clone()));
                self.people = people.collect();
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.folder.0.join("log")).unwrap_or_default();
        panic!("the people never came to Salesforce:\n{log}");
    }

    /// Edits one person. Says what is to be seen across.
    fn edit(&mut self, way: Way, person: usize) -> Edit {
        self.next += 1;
        let value = format!("+1 555 {:07}", self.next);
        let contact = match way {
            Way::Handoff => self.prospects.pop().unwrap(),
            _ => self.people[person].0,
        };
        let now = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        match way {
            Way::ToSalesforce | Way::Handoff => {
                let edit = match way {
                    Way::Handoff => [("lead_score", "77")],
                    _ => [("mobilephone", value.as_str())],
                };
                let edited =
                    world.hubspot.edit_as_user(Object::Contact, contact, &edit, FIRST_USER, now);
                edited.unwrap();
            }
            Way::ToHubSpot => {
                let user = world.salesforce.staff.sales[0].clone();
                let values = json!({ "Phone": value });
                let values = values.as_object().unwrap();
                let lead = &self.people[person].1;
                world.salesforce.person_edits(now, &user, lead, values).unwrap();
            }
        }
        drop(world);
        Edit { way, contact, value, since: Instant::now() }
    }

    /// Whether an edit is on the other side.
    fn landed(&self, edit: &Edit) -> bool {
        let world = self.sandbox.world();
        let id = edit.contact.to_string();
        let lead =
            || world.salesforce.records("Lead").find(|it| it.text("HubSpot_Id__c") == Some(&id));
        match edit.way {
            Way::ToSalesforce => {
                lead().is_some_and(|lead| lead.text("MobilePhone") == Some(&edit.value))
            }
            Way::ToHubSpot => {
                world.hubspot.value(Object::Contact, edit.contact, "phone").as_deref()
                    == Some(&edit.value)
            }
            Way::Handoff => lead().is_some_and(|lead| {
                let lead = lead.id.to_string();
                world.salesforce.records("Task").any(|task| task.text("WhoId") == Some(&lead))
            }),
        }
    }

    /// One edit of each person, ten a second.
    async fn measure(&mut self, way: Way) -> Times {
        let mut open: Vec<Edit> = Vec::new();
        let mut times = Times::default();
        let began = Instant::now();
        let mut made = 0;
        let last =
            Duration::from_secs(60) + Duration::from_secs(1) * (self.people.len() as u32 / RATE);
        while (made < self.people.len() || !open.is_empty()) && began.elapsed() < last {
            if made < self.people.len()
                && began.elapsed() >= Duration::from_secs(1) * made as u32 / RATE
            {
                open.push(self.edit(way, made));
                made += 1;
            }
            open.retain(|edit| {
                let landed = self.landed(edit);
                if landed {
                    times.0.push(edit.since.elapsed());
                }
                !landed
            });
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.1 = open.len();
        times
    }

    /// Lets the daemon begin to take in so many contacts that it has never seen: somebody has
    /// imported them while it was away. It lists them, and hears of them by webhooks too.
    async fn begin_to_take_in(&mut self, count: u32) {
        self.daemon = None;
        self.subscribe(None);
        for stranger in 0..count {
            let email = format!("stranger{stranger}@example.com");
            let now = self.sandbox.clock().now();
            let account = &mut self.sandbox.world().hubspot;
            account.import(Object::Contact, &values(&email, "subscriber"), now).unwrap();
        }
        self.subscribe(Some(self.target()));
        let file = self.folder.0.join("mappings/people.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let changed = text.replacen("[\"newest\", \"salesforce\"]", "[\"newest\", \"hubspot\"]", 1);
        assert_ne!(text, changed);
        std::fs::write(&file, changed).unwrap();
        self.start();
        // Signed in, and in the middle of it. An edit would stand behind the import's events in the
        // sandbox's own queue: they are let through first.
        tokio::time::sleep(Duration::from_secs(5)).await;
        for _ in 0..600 {
            let tally = self.sandbox.world().hubspot.webhooks.tally();
            if tally.queued + tally.waiting + tally.in_flight == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What of the backfill is still to be done, in words: it has to be under way to the end of
    /// the measurement.
    fn backfill_left(&self) -> String {
        let status = Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(["--config", "lockstep.toml", "--json", "status"])
            .current_dir(&self.folder.0)
            .output()
            .unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        let mappings = status["mappings"].as_array().cloned().unwrap_or_default();
        let people = mappings.iter().find(|mapping| mapping["mapping"] == "people");
        let people = people.cloned().unwrap_or_default();
        let pending = people["pending"].as_object();
        let pending: u64 = pending.into_iter().flatten().filter_map(|(_, it)| it.as_u64()).sum();
        format!("at {}, with {pending} to settle", people["taking_in"]["seen"])
    }

    /// A relay in the daemon's place: told by webhooks and by change events, it makes the calls that
    /// carry one edit over.
    async fn relayed(&mut self) -> [Times; 3] {
        let daemon = self.daemon.take();
        drop(daemon);
        let serving = self.serving.as_ref().unwrap();
        let relay = Arc::new(Relay {
            http: network().unwrap(),
            hubspot: serving.hubspot_url(),
            salesforce: serving.salesforce_url(),
            session: session(&serving.salesforce_url()).await,
            people: self.people.iter().cloned().collect(),
        });
        let url = serving.pubsub_url();
        let listener = tokio::net::TcpListener::bind(free()).await.unwrap();
        let target = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(relay_one)).with_state(Arc::clone(&relay));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let following = tokio::spawn(relay_events(relay, url));
        self.subscribe(Some(target));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let times = [
            self.measure(Way::ToSalesforce).await,
            self.measure(Way::ToHubSpot).await,
            self.measure(Way::Handoff).await,
        ];
        serving.abort();
        following.abort();
        self.subscribe(Some(self.target()));
        self.start();
        tokio::time::sleep(Duration::from_secs(8)).await;
        times
    }

    async fn close(mut self) {
        self.daemon = None;
        if let Some(serving) = self.serving.take() {
            serving.shutdown().await;
        }
    }
}

/// One edit on its way.
struct Edit {
    way: Way,
    contact: u64,
    value: String,
    since: Instant,
}

struct Relay {
    http: Arc<dyn Http>,
    hubspot: String,
    salesforce: String,
    session: String,
    /// Contacts and their Leads.
    people: BTreeMap<u64, String>,
}

async fn call(http: &dyn Http, method: &str, url: &str, bearer: &str, body: Value) -> Value {
    let mut request =
        Request::builder().method(method).uri(url).header("content-type", "application/json");
    if !bearer.is_empty() {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let answer = http.call(request.body(body).unwrap()).await.unwrap();
    assert!(answer.status().is_success(), "{method} {url}: {:?}", answer.body());
    serde_json::from_slice(answer.body()).unwrap_or(Value::Null)
}

async fn session(salesforce: &str) -> String {
    let url = format!("{salesforce}/sandbox/salesforce/sessions");
    let made = call(network().unwrap().as_ref(), "POST", &url, "", json!({})).await;
    made["result"]["access_token"].as_str().unwrap().to_owned()
}

/// The two calls that carry one edit over, and nothing else; three where a Lead and its Task are made.
async fn relay_one(State(relay): State<Arc<Relay>>, body: Bytes) -> StatusCode {
    let events: Vec<Value> = serde_json::from_slice(&body).unwrap();
    for event in events {
        let property = event["propertyName"].as_str().unwrap_or_default().to_owned();
        if property == "mobilephone" || property == "lead_score" {
            let id = event["objectId"].as_u64().unwrap();
            tokio::spawn(Arc::clone(&relay).carry(id, property));
        }
    }
    StatusCode::OK
}

impl Relay {
    async fn carry(self: Arc<Self>, id: u64, property: String) {
        let http = self.http.as_ref();
        let asked = "mobilephone,email,lastname,company";
        let url = format!("{}/crm/v3/objects/contacts/{id}?properties={asked}", self.hubspot);
        let contact = call(http, "GET", &url, PRIVATE_TOKEN, Value::Null).await;
        let contact = &contact["properties"];
        let records = format!("{}/services/data/v66.0/sobjects", self.salesforce);
        if property == "mobilephone" {
            let Some(lead) = self.people.get(&id) else { return };
            let body = json!({ "MobilePhone": contact["mobilephone"] });
            call(http, "PATCH", &format!("{records}/Lead/{lead}"), &self.session, body).await;
            return;
        }
        let body = json!({
            "LastName": contact["lastname"], "Company": contact["company"],
            "Email": contact["email"], "HubSpot_Id__c": id.to_string(),
        });
        let lead = call(http, "POST", &format!("{records}/Lead"), &self.session, body).await;
        let body = json!({ "WhoId": lead["id"], "Subject": "Call", "Status": "Not Started" });
        call(http, "POST", &format!("{records}/Task"), &self.session, body).await;
    }

    async fn carry_back(self: Arc<Self>, lead: String) {
        let Some((contact, _)) = self.people.iter().find(|(_, known)| **known == lead) else {
            return;
        };
        let http = self.http.as_ref();
        let url =
            format!("{}/services/data/v66.0/sobjects/Lead/{lead}?fields=Phone", self.salesforce);
        let read = call(http, "GET", &url, &self.session, Value::Null).await;
        let url = format!("{}/crm/v3/objects/contacts/{contact}", self.hubspot);
        let body = json!({ "properties": { "phone": read["Phone"] } });
        call(http, "PATCH", &url, PRIVATE_TOKEN, body).await;
    }
}

/// Follows the changes of Leads, and carries phones back.
async fn relay_events(relay: Arc<Relay>, url: String) {
    let http = PerSide { hubspot: Arc::clone(&relay.http), salesforce: Arc::clone(&relay.http) };
    let addresses =
        PerSide { hubspot: relay.hubspot.as_str(), salesforce: relay.salesforce.as_str() };
    let bus = Arc::new(Grpc::new(&GrpcSettings::at(url.parse().unwrap())).unwrap());
    let (_, events) = connect_with_events(http, addresses, &Clients::default(), bus).unwrap();
    let topic = "/data/LeadChangeEvent";
    let mut stream = events.subscribe(topic, &Replay::Latest, 100).await.unwrap();
    loop {
        let fetched = stream.next().await.unwrap();
        for raw in &fetched.events {
            let event = events.read(raw).await.unwrap().unwrap();
            if event.set.contains_key("Phone") {
                for lead in event.ids {
                    tokio::spawn(Arc::clone(&relay).carry_back(lead));
                }
            }
        }
        let count = u32::try_from(fetched.events.len()).unwrap();
        if count > 0 {
            stream.request(count).await.unwrap();
        }
    }
}

/// A delivery of contacts that nobody knows.
fn delivery(portal: u64, number: usize) -> String {
    let events: Vec<Value> = (0..EVENTS)
        .map(|event| {
            json!({
                "eventId": event, "subscriptionId": 1, "portalId": portal, "appId": PRIVATE_APP,
                "occurredAt": jiff::Timestamp::now().as_millisecond(),
                "subscriptionType": "contact.propertyChange", "attemptNumber": 0,
                "objectId": 1_000_000 + number * EVENTS + event, "propertyName": "mobilephone",
                "propertyValue": "+1 555 0100", "changeSource": "CRM_UI", "sourceId": "userId:1",
            })
        })
        .collect();
    Value::from(events).to_string()
}

/// Two hundred deliveries in flight for so long; says how long each took, and how many there were a
/// second.
async fn flood(target: &str, portal: u64, seconds: u32) -> (Times, f64) {
    let http = network().unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, PRIVATE_APP_SECRET.as_bytes());
    let began = Instant::now();
    let length = Duration::from_secs(seconds.into());
    let mut sent = futures_util::stream::iter(0..)
        .take_while(|_| std::future::ready(began.elapsed() < length))
        .map(|number| {
            let (http, body) = (Arc::clone(&http), delivery(portal, number));
            let millis = jiff::Timestamp::now().as_millisecond();
            let tag = hmac::sign(&key, format!("POST{target}{body}{millis}").as_bytes());
            let request = Request::post(target)
                .header("content-type", "application/json")
                .header("x-hubspot-signature-v3", STANDARD.encode(tag))
                .header("x-hubspot-request-timestamp", millis)
                .body(Bytes::from(body))
                .unwrap();
            async move {
                let since = Instant::now();
                let answer = http.call(request).await.map(|answer| answer.status());
                (since.elapsed(), answer)
            }
        })
        .buffer_unordered(IN_FLIGHT);
    let mut times = Times::default();
    while let Some((took, answer)) = sent.next().await {
        match answer {
            Ok(StatusCode::OK) => times.0.push(took),
            _ => times.1 += 1,
        }
    }
    let a_second = times.0.len() as f64 / began.elapsed().as_secs_f64();
    (times, a_second)
}

/// How often a second the disk makes 4 KiB durable.
fn flushes_a_second(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("flushes")).unwrap();
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < Duration::from_secs(2) {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

async fn check_only(
    State(verifier): State<Arc<(Verifier, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let (verifier, uri) = &*verifier;
    let signed = Signed { method: &http::Method::POST, uri, headers: &headers, body: &body };
    match verifier.check(&signed, jiff::Timestamp::now()) {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::UNAUTHORIZED,
    }
}

async fn acknowledge(seconds: u32) {
    println!("{IN_FLIGHT} deliveries of {EVENTS} events in flight:");
    let listener = tokio::net::TcpListener::bind(free()).await.unwrap();
    let target = format!("http://{}/webhooks/hubspot", listener.local_addr().unwrap());
    let secret = SecretString::from(PRIVATE_APP_SECRET.to_owned());
    let verifier = Arc::new((Verifier::new(&secret, [Version::V3]).unwrap(), target.clone()));
    let router = Router::new().route("/webhooks/hubspot", post(check_only)).with_state(verifier);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let (bare, bare_rate) = flood(&target, 1, seconds).await;
    serving.abort();
    bare.print("a receiver that checks and answers", None);
    println!("    {:.0} events a second", bare_rate * EVENTS as f64);

    let mut site = Site::new("500ms", 1).await;
    let portal = site.sandbox.world().hubspot.portal;
    // The platforms go away: what is measured is the intake alone.
    if let Some(serving) = site.serving.take() {
        serving.shutdown().await;
    }
    let flushes = flushes_a_second(&site.folder.0);
    let (durable, rate) = flood(&site.target(), portal, seconds).await;
    durable.print("durable before the answer", Some(&bare));
    let events = rate * EVENTS as f64;
    println!("    {events:.0} events a second, {:.2} of the bare receiver's", rate / bare_rate);
    println!(
        "    the disk makes 4 KiB durable {flushes:.0} times a second: {:.1} events a flush",
        events / flushes
    );
    site.close().await;
}
