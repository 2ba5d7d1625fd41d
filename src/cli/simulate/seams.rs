//! The seams of the daemon with a counter in each: where a crash can strike, and what the digest of
//! a run is made of.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::journal::store::{Op, Row, Span};
use crate::journal::{Error, Store, Usage};
use crate::platform::transport::{Http, NetError};
use crate::record::Side;

/// Counts the daemon's steps (each call, before and after; each write and flush of the journal),
/// and ends the process, as it were, at one of them.
#[derive(Debug)]
pub(super) struct Steps {
    taken: AtomicU64,
    /// The step at which the process ends; 0 for never.
    last: AtomicU64,
    dead: AtomicBool,
    bell: Notify,
    begun: Instant,
    digest: Mutex<DefaultHasher>,
    trace: Option<Mutex<Vec<String>>>,
}

impl Steps {
    pub(super) fn new(trace: bool) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicU64::new(0),
            last: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            bell: Notify::new(),
            begun: Instant::now(),
            digest: Mutex::new(DefaultHasher::new()),
            trace: trace.then(Mutex::default),
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
    fn step(&self) -> bool {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let last = self.last.load(Ordering::Relaxed);
        if last != 0 && taken >= last && !self.dead.swap(true, Ordering::Relaxed) {
            self.note(|| "the process ends".to_owned());
            self.bell.notify_one();
        }
        !self.dead.load(Ordering::Relaxed)
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
}

#[async_trait]
impl Http for SteppedHttp {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NetError> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if !self.steps.step() {
            return std::future::pending().await;
        }
        let answer = self.inner.call(request).await;
        self.steps.note(|| {
            let status = match &answer {
                Ok(response) => response.status().as_u16().to_string(),
                Err(error) => error.to_string(),
            };
            format!("{} {method} {path} {status}", self.side.key())
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
        self.inner.write(batch)?;
        if self.steps.step() { Ok(()) } else { Err(Self::gone()) }
    }

    fn sync(&mut self) -> Result<(), Error> {
        if !self.steps.step() {
            return Err(Self::gone());
        }
        self.inner.sync()?;
        if self.steps.step() { Ok(()) } else { Err(Self::gone()) }
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.inner.reopen()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}
