//! The sandbox's sender and the daemon's door in one process, on virtual time: whatever befalls the
//! deliveries, both sides agree in the end, and nothing forged is believed.

use std::sync::Arc;
use std::time::Duration;

use lockstep::cli::rehearsal::{Clients, in_process, set_up};
use lockstep::daemon::webhooks::{Receiver, Turned, WebhookStatus};
use lockstep::daemon::{Clock, Engine, Options, read_mappings};
use lockstep::journal::{Disk, Journal, MemoryStore};
use lockstep::mapping::load as load_mappings;
use lockstep::platform::transport::{Http, InProcess};
use lockstep::record::Side;
use lockstep::sandbox::hubspot::oauth::{PRIVATE_APP, PRIVATE_APP_SECRET};
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::hubspot::webhooks::Unanswered;
use lockstep::sandbox::{Sandbox, SandboxClock};
use lockstep::settings::{Sources, load};
use secrecy::SecretString;

const START: &str = "2026-11-02T09:00:00Z";
const TARGET: &str = "https://sync.example.com/webhooks/hubspot";

struct Pushed {
    sandbox: Sandbox,
    engine: Arc<Engine>,
    door: InProcess,
    people: Vec<u64>,
    random: fastrand::Rng,
}

impl Pushed {
    async fn new(seed: u64, fault: &str) -> Self {
        let sandbox = Sandbox::new(seed, SandboxClock::starting_at(START.parse().unwrap()));
        set_up(&sandbox);
        {
            let now = sandbox.clock().now();
            let mut world = sandbox.world();
            let account = &mut world.hubspot;
            account.subscribe_to_everything(PRIVATE_APP, now).unwrap();
            let app = account.webhooks.app_mut(PRIVATE_APP).unwrap();
            app.set_target_url(Some(TARGET)).unwrap();
            if !fault.is_empty() {
                world.faults.arm_order(&fault.parse().unwrap()).unwrap();
            }
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
        let mappings = load_mappings(read_mappings(folder.as_ref()).unwrap()).unwrap();
        let journal = Journal::inline(MemoryStore::open(&Disk::default()), [7; 32]).unwrap();
        let platforms = in_process(&sandbox, &Clients::default()).unwrap();
        let clock = Clock::starting_at(sandbox.clock().now());
        let engine = Engine::new(journal, platforms, mappings, clock, Options::default(), seed);
        let engine = Arc::new(engine);
        engine.start().await.unwrap();
        // The first round finds where the listings begin; from then on nobody asks HubSpot.
        engine.listen().await.unwrap();
        let environment = [("LOCKSTEP_WEBHOOKS__PUBLIC_URL".to_owned(), TARGET.to_owned())];
        let sources = Sources { file: None, environment: environment.into() };
        let settings = load(&sources).unwrap().settings.webhooks;
        let secret = SecretString::from(PRIVATE_APP_SECRET);
        let receiver = Receiver::new(Arc::clone(&engine), &settings, &secret, None, false).unwrap();
        let door = InProcess::new(Arc::new(receiver).router());
        let random = fastrand::Rng::with_seed(seed);
        Self { sandbox, engine, door, people: Vec::new(), random }
    }

    fn status(&self) -> WebhookStatus {
        self.engine.webhooks.status().unwrap()
    }

    fn somebody_comes(&mut self) {
        let email = format!("person{}@example.com", self.people.len());
        let properties = [
            ("email", email.as_str()),
            ("firstname", "Ada"),
            ("lastname", "King"),
            ("company", "Engines"),
            ("lifecyclestage", "marketingqualifiedlead"),
        ];
        let now = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        let id = world.hubspot.create_as_user(Object::Contact, &properties, FIRST_USER, now);
        self.people.push(id.unwrap());
    }

    fn somebody_edits(&mut self) {
        let id = self.people[self.random.usize(..self.people.len())];
        let value = format!("edit {}", self.random.u32(..));
        let property = ["firstname", "jobtitle", "phone"][self.random.usize(..3)];
        let now = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        let edit = [(property, value.as_str())];
        world.hubspot.edit_as_user(Object::Contact, id, &edit, FIRST_USER, now).unwrap();
    }

    fn two_are_one(&mut self) {
        let now = self.sandbox.clock().now();
        let (primary, other) = (self.people.remove(0), self.people.remove(0));
        let mut world = self.sandbox.world();
        let merged = world.hubspot.merge_as_user(Object::Contact, primary, other, FIRST_USER, now);
        self.people.push(merged.unwrap());
    }

    /// Delivers until nothing is on its way.
    async fn deliver(&self) {
        loop {
            let now = self.sandbox.clock().now();
            let due = self.sandbox.world().webhooks_due(now);
            for delivery in due {
                let answer = self.door.call(delivery.request).await;
                let status = answer.map(|answer| answer.status());
                if delivery.genuine {
                    assert!(status.as_ref().unwrap().is_success(), "{status:?}");
                } else {
                    assert_eq!(status.as_ref().unwrap().as_u16(), 401);
                }
                let status = status.map_err(|_| Unanswered::Broken);
                self.sandbox.world().webhook_answered(delivery.id, status, now);
            }
            let Some(wake) = self.sandbox.world().webhooks_wake() else { return };
            let wait = Duration::try_from(wake.duration_since(self.sandbox.clock().now()));
            tokio::time::sleep(wait.unwrap_or_default().max(Duration::from_millis(1))).await;
        }
    }

    async fn settle(&self) {
        self.deliver().await;
        self.engine.settle_all(Duration::from_secs(30)).await.unwrap();
        // What we wrote comes back as word of a change.
        self.deliver().await;
        self.engine.settle_all(Duration::from_secs(30)).await.unwrap();
    }

    /// Who is not in Salesforce as they are in HubSpot.
    fn disagreements(&self) -> Vec<String> {
        let world = self.sandbox.world();
        let mut found = Vec::new();
        for id in &self.people {
            let value = |name| world.hubspot.value(Object::Contact, *id, name).unwrap_or_default();
            let lead = world
                .salesforce
                .records("Lead")
                .find(|lead| lead.text("HubSpot_Id__c") == Some(id.to_string().as_str()));
            let Some(lead) = lead else {
                found.push(format!("{id} is not in Salesforce"));
                continue;
            };
            for (ours, theirs) in
                [("firstname", "FirstName"), ("jobtitle", "Title"), ("phone", "Phone")]
            {
                let (ours, theirs) = (value(ours), lead.text(theirs).unwrap_or_default());
                if ours != theirs {
                    found.push(format!("{id}: {ours:?} in HubSpot, {theirs:?} in Salesforce"));
                }
            }
        }
        found
    }
}

async fn play(seed: u64, fault: &str) -> Pushed {
    let mut pushed = Pushed::new(seed, fault).await;
    for _ in 0..12 {
        pushed.somebody_comes();
    }
    pushed.settle().await;
    for round in 0..4 {
        for _ in 0..15 {
            pushed.somebody_edits();
        }
        if round == 2 {
            pushed.two_are_one();
        }
        pushed.settle().await;
    }
    pushed
}

#[tokio::test(start_paused = true)]
async fn both_sides_agree_without_anybody_asking() {
    let pushed = play(1, "").await;
    assert_eq!(pushed.disagreements(), [""; 0]);
    let status = pushed.status();
    assert_eq!(status.turned_away.len(), 0, "{status:?}");
    assert!(status.echoes > 0, "our own writes are told from others': {status:?}");
    let push = pushed.engine.intake.push(Side::HubSpot, "contacts").unwrap();
    assert_eq!((push.state.word(), push.missed), ("healthy", 0));
}

#[tokio::test(start_paused = true)]
async fn whatever_befalls_a_delivery_that_arrives_does_no_harm() {
    for (fault, turned) in [
        ("webhooks-shuffled=60%", None),
        ("webhooks-duplicated=60%", None),
        ("webhooks-late=60%", None),
        ("webhooks-forged=60%", Some(Turned::Forged)),
        ("webhooks-repeated=60%", Some(Turned::Stale)),
    ] {
        let pushed = play(3, fault).await;
        assert_eq!(pushed.disagreements(), [""; 0], "{fault}");
        let status = pushed.status();
        match turned {
            Some(kind) => assert!(status.turned_away[&kind] > 0, "{fault}: {status:?}"),
            None => assert_eq!(status.turned_away.len(), 0, "{fault}: {status:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_found_by_a_poll_and_told() {
    let mut pushed = play(5, "").await;
    pushed.sandbox.world().faults.arm_order(&"webhooks-lost".parse().unwrap()).unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    pushed.somebody_edits();
    pushed.settle().await;
    assert_eq!(pushed.disagreements().len(), 1, "lost");
    tokio::time::sleep(Duration::from_secs(300)).await;
    pushed.engine.listen().await.unwrap();
    pushed.engine.settle_all(Duration::from_secs(30)).await.unwrap();
    assert_eq!(pushed.disagreements(), [""; 0], "the poll is the net");
    let push = pushed.engine.intake.push(Side::HubSpot, "contacts").unwrap();
    assert_eq!(push.missed, 1);
    assert!(push.doubted_until.is_some(), "it is not relied upon for a while");
}
