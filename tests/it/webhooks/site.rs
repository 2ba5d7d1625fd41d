//! A daemon's engine with an open door for webhooks, between the sandbox's two platforms.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lockstep::cli::rehearsal::{Clients, in_process, set_up};
use lockstep::daemon::webhooks::{WebhookStatus, open};
use lockstep::daemon::{Clock, Engine, Options, network, read_mappings};
use lockstep::journal::{Disk, Error, Journal, MemoryStore, Store, Usage};
use lockstep::mapping::load as load_mappings;
use lockstep::platform::transport::Http;
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::{Sandbox, SandboxClock};
use lockstep::settings::{Sources, load};
use ring::hmac;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const SECRET: &str = "a-client-secret-of-a-test";

pub struct Inner {
    pub engine: Arc<Engine>,
    pub journal: Journal,
    pub address: SocketAddr,
    pub portal: String,
    sandbox: Sandbox,
    disk: Disk,
    stalled: Arc<(Mutex<bool>, Condvar)>,
    http: Arc<dyn Http>,
    stop: watch::Sender<bool>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone)]
pub struct Site(Arc<Inner>);

impl Deref for Site {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// A store whose disk can be made to hang.
struct Stalling {
    inner: MemoryStore,
    stalled: Arc<(Mutex<bool>, Condvar)>,
}

impl Store for Stalling {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.get(key)
    }

    fn scan(
        &self,
        span: &lockstep::journal::store::Span,
        limit: usize,
    ) -> Result<Vec<lockstep::journal::store::Row>, Error> {
        self.inner.scan(span, limit)
    }

    fn scan_back(
        &self,
        span: &lockstep::journal::store::Span,
        limit: usize,
    ) -> Result<Vec<lockstep::journal::store::Row>, Error> {
        self.inner.scan_back(span, limit)
    }

    fn write(&mut self, batch: &[lockstep::journal::store::Op]) -> Result<(), Error> {
        self.inner.write(batch)
    }

    fn sync(&mut self) -> Result<(), Error> {
        let (stalled, told) = &*self.stalled;
        let mut is_stalled = stalled.lock().unwrap();
        while *is_stalled {
            is_stalled = told.wait(is_stalled).unwrap();
        }
        drop(is_stalled);
        // As long as a fast disk takes.
        std::thread::sleep(Duration::from_micros(200));
        self.inner.sync()
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.inner.reopen()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

impl Site {
    pub async fn open(settings: &str, environment: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::new(
            1,
            SandboxClock::starting_at(jiff::Timestamp::from_millisecond(millis()).unwrap()),
        );
        set_up(&sandbox);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
        let mappings = load_mappings(read_mappings(folder.as_ref()).unwrap()).unwrap();
        let disk = Disk::default();
        let stalled = Arc::new((Mutex::new(false), Condvar::new()));
        let store = Stalling { inner: MemoryStore::open(&disk), stalled: Arc::clone(&stalled) };
        let journal = Journal::on_thread(Box::new(store)).unwrap();
        let platforms = in_process(&sandbox, &Clients::default()).unwrap();
        let options = Options { window: Duration::from_millis(1), ..Options::default() };
        let clock = Clock::system();
        let engine = Engine::new(journal.clone(), platforms, mappings, clock, options, 1);
        let engine = Arc::new(engine);
        engine.start().await.unwrap();
        let portal = engine.side_states().hubspot.identity.unwrap().account;
        let mut variables: BTreeMap<String, String> =
            [("LOCKSTEP_WEBHOOKS__LISTEN", "127.0.0.1:0"), ("LOCKSTEP_WEBHOOKS__SECRET", SECRET)]
                .iter()
                .chain(environment)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
        variables.entry("LOCKSTEP_CONFIG".to_owned()).or_default();
        let sources = Sources {
            file: Some(("/site/lockstep.toml".into(), settings.into())),
            environment: variables,
        };
        let effective = load(&sources).unwrap();
        let door = open(&effective, &engine).await.unwrap().unwrap();
        let address = door.address().unwrap();
        let (stop, stopping) = watch::channel(false);
        let serving = Mutex::new(Some(tokio::spawn(door.serve(stopping))));
        let http = network().unwrap();
        Self(Arc::new(Inner {
            engine,
            journal,
            address,
            portal,
            sandbox,
            disk,
            stalled,
            http,
            stop,
            serving,
        }))
    }

    /// Ends the listener and the journal.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let serving = self.serving.lock().unwrap().take().unwrap();
        tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
        self.journal.close().await;
    }

    pub fn url(&self) -> String {
        format!("http://{}/webhooks/hubspot", self.address)
    }

    pub fn status(&self) -> WebhookStatus {
        self.engine.webhooks.status().unwrap()
    }

    pub async fn until(&self, wished: impl Fn(&WebhookStatus) -> bool) {
        for _ in 0..200 {
            if wished(&self.status()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {:?}", self.status());
    }

    /// Makes the disk hang, or ends that.
    pub fn stall(&self, stalled: bool) {
        *self.stalled.0.lock().unwrap() = stalled;
        self.stalled.1.notify_all();
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> u16 {
        let mut request =
            http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        self.http.call(request).await.unwrap().status().as_u16()
    }

    /// A delivery as HubSpot makes it.
    pub async fn deliver(&self, body: &str) -> u16 {
        let headers = sign(&self.url(), body, millis());
        self.send("POST", "/webhooks/hubspot", &headers, body).await
    }

    /// What waits, of what is durable.
    pub async fn image(&self) -> Vec<String> {
        let store = MemoryStore::open(&self.disk.image());
        waiting(&Journal::inline(store, [7; 32]).unwrap()).await
    }

    /// What waits.
    pub async fn pending(&self) -> Vec<String> {
        waiting(&self.journal).await
    }

    /// A qualified contact, entered by a person.
    pub fn contact(&self, email: &str) -> u64 {
        let properties = [
            ("email", email),
            ("firstname", "Ada"),
            ("lastname", "King"),
            ("company", "Engines"),
            ("lifecyclestage", "marketingqualifiedlead"),
        ];
        let now = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        world.hubspot.create_as_user(Object::Contact, &properties, FIRST_USER, now).unwrap();
        let contact = world.hubspot.all(Object::Contact).last().unwrap();
        contact.id.to_string().parse().unwrap()
    }

    /// The number of our own app.
    pub fn app(&self) -> String {
        self.engine.side_states().hubspot.identity.unwrap().author_id
    }
}

async fn waiting(journal: &Journal) -> Vec<String> {
    let page = journal.pending_page(None, 10_000).await.unwrap();
    let records = page.iter().flat_map(|entry| entry.told.keys());
    records.map(|record| format!("{} {}", record.object, record.id)).collect()
}

#[expect(clippy::disallowed_methods, reason = "the listener's clock is the system's")]
pub fn millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The headers of a delivery to `url`, by version 3.
pub fn sign(url: &str, body: &str, millis: i64) -> Vec<(String, String)> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("POST{url}{body}{millis}").as_bytes());
    vec![
        ("x-hubspot-signature-v3".to_owned(), STANDARD.encode(tag)),
        ("x-hubspot-request-timestamp".to_owned(), millis.to_string()),
    ]
}

/// Word that a contact was created.
pub fn event(site: &Site, id: u64) -> Value {
    json!({
        "eventId": id, "subscriptionId": 1, "portalId": site.portal.parse::<u64>().unwrap(),
        "appId": 77, "occurredAt": millis(), "subscriptionType": "contact.creation",
        "attemptNumber": 0, "objectId": id, "changeFlag": "CREATED", "changeSource": "CRM_UI",
        "sourceId": "userId:1",
    })
}
