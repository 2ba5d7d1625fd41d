//! Salesforce, as a [`Platform`].
//!
//! Everything goes through the REST data API: reads and writes as sObject Collections of 200, the
//! rest as SOQL that is continued by key and never by offset. A record that is synced is created by an
//! upsert on an external id, so that repeating it creates nothing twice; a plain create is sent for
//! tasks alone, which have no such field, and never repeated without a look.

mod codes;
mod poll;
pub mod pubsub;
mod query;
mod read;
mod schema;
mod soql;
mod start;
mod wire;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use url::Url;

use super::transport::{
    Answer, Call, Client, Dialect, Failure, Http, Lane, RetrySettings, Tokens, Verdict, redact,
};
use super::{
    Ask, Budget, CallKind, Cursor, Error, ErrorKind, Identity, ObjectSchema, Outcome, Owner,
    Platform, Polled, Start, Startable, Started, Work, Write,
};
use crate::record::{Record, Side};
use codes::Meaning;
use pubsub::Selected;
use wire::ApiError;

/// How the client talks to Salesforce.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where calls go until signing in has told the org's own address: the login address.
    pub login: Url,
    /// The API version, as it stands in paths.
    pub version: String,
    /// The name under which change events show our writes (`;client=lockstep`).
    pub client: String,
    /// How far each round of [`Platform::changed`] reaches back before the one before it ended. A
    /// row is stamped when it is written and seen when its transaction commits, so that a shorter
    /// span loses the changes of transactions that take longer. Ten minutes is the longest that an
    /// API call may take.
    pub overlap: Duration,
    /// How many rows a page of a listing holds, at most 2,000.
    pub page: u32,
    /// How many calls are under way at a time. An org allows 25 that take longer than 20 seconds,
    /// 5 where it is a trial or a Developer Edition, shared by all its integrations.
    pub at_once: usize,
    /// How long and how often a call is tried again.
    pub retry: RetrySettings,
}

impl Settings {
    /// The defaults, for an org that signs in at `login`.
    #[must_use]
    pub fn new(login: Url) -> Self {
        Self {
            login,
            version: "v66.0".into(),
            client: "lockstep".into(),
            overlap: Duration::from_mins(10),
            page: 2_000,
            at_once: 4,
            retry: RetrySettings::default(),
        }
    }
}

/// How long to leave an org alone whose calls of the last 24 hours are used up. The limit is a
/// rolling one: calls come free all the time, and nothing says when.
const EXHAUSTED: Duration = Duration::from_mins(15);

/// Salesforce behind the [`Platform`] trait.
pub struct Salesforce {
    settings: Settings,
    client: Client,
    dialect: Arc<SalesforceDialect>,
    lane: Arc<Lane>,
    identity: OnceLock<Identity>,
    schemas: Mutex<BTreeMap<String, schema::Remembered>>,
    random: Mutex<fastrand::Rng>,
}

impl std::fmt::Debug for Salesforce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Salesforce").field("login", &self.settings.login.as_str()).finish()
    }
}

