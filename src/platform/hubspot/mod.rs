//! HubSpot behind the trait of a side.
//!
//! What is particular about HubSpot, and where it is dealt with:
//! - A backward lifecycle stage is answered with "done" and kept (`write`).
//! - One bad value rejects a whole batch of 100 (`write`).
//! - A merged record reads by its old ids under its new one, and a batch does not say which is
//!   which (`read`).
//! - Search is an index that lags by seconds, with its own limits (`search`).
//! - Messages are in the account's language: only codes are compared (`codes`).

mod codes;
mod paths;
mod read;
mod schema;
mod search;
mod start;
pub mod webhook;
mod wire;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub use paths::{ApiVersion, NoVersion};

use self::paths::{Path, Paths};
use self::wire::{AccountJson, ErrorJson, TokenInfoJson, TokenKeyJson};
use super::transport::{
    Answer, Call, Client, Dialect, Failure, Http, Lane, Repeat, RetrySettings, Tokens, Verdict,
    Window,
};
use super::{
    Ask, Budget, CallKind, Cursor, Error, ErrorKind, Identity, ObjectSchema, Outcome, Owner,
    Platform, Polled, Start, Startable, Started, Work, Write,
};
use crate::record::{Record, Side};

/// How HubSpot is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address of the API; the same for every region.
    pub base: Url,
    /// Which version's paths are used.
    pub version: ApiVersion,
    /// The app's id where it is known: its own writes are told by it in property histories. A
    /// private app's token tells its own.
    pub app_id: Option<String>,
    /// Calls of the app, before an answer's headers say what the account really has. The smallest
    /// subscription has 100 in 10 seconds.
    pub window: Window,
    /// Searches of the whole account, which all apps share and no header tells.
    pub search_window: Window,
    /// Calls to the associations API, which has a window of its own and no headers.
    pub association_window: Window,
    /// Calls under way at once.
    pub at_once: usize,
    /// How calls are tried again.
    pub retry: RetrySettings,
    /// How far rounds of [`Platform::changed`] overlap: at least as long as the search index lags.
    pub overlap: Duration,
}

impl Settings {
    /// HubSpot's own address with its documented limits.
    ///
    /// # Errors
    /// Where the built-in address is no URL, which a test rules out.
    pub fn new() -> Result<Self, url::ParseError> {
        Ok(Self::at(Url::parse("https://api.hubapi.com")?))
    }

    /// Another address (a sandbox, a proxy) with the documented limits.
    #[must_use]
    pub fn at(base: Url) -> Self {
        Self {
            base,
            version: ApiVersion::default(),
            app_id: None,
            window: Window { max: 100, per: Duration::from_secs(10) },
            search_window: Window { max: 5, per: Duration::from_secs(1) },
            association_window: Window { max: 100, per: Duration::from_secs(10) },
            at_once: 4,
            retry: RetrySettings::default(),
            overlap: Duration::from_secs(60),
        }
    }
}

/// HubSpot, as one signed-in app sees it.
pub struct HubSpot {
    client: Client,
    paths: Paths,
    /// Everything but searches and associations.
    core: Arc<Lane>,
    associations: Arc<Lane>,
    search: Arc<Lane>,
    overlap: SignedDuration,
    /// How long a write may wait to be sent.
    write_within: Duration,
    known: Arc<Known>,
    schemas: Mutex<BTreeMap<String, Arc<ObjectSchema>>>,
}

