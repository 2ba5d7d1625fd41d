//! The seams of the daemon with a counter in each: where a crash can strike, and what the digest of
//! a run is made of.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::journal::store::{Op, Row, Span};
use crate::journal::{Error, Store, Usage};
use crate::platform::transport::{Http, NetError};
use crate::record::Side;

/// A bug that is planted into the seams, to see that the simulation finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Plant {
    /// The journal silently loses the last step of every tenth write.
    LoseTail,
    /// Every update arrives a second time, a minute later.
    RepeatLate,
    /// The journal says that it is on disk and is not.
    ForgetSync,
}

/// What of a history is kept to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing but the digest.
    #[default]
    Nothing,
    /// Every event and call.
    Events,
    /// The same, and what each call carried.
    Bodies,
}

/// A call that reads or writes records by their ids.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    side: Side,
    writes: bool,
    /// The path with its query, and the body.
    text: String,
    /// Since the beginning of the run.
    begun: Duration,
    /// The same; nothing where the process ended meanwhile.
    ended: Option<Duration>,
    /// How many calls had begun when it ended. Many things happen in one moment of virtual time, so
    /// that times alone do not tell what was first.
    known_to: usize,
}

/// How long a call without a known end may have taken, at most.
const LONGEST_CALL: Duration = Duration::from_secs(35);

impl Seen {
    fn of(side: Side, request: &Request<Bytes>, begun: Duration) -> Option<Self> {
        let (method, uri) = (request.method(), request.uri());
        let path = uri.path();
        let writes = match side {
            Side::HubSpot if path.ends_with("/batch/read") => false,
            Side::HubSpot => ["/batch/update", "/batch/upsert", "/batch/archive"]
                .iter()
                .any(|tail| path.ends_with(tail))
                .then_some(true)?,
            Side::Salesforce if path.contains("/composite/sobjects/") && method == Method::POST => {
                false
            }
            Side::Salesforce if path.contains("/composite/sobjects") => true,
            Side::Salesforce => return None,
        };
        let text = format!("{uri} {}", String::from_utf8_lossy(request.body()));
        Some(Self { side, writes, text, begun, ended: None, known_to: usize::MAX })
    }

    fn concerns(&self, side: Side, id: &str) -> bool {
        self.side == side && self.text.contains(&format!("\"{id}\""))
    }

    fn ended(&self) -> Duration {
        self.ended.unwrap_or(self.begun + LONGEST_CALL)
    }
}

/// Counts the daemon's steps (each call, before and after; each write and flush of the journal),
/// and ends the process, as it were, at one of them.
#[derive(Debug)]
pub(super) struct Steps {
    taken: AtomicU64,
    /// Deliveries that the daemon took in.
    delivered: AtomicU64,
    /// Change events that arrived.
    told: AtomicU64,
    /// The step at which the process ends; 0 for never.
    last: AtomicU64,
    dead: AtomicBool,
    bell: Notify,
    begun: Instant,
    digest: Mutex<DefaultHasher>,
    trace: Option<Mutex<Vec<String>>>,
    bodies: bool,
    seen: Mutex<Vec<Seen>>,
}