impl Salesforce {
    /// A client that signs in by `tokens`. The same seed gives the same waits.
    #[must_use]
    pub fn new(
        settings: Settings,
        http: Arc<dyn Http>,
        tokens: Arc<dyn Tokens>,
        seed: u64,
    ) -> Self {
        let dialect = Arc::new(SalesforceDialect::default());
        let judge: Arc<dyn Dialect> = Arc::<SalesforceDialect>::clone(&dialect);
        let client = Client::new(settings.login.clone(), http, tokens, judge, settings.retry, seed);
        Self {
            lane: Lane::new("salesforce", &[], settings.at_once),
            settings,
            client,
            dialect,
            identity: OnceLock::new(),
            schemas: Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// A path of the data API: `/services/data/v66.0` and `rest`.
    fn path(&self, rest: &str) -> String {
        format!("/services/data/{}{rest}", self.settings.version)
    }

    fn get(&self, route: &'static str, path: String, doing: &str) -> Call {
        Call::get(&self.lane, route, path, doing)
    }

    /// Sends `call` with what every call carries.
    async fn send(&self, mut call: Call) -> Result<Answer, Failure> {
        let options = format!("client={}", self.settings.client);
        if let Ok(options) = HeaderValue::try_from(options) {
            call.headers.push((HeaderName::from_static("sforce-call-options"), options));
        }
        self.client.call(&call).await
    }

    /// Sends `call` and takes every answer but a good one as an error.
    async fn ask(&self, call: Call) -> Result<Answer, Error> {
        let doing = call.doing.clone();
        let answer = self.send(call).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(self.dialect.error(&doing, &answer, &first_error(&answer)))
        }
    }

    /// An answer's body in the shape that it should have.
    fn shape<T: serde::de::DeserializeOwned>(
        &self,
        doing: &str,
        answer: &Answer,
    ) -> Result<T, Error> {
        answer.json().map_err(|why| {
            let message = format!("the answer is not of the shape that is expected: {why}");
            let mut error = request_error(doing, message);
            error.kind = ErrorKind::Retry { after: None };
            error.correlation = self.dialect.correlation(answer);
            error
        })
    }

    /// Our own user's id, where it is known already.
    fn author_id(&self) -> Option<&str> {
        self.identity.get().map(|identity| identity.author_id.as_str())
    }

    async fn who(&self) -> Result<Identity, Error> {
        const DOING: &str = "asking who is signed in";
        // The list of resources needs no scope but `api`, which everything else needs too; it names
        // the org and the user at the end of an address: `…/id/00D…/005…`.
        let route = "/services/data/{version}";
        let answer = self.ask(self.get(route, self.path(""), DOING)).await?;
        let resources: wire::Resources = self.shape(DOING, &answer)?;
        let mut ids = resources.identity.rsplit('/').map(wire::id18);
        let (Some(Some(author_id)), Some(Some(account))) = (ids.next(), ids.next()) else {
            return Err(request_error(DOING, "the answer names no user and organization".into()));
        };
        let query = soql::Select::new(["Id", "Username"], "User")
            .and_then(|query| query.one_of("Id", &[soql::quote(&author_id)]))
            .map_err(|why| not_a_name(DOING, &why))?;
        let users = self.rows(&query, query::Scope::Live, DOING).await?;
        let user = users.first().and_then(|row| wire::text(row, "Username"));
        let base = self.client.access().await?.base.unwrap_or_else(|| self.settings.login.clone());
        Ok(Identity {
            account,
            user: user.unwrap_or(&author_id).to_owned(),
            author_id,
            pages: base.as_str().trim_end_matches('/').to_owned(),
            scopes: std::collections::BTreeSet::new(),
        })
    }

    /// A number below `below`, from the seed.
    fn random(&self, below: u64) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).u64(0..below.max(1))
    }
}

#[async_trait]
impl Platform for Salesforce {
    fn side(&self) -> Side {
        Side::Salesforce
    }

