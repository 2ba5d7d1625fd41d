use axum::body::Body;
use http::HeaderMap;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, LOCATION,
    SET_COOKIE, WWW_AUTHENTICATE,
};
use http_body_util::BodyExt;
use secrecy::SecretString;
use tower::ServiceExt;

use super::*;
use crate::daemon::{Clock, ServiceError};

const TOKEN: &str = "correct-horse-battery";
const NOW: &str = "2026-11-02T09:00:00Z";

fn door_at(
    address: &str,
    name: Option<&str>,
    token: Option<&str>,
    now: &str,
) -> Result<Door, ServiceError> {
    let token = token.map(|token| SecretString::from(token.to_owned()));
    let clock = Clock::starting_at(now.parse().unwrap());
    let name = name.map(str::to_owned);
    Door::with(address.parse().unwrap(), name, token.as_ref(), clock)
}

/// Something behind a door.
fn behind(door: Door) -> Router {
    let inner = Router::new()
        .route("/", get(|| async { "the page" }))
        .route("/metrics", get(|| async { "the metrics" }));
    guarded(inner, Arc::new(door))
}

struct Told {
    code: u16,
    headers: HeaderMap,
    body: String,
}

impl Told {
    fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask(door: Door, path: &str, headers: &[(HeaderName, &str)], form: Option<&str>) -> Told {
    let method = if form.is_some() { "POST" } else { "GET" };
    let mut request = http::Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == HOST) {
        request = request.header(HOST, "localhost:8765");
    }
    if form.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::from(form.unwrap_or_default().to_owned())).unwrap();
    let (parts, body) = behind(door).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Told {
        code: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn only_our_own_names_are_answered() {
    let (here, open) = ("127.0.0.1:8765", "0.0.0.0:8765");
    for (address, name, host, ours) in [
        (here, None, "localhost:8765", true),
        (here, None, "LOCALHOST", true),
        (here, None, "127.0.0.1:8765", true),
        (here, None, "[::1]:8765", true),
        (here, None, "[::1]", true),
        (here, None, "localhost:80", false),
        (here, None, "evil.example:8765", false),
        (here, None, "127.0.0.1.evil.example:8765", false),
        (here, None, "10.0.0.7:8765", false),
        (here, None, "", false),
        (here, Some("sync.example.com"), "sync.example.com", true),
        (here, Some("sync.example.com"), "Sync.Example.com:443", true),
        (here, Some("sync.example.com"), "evil.example", false),
        (open, None, "10.0.0.7:8765", true),
        (open, None, "[fd00::7]:8765", true),
        (open, None, "10.0.0.7:80", false),
        (open, None, "evil.example:8765", false),
    ] {
        let door = door_at(address, name, Some(TOKEN), NOW).unwrap();
        let bearer = format!("Bearer {TOKEN}");
        let told = ask(door, "/metrics", &[(HOST, host), (AUTHORIZATION, &bearer)], None).await;
        assert_eq!(told.code, if ours { 200 } else { 421 }, "{host} at {address}: {}", told.body);
    }
}

#[test]
fn nothing_is_opened_to_other_machines_without_a_token_that_is_hard_to_guess() {
    let error = |address, token| {
        door_at(address, None, token, NOW).err().map_or_else(String::new, |it| it.to_string())
    };
    insta::assert_snapshot!(error("0.0.0.0:8765", None), @"http.listen = 0.0.0.0:8765 can be reached from other machines, and no token is set");
    insta::assert_snapshot!(error("127.0.0.1:8765", Some("hunter2")), @"the http_token has 7 characters; 16 or more cannot be guessed");
    for (address, token) in [
        ("127.0.0.1:8765", None),
        ("[::1]:8765", None),
        ("127.0.0.1:8765", Some(TOKEN)),
        ("10.0.0.7:8765", Some(TOKEN)),
    ] {
        assert_eq!(error(address, token), "", "{address} {token:?}");
    }
}

#[tokio::test]
async fn without_a_token_whoever_is_on_this_machine_may_ask() {
    let door = || door_at("127.0.0.1:8765", None, None, NOW).unwrap();
    assert_eq!(ask(door(), "/metrics", &[], None).await.body, "the metrics");
    for path in ["/sign-in", "/sign-out"] {
        let form = (path == "/sign-out").then_some("");
        let told = ask(door(), path, &[], form).await;
        assert_eq!(told.code, 303, "{path}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_in_words_that_suit_the_asker() {
    let door = || door_at("127.0.0.1:8765", None, Some(TOKEN), NOW).unwrap();
    let machine = ask(door(), "/metrics", &[], None).await;
    assert_eq!(machine.code, 401);
    assert_eq!(machine.header(WWW_AUTHENTICATE), "Bearer realm=\"lockstep\"");
    assert!(machine.body.contains("Authorization: Bearer"), "{}", machine.body);

    let html = (ACCEPT, "text/html,application/xhtml+xml");
    for (path, says) in
        [("/", "<form"), ("/metrics", "<form"), ("/?token=wrong-wrong-wrong", "not the token")]
    {
        let person = ask(door(), path, std::slice::from_ref(&html), None).await;
        assert_eq!(person.code, 401, "{path}");
        assert!(person.body.contains(says), "{path}: {}", person.body);
        assert!(person.header(CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
        assert!(person.headers.get(SET_COOKIE).is_none());
    }
    assert_eq!(ask(door(), "/style.css", &[], None).await.code, 200, "the form's own style");

    let bearer = |token: &str| format!("bearer {token}");
    for (given, code) in [
        (bearer(TOKEN), 200),
        (bearer("correct-horse-batterz"), 401),
        (bearer("correct-horse-batter"), 401),
        (bearer(""), 401),
        (format!("Basic {TOKEN}"), 401),
        (TOKEN.to_owned(), 401),
    ] {
        let told = ask(door(), "/metrics", &[(AUTHORIZATION, &given)], None).await;
        assert_eq!(told.code, code, "{given}");
    }
}

#[tokio::test]
async fn a_browser_keeps_a_session_that_holds_no_token_and_ends() {
    let door = |now| door_at("127.0.0.1:8765", None, Some(TOKEN), now).unwrap();
    let by_form = ask(door(NOW), "/sign-in", &[], Some(&format!("token={TOKEN}"))).await;
    let by_link = ask(door(NOW), &format!("/?token={TOKEN}"), &[], None).await;
    let mut sessions = Vec::new();
    for told in [by_form, by_link] {
        assert_eq!((told.code, told.header(LOCATION)), (303, "/"));
        let cookie = told.header(SET_COOKIE);
        assert!(!cookie.contains(TOKEN), "{cookie}");
        for wanted in ["lockstep-8765=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
            assert!(cookie.contains(wanted), "{wanted}: {cookie}");
        }
        sessions.push(cookie.split(';').next().unwrap().to_owned());
    }
    let wrong = ask(door(NOW), "/sign-in", &[], Some("token=wrong-wrong-wrong-w")).await;
    assert_eq!(wrong.code, 401);
    assert!(wrong.headers.get(SET_COOKIE).is_none());

    let session = &sessions[0];
    let among_others = format!("theme=dark; {session}");
    let (name, value) = session.split_once('=').unwrap();
    let (until, tag) = value.split_once('.').unwrap();
    let longer = format!("{name}={}.{tag}", until.parse::<i64>().unwrap() + 9999);
    let renamed = session.replace("8765", "8766");
    for (cookie, now, code) in [
        (session, NOW, 200),
        (&among_others, NOW, 200),
        (session, "2026-11-02T20:59:00Z", 200),
        (session, "2026-11-02T21:00:00Z", 401),
        (&longer, NOW, 401),
        (&renamed, NOW, 401),
        (&format!("{name}={TOKEN}"), NOW, 401),
        (&format!("{name}=.{tag}"), NOW, 401),
    ] {
        let told = ask(door(now), "/metrics", &[(COOKIE, cookie)], None).await;
        assert_eq!(told.code, code, "{cookie} at {now}");
    }
    let other = door_at("127.0.0.1:8765", None, Some("another-token-altogether"), NOW).unwrap();
    assert_eq!(ask(other, "/metrics", &[(COOKIE, session)], None).await.code, 401);

    let out = ask(door(NOW), "/sign-out", &[], Some("")).await;
    assert_eq!((out.code, out.header(LOCATION)), (303, "/sign-in"));
    assert!(out.header(SET_COOKIE).contains("Max-Age=0"));
}

#[tokio::test]
async fn every_answer_says_that_nothing_is_to_be_kept_or_told() {
    let door = || door_at("127.0.0.1:8765", None, Some(TOKEN), NOW).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    for (path, host) in
        [("/", "localhost"), ("/metrics", "localhost"), ("/nothing", "localhost"), ("/", "evil")]
    {
        let headers = [(HOST, host), (AUTHORIZATION, bearer.as_str())];
        let told = ask(door(), path, &headers, None).await;
        assert_eq!(told.header(CACHE_CONTROL), "no-store", "{path} {host}");
        assert_eq!(told.header(X_CONTENT_TYPE_OPTIONS), "nosniff", "{path} {host}");
        assert_eq!(told.header(REFERRER_POLICY), "no-referrer", "{path} {host}");
    }
}

#[test]
fn the_form_asks_for_days_and_a_grouping_and_nothing_else() {
    let period = |since: &str, until: &str, by: &str| {
        let some = |text: &str| Some(text.to_owned());
        Period { since: some(since), until: some(until), by: some(by) }.asked()
    };
    let asked = period("2026-11-02", "2026-11-09", "week");
    assert_eq!(asked.since, Some("2026-11-02T00:00:00Z".parse().unwrap()));
    assert_eq!(asked.until, Some("2026-11-09T00:00:00Z".parse().unwrap()));
    assert_eq!(asked.by, Some(By::Week));
    assert_eq!(period("", "soon", "person"), ReportOf::default());
}
