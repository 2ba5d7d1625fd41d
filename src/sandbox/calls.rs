//! The log of calls, kept so that they can be counted: what a synchronization costs is part of
//! what is tested.

use std::collections::{BTreeMap, VecDeque};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::Method;
use jiff::Timestamp;

use super::fault::Side;
use super::{ADMIN, Sandbox};

/// How many calls are kept in detail.
const RECENT: usize = 1000;

/// The route's template, put by a handler into its answer's extensions where axum's own matched
/// path would say too little. Ids are left out of it: `/crm/v3/objects/contacts/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(pub String);

/// Marks an answer (in its extensions) that refuses what the sandbox does not model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmodelled;

/// What a call is for. A handler may put it into its answer's extensions; otherwise the method and
/// the path decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Reads, searches and queries.
    Read,
    /// Changes records or definitions.
    Write,
    /// Signs in, refreshes or asks about a token.
    Token,
}

/// What calls are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey {
    /// The router.
    pub side: Side,
    /// The method, in capitals.
    pub method: String,
    /// The route's template, without ids.
    pub route: String,
    /// The status, or nothing where no answer has come (yet).
    pub status: Option<u16>,
}

/// One call in detail. Headers, bodies and the paths of token calls are left out, because secrets
/// live there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallDetail {
    /// The call's number, from 1.
    pub number: u64,
    /// When it came.
    pub at: Timestamp,
    /// The router.
    pub side: Side,
    /// The method, in capitals.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// What it was for.
    pub purpose: Purpose,
    /// The status, or nothing where no answer has come (yet).
    pub status: Option<u16>,
}

/// Every call that came, the admin door's left out.
#[derive(Debug, Default)]
pub struct Calls {
    number: u64,
    counted: BTreeMap<CallKey, u64>,
    purposes: BTreeMap<(Side, Purpose), u64>,
    unmodelled: BTreeMap<(Side, String), u64>,
    pushes: BTreeMap<(Side, String, String), u64>,
    recent: VecDeque<CallDetail>,
}

impl Calls {
    /// How many calls came to `side`, answered or not.
    #[must_use]
    pub fn total(&self, side: Side) -> u64 {
        self.purposes.iter().filter(|((at, _), _)| *at == side).map(|(_, count)| count).sum()
    }

    /// How many calls of one purpose came to `side`.
    #[must_use]
    pub fn of(&self, side: Side, purpose: Purpose) -> u64 {
        self.purposes.get(&(side, purpose)).copied().unwrap_or_default()
    }

    /// Calls by side, method, route and status.
    #[must_use]
    pub fn counted(&self) -> &BTreeMap<CallKey, u64> {
        &self.counted
    }

    /// How often each thing that the sandbox does not model was asked for: `METHOD path`.
    #[must_use]
    pub fn unmodelled(&self) -> &BTreeMap<(Side, String), u64> {
        &self.unmodelled
    }

    /// The last calls in detail, the oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &CallDetail> {
        self.recent.iter()
    }

    /// What the platforms pushed: how often, by side, what it was (`webhook`, `Subscribe`, …) and
    /// what came of it. It is no call of a client, and so in none of the other counts.
    #[must_use]
    pub fn pushes(&self) -> &BTreeMap<(Side, String, String), u64> {
        &self.pushes
    }

    /// Notes something that a platform pushed.
    pub(super) fn push(&mut self, side: Side, what: &str, outcome: &str) {
        *self.pushes.entry((side, what.to_owned(), outcome.to_owned())).or_default() += 1;
    }

    /// Forgets all counts and details.
    pub fn clear(&mut self) {
        *self = Self { number: self.number, ..Self::default() };
    }

    /// Notes a call at its arrival, so that one that is never answered counts too.
    fn arrive(&mut self, detail: CallDetail, key: CallKey) -> u64 {
        self.number += 1;
        *self.purposes.entry((detail.side, detail.purpose)).or_default() += 1;
        *self.counted.entry(key).or_default() += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(CallDetail { number: self.number, ..detail });
        self.number
    }

    /// Moves a call from the unanswered to those with its status.
    fn answered(&mut self, number: u64, mut key: CallKey, response: &Response) {
        // Nothing is left of a call that came before the counts were cleared.
        let known = self.counted.get_mut(&key).is_some_and(|open| {
            let known = *open > 0;
            *open = open.saturating_sub(1);
            known
        });
        if !known {
            return;
        }
        if self.counted.get(&key) == Some(&0) {
            self.counted.remove(&key);
        }
        if response.extensions().get::<Unmodelled>().is_some() {
            let asked = format!("{} {}", key.method, key.route);
            *self.unmodelled.entry((key.side, asked)).or_default() += 1;
        }
        key.status = Some(response.status().as_u16());
        let first = self.recent.front().map_or(0, |detail| detail.number);
        let at = number.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        let detail = at.and_then(|at| self.recent.get_mut(at));
        if let Some(detail) = detail {
            detail.status = key.status;
            if let Some(purpose) = response.extensions().get::<Purpose>()
                && *purpose != detail.purpose
            {
                if let Some(count) = self.purposes.get_mut(&(key.side, detail.purpose)) {
                    *count = count.saturating_sub(1);
                }
                *self.purposes.entry((key.side, *purpose)).or_default() += 1;
                detail.purpose = *purpose;
            }
        }
        if let Some(Route(route)) = response.extensions().get::<Route>() {
            key.route.clone_from(route);
        }
        *self.counted.entry(key).or_default() += 1;
    }
}