/// What answers have told so far.
#[derive(Debug, Default)]
struct Known {
    app_id: Mutex<Option<String>>,
    zone: Mutex<Option<TimeZone>>,
    /// The day's limit and what is left of it: private apps only.
    daily: Mutex<Option<(u64, u64)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HubSpot {
    /// HubSpot at `settings.base`. The same seed gives the same waits between tries.
    #[must_use]
    pub fn new(
        settings: Settings,
        http: Arc<dyn Http>,
        tokens: Arc<dyn Tokens>,
        seed: u64,
    ) -> Self {
        let known = Arc::new(Known::default());
        *lock(&known.app_id) = settings.app_id;
        let dialect = Arc::new(Words(Arc::clone(&known)));
        Self {
            client: Client::new(settings.base, http, tokens, dialect, settings.retry, seed),
            paths: Paths(settings.version),
            core: Lane::new("hubspot", &[settings.window], settings.at_once),
            associations: Lane::new(
                "hubspot associations",
                &[settings.association_window],
                settings.at_once,
            ),
            search: Lane::new("hubspot search", &[settings.search_window], settings.at_once.min(3)),
            overlap: SignedDuration::try_from(settings.overlap)
                .unwrap_or(SignedDuration::from_mins(1)),
            write_within: settings.retry.write_within,
            known,
            schemas: Mutex::new(BTreeMap::new()),
        }
    }

    /// Reads something by GET.
    async fn get<T: DeserializeOwned>(&self, path: Path, doing: &str) -> Result<T, Error> {
        let call = Call::get(&self.core, path.route, path.path, doing);
        parse(&self.client.call(&call).await?, doing)
    }

    /// Sends JSON and returns the answer, good or bad.
    async fn send<T: Serialize>(
        &self,
        lane: &Arc<Lane>,
        method: Method,
        path: Path,
        body: &T,
        repeat: Repeat,
        doing: &str,
    ) -> Result<Answer, Failure> {
        let call =
            Call::send(lane, method, path.route, path.path, body, doing).map_err(|error| {
                let error = broken(doing, ErrorKind::Request, format!("writing JSON: {error}"));
                Failure { error, effect: super::transport::Effect::None }
            })?;
        self.client.call(&call.repeat(repeat)).await
    }

    /// Reads something by POST.
    async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        lane: &Arc<Lane>,
        path: Path,
        body: &B,
        doing: &str,
    ) -> Result<T, Error> {
        parse(&self.send(lane, Method::POST, path, body, Repeat::Safe, doing).await?, doing)
    }

    async fn account(&self) -> Result<AccountJson, Error> {
        let account: AccountJson = self.get(self.paths.account(), "reading the account").await?;
        if let Ok(zone) = TimeZone::get(&account.time_zone.0) {
            *lock(&self.known.zone) = Some(zone);
        }
        Ok(account)
    }

    /// What the token may do, as far as HubSpot tells: it does for private apps.
    async fn token_info(&self) -> Result<TokenInfoJson, Error> {
        let access = self.client.access().await?;
        let body = TokenKeyJson { token_key: access.bearer.expose_secret() };
        let doing = "reading what the token may do";
        let path = Paths::token_info();
        let answer = self.send(&self.core, Method::POST, path, &body, Repeat::Safe, doing).await?;
        if answer.status.is_client_error() {
            return Ok(TokenInfoJson::default());
        }
        parse(&answer, doing)
    }

    async fn who(&self) -> Result<Identity, Error> {
        let account = self.account().await?;
        let token = self.token_info().await?;
        let told = token.app_id.clone().into_option();
        let app_id = {
            let mut known = lock(&self.known.app_id);
            if known.is_none() {
                *known = told;
            }
            known.clone().unwrap_or_default()
        };
        let domain = account.ui_domain.into_option().unwrap_or_else(|| "app.hubspot.com".into());
        let user = match (app_id.as_str(), token.user_id.0.as_str()) {
            ("", "") => "an app".to_owned(),
            ("", user) => format!("user {user}"),
            (app, _) => format!("app {app}"),
        };
        Ok(Identity {
            pages: format!("https://{domain}/contacts/{}/record", account.portal_id.0),
            account: account.portal_id.0,
            user,
            author_id: app_id,
            scopes: token.scopes.into_iter().collect::<BTreeSet<_>>(),
        })
    }

