//! HubSpot's part of the admin door: the actions of people, as JSON.
//!
//! | call | does |
//! | --- | --- |
//! | `POST /sandbox/hubspot/{object}` `{"properties":{…},"user":51001}` | creates |
//! | `GET /sandbox/hubspot/{object}/{id}` | shows every stored value |
//! | `PATCH /sandbox/hubspot/{object}/{id}` `{"properties":{…}}` | edits, backwards stages too |
//! | `PATCH …` with `"as":"platform"` | sets read-only values, as a new score |
//! | `POST /sandbox/hubspot/{object}/{id}/merge` `{"other":"…"}` | merges |
//! | `POST /sandbox/hubspot/{object}/{id}/archive`, `…/restore` | archives, restores |
//! | `GET /sandbox/hubspot/webhooks` | apps, and how many deliveries are where |
//! | `POST /sandbox/hubspot/webhooks` `{"target_url":"…","everything":true}` | points an app's webhooks somewhere; `app`, `secret`, `max_concurrent`, `retry_span`, `lateness`, `sensitive` |
//! | `POST /sandbox/hubspot/settings` `{"search_lag":"2s",…}` | changes settings and limits |

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::texts;
use super::oauth::PRIVATE_APP;
use super::object::Object;
use super::ui::FIRST_USER;
use super::world::Account;
use super::write::By;
use crate::sandbox::Sandbox;
use crate::sandbox::admin::{answer, refuse};

pub(super) fn router() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/hubspot/settings", post(settings))
        .route("/sandbox/hubspot/webhooks", get(hooks).post(hook))
        .route("/sandbox/hubspot/{object}", post(create))
        .route("/sandbox/hubspot/{object}/{id}", get(show).patch(edit))
        .route("/sandbox/hubspot/{object}/{id}/{action}", post(act))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Act {
    properties: Map<String, Value>,
    user: Option<u64>,
    r#as: Option<String>,
    other: Option<String>,
}