    async fn identity(&self) -> Result<Identity, Error> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity.clone());
        }
        let identity = self.who().await?;
        Ok(self.identity.get_or_init(|| identity).clone())
    }

    fn budget(&self) -> Budget {
        let (used, limit) = self.dialect.usage().unzip();
        Budget { made: self.client.made(), used, limit }
    }

    fn calls(&self) -> BTreeMap<CallKind, u64> {
        self.client.kinds()
    }

    fn cost(&self, work: Work<'_>) -> u64 {
        match work {
            Work::Read { records, .. } => read::calls(records),
            Work::Write(writes) => write::calls(writes),
        }
    }

    async fn schema(&self, object: &str) -> Result<Arc<ObjectSchema>, Error> {
        self.describe(object).await
    }

    fn forget_schema(&self, object: &str) {
        self.forget(object);
    }

    async fn owners(&self) -> Result<Vec<Owner>, Error> {
        self.list_owners().await
    }

    /// A Lead always comes with `IsConverted`, whether or not it was asked for: a converted Lead
    /// whose Contact the user cannot see has no successor and is read-only all the same.
    async fn read(&self, ask: &Ask, ids: &[String]) -> Result<Vec<Option<Record>>, Error> {
        self.read_by_id(ask, ids).await
    }

    async fn find(&self, ask: &Ask, field: &str, values: &[String]) -> Result<Vec<Record>, Error> {
        self.find_by(ask, field, values).await
    }

    /// A call whose answer is lost is not sent again, although an update by id and an upsert by
    /// external id could be: between the two, a person may have edited what the second would run
    /// over. The outcome is [`Outcome::Unknown`], and the record is read first.
    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        self.write_all(writes).await
    }

    /// An autolaunched flow.
    async fn start(&self, start: &Start) -> Outcome {
        self.start_flow(start).await
    }

    /// Salesforce keeps a flow's interview only while it is paused or where it failed, and says nothing
    /// of one that ran to its end.
    async fn started(&self, _start: &Start, _since: Timestamp) -> Result<Started, Error> {
        Ok(Started::Untold)
    }

    async fn startable(&self, start: &Start) -> Result<Option<Startable>, Error> {
        self.describe_flow(&start.name).await
    }

    /// Deleted and merged records are among the changes, for the 15 days that they stay in the
    /// recycle bin.
    async fn changed(
        &self,
        ask: &Ask,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        self.changed_since(ask, cursor, since).await
    }

    /// What the platform's log of deletions holds, hard deletions included, which leave no row for
    /// [`Platform::changed`] to show. Soft deletions are in both. Entries are kept for 15 days at
    /// most and appear with a delay of minutes.
    async fn deleted(
        &self,
        object: &str,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        self.deleted_since(object, cursor, since).await
    }

    /// Converted Leads are listed: they are live, and their links have yet to move.
    async fn list(&self, ask: &Ask, cursor: Option<&Cursor>) -> Result<Polled, Error> {
        self.list_all(ask, cursor).await
    }

    async fn server_time(&self) -> Result<Timestamp, Error> {
        const DOING: &str = "asking for the time";
        if let Some(time) = self.client.server_time() {
            return Ok(time);
        }
        // The list of versions needs no rights and counts against no limit.
        self.ask(self.get("/services/data", "/services/data".into(), DOING)).await?;
        self.client
            .server_time()
            .ok_or_else(|| request_error(DOING, "the answer has no Date header".into()))
    }

    /// Converted Leads are not counted, as nothing is ever written to them.
    async fn count_by(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> Result<BTreeMap<String, u64>, Error> {
        self.count(object, field, values).await
    }
}

/// The Pub/Sub API is let in by the same token as the REST API.
#[async_trait]
impl pubsub::Sessions for Salesforce {
    async fn session(&self) -> Result<pubsub::Session, Error> {
        let identity = self.identity().await?;
        let access = self.client.access().await?;
        Ok(pubsub::Session {
            token: access.bearer,
            instance: identity.pages,
            tenant: identity.account,
            user: identity.author_id,
            client: self.settings.client.clone(),
        })
    }

    async fn refused(&self, token: &secrecy::SecretString) {
        self.client.refused(token).await;
    }

    async fn allocation(&self) -> Result<Option<(u64, u64)>, Error> {
        const DOING: &str = "asking for the org's limits";
        let route = "/services/data/{version}/limits";
        let answer = self.ask(self.get(route, self.path("/limits"), DOING)).await?;
        let limits: wire::Limits = self.shape(DOING, &answer)?;
        let events = limits.events;
        Ok(events.max.zip(events.remaining).map(|(max, left)| (max.saturating_sub(left), max)))
    }

