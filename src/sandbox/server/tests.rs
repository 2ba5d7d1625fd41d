mod push;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::sandbox::SandboxClock;

fn sandbox() -> Sandbox {
    Sandbox::new(7, SandboxClock::starting_at("2026-11-02T08:00:00Z".parse().unwrap()))
}

/// One call over TCP on a connection of its own; everything that came back.
async fn call(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset in the middle of an answer is what one of the tests is about.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn serves_both_sides_and_stops() {
    let serving = serve(sandbox(), ServeOptions::default()).await.unwrap();
    let (hubspot, salesforce) = (serving.hubspot, serving.salesforce);
    assert_ne!(hubspot, salesforce);
    for address in [hubspot, salesforce] {
        let answer = call(address, "GET", "/sandbox/clock", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("\"now\":\"2026-11-02T08:00:0"), "{answer}");
    }
    serving.shutdown().await;
    assert!(tokio::net::TcpStream::connect(hubspot).await.is_err());
}

#[tokio::test]
async fn only_loopback_addresses_are_served() {
    let options = ServeOptions { hubspot: "0.0.0.0:0".parse().unwrap(), ..ServeOptions::default() };
    let error = serve(sandbox(), options).await.unwrap_err();
    insta::assert_snapshot!(error, @"the sandbox does not listen on 0.0.0.0:0: its admin door has no lock; give it a loopback address such as 127.0.0.1");
}

#[tokio::test]
async fn a_cut_answer_ends_the_connection_early_and_is_counted() {
    let sandbox = sandbox();
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    let armed =
        call(serving.hubspot, "POST", "/sandbox/faults", r#"{"fault":"hubspot:cut-after"}"#);
    assert!(armed.await.contains(r#""armed":[{"name":"cut-after""#));
    let answer = call(serving.hubspot, "GET", "/crm/v3/objects/contacts", "").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let promised = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap()
        .parse::<usize>()
        .unwrap();
    assert!(body.len() < promised, "{} of {promised}", body.len());
    assert_eq!(sandbox.world().calls.total(super::super::fault::Side::HubSpot), 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_call_that_hangs() {
    let sandbox = sandbox();
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    sandbox.world().faults.arm_order(&"hang-before".parse().unwrap()).unwrap();
    let address = serving.hubspot;
    let hanging = tokio::spawn(async move { call(address, "GET", "/crm/v3/owners", "").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    tokio::time::timeout(Duration::from_secs(5), serving.shutdown()).await.unwrap();
    assert!(!hanging.is_finished());
    hanging.abort();
    let world = sandbox.world();
    let key = world.calls.counted().keys().next().unwrap();
    assert_eq!(key.status, None, "counted, and never answered");
}
