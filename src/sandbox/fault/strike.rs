//! How faults strike calls.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;

use super::{Fault, Side};
use crate::sandbox::{ADMIN, Sandbox, World};

/// Tells the platform's token check that the token of this call expires now. It travels in the
/// request's extensions, because only the platform knows how it refuses an expired token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpireToken {
    /// No refreshing or signing in helps either: the token endpoint refuses this call.
    pub forever: bool,
}

/// Wraps a platform's router so that armed faults strike its calls. The admin door is spared.
pub fn wrap(router: Router, sandbox: Sandbox, side: Side) -> Router {
    router.layer(from_fn_with_state((sandbox, side), strike))
}

/// What was decided for one call.
#[derive(Debug, Default)]
struct Verdict {
    slow: Option<Duration>,
    fault: Option<Fault>,
    answer: Option<Response>,
}

async fn strike(
    State((sandbox, side)): State<(Sandbox, Side)>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.uri().path().starts_with(ADMIN) {
        return next.run(request).await;
    }
    let verdict = judge(&mut sandbox.world(), side, &request);
    if let Some(slow) = verdict.slow {
        tokio::time::sleep(slow).await;
    }
    match (verdict.fault, verdict.answer) {
        (_, Some(answer)) => answer,
        (Some(Fault::HangBefore), None) => std::future::pending().await,
        (Some(Fault::HangAfter), None) => {
            next.run(request).await;
            std::future::pending().await
        }
        (Some(Fault::CutAfter), None) => cut(next.run(request).await).await,
        (Some(Fault::EmptyBody), None) => {
            let mut answer = next.run(request).await;
            *answer.body_mut() = Body::empty();
            answer.headers_mut().remove(CONTENT_LENGTH);
            answer
        }
        (Some(Fault::TimeoutAfter), None) => {
            next.run(request).await;
            page(StatusCode::GATEWAY_TIMEOUT)
        }
        (Some(fault @ (Fault::ExpireToken | Fault::ExpiredForever)), None) => {
            let forever = fault == Fault::ExpiredForever;
            request.extensions_mut().insert(ExpireToken { forever });
            next.run(request).await
        }
        _ => next.run(request).await,
    }
}

/// The faults of calls. The first that strikes decides; slowness comes on top of any other.
const OF_CALLS: [Fault; 13] = [
    Fault::HangBefore,
    Fault::TooManyRequests,
    Fault::DailyLimit,
    Fault::Unavailable,
    Fault::Html,
    Fault::ServerError,
    Fault::ExpireToken,
    Fault::ExpiredForever,
    Fault::Locked,
    Fault::HangAfter,
    Fault::CutAfter,
    Fault::EmptyBody,
    Fault::TimeoutAfter,
];

fn judge(world: &mut World, side: Side, request: &Request) -> Verdict {
    let World { faults, random, .. } = world;
    // The usual case: nothing is armed, and no random number is drawn.
    if faults.armed().is_empty() {
        return Verdict::default();
    }
    let mut verdict = Verdict::default();
    if faults.strikes(Fault::Slow, side, random) {
        verdict.slow = Some(Duration::from_millis(random.u64(100..3000)));
    }
    verdict.fault = OF_CALLS
        .into_iter()
        .find(|fault| can_strike(*fault, request) && faults.strikes(*fault, side, random));
    verdict.answer = verdict.fault.and_then(|fault| answer(fault, side, random));
    verdict
}

/// A fault that cannot touch a call is not spent on it.
fn can_strike(fault: Fault, request: &Request) -> bool {
    let path = request.uri().path();
    let signs_in = path.contains("/oauth");
    match fault {
        Fault::ExpireToken => !signs_in && request.headers().contains_key("authorization"),
        Fault::Locked => {
            let reads = ["/search", "/batch/read", "/access-token-info"];
            !signs_in
                && ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method())
                && !reads.iter().any(|read| path.ends_with(read))
        }
        _ => true,
    }
}

/// The answer to a call that never reaches the platform.
fn answer(fault: Fault, side: Side, random: &mut fastrand::Rng) -> Option<Response> {
    match fault {
        Fault::Html => Some(page(if random.bool() {
            StatusCode::BAD_GATEWAY
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        })),
        Fault::TooManyRequests
        | Fault::DailyLimit
        | Fault::Unavailable
        | Fault::ServerError
        | Fault::Locked => Some(match side {
            Side::HubSpot => of_hubspot(fault, random),
            Side::Salesforce => of_salesforce(fault),
        }),
        _ => None,
    }
}

fn of_hubspot(fault: Fault, random: &mut fastrand::Rng) -> Response {
    use super::super::hubspot::errors;
    let refusal = match fault {
        Fault::TooManyRequests => errors::rate_limit(errors::Window::TenSeconds, "0"),
        Fault::DailyLimit => errors::rate_limit(errors::Window::Day, "0"),
        Fault::Unavailable => errors::plain(503, "Service Unavailable"),
        Fault::Locked => errors::plain(423, "The resource is locked, retry in a moment."),
        _ => errors::plain(500, "internal error"),
    };
    refusal.into_response(random)
}

fn of_salesforce(fault: Fault) -> Response {
    let (status, code, message) = match fault {
        Fault::TooManyRequests => (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        ),
        Fault::DailyLimit => (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        Fault::Unavailable => (503, "SERVER_UNAVAILABLE", "Server Unavailable"),
        Fault::Locked => (
            400,
            "UNABLE_TO_LOCK_ROW",
            "unable to obtain exclusive access to this record or 1 records",
        ),
        _ => (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred."),
    };
    let body = json!([{ "message": message, "errorCode": code }]).to_string();
    build(
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        "application/json;charset=UTF-8",
        body,
    )
}

/// What an edge in front of either platform shows when it cannot reach it.
fn page(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let code = status.as_u16();
    let body = format!(
        "<html>\r\n<head><title>{code} {reason}</title></head>\r\n<body>\r\n\
         <center><h1>{code} {reason}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    build(status, "text/html", body)
}

fn build(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Breaks an answer off in the middle: the promised length is kept in the header, half of it is
/// sent, and then the body fails, which makes hyper close the connection.
async fn cut(whole: Response) -> Response {
    let (mut parts, body) = whole.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    // Without a body nothing could be cut; the client then waits for one byte that never comes.
    if bytes.is_empty() {
        parts.status = StatusCode::OK;
    }
    let half: Bytes = bytes.slice(..bytes.len() / 2);
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len().max(1)));
    let broken = Full::new(half).map_err(|never| match never {}).with_trailers(async {
        // The pause lets the server send what it has before it learns of the failure.
        tokio::task::yield_now().await;
        Some(Err::<http::HeaderMap, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset)))
    });
    // As a stream its length is unknown, so that hyper takes the promise from the header.
    Response::from_parts(parts, Body::from_stream(broken.into_data_stream()))
}