fn read(body: &[u8]) -> Result<Act, String> {
    if body.is_empty() {
        return Ok(Act::default());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn kind(name: &str) -> Result<Object, String> {
    Object::named(name).ok_or_else(|| format!("there is no kind of object named `{name}`"))
}

fn number(id: &str) -> Result<u64, String> {
    id.parse().map_err(|_| format!("`{id}` is not a record's id"))
}

fn values(act: &Act) -> Result<Vec<(String, String)>, String> {
    texts(Some(&Value::Object(act.properties.clone())))
        .map_err(|refusal| Value::Object(refusal.body).to_string())
}

fn stored(account: &Account, object: Object, id: u64) -> Response {
    let records = &account.table(object).records;
    let Some(record) = records.get(&account.table(object).survivor(id)) else {
        return refuse(&format!("there is no record {id} among the {object}"));
    };
    let properties: Map<String, Value> =
        record.values().map(|(name, value)| (name.to_string(), value.into())).collect();
    let body = json!({
        "id": record.id.to_string(),
        "archived": record.archived.is_some(),
        "updatedAt": record.updated.to_string(),
        "properties": properties,
    });
    answer(StatusCode::OK, &body)
}

fn respond(result: Result<Response, String>) -> Response {
    result.unwrap_or_else(|error| refuse(&error))
}

async fn create(
    State(sandbox): State<Sandbox>,
    Path(object): Path<String>,
    body: Bytes,
) -> Response {
    let run = || {
        let (object, act) = (kind(&object)?, read(&body)?);
        let by = By::person(act.user.unwrap_or(FIRST_USER), sandbox.clock().now());
        let mut world = sandbox.world();
        let id = world.hubspot.create(object, &values(&act)?, &by);
        Ok(stored(&world.hubspot, object, id.map_err(|error| error.to_string())?))
    };
    respond(run())
}

async fn show(
    State(sandbox): State<Sandbox>,
    Path((object, id)): Path<(String, String)>,
) -> Response {
    let run = || Ok(stored(&sandbox.world().hubspot, kind(&object)?, number(&id)?));
    respond(run())
}

async fn edit(
    State(sandbox): State<Sandbox>,
    Path((object, id)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let run = || {
        let (object, id, act) = (kind(&object)?, number(&id)?, read(&body)?);
        let now = sandbox.clock().now();
        let by = match act.r#as.as_deref() {
            Some("platform") => By::platform("CALCULATED", now),
            None | Some("user") => By::person(act.user.unwrap_or(FIRST_USER), now),
            Some(other) => return Err(format!("`{other}` is neither user nor platform")),
        };
        let mut world = sandbox.world();
        let edited = world.hubspot.update(object, id, &values(&act)?, &by);
        edited.map_err(|error| error.to_string())?;
        Ok(stored(&world.hubspot, object, id))
    };
    respond(run())
}

async fn act(
    State(sandbox): State<Sandbox>,
    Path((object, id, action)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    let run = || {
        let (object, id, act) = (kind(&object)?, number(&id)?, read(&body)?);
        let (user, now) = (act.user.unwrap_or(FIRST_USER), sandbox.clock().now());
        let mut world = sandbox.world();
        let account = &mut world.hubspot;
        let done = match action.as_str() {
            "archive" => account.archive(object, id, user, now),
            "restore" => account.restore(object, id, user, now),
            "merge" => {
                let other = number(act.other.as_deref().unwrap_or_default())?;
                account.merge_as_user(object, id, other, user, now).map(|_| ())
            }
            other => return Err(format!("there is no action named `{other}`")),
        };
        done.map_err(|error| error.to_string())?;
        Ok(stored(account, object, id))
    };
    respond(run())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    search_lag: Option<String>,
    search_lag_varies: Option<bool>,
    company_stage_to_contacts: Option<bool>,
    deals_move_stage: Option<bool>,
    companies_from_domains: Option<bool>,
    private_app_limit: Option<u32>,
    daily_limit: Option<u32>,
    search_limit: Option<u32>,
}

async fn settings(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let run = || {
        let wanted: Wanted = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let lag = wanted.search_lag.map(|lag| lag.parse::<SignedDuration>()).transpose();
        let lag = lag.map_err(|error| error.to_string())?;
        let mut world = sandbox.world();
        let account = &mut world.hubspot;
        let settings = &mut account.settings;
        settings.search_lag = lag.unwrap_or(settings.search_lag);
        for (wanted, place) in [
            (wanted.search_lag_varies, &mut settings.search_lag_varies),
            (wanted.company_stage_to_contacts, &mut settings.company_stage_to_contacts),
            (wanted.deals_move_stage, &mut settings.deals_move_stage),
            (wanted.companies_from_domains, &mut settings.companies_from_domains),
        ] {
            *place = wanted.unwrap_or(*place);
        }
        let limits = &mut account.limiter.limits;
        limits.private_app = wanted.private_app_limit.or(limits.private_app);
        limits.daily = wanted.daily_limit.or(limits.daily);
        limits.search = wanted.search_limit.or(limits.search);
        let shown = format!("{:?} {:?}", account.settings, account.limiter.limits);
        Ok(answer(StatusCode::OK, &json!({ "now": shown })))
    };
    respond(run())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Hook {
    app: Option<u64>,
    secret: Option<String>,
    target_url: Option<String>,
    max_concurrent: Option<usize>,
    everything: bool,
    retry_span: Option<String>,
    lateness: Option<String>,
    sensitive: Option<Vec<String>>,
}

async fn hook(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let run = || {
        let hook: Hook = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let length = |text: Option<String>| {
            let read = text.map(|text| text.parse::<SignedDuration>()).transpose();
            read.map_err(|error| error.to_string())
        };
        let (retry_span, lateness) = (length(hook.retry_span)?, length(hook.lateness)?);
        let now = sandbox.clock().now();
        let mut world = sandbox.world();
        let account = &mut world.hubspot;
        let id = hook.app.unwrap_or(PRIVATE_APP);
        let known = account.webhooks.app(id).map(|app| app.secret.clone());
        let secret = hook.secret.or(known).unwrap_or_default();
        let app = account.webhooks.install(id, &secret);
        if let Some(url) = &hook.target_url {
            let url = (!url.is_empty()).then_some(url.as_str());
            app.set_target_url(url).map_err(|error| error.to_string())?;
        }
        app.max_concurrent = hook.max_concurrent.unwrap_or(app.max_concurrent);
        if hook.everything {
            account.subscribe_to_everything(id, now).map_err(|error| error.to_string())?;
        }
        let settings = &mut account.webhooks.settings;
        settings.retry_span = retry_span.unwrap_or(settings.retry_span);
        settings.lateness = lateness.unwrap_or(settings.lateness);
        if let Some(sensitive) = hook.sensitive {
            settings.sensitive = sensitive.into_iter().collect();
        }
        Ok(shown_hooks(account))
    };
    respond(run())
}

async fn hooks(State(sandbox): State<Sandbox>) -> Response {
    shown_hooks(&sandbox.world().hubspot)
}

fn shown_hooks(account: &Account) -> Response {
    let apps: Vec<Value> = account
        .webhooks
        .apps()
        .map(|app| {
            json!({
                "app": app.id,
                "target_url": app.target_url(),
                "max_concurrent": app.max_concurrent,
                "subscriptions": app.subscriptions().count(),
                "active": app.subscriptions().filter(|at| at.active).count(),
            })
        })
        .collect();
    let tally = account.webhooks.tally();
    let body = json!({
        "apps": apps,
        "events_queued": tally.queued,
        "deliveries": {
            "waiting": tally.waiting,
            "in_flight": tally.in_flight,
            "arrived": tally.arrived,
            "failed_attempts": tally.failed,
            "given_up": tally.given_up,
            "lost": tally.lost,
        },
    });
    answer(StatusCode::OK, &body)
}