/// Wraps a router so that its calls are noted. It belongs outside the faults, so that a struck call
/// counts as well.
pub fn wrap(router: Router, sandbox: Sandbox, side: Side) -> Router {
    router.layer(from_fn_with_state((sandbox, side), note))
}

async fn note(
    State((sandbox, side)): State<(Sandbox, Side)>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path().starts_with(ADMIN) {
        return next.run(request).await;
    }
    let path = request.uri().path();
    let purpose = purpose(request.method(), path);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| guessed(path), |matched| matched.as_str().to_owned());
    let method = request.method().as_str().to_owned();
    let key = CallKey { side, method: method.clone(), route: route.clone(), status: None };
    let shown = request.uri().path_and_query().map_or(path, |full| full.as_str());
    let detail = CallDetail {
        number: 0,
        at: sandbox.clock().now(),
        side,
        method,
        path: if purpose == Purpose::Token { route } else { shown.to_owned() },
        purpose,
        status: None,
    };
    let number = sandbox.world().calls.arrive(detail, key.clone());
    let response = next.run(request).await;
    sandbox.world().calls.answered(number, key, &response);
    response
}

/// A template for a path that no handler has explained (yet): what looks like an id is left out.
fn guessed(path: &str) -> String {
    let id = |segment: &str| {
        let digits = segment.chars().filter(char::is_ascii_digit).count();
        let salesforce =
            matches!(segment.len(), 15 | 18) && segment.chars().all(|c| c.is_ascii_alphanumeric());
        segment.contains(['@', '%']) || digits > 0 && (digits == segment.len() || salesforce)
    };
    let segments = path.split('/').map(|at| if id(at) { "{id}" } else { at });
    segments.collect::<Vec<_>>().join("/")
}

fn purpose(method: &Method, path: &str) -> Purpose {
    const READS: [&str; 6] =
        ["/search", "/batch/read", "/query", "/queryAll", "/access-token-info", "/read"];
    // Salesforce lets many ids be read by a POST to the object's collection.
    let retrieves = |path: &str| {
        let object = path.split_once("/composite/sobjects/").map(|(_, object)| object);
        *method == Method::POST && object.is_some_and(|object| !object.contains('/'))
    };
    if path.contains("/oauth") {
        Purpose::Token
    } else if retrieves(path)
        || [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
        || READS.iter().any(|read| path.ends_with(read))
    {
        Purpose::Read
    } else {
        Purpose::Write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_ids() {
        for (path, route) in [
            ("/crm/v3/objects/contacts/101000000001", "/crm/v3/objects/contacts/{id}"),
            ("/crm/v3/objects/contacts/a@example.com", "/crm/v3/objects/contacts/{id}"),
            (
                "/crm/objects/2026-09/0-1/5/associations/0-2",
                "/crm/objects/2026-09/0-1/{id}/associations/0-2",
            ),
            (
                "/services/data/v62.0/sobjects/Lead/00Q5g00000ABCDEAA4",
                "/services/data/v62.0/sobjects/Lead/{id}",
            ),
            ("/services/data/v62.0/composite/sobjects", "/services/data/v62.0/composite/sobjects"),
        ] {
            assert_eq!(guessed(path), route);
        }
    }

    #[test]
    fn purposes_follow_method_and_path() {
        for (method, path, expected) in [
            (Method::GET, "/crm/v3/owners", Purpose::Read),
            (Method::POST, "/crm/v3/objects/contacts/search", Purpose::Read),
            (Method::POST, "/crm/v3/objects/contacts/batch/read", Purpose::Read),
            (Method::POST, "/crm/v3/objects/contacts/batch/update", Purpose::Write),
            (Method::PATCH, "/services/data/v62.0/sobjects/Lead/00Q", Purpose::Write),
            (Method::POST, "/services/data/v66.0/composite/sobjects/Lead", Purpose::Read),
            (Method::POST, "/services/data/v66.0/composite/sobjects", Purpose::Write),
            (Method::PATCH, "/services/data/v66.0/composite/sobjects/Lead/Key__c", Purpose::Write),
            (Method::POST, "/services/oauth2/token", Purpose::Token),
            (Method::POST, "/oauth/2026-03/token", Purpose::Token),
        ] {
            assert_eq!(purpose(&method, path), expected, "{method} {path}");
        }
    }
}
