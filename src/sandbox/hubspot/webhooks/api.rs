//! The management of webhooks over the API, `/webhooks/v3/{app}/…`, as public apps have it: signed
//! by the developer account's API key. A private app's webhooks are edited in the account alone.

use serde_json::{Map, Value, json};

use super::{Subscription, WebhookApp, WebhookError};
use crate::sandbox::hubspot::api::{Answer, Asked, bad_json};
use crate::sandbox::hubspot::errors::{Refusal, categorized, plain};
use crate::sandbox::hubspot::oauth::{DEVELOPER_KEY, OAUTH_APP};
use crate::sandbox::hubspot::record::instant;
use crate::sandbox::hubspot::world::Account;

/// Everything below `/webhooks`.
pub(in crate::sandbox::hubspot) fn call(
    account: &mut Account,
    asked: &Asked<'_>,
    route: &mut Option<String>,
) -> Result<Answer, Refusal> {
    let path: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    let ["webhooks", "v3", app, rest @ ..] = path.as_slice() else {
        return Err(plain(404, "resource not found").unmodelled());
    };
    *route = Some(template(rest));
    if asked.query("hapikey") != Some(DEVELOPER_KEY) {
        let message = "The API key used to make this call is missing or not valid.";
        return Err(categorized(401, "INVALID_AUTHENTICATION", message));
    }
    let app: u64 = app.parse().map_err(|_| plain(404, "resource not found"))?;
    if app != OAUTH_APP {
        let message = "This app is not one of the developer account's public apps.";
        return Err(categorized(403, "BANNED", message));
    }
    match (asked.method, rest) {
        ("GET", ["settings"]) => settings(account, app),
        ("PUT", ["settings"]) => put_settings(account, app, asked),
        ("DELETE", ["settings"]) => {
            let known = account.webhooks.app_mut(app).ok_or_else(|| gone(app))?;
            known.set_target_url(None).map_err(|error| refused(&error))?;
            Ok(Answer::empty(204))
        }
        ("GET", ["subscriptions"]) => {
            let known = account.webhooks.app(app).ok_or_else(|| gone(app))?;
            let results: Vec<Value> = known.subscriptions().map(shown).collect();
            Ok(Answer::ok(json!({ "results": results })))
        }
        ("POST", ["subscriptions"]) => create(account, app, asked),
        ("POST", ["subscriptions", "batch", "update"]) => batch(account, app, asked),
        (method, ["subscriptions", id]) => {
            let id: u64 = id.parse().map_err(|_| plain(404, "resource not found"))?;
            one(account, app, id, method, asked)
        }
        _ => Err(plain(404, "resource not found").unmodelled()),
    }
}

fn template(rest: &[&str]) -> String {
    let mut out = "/webhooks/v3/{app}".to_owned();
    for segment in rest {
        let number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        out.push('/');
        out.push_str(if number { "{id}" } else { segment });
    }
    out
}

fn gone(app: u64) -> Refusal {
    refused(&WebhookError::UnknownApp(app))
}

fn refused(error: &WebhookError) -> Refusal {
    match error {
        WebhookError::UnknownApp(_) | WebhookError::UnknownSubscription(_) => {
            categorized(404, "OBJECT_NOT_FOUND", error.to_string())
        }
        WebhookError::Exists(_) => categorized(409, "CONFLICT", error.to_string()),
        _ => categorized(400, "VALIDATION_ERROR", error.to_string()),
    }
}

fn settings(account: &Account, app: u64) -> Result<Answer, Refusal> {
    let known: &WebhookApp = account.webhooks.app(app).ok_or_else(|| gone(app))?;
    let Some(target) = known.target_url() else {
        let message = "No webhook settings exist for this app.";
        return Err(categorized(404, "OBJECT_NOT_FOUND", message));
    };
    Ok(Answer::ok(json!({
        "targetUrl": target,
        "throttling": { "maxConcurrentRequests": known.max_concurrent },
    })))
}

