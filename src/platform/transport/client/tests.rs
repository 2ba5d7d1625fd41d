use std::collections::VecDeque;

use async_trait::async_trait;
use secrecy::SecretString;

use super::super::{Lane, NetError, StaticToken, Window};
use super::*;

/// Answers from a list, and remembers when it was asked and with which token.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Result<http::Response<Bytes>, NetError>>>,
    asked: Mutex<Vec<(Duration, String)>>,
    start: Mutex<Option<Instant>>,
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Result<http::Response<Bytes>, NetError>>) -> Arc<Self> {
        let script = Self::default();
        *script.answers.lock().unwrap() = answers.into_iter().collect();
        *script.start.lock().unwrap() = Some(Instant::now());
        Arc::new(script)
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Http for Script {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let bearer = request.headers()[AUTHORIZATION].to_str().unwrap().to_owned();
        let at = self.start.lock().unwrap().unwrap().elapsed();
        self.asked.lock().unwrap().push((at, bearer));
        // The last answer repeats for ever.
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    }
}

fn answer(status: u16, body: &'static str) -> Result<http::Response<Bytes>, NetError> {
    Ok(http::Response::builder()
        .status(status)
        .header("date", "Sun, 22 Nov 2026 13:30:00 GMT")
        .body(Bytes::from(body))
        .unwrap())
}

fn later(seconds: &'static str) -> Result<http::Response<Bytes>, NetError> {
    let mut answer = answer(429, "{}")?;
    answer.headers_mut().insert("retry-after", HeaderValue::from_static(seconds));
    Ok(answer)
}

/// The plainest dialect: by status alone.
struct Plain;

impl Dialect for Plain {
    fn side(&self) -> Side {
        Side::HubSpot
    }
    fn observe(&self, _: &Call, _: &Answer) {}
    fn correlation(&self, _: &Answer) -> Option<String> {
        None
    }
    fn judge(&self, call: &Call, answer: &Answer) -> Verdict {
        let error = |kind| Error {
            side: Side::HubSpot,
            kind,
            doing: call.doing.clone(),
            code: None,
            message: answer.status.to_string(),
            hint: None,
            correlation: None,
        };
        match answer.status.as_u16() {
            401 => Verdict::Unauthorized(error(ErrorKind::SignIn)),
            429 => Verdict::Later {
                after: answer.retry_after(),
                lane: true,
                error: error(ErrorKind::Retry { after: answer.retry_after() }),
            },
            500.. => Verdict::Failed(error(ErrorKind::Retry { after: None })),
            _ => Verdict::Final,
        }
    }
}

fn client(http: &Arc<Script>, tokens: Arc<dyn Tokens>) -> Client {
    let base = Url::parse("https://api.example.com").unwrap();
    let http: Arc<dyn Http> = Arc::clone(http) as _;
    Client::new(base, http, tokens, Arc::new(Plain), RetrySettings::default(), 1)
}

fn fixed() -> Arc<dyn Tokens> {
    Arc::new(StaticToken::new(&SecretString::from(" pat-1\n")))
}

