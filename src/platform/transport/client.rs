//! Sends calls: waits for the lane, signs in, sends, judges, tries again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use super::{Access, Answer, Call, Http, Jitter, Permit, Reach, Repeat, RetrySettings, Tokens};
use crate::platform::{CallKind, Error, ErrorKind};
use crate::record::Side;

/// What an answer means for the call.
#[derive(Debug)]
pub enum Verdict {
    /// It goes back to the caller, good or bad.
    Final,
    /// The platform did nothing and says "later".
    Later {
        /// How long it asks to wait, if it says.
        after: Option<Duration>,
        /// Whether the whole lane waits, not only this call.
        lane: bool,
        /// What to report where it stays so.
        error: Error,
    },
    /// The platform failed; what it had done by then is unknown.
    Failed(Error),
    /// The token was refused.
    Unauthorized(Error),
    /// The platform did nothing and trying again is of no use.
    Stop(Error),
}

/// What a vendor's answers mean.
pub trait Dialect: Send + Sync {
    /// Whose they are.
    fn side(&self) -> Side;

    /// Looks at every answer, also at those that are tried again: limits, budgets.
    fn observe(&self, call: &Call, answer: &Answer);

    /// Says what `answer` means for `call`.
    fn judge(&self, call: &Call, answer: &Answer) -> Verdict;

    /// The platform's id of an answer, to quote to its support.
    fn correlation(&self, answer: &Answer) -> Option<String>;
}

/// Whether a call that failed may have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It did nothing.
    None,
    /// Nobody knows: the answer was lost.
    Unclear,
    /// It did nothing, and would have had to wait longer than it may ([`Call::within`]).
    Late {
        /// How much longer, as far as that is known.
        left: Duration,
    },
}

/// A call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// What happened.
    pub error: Error,
    /// Whether it may have taken effect.
    pub effect: Effect,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

tokio::task_local! {
    /// The calls that are made on behalf of whoever counts them.
    static COUNTED: AtomicU64;
}

/// Does `work` and says how many calls it made, repeats included, by whichever clients: also where others
/// use the same clients meanwhile.
pub async fn counted<T>(work: impl Future<Output = T>) -> (T, u64) {
    let work = async {
        let done = work.await;
        (done, COUNTED.with(|counted| counted.load(Ordering::Relaxed)))
    };
    COUNTED.scope(AtomicU64::new(0), work).await
}

/// Sends one platform's calls.
pub struct Client {
    http: Arc<dyn Http>,
    tokens: Arc<dyn Tokens>,
    dialect: Arc<dyn Dialect>,
    base: Url,
    retry: RetrySettings,
    random: Mutex<fastrand::Rng>,
    made: AtomicU64,
    kinds: Mutex<BTreeMap<CallKind, u64>>,
    server_time: Mutex<Option<(Timestamp, Instant)>>,
}

/// What one call remembers over its tries.
#[derive(Default)]
struct Tries {
    number: AtomicU32,
    signed_in_again: AtomicBool,
    /// Whether an earlier try may have taken effect, whatever the last one says.
    unclear: AtomicBool,
    /// Whether an earlier try failed, and was not only put off.
    failed: AtomicBool,
    first_failure: Mutex<Option<Instant>>,
    /// When the call is too late to be sent.
    by: Option<Instant>,
}

type Tried = Result<Answer, backoff::Error<Failure>>;

impl Client {
    /// A client of the platform at `base`. The same seed gives the same waits.
    #[must_use]
    pub fn new(
        base: Url,
        http: Arc<dyn Http>,
        tokens: Arc<dyn Tokens>,
        dialect: Arc<dyn Dialect>,
        retry: RetrySettings,
        seed: u64,
    ) -> Self {
        Self {
            http,
            tokens,
            dialect,
            base,
            retry,
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            made: AtomicU64::new(0),
            kinds: Mutex::default(),
            server_time: Mutex::new(None),
        }
    }

