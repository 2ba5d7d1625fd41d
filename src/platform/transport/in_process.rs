//! A router behind the seam, called in process.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use tower::ServiceExt;

use super::{Http, LARGEST_BODY, NetError};

/// A router in this process. What a network would do to a request, it does too: the request line
/// becomes a path with a `Host` header, a body that breaks off is an error, and a handler that
/// never answers runs into the time limit (of tokio's clock, which may be virtual).
#[derive(Debug, Clone)]
pub struct InProcess {
    router: axum::Router,
    total: Duration,
}

impl InProcess {
    /// Calls `router`, with the network's usual time limit of 60 seconds.
    #[must_use]
    pub fn new(router: axum::Router) -> Self {
        Self { router, total: Duration::from_secs(60) }
    }

    /// With another time limit.
    #[must_use]
    pub fn with_limit(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    async fn answer(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, NetError> {
        let request = to_origin_form(request)?.map(axum::body::Body::from);
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_BODY)
            .collect()
            .await
            .map_err(|error| NetError::unclear(format!("the answer broke off: {error}")))?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }
}

#[async_trait]
impl Http for InProcess {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        tokio::time::timeout(self.total, self.answer(request))
            .await
            .unwrap_or_else(|_| Err(NetError::unclear("no answer within the time limit")))
    }
}

/// A server sees `GET /path` and a `Host`, not the absolute URI that a client is given.
fn to_origin_form(request: http::Request<Bytes>) -> Result<http::Request<Bytes>, NetError> {
    let (mut parts, body) = request.into_parts();
    if let Some(authority) = parts.uri.authority()
        && !parts.headers.contains_key(http::header::HOST)
    {
        let host = http::HeaderValue::from_str(authority.as_str())
            .map_err(|error| NetError::not_sent(format!("the host name: {error}")))?;
        parts.headers.insert(http::header::HOST, host);
    }
    if let Some(path) = parts.uri.path_and_query() {
        parts.uri = http::Uri::from(path.clone());
    }
    Ok(http::Request::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    async fn call(router: axum::Router) -> Result<http::Response<Bytes>, NetError> {
        let request =
            http::Request::get("https://api.example.com/a?b=c").body(Bytes::new()).unwrap();
        InProcess::new(router).call(request).await
    }

    #[tokio::test]
    async fn a_handler_sees_what_it_would_see_on_the_network() {
        let seen = |uri: http::Uri, headers: http::HeaderMap| async move {
            format!("{uri} {}", headers["host"].to_str().unwrap())
        };
        let answer = call(axum::Router::new().route("/a", get(seen))).await.unwrap();
        assert_eq!(answer.body(), "/a?b=c api.example.com");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_never_answers_runs_into_the_limit() {
        let start = tokio::time::Instant::now();
        let hang = || async { std::future::pending::<&str>().await };
        let error = call(axum::Router::new().route("/a", get(hang))).await.unwrap_err();
        assert_eq!(error, NetError::unclear("no answer within the time limit"));
        assert_eq!(start.elapsed().as_secs(), 60);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let torn = || async {
            let begun = http_body_util::Full::new(Bytes::from("{"))
                .map_err(|never| -> std::io::Error { match never {} });
            let cut = async { Some(Err(std::io::Error::other("cut"))) };
            axum::body::Body::new(begun.with_trailers(cut))
        };
        let error = call(axum::Router::new().route("/a", get(torn))).await.unwrap_err();
        assert_eq!(error, NetError::unclear("the answer broke off: cut"));
    }
}