    /// The time by the last answer. Where a proxy drops `Date`, a batch tells when it was done.
    async fn time(&self) -> Result<Timestamp, Error> {
        if let Some(now) = self.client.server_time() {
            return Ok(now);
        }
        self.account().await?;
        if let Some(now) = self.client.server_time() {
            return Ok(now);
        }
        let batch = self.batch_read("contacts", &[], &[], None, &["1".to_owned()], false).await?;
        wire::moment(&batch.completed_at.0).ok_or_else(|| {
            let mut error =
                broken("asking for the time", ErrorKind::Stop, "no answer tells the time".into());
            error.hint =
                Some("a proxy removes the Date header from HubSpot's answers: keep it".into());
            error
        })
    }
}

/// Reads a good answer's JSON, or turns a bad one into its error.
fn parse<T: DeserializeOwned>(answer: &Answer, doing: &str) -> Result<T, Error> {
    if !answer.status.is_success() {
        let error = ErrorJson::read(&answer.body);
        return Err(codes::whole(&error, answer.status.as_u16(), doing));
    }
    answer.json().map_err(|error| {
        let what = format!("the answer has an unknown shape: {error}");
        broken(doing, ErrorKind::Retry { after: None }, what)
    })
}

fn broken(doing: &str, kind: ErrorKind, message: String) -> Error {
    Error {
        side: Side::HubSpot,
        kind,
        doing: doing.to_owned(),
        code: None,
        message,
        hint: None,
        correlation: None,
    }
}

/// What HubSpot's answers mean to the transport.
struct Words(Arc<Known>);

impl Words {
    /// A daily limit ends at midnight in the account's time zone. Where that is not known, a try
    /// every quarter of an hour finds it.
    fn after_midnight(&self, answer: &Answer) -> ErrorKind {
        let Some(now) = answer.date() else {
            return ErrorKind::Retry { after: Some(Duration::from_mins(15)) };
        };
        let midnight = || {
            let zone = lock(&self.0.zone).clone()?;
            let tomorrow = now.to_zoned(zone).start_of_day().ok()?.checked_add(1.day()).ok()?;
            Some(tomorrow.timestamp())
        };
        let fallback = || now.checked_add(SignedDuration::from_mins(15)).unwrap_or(now);
        ErrorKind::WaitUntil(midnight().unwrap_or_else(fallback))
    }

    fn too_many(&self, answer: &Answer, words: &ErrorJson, mut error: Error) -> Verdict {
        if words.policy_name.0 == "DAILY" {
            error.kind = self.after_midnight(answer);
            error.hint = Some("the account's calls for today are used up".into());
            return Verdict::Stop(error);
        }
        let after =
            answer.retry_after().unwrap_or_else(|| codes::wait_of_policy(&words.policy_name.0));
        error.kind = ErrorKind::Retry { after: Some(after) };
        Verdict::Later { after: Some(after), lane: true, error }
    }
}

impl Dialect for Words {
    fn side(&self) -> Side {
        Side::HubSpot
    }

    /// Limits by header (developers.hubspot.com, "API usage guidelines"). Search answers have none.
    fn observe(&self, call: &Call, answer: &Answer) {
        let number = |name: &str| answer.header(name)?.trim().parse::<u64>().ok();
        if let (Some(limit), Some(left)) =
            (number("x-hubspot-ratelimit-daily"), number("x-hubspot-ratelimit-daily-remaining"))
        {
            *lock(&self.0.daily) = Some((limit, left));
        }
        let max = number("x-hubspot-ratelimit-max").and_then(|max| u32::try_from(max).ok());
        let per = number("x-hubspot-ratelimit-interval-milliseconds");
        if let (Some(max @ 1..), Some(per)) = (max, per) {
            call.lane.adopt(Window { max, per: Duration::from_millis(per) });
        }
        // Another process with the same app shares the window: what it used is not ours to spend.
        if number("x-hubspot-ratelimit-remaining") == Some(0) && answer.status.is_success() {
            call.lane.pause(Duration::from_secs(1));
        }
    }

