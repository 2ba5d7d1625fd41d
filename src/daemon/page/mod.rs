//! The page that leaders and operators read.
//!
//! Rendered here, as one document without scripts. What people typed somewhere (names of owners,
//! sources, reasons) reaches it only through templates that escape it, and through charts whose
//! library does.

mod template;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// The style sheet, as it is served and as a file has it inside.
pub const STYLE: &str = include_str!("templates/style.css");

/// What a browser may do with a page: show it, with our own style, and send our own form.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Why the token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignIn {
    /// None was given.
    Asked,
    /// What was given is not it.
    Wrong,
}

/// The form that asks for the token.
pub(super) fn sign_in(how: SignIn) -> Response {
    html(template::render("sign_in.html", &SignInPage { wrong: how == SignIn::Wrong }))
}

#[derive(Serialize)]
struct SignInPage {
    wrong: bool,
}

/// The style sheet, as an answer.
pub(super) async fn style() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], STYLE).into_response()
}

fn html(rendered: Result<String, template::Error>) -> Response {
    let text = match rendered {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "the page cannot be rendered");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, text).into_response()
}