impl Steps {
    /// Nothing taken yet. `keep` says what of it is kept to be read.
    pub(super) fn new(keep: Keep) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            told: AtomicU64::new(0),
            last: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            bell: Notify::new(),
            begun: Instant::now(),
            digest: Mutex::new(DefaultHasher::new()),
            trace: (keep != Keep::Nothing).then(Mutex::default),
            bodies: keep == Keep::Bodies,
            seen: Mutex::default(),
        })
    }

    /// Lets the process end `after` this many further steps.
    pub(super) fn crash_after(&self, after: u64) {
        self.last.store(self.taken.load(Ordering::Relaxed) + after.max(1), Ordering::Relaxed);
    }

    /// A new process: it lives until the next crash.
    pub(super) fn revive(&self) {
        self.last.store(0, Ordering::Relaxed);
        self.dead.store(false, Ordering::Relaxed);
    }

    /// Waits for the crash.
    pub(super) async fn crashed(&self) {
        while !self.dead.load(Ordering::Relaxed) {
            self.bell.notified().await;
        }
    }

    /// One step. Whether the process is still alive.
    pub(super) fn step(&self) -> bool {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let last = self.last.load(Ordering::Relaxed);
        if last != 0 && taken >= last && !self.dead.swap(true, Ordering::Relaxed) {
            self.note(|| "the process ends".to_owned());
            self.bell.notify_one();
        }
        !self.dead.load(Ordering::Relaxed)
    }

    /// Notes what came of a delivery.
    pub(super) fn delivered(&self, taken_in: bool) {
        self.delivered.fetch_add(u64::from(taken_in), Ordering::Relaxed);
    }

    /// How many deliveries were taken in.
    pub(super) fn deliveries(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Notes how many change events arrived.
    pub(super) fn told(&self, events: usize) {
        self.told.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// How many change events arrived.
    pub(super) fn events(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Adds an event to the digest, and to the trace where one is kept.
    pub(super) fn note(&self, event: impl FnOnce() -> String) {
        let event = event();
        let at = self.begun.elapsed().as_millis();
        (at, &event).hash(&mut *lock(&self.digest));
        if let Some(trace) = &self.trace {
            lock(trace).push(format!("{:>9.3}  {event}", at as f64 / 1000.0));
        }
    }

    /// Adds what a call carried to the trace, where that is kept. It follows from the events, so the
    /// digest needs none of it.
    fn carried(&self, arrow: &str, body: impl FnOnce() -> String) {
        if let (Some(trace), true) = (&self.trace, self.bodies) {
            lock(trace).push(format!("             {arrow} {}", body()));
        }
    }

    fn begin(&self, side: Side, request: &Request<Bytes>) -> Option<usize> {
        let seen = Seen::of(side, request, self.begun.elapsed())?;
        let mut all = lock(&self.seen);
        all.push(seen);
        Some(all.len() - 1)
    }

    fn finish(&self, number: Option<usize>) {
        let mut all = lock(&self.seen);
        let known_to = all.len();
        if let Some(seen) = number.and_then(|number| all.get_mut(number)) {
            seen.ended = Some(self.begun.elapsed());
            seen.known_to = known_to;
        }
    }

    /// Calls that wrote records, whatever came of them.
    pub(super) fn writes(&self) -> usize {
        lock(&self.seen).iter().filter(|seen| seen.writes).count()
    }

    /// Whether the daemon wrote `field` of a record just when a person did: what it had read of the
    /// record before was asked for no later than the person's edit could be seen, and the edit was
    /// made before the write had ended.
    ///
    /// Neither platform offers a batch of writes on the condition that nothing has changed, so such
    /// an edit can be overwritten unseen. The proof is the calls: the last reading of the record by
    /// its id that ended before the write began.
    pub(super) fn raced(
        &self,
        side: Side,
        id: &str,
        field: &str,
        (made, visible): (Duration, Duration),
    ) -> bool {
        let all = lock(&self.seen);
        let name = format!("\"{field}\"");
        all.iter()
            .enumerate()
            .filter(|(_, it)| it.writes && it.concerns(side, id) && it.text.contains(&name))
            .any(|(number, write)| {
                let read = all
                    .iter()
                    .filter(|read| !read.writes && read.concerns(side, id))
                    .rfind(|read| read.known_to <= number);
                read.is_some_and(|read| read.begun <= visible && made <= write.ended())
            })
    }

    /// What the run came to, as one number.
    pub(super) fn digest(&self) -> u64 {
        lock(&self.digest).finish()
    }

    /// The events so far, where they are kept.
    pub(super) fn trace(&self) -> Vec<String> {
        self.trace.as_ref().map(|trace| lock(trace).clone()).unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The network, with a step before and after each call.
pub(super) struct SteppedHttp {
    pub(super) side: Side,
    pub(super) inner: Arc<dyn Http>,
    pub(super) steps: Arc<Steps>,
    pub(super) plant: Option<Plant>,
}

impl SteppedHttp {
    /// The network behind the seam, with the planted bug where there is one.
    async fn pass(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NetError> {
        let seen = Seen::of(self.side, &request, Duration::ZERO);
        match (self.plant, seen) {
            (Some(Plant::RepeatLate), Some(Seen { writes: true, .. })) => {
                let (inner, again) = (Arc::clone(&self.inner), request.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    let _ = inner.call(again).await;
                });
                self.inner.call(request).await
            }
            _ => self.inner.call(request).await,
        }
    }
}

#[async_trait]
impl Http for SteppedHttp {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NetError> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if !self.steps.step() {
            return std::future::pending().await;
        }
        let number = self.steps.begin(self.side, &request);
        let sent = (request.uri().query().map(str::to_owned), request.body().clone());
        let answer = self.pass(request).await;
        self.steps.finish(number);
        self.steps.note(|| {
            let status = match &answer {
                Ok(response) => response.status().as_u16().to_string(),
                Err(error) => error.to_string(),
            };
            format!("{} {method} {path} {status}", self.side.key())
        });
        self.steps.carried("→", || {
            let (query, body) = &sent;
            let query = query.as_deref().unwrap_or_default();
            format!("{query} {}", String::from_utf8_lossy(body))
        });
        self.steps.carried("←", || match &answer {
            Ok(response) => String::from_utf8_lossy(response.body()).into_owned(),
            Err(_) => String::new(),
        });
        if !self.steps.step() {
            return std::future::pending().await;
        }
        answer
    }
}

/// A store, with a step before and after each write and each flush.
pub(super) struct SteppedStore<S> {
    pub(super) inner: S,
    pub(super) steps: Arc<Steps>,
    pub(super) plant: Option<Plant>,
    pub(super) written: u64,
}

impl<S: Store> SteppedStore<S> {
    fn gone() -> Error {
        Error::Closed
    }
}

impl<S: Store> Store for SteppedStore<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.get(key)
    }

    fn scan(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error> {
        self.inner.scan(span, limit)
    }

    fn scan_back(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error> {
        self.inner.scan_back(span, limit)
    }

    fn write(&mut self, batch: &[Op]) -> Result<(), Error> {
        if !self.steps.step() {
            return Err(Self::gone());
        }
        self.written += 1;
        let lost = self.plant == Some(Plant::LoseTail) && self.written.is_multiple_of(10);
        let kept = batch.len() - usize::from(lost && !batch.is_empty());
        self.inner.write(&batch[..kept])?;
        if self.steps.step() { Ok(()) } else { Err(Self::gone()) }
    }

    fn sync(&mut self) -> Result<(), Error> {
        if !self.steps.step() {
            return Err(Self::gone());
        }
        if self.plant != Some(Plant::ForgetSync) {
            self.inner.sync()?;
        }
        if self.steps.step() { Ok(()) } else { Err(Self::gone()) }
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.inner.reopen()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}