fn put_settings(account: &mut Account, app: u64, asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    let target = body.get("targetUrl").and_then(Value::as_str);
    let target = target.ok_or_else(|| bad_json("Cannot deserialize value of type `targetUrl`"))?;
    let most = body.get("throttling").and_then(|at| at.get("maxConcurrentRequests"));
    let most = most.and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    if most.is_some_and(|most| most <= 5) {
        let message = "maxConcurrentRequests must be greater than 5";
        return Err(categorized(400, "VALIDATION_ERROR", message));
    }
    let known = account.webhooks.app_mut(app).ok_or_else(|| gone(app))?;
    known.set_target_url(Some(target)).map_err(|error| refused(&error))?;
    known.max_concurrent = most.unwrap_or(known.max_concurrent);
    settings(account, app)
}

fn create(account: &mut Account, app: u64, asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|at| !at.is_empty());
    let kind = text("eventType");
    let kind = kind.ok_or_else(|| bad_json("Cannot deserialize value of type `eventType`"))?;
    let active = body.get("active").and_then(Value::as_bool).unwrap_or(false);
    let made = account.webhooks.subscribe(
        app,
        kind,
        text("propertyName"),
        text("objectTypeId"),
        active,
        asked.now,
    );
    let id = made.map_err(|error| refused(&error))?;
    let made = found(account, app, id)?;
    Ok(Answer::with(201, shown(made)))
}

fn one(
    account: &mut Account,
    app: u64,
    id: u64,
    method: &str,
    asked: &Asked<'_>,
) -> Result<Answer, Refusal> {
    match method {
        "GET" => Ok(Answer::ok(shown(found(account, app, id)?))),
        "PATCH" => {
            let active = asked.json()?.get("active").and_then(Value::as_bool);
            let active =
                active.ok_or_else(|| bad_json("Cannot deserialize value of type `active`"))?;
            let switched = account.webhooks.switch(app, id, active, asked.now);
            Ok(Answer::ok(shown(switched.map_err(|error| refused(&error))?)))
        }
        "DELETE" => {
            account.webhooks.unsubscribe(app, id).map_err(|error| refused(&error))?;
            Ok(Answer::empty(204))
        }
        _ => Err(plain(405, "Method Not Allowed")),
    }
}

/// Switches many. One that does not exist is reported and does not stop the others.
fn batch(account: &mut Account, app: u64, asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    let Some(Value::Array(inputs)) = body.get("inputs") else {
        return Err(bad_json("Cannot deserialize value of type `inputs`"));
    };
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in inputs {
        let id = match &input["id"] {
            Value::Number(id) => id.as_u64(),
            other => other.as_str().and_then(|id| id.parse().ok()),
        };
        let (Some(id), Some(active)) = (id, input["active"].as_bool()) else {
            return Err(bad_json("Cannot deserialize value of type `inputs`"));
        };
        match account.webhooks.switch(app, id, active, asked.now) {
            Ok(switched) => results.push(shown(switched)),
            Err(error) => errors.push(Value::Object(refused(&error).body)),
        }
    }
    let status = if errors.is_empty() { 200 } else { 207 };
    let mut body = json!({
        "status": "COMPLETE",
        "results": results,
        "startedAt": instant(asked.now),
        "completedAt": instant(asked.now),
    });
    if !errors.is_empty() {
        body["numErrors"] = json!(errors.len());
        body["errors"] = json!(errors);
    }
    Ok(Answer::with(status, body))
}

fn found(account: &Account, app: u64, id: u64) -> Result<&Subscription, Refusal> {
    let known = account.webhooks.app(app).ok_or_else(|| gone(app))?;
    known
        .subscriptions()
        .find(|at| at.id == id)
        .ok_or_else(|| refused(&WebhookError::UnknownSubscription(id)))
}

/// A subscription as the API shows it. Its id is text here and a number in events.
fn shown(subscription: &Subscription) -> Value {
    let mut body = Map::new();
    body.insert("id".to_owned(), json!(subscription.id.to_string()));
    body.insert("createdAt".to_owned(), json!(instant(subscription.created)));
    if let Some(at) = subscription.updated {
        body.insert("updatedAt".to_owned(), json!(instant(at)));
    }
    body.insert("eventType".to_owned(), json!(subscription.event_type));
    if let Some(property) = &subscription.property {
        body.insert("propertyName".to_owned(), json!(property));
    }
    if let Some(object) = &subscription.object_type_id {
        body.insert("objectTypeId".to_owned(), json!(object));
    }
    body.insert("active".to_owned(), json!(subscription.active));
    Value::Object(body)
}