    fn judge(&self, call: &Call, answer: &Answer) -> Verdict {
        let status = answer.status.as_u16();
        let client_error = matches!(status, 400 | 404..=422);
        if answer.status.is_success() || client_error {
            return Verdict::Final;
        }
        if call.route == paths::TOKEN_INFO && matches!(status, 401 | 403) {
            // This call is a question about the token; a plain refusal is its answer.
            return Verdict::Final;
        }
        let words = ErrorJson::read(&answer.body);
        let mut error = codes::whole(&words, status, &call.doing);
        match status {
            // The edge answers 530 to a token that it cannot read.
            401 | 530 => {
                error.kind = ErrorKind::SignIn;
                Verdict::Unauthorized(error)
            }
            429 => self.too_many(answer, &words, error),
            423 => {
                let after = answer.retry_after().unwrap_or_default().max(Duration::from_secs(2));
                Verdict::Later { after: Some(after), lane: false, error }
            }
            477 => {
                let after = answer.retry_after().unwrap_or(Duration::from_mins(15));
                let at = answer.date().zip(SignedDuration::try_from(after).ok());
                let at = at.and_then(|(now, after)| now.checked_add(after).ok());
                error.kind =
                    at.map_or(ErrorKind::Retry { after: Some(after) }, ErrorKind::WaitUntil);
                Verdict::Stop(error)
            }
            500.. => Verdict::Failed(error),
            _ => Verdict::Stop(error),
        }
    }

    fn correlation(&self, answer: &Answer) -> Option<String> {
        answer.header("x-hubspot-correlation-id").map(str::to_owned)
    }
}

#[async_trait]
impl Platform for HubSpot {
    fn side(&self) -> Side {
        Side::HubSpot
    }

    async fn identity(&self) -> Result<Identity, Error> {
        self.who().await
    }

    fn budget(&self) -> Budget {
        let daily = *lock(&self.known.daily);
        Budget {
            made: self.client.made(),
            used: daily.map(|(limit, left)| limit.saturating_sub(left)),
            limit: daily.map(|(limit, _)| limit),
        }
    }

    fn calls(&self) -> BTreeMap<CallKind, u64> {
        self.client.kinds()
    }

    fn cost(&self, work: Work<'_>) -> u64 {
        match work {
            Work::Read { ask, records } => read::calls(ask, records),
            Work::Write(writes) => write::calls(writes),
        }
    }

    async fn schema(&self, object: &str) -> Result<Arc<ObjectSchema>, Error> {
        self.describe(object).await
    }

    fn forget_schema(&self, object: &str) {
        lock(&self.schemas).remove(object);
    }

    async fn owners(&self) -> Result<Vec<Owner>, Error> {
        self.all_owners().await
    }

    async fn read(&self, ask: &Ask, ids: &[String]) -> Result<Vec<Option<Record>>, Error> {
        self.read_all(ask, ids).await
    }

    async fn find(&self, ask: &Ask, field: &str, values: &[String]) -> Result<Vec<Record>, Error> {
        self.find_all(ask, field, values).await
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        self.write_all(writes).await
    }

    /// Enrols a contact in a sequence.
    async fn start(&self, start: &Start) -> Outcome {
        self.enrol(start).await
    }

    async fn started(&self, start: &Start, since: Timestamp) -> Result<Started, Error> {
        self.is_enrolled(start, since).await
    }

    /// A sequence, as the user `userId` sees it.
    async fn startable(&self, start: &Start) -> Result<Option<Startable>, Error> {
        self.sequence(start).await
    }

    async fn changed(
        &self,
        ask: &Ask,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        self.poll(ask, cursor, since).await
    }

    async fn deleted(
        &self,
        object: &str,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        self.poll_archive(object, cursor, since).await
    }

    async fn list(&self, ask: &Ask, cursor: Option<&Cursor>) -> Result<Polled, Error> {
        self.page(ask, cursor).await
    }

    async fn server_time(&self) -> Result<Timestamp, Error> {
        self.time().await
    }

    async fn count_by(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> Result<BTreeMap<String, u64>, Error> {
        self.count(object, field, values).await
    }
}

impl std::fmt::Debug for HubSpot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubSpot").field("version", &self.paths.0).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
