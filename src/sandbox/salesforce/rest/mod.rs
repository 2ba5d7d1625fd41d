//! The REST API: from a path to the resource that answers it.

mod actions;
pub(super) mod call;
mod collections;
mod composite;
mod describe;
mod jobs;
mod limits;
mod query;
mod replication;
mod single;
#[cfg(test)]
mod tests;

use http::Method;
use serde_json::{Map, Value, json};

use super::refusal::{Code, Refusal};
use super::world::Org;
use call::{Call, Reply};

type Answer = Result<Reply, Refusal>;

/// The oldest and the newest version that is served, as whole numbers.
pub(super) const VERSIONS: std::ops::RangeInclusive<u32> = 51..=67;

/// Whether `v66.0` is a version that is served.
pub(super) fn is_version(text: &str) -> bool {
    text.strip_prefix('v')
        .and_then(|t| t.strip_suffix(".0"))
        .and_then(|t| t.parse().ok())
        .is_some_and(|v| VERSIONS.contains(&v))
}

/// `/services/data`: needs no sign-in.
pub(super) fn versions() -> Value {
    VERSIONS
        .map(|v| {
            // Version 66.0 is Spring '26, and each year has three.
            let season = ["Spring", "Summer", "Winter"][usize::try_from(v % 3).unwrap_or(0)];
            let year = 26 + (i64::from(v) - 65).div_euclid(3);
            json!({
                "label": format!("{season} '{year}"),
                "url": format!("/services/data/v{v}.0"),
                "version": format!("{v}.0"),
            })
        })
        .collect()
}

/// Answers a call of a signed-in user.
pub(super) fn dispatch(org: &mut Org, call: &Call) -> Reply {
    route(org, call).unwrap_or_else(|refusal| Reply::refused(&refusal))
}

fn route(org: &mut Org, call: &Call) -> Answer {
    match call.segments().as_slice() {
        [] => only_get(call, || Ok(Reply::ok(resources(org, call)))),
        ["limits"] => only_get(call, || Ok(Reply::ok(org.limits()))),
        ["query"] => only_get(call, || org.rest_query(call, false)),
        ["tooling", "query"] => only_get(call, || org.tooling_query(call)),
        ["queryAll"] => only_get(call, || org.rest_query(call, true)),
        ["query" | "queryAll", locator] => only_get(call, || org.rest_query_more(call, locator)),
        ["sobjects"] => only_get(call, || Ok(Reply::ok(org.describe_global(call)))),
        ["sobjects", object, rest @ ..] => sobject(org, call, object, rest),
        ["composite", rest @ ..] => composite(org, call, rest),
        ["actions", "custom", "flow"] => only_get(call, || org.rest_flows(call)),
        ["actions", "custom", "flow", name] => match call.method.as_str() {
            "GET" | "HEAD" | "POST" => org.rest_flow(call, name),
            _ => Ok(Reply::bad_method(&call.method, "GET,HEAD,POST")),
        },
        ["jobs", kind, rest @ ..] => org.rest_jobs(call, kind, rest),
        _ => Ok(Reply::not_modelled()),
    }
}

fn only_get(call: &Call, answer: impl FnOnce() -> Answer) -> Answer {
    if call.method == Method::GET || call.method == Method::HEAD {
        answer()
    } else {
        Ok(Reply::bad_method(&call.method, "GET,HEAD"))
    }
}

fn sobject(org: &mut Org, call: &Call, object: &str, rest: &[&str]) -> Answer {
    let Some(object) = org.object(object).cloned() else {
        return Err(Refusal::call(Code::NotFound, "The requested resource does not exist"));
    };
    match rest {
        [] => match call.method.as_str() {
            "GET" | "HEAD" => Ok(Reply::ok(org.object_overview(call, &object))),
            "POST" => org.rest_create(call, &object),
            _ => Ok(Reply::bad_method(&call.method, "GET,HEAD,POST")),
        },
        ["describe"] => only_get(call, || org.rest_describe(call, &object)),
        ["updated"] => only_get(call, || org.rest_updated(call, &object)),
        ["deleted"] => only_get(call, || org.rest_deleted(call, &object)),
        [id] => match call.method.as_str() {
            "GET" | "HEAD" => org.rest_get(call, &object, id),
            "PATCH" => org.rest_update(call, &object, id),
            "DELETE" => org.rest_delete(call, &object, id),
            _ => Ok(Reply::bad_method(&call.method, "GET,HEAD,PATCH,DELETE")),
        },
        [field, value] => match call.method.as_str() {
            "GET" | "HEAD" => org.rest_get_by_key(call, &object, field, value),
            "PATCH" => org.rest_upsert(call, &object, field, value),
            "DELETE" => org.rest_delete_by_key(call, &object, field, value),
            _ => Ok(Reply::bad_method(&call.method, "GET,HEAD,PATCH,DELETE")),
        },
        _ => Ok(Reply::not_modelled()),
    }
}

fn composite(org: &mut Org, call: &Call, rest: &[&str]) -> Answer {
    if rest.first() == Some(&"sobjects") {
        return org.rest_collections(call, &rest[1..]);
    }
    if call.method != Method::POST {
        return Ok(Reply::bad_method(&call.method, "POST"));
    }
    match rest {
        [] => org.rest_composite(call),
        ["batch"] => org.rest_batch(call),
        ["graph"] => org.rest_graph(call),
        ["tree", object] => org.rest_tree(call, object),
        _ => Ok(Reply::not_modelled()),
    }
}

/// The resources of a version.
fn resources(org: &Org, call: &Call) -> Value {
    let at = format!("/services/data/{}", call.version);
    let mut out: Map<String, Value> =
        ["actions", "composite", "jobs", "limits", "query", "queryAll", "sobjects"]
            .into_iter()
            .map(|name| (name.to_owned(), json!(format!("{at}/{name}"))))
            .collect();
    out.insert("identity".to_owned(), json!(format!("{}/id/{}/{}", call.base, org.id, call.user)));
    Value::Object(out)
}