    async fn selected(&self) -> Result<Option<Selected>, Error> {
        const DOING: &str = "asking what is selected for change data capture";
        const QUERY: &str = "SELECT EventChannel, SelectedEntity FROM PlatformEventChannelMember";
        let route = "/services/data/{version}/tooling/query";
        let path = self.path(&format!("/tooling/query?q={}", query::encode(QUERY)));
        match self.ask(self.get(route, path, DOING)).await {
            Ok(answer) => {
                let found: wire::Members = self.shape(DOING, &answer)?;
                // Nobody selects two thousand; of a part nothing could be concluded.
                Ok(found.done.then_some(Selected(found.records)))
            }
            // To a user without the permission there is no such object.
            Err(error) if matches!(error.kind, ErrorKind::Request | ErrorKind::Stop) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What Salesforce's answers mean.
#[derive(Debug, Default)]
struct SalesforceDialect {
    usage: Mutex<Option<(u64, u64)>>,
}

impl SalesforceDialect {
    fn usage(&self) -> Option<(u64, u64)> {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error that an answer without success stands for.
    fn error(&self, doing: &str, answer: &Answer, told: &ApiError) -> Error {
        let known = codes::meaning(&told.code, &told.message);
        let status = answer.status.as_u16();
        let kind = match known.map(|(meaning, _)| meaning) {
            Some(Meaning::Busy) => ErrorKind::Retry { after: answer.retry_after() },
            Some(Meaning::Exhausted) => match answer.date() {
                Some(now) => ErrorKind::WaitUntil(now.saturating_add(EXHAUSTED).unwrap_or(now)),
                None => ErrorKind::Retry { after: Some(EXHAUSTED) },
            },
            Some(Meaning::Session) => ErrorKind::SignIn,
            Some(Meaning::Stop | Meaning::Permission) => ErrorKind::Stop,
            Some(_) => ErrorKind::Request,
            None if status == 401 => ErrorKind::SignIn,
            None if status == 403 => ErrorKind::Stop,
            None if status >= 500 || matches!(status, 406 | 408 | 420 | 429) => {
                ErrorKind::Retry { after: answer.retry_after() }
            }
            None => ErrorKind::Request,
        };
        let words = if told.message.is_empty() {
            format!("status {status} without a reason")
        } else {
            redact(&told.message)
        };
        Error {
            side: Side::Salesforce,
            kind,
            doing: doing.to_owned(),
            code: Some(told.code.clone()).filter(|code| !code.is_empty()),
            message: words,
            hint: known.map(|(_, hint)| hint.to_owned()),
            correlation: self.correlation(answer),
        }
    }
}

impl Dialect for SalesforceDialect {
    fn side(&self) -> Side {
        Side::Salesforce
    }

    fn observe(&self, _call: &Call, answer: &Answer) {
        if let Some(usage) = answer.header("sforce-limit-info").and_then(api_usage) {
            *self.usage.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
        }
    }

    fn judge(&self, call: &Call, answer: &Answer) -> Verdict {
        let status = answer.status.as_u16();
        if status < 400 {
            return Verdict::Final;
        }
        let told = first_error(answer);
        let mut error = self.error(&call.doing, answer, &told);
        match (codes::meaning(&told.code, &told.message).map(|(meaning, _)| meaning), status) {
            // The one who paged knows where to go on.
            _ if told.code == query::LOST_LOCATOR => Verdict::Final,
            (_, 401) if codes::never_heals(&told.message) => {
                error.kind = ErrorKind::Stop;
                error.hint = Some("allow the app and its user to use the REST API".into());
                Verdict::Stop(error)
            }
            (Some(Meaning::Session), _) | (_, 401) => Verdict::Unauthorized(error),
            (Some(Meaning::Exhausted), _) => Verdict::Stop(error),
            // What failed in the middle may have been done before it failed.
            (_, 500 | 502 | 504..) | (None, 406 | 408 | 503) => Verdict::Failed(error),
            // A flow that met a lock or a limit ran until then, and what it had done by then beyond its
            // transaction (a callout, an event) is not taken back.
            (Some(Meaning::Busy), 400) if start::is_start(call) => Verdict::Failed(error),
            (Some(Meaning::Busy), _) | (None, 420 | 429) => {
                Verdict::Later { after: answer.retry_after(), lane: false, error }
            }
            _ => Verdict::Final,
        }
    }

    fn correlation(&self, answer: &Answer) -> Option<String> {
        answer.header("x-sfdc-request-id").map(str::to_owned)
    }
}

/// Used and allowed calls, out of `api-usage=25/5000; per-app-api-usage=17/250(appName=x)`.
fn api_usage(header: &str) -> Option<(u64, u64)> {
    let usage = header.split([';', ',']).find_map(|part| part.trim().strip_prefix("api-usage="))?;
    let (used, limit) = usage.split_once('/')?;
    Some((used.trim().parse().ok()?, limit.trim().parse().ok()?))
}

fn first_error(answer: &Answer) -> ApiError {
    wire::errors(&answer.body).into_iter().next().unwrap_or_default()
}

/// An error of a request that is wrong and will stay so.
fn request_error(doing: &str, message: String) -> Error {
    Error {
        side: Side::Salesforce,
        kind: ErrorKind::Request,
        doing: doing.to_owned(),
        code: None,
        message,
        hint: None,
        correlation: None,
    }
}

fn not_a_name(doing: &str, why: &soql::NotAName) -> Error {
    let mut error = request_error(doing, why.to_string());
    error.hint = Some("correct the name in the mapping, as Setup shows it under API Name".into());
    error
}

#[cfg(test)]
mod tests;
