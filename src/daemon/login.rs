//! The loopback listener that a person's browser comes back to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Html;
use axum::routing::get;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::connect::{ConnectError, login_settings, token_store};
use crate::platform::Error;
use crate::platform::auth::login::{Callback, Login};
use crate::platform::transport::Http;
use crate::record::Side;
use crate::settings::Effective;

/// Where the browser comes back to, on the port that the caller chose.
pub const CALLBACK: &str = "/callback";

/// How long the person may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Why a login did not end well.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The settings do not say enough.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The port cannot be listened on.
    #[error("cannot listen on {address} for the browser to come back to")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The platform, or the person there, said no.
    #[error(transparent)]
    Refused(#[from] Error),
    /// Nobody came back.
    #[error("nobody came back from the browser within ten minutes")]
    TooLate,
}

type Answered = (Callback, oneshot::Sender<Result<(), String>>);

/// Logs a person in at `side`: listens on `port`, hands the page for the browser to `show`, waits
/// for the browser to come back, and stores the refresh token.
///
/// # Errors
/// As [`LoginError`] says.
pub async fn login(
    effective: &Effective,
    side: Side,
    http: &Arc<dyn Http>,
    port: u16,
    show: impl FnOnce(&Url),
) -> Result<(), LoginError> {
    let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let failed = |source| LoginError::Listen { address: asked, source };
    let listener = TcpListener::bind(asked).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    // Both platforms allow plain http for this name only.
    let mut redirect = effective.settings.hubspot.base_url.clone();
    for set in [
        redirect.set_scheme("http"),
        redirect.set_host(Some("localhost")).map_err(|_| ()),
        redirect.set_port(Some(port)),
    ] {
        set.map_err(|()| LoginError::Listen {
            address: asked,
            source: std::io::Error::other("no address can be made for it"),
        })?;
    }
    redirect.set_path(CALLBACK);
    redirect.set_query(None);

    let login = Login::begin(login_settings(effective, side, http, redirect)?);
    let (send, mut answers) = mpsc::channel::<Answered>(1);
    let router = Router::new().route(CALLBACK, get(came_back)).with_state(send);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let stopped = async {
            // The sender's end is a stop as well.
            let _ = stopped.await;
        };
        axum::serve(listener, router).with_graceful_shutdown(stopped).await
    });
    show(login.page());
    let end = wait(login, effective, side, &mut answers).await;
    drop(answers);
    let _ = stop.send(());
    // A browser may keep its connection open; the page has been sent by now.
    let _ = tokio::time::timeout(Duration::from_secs(1), serving).await;
    end
}

async fn wait(
    login: Login,
    effective: &Effective,
    side: Side,
    answers: &mut mpsc::Receiver<Answered>,
) -> Result<(), LoginError> {
    let store = token_store(effective, side);
    loop {
        let answered = tokio::time::timeout(PATIENCE, answers.recv()).await;
        let Ok(Some((callback, page))) = answered else { return Err(LoginError::TooLate) };
        let end = match callback {
            Callback::Foreign => {
                // Another program on this machine; the person may still come.
                let _ = page.send(Err("this is not the answer that was waited for".to_owned()));
                continue;
            }
            Callback::Refused { error, description } => Err(login.refusal(&error, &description)),
            Callback::Agreed { code, state } => login.finish(&code, &state, &store).await.map(drop),
        };
        let told = end.as_ref().map(|&()| ()).map_err(|error| error.message.clone());
        // The browser may have been closed.
        let _ = page.send(told);
        return Ok(end?);
    }
}

