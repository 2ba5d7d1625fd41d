//! HubSpot's webhooks as they arrive over the network: what is taken in, what is turned away, and
//! that what was answered with 200 is not lost.

mod certificate;
mod killed;
mod pushed;
mod site;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use lockstep::daemon::webhooks::Turned;
use lockstep::journal::Subject;
use lockstep::record::{RecordRef, Source};
use serde_json::{Value, json};

use self::site::{Site, event, millis, sign};
use crate::cli::{Folder, lockstep};

const GOOD: &str = r#"[{"portalId":PORTAL,"subscriptionType":"contact.creation","objectId":1}]"#;

fn good(site: &Site) -> String {
    GOOD.replace("PORTAL", &site.portal)
}

/// Sends bytes as they are, and reads the answer to its end.
fn raw(site: &Site, parts: &[&str], pause: Duration) -> (String, Duration) {
    let mut stream = TcpStream::connect(site.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let since = Instant::now();
    for part in parts {
        if stream.write_all(part.as_bytes()).is_err() {
            break;
        }
        std::thread::sleep(pause);
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    (answer, since.elapsed())
}

fn head(length: usize, headers: &[(String, String)]) -> String {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "POST /webhooks/hubspot HTTP/1.1\r\nhost: sync.example.com\r\ncontent-length: {length}\r\n\
         connection: close\r\n{headers}\r\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_has_its_answer_and_is_counted() {
    let site = Site::open("[webhooks]\nlargest_body = 4\n", &[]).await;
    let body = good(&site);
    let now = millis();
    let signed = |body: &str, at: i64| sign(&site.url(), body, at);
    let forged = {
        let mut headers = signed(&body, now);
        headers[0].1 = headers[0].1.replace(|c: char| c.is_ascii_lowercase(), "A");
        headers
    };
    let large = "x".repeat(4 * 1024 + 1);
    for (name, method, path, headers, body, status) in [
        ("good", "POST", "/webhooks/hubspot", signed(&body, now), body.as_str(), 200),
        ("again", "POST", "/webhooks/hubspot", signed(&body, now), &body, 200),
        ("forged", "POST", "/webhooks/hubspot", forged, &body, 401),
        ("stale", "POST", "/webhooks/hubspot", signed(&body, now - 400_000), &body, 401),
        ("unsigned", "POST", "/webhooks/hubspot", Vec::new(), &body, 401),
        ("oversized", "POST", "/webhooks/hubspot", signed(&large, now), &large, 413),
        ("malformed", "POST", "/webhooks/hubspot", signed("{", now), "{", 400),
        ("no list", "POST", "/webhooks/hubspot", signed("7", now), "7", 400),
        ("a read", "GET", "/webhooks/hubspot", Vec::new(), "", 405),
        ("elsewhere", "POST", "/", Vec::new(), "", 404),
    ] {
        assert_eq!(site.send(method, path, &headers, body).await, status, "{name}");
    }
    let status = site.status();
    assert_eq!((status.deliveries, status.events, status.changes), (2, 2, 2));
    let turned: Vec<(Turned, u64)> = status.turned_away.into_iter().collect();
    assert_eq!(
        turned,
        [
            (Turned::Unsigned, 1),
            (Turned::Forged, 1),
            (Turned::Stale, 1),
            (Turned::Oversized, 1),
            (Turned::Malformed, 2),
            (Turned::Method, 1),
            (Turned::Path, 1),
        ]
    );
    assert_eq!(site.pending().await, ["contacts 1"], "heard twice, waiting once");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_that_was_signed_is_the_one_that_hubspot_called() {
    let public = "https://sync.example.com/hooks/hubspot";
    let forwarded = [
        ("x-forwarded-proto".to_owned(), "https".to_owned()),
        ("x-forwarded-host".to_owned(), "sync.example.com".to_owned()),
    ];
    let seen = "https://sync.example.com/webhooks/hubspot";
    for (name, settings, signed_as, headers, status) in [
        ("by the setting", format!("public_url = \"{public}\""), public, &[][..], 200),
        ("not by the setting", format!("public_url = \"{public}\""), seen, &[], 401),
        (
            "a trusted proxy",
            "trusted_proxies = \"10.0.0.0/8, 127.0.0.1\"".into(),
            seen,
            &forwarded,
            200,
        ),
        ("a stranger", "trusted_proxies = \"10.0.0.0/8\"".into(), seen, &forwarded, 401),
    ] {
        let site = Site::open(&format!("[webhooks]\n{settings}\n"), &[]).await;
        let body = good(&site);
        let mut all = sign(signed_as, &body, millis());
        all.extend_from_slice(headers);
        assert_eq!(site.send("POST", "/webhooks/hubspot", &all, &body).await, status, "{name}");
        site.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_is_slow_is_cut_off_and_whoever_comes_too_many_is_let_go() {
    let site = Site::open("[webhooks]\ntimeout = \"300ms\"\nconnections = 3\n", &[]).await;
    let body = good(&site);
    let url = "http://sync.example.com/webhooks/hubspot";
    let headers = sign(url, &body, millis());
    let whole = head(body.len(), &headers);
    let pause = Duration::from_millis(120);
    let (first, second) = body.split_at(10);
    let whole_at_once = raw(&site, &[&whole, &body], Duration::ZERO);
    assert!(whole_at_once.0.starts_with("HTTP/1.1 200"), "{}", whole_at_once.0);
    let (answer, length) = raw(&site, &[&whole, first], Duration::ZERO);
    assert!(answer.starts_with("HTTP/1.1 408"), "a body that stops: {answer}");
    assert!(length < Duration::from_secs(2), "{length:?}");
    let trickle: Vec<&str> = whole.split_inclusive("\r\n").collect();
    let (answer, length) = raw(&site, &trickle, pause);
    assert!(!answer.contains("200"), "a head that trickles: {answer}");
    assert!(length < Duration::from_secs(3), "{length:?}");
    let (answer, _) = raw(&site, &[], Duration::ZERO);
    assert_eq!(answer, "", "a connection without a word");
    let _ = second;

    let crowd: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(site.address).unwrap()).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (answer, length) = raw(&site, &[&whole, &body], Duration::ZERO);
    assert_eq!(answer, "", "one too many");
    assert!(length < Duration::from_millis(250), "{length:?}");
    drop(crowd);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let again = raw(&site, &[&whole, &body], Duration::ZERO).0;
    assert!(again.starts_with("HTTP/1.1 200"), "the crowd is gone: {again}");
    let turned = site.status().turned_away;
    assert!(turned[&Turned::Slow] >= 3, "{turned:?}");
    assert_eq!(turned.get(&Turned::Busy), Some(&1), "{turned:?}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_deliveries_in_flight_share_flushes_and_are_all_durable() {
    let site = Site::open("", &[]).await;
    let before = site.journal.statistics().await.unwrap();
    let bodies: Vec<String> = (0..200u64)
        .map(|delivery| {
            let events: Vec<Value> =
                (0..10).map(|one| event(&site, delivery * 10 + one + 1)).collect();
            Value::from(events).to_string()
        })
        .collect();
    let sent = bodies.iter().map(|body| site.deliver(body));
    let answers = futures_util::future::join_all(sent).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    let after = site.journal.statistics().await.unwrap();
    let syncs = after.usage.syncs - before.usage.syncs;
    assert!(syncs < 100, "{syncs} flushes for 200 deliveries");
    assert!(syncs > 0, "nothing was flushed");
    // What was answered survives a power cut: only what is synced is in an image.
    let found = site.image().await;
    assert_eq!(found.len(), 2000);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn when_the_journal_cannot_keep_up_the_answer_is_503_at_once() {
    let site = Site::open("[webhooks]\nwaiting = 4\ntimeout = \"2s\"\n", &[]).await;
    let body = good(&site);
    site.stall(true);
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let (body, site) = (body.clone(), site.clone());
            tokio::spawn(async move { site.deliver(&body).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let since = Instant::now();
    assert_eq!(site.deliver(&body).await, 503, "the fifth");
    assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());
    site.stall(false);
    for one in waiting {
        assert_eq!(one.await.unwrap(), 200, "those that waited");
    }
    assert_eq!(site.deliver(&body).await, 200, "it keeps up again");
    assert_eq!(site.status().turned_away.get(&Turned::Busy), Some(&1));

    site.stall(true);
    let since = Instant::now();
    assert_eq!(site.deliver(&body).await, 503, "HubSpot would not wait longer");
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    assert_eq!(site.status().turned_away.get(&Turned::Journal), Some(&1));
    site.stall(false);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verified_word_of_an_object_is_what_makes_it_relied_upon() {
    let site = Site::open("", &[]).await;
    let state = |object| {
        let push = site.engine.intake.push(lockstep::record::Side::HubSpot, object).unwrap();
        (push.source, push.state.word())
    };
    assert_eq!(state("contacts"), (Source::Webhook, "starting"), "silence is no health");
    let headers = sign(&site.url(), "[]", millis() - 900_000);
    assert_eq!(site.send("POST", "/webhooks/hubspot", &headers, "[]").await, 401);
    assert_eq!(state("contacts").1, "starting");
    assert_eq!(site.deliver(&good(&site)).await, 200);
    assert_eq!(state("contacts").1, "healthy");
    assert_eq!(state("companies").1, "starting", "each object for itself");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_is_read_again_when_it_is_renewed() {
    let Some(pair) = certificate::Pair::make("tls") else {
        println!("skipped: there is no openssl to make a certificate with");
        return;
    };
    let settings = format!(
        "[webhooks]\ncertificate_file = {:?}\nkey_file = {:?}\n",
        pair.certificate(),
        pair.key()
    );
    let site = Site::open(&settings, &[]).await;
    let body = good(&site);
    let url = "https://localhost/webhooks/hubspot";
    let request = |host: &str| {
        head(body.len(), &sign(url, &body, millis())).replace("sync.example.com", host) + &body
    };
    let first = pair.call(site.address, &request("localhost")).unwrap();
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let (plain, _) = raw(&site, &[&request("localhost")], Duration::ZERO);
    assert!(!plain.contains("200"), "nothing is served without TLS: {plain}");

    // A half-written renewal leaves the old pair in use.
    let old = pair.text();
    std::fs::write(pair.certificate(), "-----BEGIN CERTIFICATE-----\n").unwrap();
    site.until(|status| status.certificate.is_some()).await;
    std::fs::write(pair.certificate(), &old).unwrap();
    site.until(|status| status.certificate.is_none()).await;
    pair.renew();
    assert_ne!(pair.text(), old);
    let mut last = String::new();
    for _ in 0..100 {
        last = match pair.call(site.address, &request("localhost")) {
            Ok(answer) => answer,
            Err(error) => error,
        };
        if last.starts_with("HTTP/1.1 200") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(last.starts_with("HTTP/1.1 200"), "the new certificate is never served: {last}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_heard_is_settled_and_its_echo_costs_nothing() {
    let site = Site::open("", &[]).await;
    let id = site.contact("ada@example.com");
    assert_eq!(site.deliver(&json!([event(&site, id)]).to_string()).await, 200);
    let settled = site.engine.settle_all(Duration::from_secs(10)).await.unwrap();
    assert_eq!(settled.created.salesforce, 1, "{settled:?}");
    let contact = RecordRef::hubspot("contacts", id.to_string());
    let link = site.journal.links_of("people", vec![contact]).await.unwrap().remove(0).unwrap();
    let lead = link.records.salesforce.unwrap().id;

    // The id that we wrote comes back as word of a change; so does what somebody else wrote.
    let told = |source: &str, property: &str, value: &str| {
        let mut told = event(&site, id);
        told["subscriptionType"] = json!("contact.propertyChange");
        told["propertyName"] = json!(property);
        told["propertyValue"] = json!(value);
        told["changeSource"] = json!("INTEGRATION");
        told["sourceId"] = json!(source);
        json!([told]).to_string()
    };
    let ours = site.app();
    for (name, body, echoes, waits) in [
        ("our own id", told(&ours, "salesforce_id", &lead), 1, false),
        ("an agreed value", told(&ours, "email", "ada@example.com"), 2, false),
        ("another value, though ours", told(&ours, "firstname", "Somebody"), 2, true),
    ] {
        assert_eq!(site.deliver(&body).await, 200);
        assert_eq!(site.status().echoes, echoes, "{name}");
        let pending = site.journal.pending(Subject::Link(link.id)).await.unwrap();
        assert_eq!(pending.is_some(), waits, "{name}");
    }
    site.engine.settle_all(Duration::from_secs(10)).await.unwrap();
    assert_eq!(site.deliver(&told("1", "email", "ada@example.com")).await, 200);
    assert!(site.journal.pending(Subject::Link(link.id)).await.unwrap().is_some(), "not ours");
    site.close().await;
}

/// The command against the sandbox, where the API is that of a public app.
#[test]
fn what_is_needed_is_said_whatever_the_kind_of_app() {
    let folder = Folder::new("webhooks-command");
    let run = |arguments: &[&str]| {
        let mut command = lockstep(&folder.0);
        command.env("LOCKSTEP_WEBHOOKS__PUBLIC_URL", "https://sync.example.com");
        command.env(
            "LOCKSTEP_DIRECTORIES__MAPPINGS",
            concat!(env!("CARGO_MANIFEST_DIR"), "/mappings"),
        );
        let output = command.args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = run(&["webhooks", "status"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("contact.propertyChange") && out.contains("unknown"), "{out}");
    let (code, out, err) = run(&["webhooks", "status", "--json"]);
    assert_eq!(code, Some(1), "{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["known"], false);
    assert_eq!(status["wanted_target"], "https://sync.example.com/webhooks/hubspot");
    let (code, out, err) = run(&["webhooks", "register"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(out.contains("Target URL: https://sync.example.com/webhooks/hubspot"), "{out}");
    assert!(out.contains("privacyDeletion") && out.contains("lifecyclestage"), "{out}");
    let (code, out, err) = run(&["webhooks", "register", "--project"]);
    assert_eq!(code, Some(0), "{err}");
    let project: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(project["type"], "webhooks");
}