    /// Calls made since the start, repeats included.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Calls made since the start, repeats included, by kind; those under way are not in it.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<CallKind, u64> {
        lock(&self.kinds).clone()
    }

    fn count(&self, call: &Call, status: Option<StatusCode>) {
        let kind = CallKind {
            method: call.method.to_string(),
            route: call.route.clone().into_owned(),
            answer: status.map_or_else(|| "none".to_owned(), |status| status.as_str().to_owned()),
        };
        *lock(&self.kinds).entry(kind).or_default() += 1;
    }

    /// The token that calls use now.
    ///
    /// # Errors
    /// As [`Tokens::token`].
    pub async fn access(&self) -> Result<Access, Error> {
        self.tokens.token().await
    }

    /// Says that `used` was refused where this client did not call itself.
    pub async fn refused(&self, used: &secrecy::SecretString) {
        self.tokens.refused(used).await;
    }

    /// The server's time by the `Date` of its last answer, carried on by tokio's clock. It has
    /// whole seconds, cut: never later than the truth by more than the way back took.
    #[must_use]
    pub fn server_time(&self) -> Option<Timestamp> {
        let (date, at) = (*lock(&self.server_time))?;
        jiff::SignedDuration::try_from(at.elapsed())
            .ok()
            .and_then(|gone| date.checked_add(gone).ok())
    }

    /// Sends `call` and returns the answer that its [`Dialect`] calls final.
    ///
    /// # Errors
    /// Where no such answer came within the time for retries; it says whether the call may have
    /// taken effect.
    pub async fn call(&self, call: &Call) -> Result<Answer, Failure> {
        let by = call.within.map(|span| Instant::now() + span);
        let tries = Tries { by, ..Tries::default() };
        let give_up = call.within.unwrap_or(self.retry.give_up).min(self.retry.give_up);
        let retry = RetrySettings { give_up, ..self.retry };
        let policy = Jitter::new(retry, lock(&self.random).fork());
        backoff::future::retry(policy, || self.attempt(call, &tries)).await
    }

    async fn attempt(&self, call: &Call, tries: &Tries) -> Tried {
        let number = tries.number.fetch_add(1, Ordering::Relaxed) + 1;
        let permit = self.admit(call, tries).await?;
        let access = self.tokens.token().await.map_err(|error| self.stop(tries, error))?;
        let request = self
            .request(call, &access)
            .map_err(|message| self.stop(tries, self.error(call, ErrorKind::Request, message)))?;
        if tries.is_late(Duration::ZERO) {
            let message = "signing in took too long".to_owned();
            let error = self.error(call, ErrorKind::Retry { after: None }, message);
            return Err(self.late(tries, error, Duration::ZERO));
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        // Nobody counts, mostly.
        let _ = COUNTED.try_with(|counted| counted.fetch_add(1, Ordering::Relaxed));
        let span = tracing::debug_span!(
            "call",
            side = self.dialect.side().key(),
            method = %call.method,
            route = %call.route,
            attempt = number,
            status = tracing::field::Empty,
            correlation = tracing::field::Empty,
            elapsed_ms = tracing::field::Empty,
        );
        let started = Instant::now();
        let answer = self.http.call(request).instrument(span.clone()).await;
        drop(permit);
        let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        span.record("elapsed_ms", elapsed);
        self.count(call, answer.as_ref().ok().map(http::Response::status));
        let answer = match answer {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                Answer { status: parts.status, headers: parts.headers, body }
            }
            Err(error) => {
                span.in_scope(|| tracing::debug!(%error, "no answer"));
                let unclear = error.reach == Reach::Unclear;
                let error = self.error(call, ErrorKind::Retry { after: None }, error.what);
                return Err(self.failed(call, tries, error, None, unclear));
            }
        };
        span.record("status", answer.status.as_u16());
        if let Some(id) = self.dialect.correlation(&answer) {
            span.record("correlation", id.as_str());
        }
        span.in_scope(|| tracing::trace!(bytes = answer.body.len(), "answered"));
        if let Some(date) = answer.date() {
            *lock(&self.server_time) = Some((date, Instant::now()));
        }
        self.dialect.observe(call, &answer);
        self.act(call, tries, &access, answer).await
    }

    /// Waits until the call may go.
    async fn admit(&self, call: &Call, tries: &Tries) -> Result<Permit, backoff::Error<Failure>> {
        let paused = |left: Duration| {
            let message = format!("the platform asked for a pause, {} s are left", left.as_secs());
            self.error(call, ErrorKind::Retry { after: Some(left) }, message)
        };
        let Some(by) = tries.by else {
            let permit = call.lane.admit(self.retry.give_up).await;
            return permit.map_err(|told| self.stop(tries, paused(told.left)));
        };
        let patience = by.saturating_duration_since(Instant::now());
        match tokio::time::timeout_at(by, call.lane.admit(patience)).await {
            Ok(Ok(permit)) => Ok(permit),
            // That is no matter of a late turn: a daily limit is used up, and a person should know.
            Ok(Err(told)) if told.left > self.retry.give_up => {
                Err(self.stop(tries, paused(told.left)))
            }
            Ok(Err(told)) => Err(self.late(tries, paused(told.left), told.left)),
            Err(_) => {
                let left = call.lane.paused().unwrap_or_default();
                let message = "other calls went first for too long".to_owned();
                let error = self.error(call, ErrorKind::Retry { after: None }, message);
                Err(self.late(tries, error, left))
            }
        }
    }

    /// Does what the dialect says about `answer`.
    async fn act(&self, call: &Call, tries: &Tries, access: &Access, answer: Answer) -> Tried {
        if answer.status.is_success() && call.json && !answer.looks_like_json() {
            let kind = ErrorKind::Retry { after: None };
            let error = self.error(call, kind, not_json(&answer));
            return Err(self.failed(call, tries, error, None, true));
        }
        match self.dialect.judge(call, &answer) {
            Verdict::Final => Ok(answer),
            Verdict::Later { after, lane, error } => {
                if lane && let Some(after) = after {
                    call.lane.pause(after);
                }
                let left = after.unwrap_or(self.retry.first);
                if !lane {
                    // Something is the matter with this call, and not with the pace of all.
                    tries.failed.store(true, Ordering::Relaxed);
                } else if tries.is_late(left) && left <= self.retry.give_up {
                    return Err(self.late(tries, error, left));
                }
                Err(self.again(call, tries, error, after, false))
            }
            Verdict::Failed(error) => {
                Err(self.failed(call, tries, error, answer.retry_after(), true))
            }
            Verdict::Unauthorized(error) => {
                if tries.signed_in_again.swap(true, Ordering::Relaxed) {
                    return Err(self.stop(tries, error));
                }
                self.tokens.refused(&access.bearer).await;
                let failure = Failure { error, effect: tries.effect() };
                Err(backoff::Error::retry_after(failure, Duration::ZERO))
            }
            Verdict::Stop(error) => Err(self.stop(tries, error)),
        }
    }

    /// Another try after one that failed, where that is safe and there is time for it.
    fn failed(
        &self,
        call: &Call,
        tries: &Tries,
        error: Error,
        after: Option<Duration>,
        unclear: bool,
    ) -> backoff::Error<Failure> {
        tries.failed.store(true, Ordering::Relaxed);
        self.again(call, tries, error, after, unclear)
    }

    /// Another try, where that is safe and there is time for it.
    fn again(
        &self,
        call: &Call,
        tries: &Tries,
        error: Error,
        after: Option<Duration>,
        unclear: bool,
    ) -> backoff::Error<Failure> {
        if unclear {
            tries.unclear.store(true, Ordering::Relaxed);
        }
        let failure = Failure { error, effect: tries.effect() };
        if tries.is_late(Duration::ZERO) || (unclear && call.repeat == Repeat::Never) {
            return backoff::Error::permanent(failure);
        }
        let Some(after) = after else { return backoff::Error::transient(failure) };
        // The package takes a wait that was asked for without consulting the policy.
        let started = *lock(&tries.first_failure).get_or_insert_with(Instant::now);
        if started.elapsed() + after > self.retry.give_up {
            return backoff::Error::permanent(failure);
        }
        let jitter = Duration::from_millis(lock(&self.random).u64(0..250));
        backoff::Error::retry_after(failure, after + jitter)
    }

    /// No try any more, because what is to be sent is old by then. Where a try has failed, that is
    /// what kept it.
    fn late(&self, tries: &Tries, error: Error, left: Duration) -> backoff::Error<Failure> {
        let effect = match tries.effect() {
            Effect::None if !tries.failed.load(Ordering::Relaxed) => Effect::Late { left },
            other => other,
        };
        backoff::Error::permanent(Failure { error, effect })
    }

    fn stop(&self, tries: &Tries, error: Error) -> backoff::Error<Failure> {
        backoff::Error::permanent(Failure { error, effect: tries.effect() })
    }

    fn error(&self, call: &Call, kind: ErrorKind, message: String) -> Error {
        Error {
            side: self.dialect.side(),
            kind,
            doing: call.doing.clone(),
            code: None,
            message,
            hint: None,
            correlation: None,
        }
    }

    fn request(&self, call: &Call, access: &Access) -> Result<http::Request<Bytes>, String> {
        // A path that did not begin with a slash could turn the host into another one.
        if !call.path.starts_with('/') {
            return Err("the path does not begin with a slash".into());
        }
        let base = access.base.as_ref().unwrap_or(&self.base).as_str().trim_end_matches('/');
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", access.bearer.expose_secret()))
                .map_err(|_| "the token holds characters that no token has".to_owned())?;
        bearer.set_sensitive(true);
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(format!("{base}{}", call.path))
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, if call.json { "application/json" } else { "*/*" });
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let body = match &call.body {
            Some((kind, body)) => {
                request = request.header(CONTENT_TYPE, *kind);
                body.clone()
            }
            None => Bytes::new(),
        };
        request.body(body).map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("side", &self.dialect.side()).finish_non_exhaustive()
    }
}

impl Tries {
    /// Whether the call would be late if it were sent after `wait`.
    fn is_late(&self, wait: Duration) -> bool {
        self.by.is_some_and(|by| Instant::now() + wait > by)
    }

    /// Whether any try so far may have taken effect.
    fn effect(&self) -> Effect {
        if self.unclear.load(Ordering::Relaxed) { Effect::Unclear } else { Effect::None }
    }
}

fn not_json(answer: &Answer) -> String {
    let found = match answer.header(CONTENT_TYPE.as_str()) {
        _ if answer.body.is_empty() => "nothing".to_owned(),
        Some(kind) => format!("{} bytes of {kind}", answer.body.len()),
        None => format!("{} bytes", answer.body.len()),
    };
    format!("the answer (status {}) should be JSON and is {found}", answer.status.as_u16())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
