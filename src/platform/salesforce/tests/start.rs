//! Flows: one call, whatever the answer, and what each answer means.

use super::*;
use crate::platform::{Start, StartInput, Startable, Started};

fn handed_off() -> Start {
    let inputs = [
        ("recordId".to_owned(), Raw::text("00Q000000000001EAA")),
        ("urgent".to_owned(), Raw::Bool(true)),
        ("score".to_owned(), Raw::Number(61.0)),
        ("phone".to_owned(), Raw::Null),
    ];
    Start { name: "Handed_Off".into(), inputs: inputs.into() }
}

fn result(success: bool, errors: Json, outputs: Json) -> Json {
    json!([{"actionName": "Handed_Off", "errors": errors, "isSuccess": success,
        "outputValues": outputs, "sortOrder": 0, "version": 1}])
}

#[tokio::test(start_paused = true)]
async fn a_flow_gets_its_inputs_and_is_started_by_one_call() {
    let (client, org) =
        org(|_, _| (200, result(true, Json::Null, json!({"Flow__InterviewStatus": "Finished"}))));
    let outcome = client.start(&handed_off()).await;
    assert!(matches!(&outcome, Outcome::Done { id, .. } if id == "Handed_Off"), "{outcome:?}");
    assert_eq!(org.lines(), ["POST /services/data/v66.0/actions/custom/flow/Handed_Off"]);
    assert_eq!(
        org.seen.lock().unwrap()[0].body,
        json!({"inputs": [{"recordId": "00Q000000000001EAA", "score": 61, "urgent": true}]})
    );
    assert_eq!(client.started(&handed_off(), Timestamp::UNIX_EPOCH).await, Ok(Started::Untold));
    assert_eq!(org.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_answer_means_what_happens_next() {
    let fault = json!([{"statusCode": "UNKNOWN_EXCEPTION", "fields": ["Title"],
        "message": "An unhandled fault has occurred in this flow"}]);
    let locked = json!([{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "in the flow"}]);
    let told = |code: &str| json!([{"errorCode": code, "message": "so it is"}]);
    let table = [
        (200, result(true, json!([]), json!({"Flow__InterviewStatus": "Waiting"})), "done new", 1),
        (200, result(true, Json::Null, Json::Null), "done new", 1),
        (200, result(true, Json::Null, Json::Null)[0].clone(), "done new", 1),
        (
            200,
            result(true, Json::Null, json!({"Flow__InterviewStatus": "Error"})),
            "refused FLOW_ERROR Value",
            1,
        ),
        (200, result(false, fault.clone(), Json::Null), "refused UNKNOWN_EXCEPTION Value", 1),
        (400, result(false, fault, Json::Null), "refused UNKNOWN_EXCEPTION Value", 1),
        // What it did before it met the lock is not known to be taken back: it is not tried again.
        (400, result(false, locked, Json::Null), "refused UNABLE_TO_LOCK_ROW Value", 1),
        (400, told("UNABLE_TO_LOCK_ROW"), "unknown Retry { after: None }", 1),
        (400, told("JSON_PARSER_ERROR"), "refused JSON_PARSER_ERROR Value", 1),
        (404, told("NOT_FOUND"), "refused NOT_FOUND Schema", 1),
        (403, told("INSUFFICIENT_ACCESS"), "refused INSUFFICIENT_ACCESS Permission", 1),
        (403, told("SOMETHING_NEW"), "refused SOMETHING_NEW Permission", 1),
        (403, told("API_CURRENTLY_DISABLED"), "not done Stop", 1),
        (200, json!({"so": "it is"}), "unknown Request", 1),
        (200, json!([]), "unknown Request", 1),
        (500, told("UNKNOWN_EXCEPTION"), "unknown Retry { after: None }", 1),
        (504, json!("<html>"), "unknown Retry { after: None }", 1),
        (0, json!(""), "unknown Retry { after: None }", 1),
    ];
    for (status, body, expected, calls) in table {
        let shown = body.to_string();
        let (client, org) = org(move |_, _| (status, body.clone()));
        let outcome = client.start(&handed_off()).await;
        assert_eq!(words(&[outcome]), [expected], "{status} {shown}");
        assert_eq!(org.lines().len(), calls, "{status} {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_certainly_did_nothing_is_sent_again() {
    let (client, org) = org(|number, _| match number {
        0 => (503, json!([{"errorCode": "SERVER_UNAVAILABLE", "message": "busy"}])),
        1 => (401, json!([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}])),
        _ => (200, result(true, Json::Null, Json::Null)),
    });
    assert_eq!(words(&[client.start(&handed_off()).await]), ["done new"]);
    assert_eq!(org.lines().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_flow_and_the_next_step() {
    let (client, _) = org(|_, _| {
        (
            404,
            json!([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]),
        )
    });
    let Outcome::Refused(refusal) = client.start(&handed_off()).await else { panic!() };
    assert!(refusal.hint.starts_with("activate the flow, correct its API name"), "{refusal:?}");
    let (client, org) = org(|_, _| (500, json!("")));
    let named = Start { name: "Handed Off/..".into(), ..handed_off() };
    assert_eq!(words(&[client.start(&named).await]), ["refused NOT_FOUND Schema"]);
    assert_eq!(client.startable(&named).await, Ok(None));
    assert_eq!(org.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_flow_says_what_it_takes() {
    let (client, org) = org(|_, seen| {
        if seen.line.ends_with("/flow") {
            return (
                200,
                json!({"actions": [{"label": "H", "name": "Handed_Off", "type": "FLOW"}]}),
            );
        }
        let input = |name: &str, kind: &str, required: bool, most: Json| json!({"name": name, "type": kind, "required": required, "maxOccurs": most});
        let inputs = [
            input("recordId", "STRING", true, json!(1)),
            input("ids", "STRING", false, json!(2000)),
            input("urgent", "BOOLEAN", false, Json::Null),
        ];
        (200, json!({"name": "Handed_Off", "inputs": inputs, "type": "FLOW"}))
    });
    let of = |name: &str, kind: &str, required, many| StartInput {
        name: name.into(),
        kind: kind.into(),
        required,
        many,
    };
    let inputs = vec![
        of("recordId", "STRING", true, false),
        of("ids", "STRING", false, true),
        of("urgent", "BOOLEAN", false, false),
    ];
    let known = Startable { name: "Handed_Off".into(), inputs };
    assert_eq!(client.startable(&handed_off()).await, Ok(Some(known)));
    assert_eq!(org.lines().len(), 2);
    let other = Start { name: "Other".into(), ..handed_off() };
    assert_eq!(client.startable(&other).await, Ok(None));
    assert_eq!(org.lines().len(), 3);
}