fn read() -> Call {
    let lane = Lane::new("t", &[Window { max: 1000, per: Duration::from_secs(1) }], 4);
    Call::get(&lane, "/x/{id}", "/x/1", "reading x")
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_and_what_is_not() {
    use Effect::{None, Unclear};
    use Repeat::{Never, Safe};
    let cut = || Err(NetError::unclear("cut"));
    let down = || Err(NetError::not_sent("refused"));
    let ok = || answer(200, "{}");
    let html = || answer(200, "<html>");
    // What the server does, whether the call may be repeated, how often it is asked, the end.
    #[expect(clippy::type_complexity, reason = "a table")]
    let cases: Vec<(&str, Vec<_>, Repeat, usize, Result<(), Effect>)> = vec![
        ("a good answer", vec![ok()], Never, 1, Ok(())),
        ("a refusal is an answer", vec![answer(404, "{}")], Safe, 1, Ok(())),
        ("no connection, then one", vec![down(), down(), ok()], Never, 3, Ok(())),
        ("a cut read", vec![cut(), ok()], Safe, 2, Ok(())),
        ("a cut create", vec![cut(), ok()], Never, 1, Err(Unclear)),
        ("a create that was put off", vec![later("1"), ok()], Never, 2, Ok(())),
        ("a create that failed inside", vec![answer(502, ""), ok()], Never, 1, Err(Unclear)),
        ("a read that failed inside", vec![answer(502, ""), ok()], Safe, 2, Ok(())),
        ("a proxy's page for a read", vec![html(), ok()], Safe, 2, Ok(())),
        ("a proxy's page for a create", vec![html(), ok()], Never, 1, Err(Unclear)),
        ("an empty answer", vec![answer(200, ""), ok()], Safe, 2, Ok(())),
        ("half an answer", vec![answer(200, "{\"a\":"), ok()], Safe, 2, Ok(())),
        ("a 401 once", vec![answer(401, "{}"), ok()], Never, 2, Ok(())),
        ("a 401 for good", vec![answer(401, "{}")], Safe, 2, Err(None)),
        ("a wait that is too long", vec![later("3600"), ok()], Safe, 1, Err(None)),
        ("a cut write, then put off for long", vec![cut(), later("3600")], Safe, 2, Err(Unclear)),
    ];
    for (name, answers, repeat, asked, end) in cases {
        let script = Script::of(answers);
        let result = client(&script, fixed()).call(&read().repeat(repeat)).await;
        assert_eq!(script.asked(), asked, "{name}");
        assert_eq!(result.map(drop).map_err(|failure| failure.effect), end, "{name}");
    }
}

/// A call that may wait two seconds: how often the server is asked, the end, and after how long.
#[tokio::test(start_paused = true)]
async fn what_would_be_sent_late_is_not_sent() {
    use Effect::{Late, None, Unclear};
    let late = |seconds| Err(Late { left: Duration::from_secs(seconds) });
    let down = || Err(NetError::not_sent("refused"));
    let cut = || Err(NetError::unclear("cut"));
    let ok = || answer(200, "{}");
    let cases = [
        ("a good answer", vec![ok()], 0, 1, Ok(())),
        ("a short pause", vec![later("1"), ok()], 0, 2, Ok(())),
        ("a pause", vec![later("10"), ok()], 0, 1, late(10)),
        ("a daily limit", vec![later("3600"), ok()], 0, 1, Err(None)),
        ("a paused lane", vec![ok()], 8, 0, late(8)),
        ("a lane that is paused for a day", vec![ok()], 86_400, 0, Err(None)),
        ("no connection for long", vec![down()], 0, 0, Err(None)),
        ("a cut write", vec![cut(), ok()], 0, 1, Err(Unclear)),
    ];
    for (name, answers, pause, asked, end) in cases {
        let (start, script) = (Instant::now(), Script::of(answers));
        let call = read().repeat(Repeat::Never).within(Duration::from_secs(2));
        call.lane.pause(Duration::from_secs(pause));
        let result = client(&script, fixed()).call(&call).await;
        assert_eq!(result.map(drop).map_err(|failure| failure.effect), end, "{name}");
        // How often a server that is down is asked is for chance to say.
        assert!(asked == 0 && pause == 0 || script.asked() == asked, "{name}");
        assert!(start.elapsed() < Duration::from_secs(3), "{name}: {:?}", start.elapsed());
    }
}

/// Others go first for too long.
#[tokio::test(start_paused = true)]
async fn a_call_behind_slow_ones_is_late() {
    let lane = Lane::new("t", &[], 1);
    let _slow = lane.admit(Duration::from_secs(60)).await.unwrap();
    let script = Script::of([answer(200, "{}")]);
    let call = Call::get(&lane, "/x", "/x", "writing x").within(Duration::from_secs(2));
    let failure = client(&script, fixed()).call(&call).await.unwrap_err();
    assert_eq!(failure.effect, Effect::Late { left: Duration::ZERO });
    assert_eq!(script.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_down_is_given_up_in_bounded_time() {
    let start = Instant::now();
    let script = Script::of([Err(NetError::not_sent("refused"))]);
    let failure = client(&script, fixed()).call(&read()).await.unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::Retry { after: None });
    assert!(start.elapsed() <= Duration::from_secs(60), "{:?}", start.elapsed());
    let script = Script::of([later("7")]);
    let start = Instant::now();
    client(&script, fixed()).call(&read()).await.unwrap_err();
    assert!(start.elapsed() <= Duration::from_secs(75), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_platform_asked_for_is_kept() {
    let script = Script::of([later("5"), answer(200, "{}")]);
    client(&script, fixed()).call(&read()).await.unwrap();
    let asked = script.asked.lock().unwrap();
    assert!(asked[1].0 >= Duration::from_secs(5), "{asked:?}");
    assert_eq!(asked[0].1, "Bearer pat-1");
}

/// Gives `t0`, and after each refusal of the current token the next one.
#[derive(Default)]
struct Rolling(AtomicU32);

#[async_trait]
impl Tokens for Rolling {
    async fn token(&self) -> Result<Access, Error> {
        let bearer = SecretString::from(format!("t{}", self.0.load(Ordering::Relaxed)));
        Ok(Access { bearer, base: Some(Url::parse("https://na1.example.com/").unwrap()) })
    }
    async fn refused(&self, used: &SecretString) {
        if used.expose_secret() == format!("t{}", self.0.load(Ordering::Relaxed)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_401_the_next_token_is_used() {
    let script = Script::of([answer(401, "{}"), answer(200, "{}")]);
    client(&script, Arc::new(Rolling::default())).call(&read()).await.unwrap();
    let asked = script.asked.lock().unwrap();
    assert_eq!((asked[0].1.as_str(), asked[1].1.as_str()), ("Bearer t0", "Bearer t1"));
}

#[tokio::test(start_paused = true)]
async fn a_token_never_leaves_for_another_host() {
    let script = Script::of([answer(200, "{}")]);
    let client = client(&script, fixed());
    let mut call = read();
    call.path = ".evil.example/x".into();
    let failure = client.call(&call).await.unwrap_err();
    assert_eq!(failure.error.kind, ErrorKind::Request);
    assert_eq!(script.asked(), 0);
    let request = client.request(&read(), &fixed().token().await.unwrap()).unwrap();
    assert!(!format!("{request:?}").contains("pat-1"), "{request:?}");
    assert!(!format!("{client:?}").contains("pat-1"));
}

#[tokio::test(start_paused = true)]
async fn the_server_time_goes_on_between_answers() {
    let script = Script::of([answer(200, "{}")]);
    let client = client(&script, fixed());
    assert_eq!(client.server_time(), None);
    client.call(&read()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(client.server_time().unwrap().to_string(), "2026-11-22T13:31:30Z");
    assert_eq!(client.made(), 1);
}

#[test]
fn waits_are_read_in_both_forms() {
    for (text, seconds) in [
        ("12", Some(12)),
        ("Sun, 22 Nov 2026 13:31:00 GMT", Some(60)),
        ("Sun, 22 Nov 2026 13:00:00 GMT", Some(0)),
        ("soon", None),
        ("-1", None),
    ] {
        let response = later(text).unwrap();
        let (parts, body) = response.into_parts();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        assert_eq!(answer.retry_after(), seconds.map(Duration::from_secs), "{text}");
    }
}
