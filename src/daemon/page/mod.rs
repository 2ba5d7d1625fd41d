//! The page that leaders and operators read.
//!
//! [`Page`] is what there is to say, [`document`] says it as one HTML document: served by the
//! daemon, or written into a file that holds its style sheet itself. It has no scripts, so that it
//! needs none to be trusted. What people typed somewhere (names of owners, sources, reasons) reaches
//! it only through templates that escape it, and through charts whose library does.
//!
//! Whose data it shows: the owners of handoffs, where a leader has to know who is asked (breaches,
//! the groups by owner). Everybody else is a link's number or a record's id, by which those find
//! them who may.

pub mod chart;
mod leaders;
mod status;
mod template;
mod value;
mod waiting;

pub use leaders::{Leaders, StuckKind};
pub use waiting::Waiting;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use super::status::Status;
use value::{Section, moment};

/// How many of each kind of what waits are read for a page: enough to say of how many the first are
/// shown.
pub(super) const MOST: usize = 1_000;

/// The style sheet, as it is served and as a file has it inside.
const STYLE: &str = include_str!("templates/style.css");

/// What a browser may do with the page: show it, with our own style, and send our own forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// What there is to say.
#[derive(Debug, Clone)]
pub struct Page {
    /// When it was true.
    pub made: Timestamp,
    /// The handoff's figures, where a mapping hands anything off.
    pub leaders: Option<Leaders>,
    /// What waits for a person; nothing in a file, which is passed on and grows old.
    pub waiting: Option<Waiting>,
    /// How the service is doing; nothing in a file either.
    pub status: Option<Status>,
}

/// Where the document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a browser that asked the daemon.
    Served {
        /// Whether a session can be ended.
        session: bool,
    },
    /// In a file of its own.
    File,
}

/// The page cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A template is wrong.
    #[error("the page's template is wrong: {0:#}")]
    Template(#[from] template::Error),
    /// A chart cannot be drawn.
    #[error(transparent)]
    Chart(#[from] chart::ChartError),
}

#[derive(Serialize)]
struct Document {
    title: &'static str,
    made: String,
    /// The style sheet where it stands inside.
    style: Option<&'static str>,
    session: bool,
    /// Whether the daemon is there to answer the form.
    served: bool,
    health: Option<status::Badge>,
    leaders: Option<leaders::View>,
    sections: Vec<Section>,
    version: &'static str,
}

/// The page as an HTML document.
///
/// # Errors
/// Where a template or a chart is wrong, which tests rule out.
pub fn document(page: &Page, place: Place) -> Result<String, PageError> {
    let mut sections = Vec::new();
    let leaders = page.leaders.as_ref().map(|leaders| leaders::view(leaders, page.made));
    if let Some(waiting) = &page.waiting {
        sections.push(waiting.section(page.made));
    }
    if let Some(status) = &page.status {
        sections.extend(status::sections(status));
    }
    let document = Document {
        title: if page.leaders.is_some() { "The handoff" } else { "How the service is doing" },
        made: moment(page.made),
        style: (place == Place::File).then_some(STYLE),
        session: place == Place::Served { session: true },
        served: place != Place::File,
        health: page.status.as_ref().map(status::Badge::of),
        leaders: leaders.transpose()?,
        sections,
        version: env!("CARGO_PKG_VERSION"),
    };
    Ok(template::render("page.html", &document)?)
}

/// The page as an answer.
pub(super) fn answer(page: &Page, session: bool) -> Response {
    html(document(page, Place::Served { session }))
}

/// Why the token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignIn {
    /// None was given.
    Asked,
    /// What was given is not it.
    Wrong,
}

/// The form that asks for the token.
pub(super) fn sign_in(how: SignIn) -> Response {
    #[derive(Serialize)]
    struct Form {
        style: Option<&'static str>,
        wrong: bool,
    }
    let form = Form { style: None, wrong: how == SignIn::Wrong };
    html(template::render("sign_in.html", &form).map_err(PageError::from))
}

/// The style sheet, as an answer.
pub(super) async fn style() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], STYLE).into_response()
}

fn html(rendered: Result<String, PageError>) -> Response {
    let text = match rendered {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "the page cannot be made");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests;
