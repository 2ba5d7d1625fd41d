//! Notices of handoffs, delivered to a little server: in each receiver's words, signed, again after
//! a failure, and without one receiver's trouble being another's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use jiff::SignedDuration;
use lockstep::cli::rehearsal::{Clients, in_process, set_up};
use lockstep::daemon::handoff::{Notices, receivers};
use lockstep::daemon::{Clock, Engine, Options, network};
use lockstep::journal::{Disk, Journal, MemoryStore};
use lockstep::mapping::{Mappings, load as load_mappings};
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::{Sandbox, SandboxClock};
use lockstep::settings::{Sources, load};
use ring::hmac;
use serde_json::Value;

const SECRET: &str = "what both sides know";

/// One request, its headers and its body.
type Arrived = (HeaderMap, String);

/// Whoever is told: what arrived by path, and how the next requests there are answered.
#[derive(Clone, Default)]
struct Receiver {
    arrived: Arc<Mutex<BTreeMap<String, Vec<Arrived>>>>,
    answers: Arc<Mutex<BTreeMap<String, Vec<StatusCode>>>>,
}

async fn take(
    State(receiver): State<Receiver>,
    axum::extract::Path(name): axum::extract::Path<String>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    receiver.arrived.lock().unwrap().entry(name.clone()).or_default().push((headers, body));
    if name == "slow" {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let mut answers = receiver.answers.lock().unwrap();
    let answer = answers.get_mut(&name).and_then(Vec::pop).unwrap_or(StatusCode::OK);
    (answer, [("retry-after", "120")])
}

impl Receiver {
    /// Listens; gives its address.
    async fn listen(&self) -> String {
        let router = Router::new().route("/{name}", post(take)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn arrived(&self, name: &str) -> Vec<(HeaderMap, String)> {
        self.arrived.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    fn answers(&self, name: &str, with: StatusCode) {
        self.answers.lock().unwrap().entry(name.to_owned()).or_default().push(with);
    }
}

fn mappings() -> Mappings {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/people.toml");
    let mut text = std::fs::read_to_string(path).unwrap();
    let mut webhooks = String::new();
    for (name, shape) in
        [("chat", "slack"), ("floor", "teams"), ("events", "json"), ("slow", "json")]
    {
        webhooks.push_str(&format!(
            "[[handoff.webhook]]\nname = {name:?}\nshape = {shape:?}\non = [\"sent\"]\n\n"
        ));
    }
    webhooks.push_str(
        "[[handoff.escalate]]\nname = \"an hour left\"\ngoal = \"touch\"\nbefore = \"1h\"\n\
         notice = \"events\"\n\n",
    );
    text = text.replacen("[handoff.touch]", &format!("{webhooks}[handoff.touch]"), 1);
    load_mappings(vec![(path.to_owned(), text)])
        .unwrap_or_else(|report| panic!("{}", report.plain()))
}

struct Office {
    sandbox: Sandbox,
    engine: Engine,
    notices: Notices,
}

impl Office {
    async fn open(address: &str) -> Self {
        let start = "2026-11-02T09:00:00Z".parse().unwrap();
        let sandbox = Sandbox::new(1, SandboxClock::starting_at(start));
        set_up(&sandbox);
        let journal = Journal::inline(MemoryStore::open(&Disk::default()), [7; 32]).unwrap();
        let platforms = in_process(&sandbox, &Clients::default()).unwrap();
        let theirs = sandbox.clock().clone();
        let clock = Clock::reading(move || theirs.now());
        let options = Options { window: Duration::from_millis(1), ..Options::default() };
        let engine = Engine::new(journal, platforms, mappings(), clock, options, 1);
        engine.start().await.unwrap();
        let told: String = ["chat", "floor", "events", "slow"]
            .map(|name| {
                let secret = if name == "events" { SECRET } else { "another" };
                format!("[{name}]\nurl = \"{address}/{name}\"\nsecret = \"{secret}\"\n")
            })
            .concat();
        let environment = [("LOCKSTEP_NOTICES__RECEIVERS".to_owned(), told)].into();
        let effective = load(&Sources { file: None, environment }).unwrap();
        let shown = format!("{:?}", effective.entries);
        assert!(!shown.contains(address) && !shown.contains(SECRET), "{shown}");
        let targets = receivers(&effective).unwrap();
        let notices = Notices { http: network().unwrap(), targets };
        let office = Self { sandbox, engine, notices };
        office.round(30).await;
        office
    }

    async fn round(&self, seconds: i64) {
        self.sandbox.clock().advance(SignedDuration::from_secs(seconds));
        self.engine.listen().await.unwrap();
        self.engine.settle_all(Duration::from_millis(200)).await.unwrap();
        self.engine.hand_off_all().await.unwrap();
    }

    fn contact(&self, email: &str) {
        let now = self.sandbox.clock().now();
        let values = [
            ("email", email),
            ("firstname", "Ada"),
            ("lastname", "King"),
            ("company", "Engines"),
            ("lifecyclestage", "lead"),
            ("lead_score", "61"),
        ];
        let mut world = self.sandbox.world();
        world.hubspot.create_as_user(Object::Contact, &values, FIRST_USER, now).unwrap();
    }

    async fn deliver(&self) -> usize {
        self.engine.deliver_notices(&self.notices).await.unwrap()
    }
}

/// What stands in a header.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_handoff_is_told_to_everybody_in_their_own_words() {
    let receiver = Receiver::default();
    let address = receiver.listen().await;
    let office = Office::open(&address).await;
    receiver.answers("chat", StatusCode::TOO_MANY_REQUESTS);
    office.contact("ada@example.com");
    office.round(30).await;
    let begun = tokio::time::Instant::now();
    // The chat has had enough for now, and one of them does not answer at all.
    assert_eq!(office.deliver().await, 2);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

    let [(headers, body)] = &receiver.arrived("events")[..] else { panic!("one notice") };
    let (time, tag) = header(headers, "lockstep-signature").split_once(",v1=").unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let tag: Vec<u8> = (0..tag.len() / 2)
        .map(|at| u8::from_str_radix(&tag[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::verify(&key, format!("{time}.{body}").as_bytes(), &tag).unwrap();
    assert_eq!(header(headers, "content-type"), "application/json");
    let told: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&told["what"], &told["handoff"]), (&"sent".into(), &"L1-1".into()), "{told}");
    assert_eq!(told["reason"], "the score reached 50");
    assert!(told["page"].as_str().unwrap().contains("/lightning/r/Lead/00Q"), "{told}");
    assert!(!body.contains("ada@") && !body.contains("King"), "{body}");

    let floor: Value = serde_json::from_str(&receiver.arrived("floor")[0].1).unwrap();
    let card = &floor["attachments"][0];
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(card["content"]["actions"][0]["type"], "Action.OpenUrl");
    let chat = receiver.arrived("chat");
    let text: Value = serde_json::from_str(&chat[0].1).unwrap();
    assert!(text["text"].as_str().unwrap().contains("|Open in Salesforce>"), "{text}");

    // It is left alone for as long as it asked for, and then has the same notice.
    office.round(60).await;
    assert_eq!(office.deliver().await, 0);
    assert_eq!(receiver.arrived("chat").len(), 1);
    office.round(61).await;
    office.deliver().await;
    let chat = receiver.arrived("chat");
    assert_eq!(chat.len(), 2);
    assert_eq!(header(&chat[0].0, "lockstep-notice"), header(&chat[1].0, "lockstep-notice"));

    // An escalation is told as well, once; what nobody took is given up after a day.
    office.round(3 * 3_600).await;
    office.deliver().await;
    let events = receiver.arrived("events");
    assert_eq!(events.len(), 2, "{events:?}");
    let told: Value = serde_json::from_str(&events[1].1).unwrap();
    assert!(told["what"].as_str().unwrap().starts_with("an hour left"), "{told}");
    assert!(told["page"].is_string(), "{told}");
    office.round(25 * 3_600).await;
    office.deliver().await;
    let tries = receiver.arrived("slow").len();
    office.round(3_600).await;
    office.deliver().await;
    assert_eq!(receiver.arrived("slow").len(), tries, "it is not tried any more");
}

#[tokio::test]
async fn whoever_is_down_is_told_later_and_keeps_nobody_waiting() {
    let receiver = Receiver::default();
    let address = receiver.listen().await;
    let mut office = Office::open(&address).await;
    office.notices.targets.remove("slow");
    for number in 0..5 {
        office.contact(&format!("p{number}@example.com"));
    }
    office.round(30).await;
    receiver.answers("events", StatusCode::BAD_GATEWAY);
    // The first notice fails and the receiver rests; the others have all of theirs.
    assert_eq!(office.deliver().await, 10);
    assert_eq!(receiver.arrived("events").len(), 1);
    let mut rounds = 0;
    while receiver.arrived("events").len() < 6 {
        office.round(130).await;
        office.deliver().await;
        rounds += 1;
        assert!(rounds < 10, "{}", receiver.arrived("events").len());
    }
    let told: std::collections::BTreeSet<String> = receiver
        .arrived("events")
        .iter()
        .map(|(headers, _)| header(headers, "lockstep-notice").to_owned())
        .collect();
    assert_eq!(told.len(), 5, "each once but for the one that failed");
    assert_eq!(office.deliver().await, 0);
}