async fn came_back(
    State(answers): State<mpsc::Sender<Answered>>,
    RawQuery(query): RawQuery,
) -> (StatusCode, Html<String>) {
    let callback = Callback::from_query(query.as_deref().unwrap_or_default());
    let (tell, told) = oneshot::channel();
    let end = match answers.send((callback, tell)).await {
        Ok(()) => told.await.unwrap_or_else(|_| Err("the login has ended".to_owned())),
        Err(_) => Err("the login has ended".to_owned()),
    };
    let page = |text: &str| {
        // The text may quote the address, which anyone can write.
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        Html(format!("<!doctype html><meta charset=utf-8><title>Lockstep</title><p>{text}</p>\n"))
    };
    match end {
        Ok(()) => (StatusCode::OK, page("You are logged in. This page can be closed.")),
        Err(why) => (StatusCode::BAD_REQUEST, page(&format!("The login failed: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;
    use crate::daemon::network;
    use crate::sandbox::server::{ServeOptions, serve};
    use crate::sandbox::{Sandbox, SandboxClock, hubspot::oauth};
    use crate::settings::{Sources, load};

    async fn get(http: &Arc<dyn Http>, url: &str) -> http::Response<Bytes> {
        http.call(http::Request::get(url).body(Bytes::new()).unwrap()).await.unwrap()
    }

    fn settings(base: &str, folder: &std::path::Path) -> Effective {
        let variables = [
            ("LOCKSTEP_HUBSPOT__BASE_URL", base),
            ("LOCKSTEP_HUBSPOT__AUTHORIZE_URL", &format!("{base}/oauth/authorize")),
            ("LOCKSTEP_HUBSPOT__AUTH", "oauth"),
            ("LOCKSTEP_HUBSPOT__APP_ID", &oauth::OAUTH_APP.to_string()),
            ("LOCKSTEP_HUBSPOT__CLIENT_ID", oauth::CLIENT_ID),
            ("LOCKSTEP_HUBSPOT__CLIENT_SECRET", oauth::CLIENT_SECRET),
            ("LOCKSTEP_DIRECTORIES__STATE", folder.to_str().unwrap()),
        ];
        let environment: BTreeMap<String, String> =
            variables.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        load(&Sources { file: None, environment }).unwrap()
    }

    /// A person's browser: opens the page, and follows the platform back to this machine.
    async fn browse(http: &Arc<dyn Http>, page: &str, change: fn(String) -> String) -> StatusCode {
        let sent = get(http, page).await;
        let back = sent.headers().get("location").unwrap().to_str().unwrap().to_owned();
        get(http, &change(back)).await.status()
    }

    #[tokio::test]
    async fn a_login_ends_with_a_refresh_token_on_disk_or_with_the_reason() {
        let folder = std::env::temp_dir().join(format!("lockstep-login-{}", std::process::id()));
        let now = crate::daemon::Clock::system().now();
        let sandbox = Sandbox::new(1, SandboxClock::starting_at(now));
        let serving = serve(sandbox, ServeOptions::default()).await.unwrap();
        let effective = settings(&serving.hubspot_url(), &folder);
        let http = network().unwrap();
        let other_state: fn(String) -> String = |back| back.replace("state=", "state=x");
        let refusal: fn(String) -> String = |back| {
            let (base, _) = back.split_once('?').unwrap();
            format!("{base}?error=access_denied&error_description=no%20%3Cthanks%3E")
        };
        for (change, good) in [(other_state, false), (refusal, false), (|back| back, true)] {
            let (send, page) = oneshot::channel();
            let show = |page: &Url| send.send(page.to_string()).unwrap();
            let person = async {
                let page = page.await.unwrap();
                // A stranger's request does not end the login.
                let stranger = Url::parse(&page).unwrap();
                let redirect =
                    stranger.query_pairs().find(|(key, _)| key == "redirect_uri").unwrap().1;
                assert_eq!(get(&http, &redirect).await.status(), StatusCode::BAD_REQUEST);
                browse(&http, &page, change).await
            };
            let (end, status) =
                tokio::join!(login(&effective, Side::HubSpot, &http, 0, show), person);
            assert_eq!(end.is_ok(), good, "{end:?}");
            assert_eq!(status.is_success(), good);
        }
        let kept = effective.settings.directories.refresh_token(Side::HubSpot);
        assert!(!std::fs::read_to_string(kept).unwrap().trim().is_empty());
        // What was kept signs in.
        let platform = super::super::connect::connect_hubspot(&effective, &http).unwrap();
        assert_eq!(platform.identity().await.unwrap().author_id, oauth::OAUTH_APP.to_string());
        serving.shutdown().await;
        std::fs::remove_dir_all(folder).unwrap();
    }
}
