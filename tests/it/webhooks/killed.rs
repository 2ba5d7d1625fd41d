//! The built binary between the sandbox's sender and Salesforce: killed between its answer and its
//! work, and told by a platform what it has to be told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Folder, Running, Sandboxed, lockstep, wait};

fn call(base: &str, method: &str, path: &str, body: &Value) -> Value {
    let host = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{method} {path}: {answer}"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Deliveries that were answered with 2xx.
fn arrived(hubspot: &str) -> u64 {
    let told = call(hubspot, "GET", "/sandbox/hubspot/webhooks", &Value::Null);
    assert_eq!(told["deliveries"]["given_up"], 0, "{told}");
    told["deliveries"]["arrived"].as_u64().unwrap()
}

fn until(what: &str, mut wished: impl FnMut() -> bool) {
    for _ in 0..300 {
        if wished() {
            return;
        }
        wait(Duration::from_millis(100));
    }
    panic!("never: {what}");
}

#[test]
fn what_was_answered_with_200_survives_kill_9() {
    let folder = Folder::new("pushed");
    let target = format!("http://127.0.0.1:{}/webhooks/hubspot", free_port());
    let arguments = ["sandbox", "--json", "--write", "site", "--webhook-url", target.as_str()];
    let sandbox = Sandboxed::start(lockstep(&folder.0).args(arguments));
    let (hubspot, salesforce) = (sandbox.url("hubspot"), sandbox.url("salesforce"));
    let settings = folder.0.join("site/lockstep.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    assert!(text.contains("[webhooks]"), "{text}");
    // A change that follows a settlement waits long enough for the process to be killed before.
    let text = text.replace("hubspot = \"2s\"", "hubspot = \"1h\"\ndeletes = \"1h\"")
        + "\n[settle]\nwindow = \"2s\"\n";
    std::fs::write(&settings, text).unwrap();
    // No poll would find anything: HubSpot's search shows it an hour late.
    let blind = json!({ "search_lag": "1h", "search_lag_varies": false });
    call(&hubspot, "POST", "/sandbox/hubspot/settings", &blind);
    let service = || {
        let mut command = lockstep(&folder.0);
        command.args(["--config", "site/lockstep.toml", "run"]);
        let log = std::fs::File::options().create(true).append(true).open(folder.0.join("log"));
        Running(command.stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap())
    };
    let log = || std::fs::read_to_string(folder.0.join("log")).unwrap_or_default();

    let mut running = service();
    until("it listens", || log().contains("listening for webhooks"));
    let person = json!({ "properties": {
        "email": "ada@example.com", "firstname": "Ada", "lastname": "King", "company": "Engines",
        "lifecyclestage": "marketingqualifiedlead",
    } });
    let made = call(&hubspot, "POST", "/sandbox/hubspot/contacts", &person);
    let id = made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let phone = || {
        let session = call(&salesforce, "POST", "/sandbox/salesforce/sessions", &json!({}));
        let token = session["result"]["access_token"].as_str().unwrap().to_owned();
        lead_phone(&salesforce, &token)
    };
    until("the lead is in Salesforce", || phone().is_some());
    let mut cut_off = 0;
    for round in 1..=9 {
        if cut_off == 2 {
            break;
        }
        // The word of our own writes has come and gone, and nothing waits.
        wait(Duration::from_secs(3));
        let edit = |value: &str| {
            let edit = json!({ "properties": { "mobilephone": value } });
            call(&hubspot, "PATCH", &format!("/sandbox/hubspot/contacts/{id}"), &edit);
        };
        let first = format!("+1 555 020{round}");
        edit(&first);
        until("a first edit is in Salesforce", || phone().flatten() == Some(first.clone()));
        let value = format!("+1 555 010{round}");
        let before = arrived(&hubspot);
        edit(&value);
        until("it is acknowledged", || arrived(&hubspot) > before);
        running.signal("KILL");
        let _ = running.0.wait();
        cut_off += usize::from(phone().flatten() != Some(value.clone()));
        running = service();
        until("the edit is in Salesforce", || phone().flatten() == Some(value.clone()));
    }
    assert_eq!(cut_off, 2, "it was always carried over before it was killed");
    assert!(!log().contains("panicked"), "{}", log());
}

/// The lead's mobile phone; nothing where there is no lead.
fn lead_phone(salesforce: &str, token: &str) -> Option<Option<String>> {
    let host = salesforce.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let query = "SELECT+MobilePhone+FROM+Lead";
    let request = format!(
        "GET /services/data/v66.0/query?q={query} HTTP/1.1\r\nhost: {host}\r\n\
         connection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let found: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    let row = found["records"].as_array()?.first()?.clone();
    Some(row["MobilePhone"].as_str().map(str::to_owned))
}

#[test]
fn a_public_app_is_subscribed_to_what_the_mappings_need() {
    let folder = Folder::new("registered");
    let sandbox = Sandboxed::start(lockstep(&folder.0).args(["sandbox", "--json"]));
    let run = |arguments: &[&str], key: &str| {
        let mut command = lockstep(&folder.0);
        command
            .envs(sandbox.environment())
            .env("LOCKSTEP_HUBSPOT__APP_ID", "2633736")
            .env("LOCKSTEP_WEBHOOKS__DEVELOPER_KEY", key)
            .env("LOCKSTEP_WEBHOOKS__PUBLIC_URL", "https://sync.example.com/webhooks/hubspot")
            .env(
                "LOCKSTEP_DIRECTORIES__MAPPINGS",
                concat!(env!("CARGO_MANIFEST_DIR"), "/mappings"),
            );
        let output = command.args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let key = lockstep::sandbox::hubspot::oauth::DEVELOPER_KEY;
    let (code, out, err) = run(&["webhooks", "status"], key);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("missing") && out.contains("nowhere"), "{out}");
    let (code, out, err) = run(&["webhooks", "register"], key);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("subscribed to contact.propertyChange email"), "{out}");
    let (code, out, err) = run(&["webhooks", "status", "--json"], key);
    assert_eq!(code, Some(0), "{out}{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["target"], "https://sync.example.com/webhooks/hubspot");
    let (code, out, _) = run(&["webhooks", "register"], key);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "everything that the mappings need is subscribed\n")
    );
    let (code, _, err) = run(&["webhooks", "status"], "a-wrong-key");
    assert_ne!(code, Some(0));
    assert!(err.contains("developer account") && !err.contains("a-wrong-key"), "{err}");
}
