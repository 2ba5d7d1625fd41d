use http::Method;
use serde_json::{Value, json};

use crate::sandbox::salesforce::testing::Rig;

#[tokio::test(start_paused = true)]
async fn a_record_lives_from_create_to_delete() {
    let rig = Rig::new();
    let made = rig
        .call(
            Method::POST,
            "sobjects/lead",
            json!({"lastname": "Ng", "Company": "Acme", "FirstName": "Ada"}),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(made.text.replace(&id, "ID"), @r#"{"id":"ID","success":true,"errors":[]}"#);
    assert_eq!(made.header("location"), Some(&*format!("/services/data/v66.0/sobjects/Lead/{id}")));
    assert_eq!(made.header("sforce-limit-info"), Some("api-usage=1/115000"));
    assert!(made.header("x-sfdc-request-id").is_some());

    let read =
        rig.get(&format!("sobjects/Lead/{id}?fields=Name,status,IsConverted,AnnualRevenue")).await;
    insta::assert_snapshot!(read.text.replace(&id, "ID"), @r#"{"attributes":{"type":"Lead","url":"/services/data/v66.0/sobjects/Lead/ID"},"Name":"Ada Ng","Status":"Open - Not Contacted","IsConverted":false,"AnnualRevenue":null,"Id":"ID"}"#);
    assert_eq!(read.header("last-modified"), Some("Fri, 01 May 2026 08:00:00 GMT"));

    rig.pass(5);
    let edit = json!({"Title": " CTO ", "AnnualRevenue": "1200", "FirstName": ""});
    let edited = rig.call(Method::PATCH, &format!("sobjects/Lead/{}", &id[..15]), edit).await;
    assert_eq!((edited.status, edited.text.as_str()), (204, ""));
    assert_eq!(rig.value(&id, "Title"), json!("CTO"));
    assert_eq!(rig.value(&id, "AnnualRevenue"), json!(1200.0));
    assert_eq!(rig.value(&id, "Name"), json!("Ng"));
    assert_eq!(rig.value(&id, "SystemModstamp"), json!("2026-05-01T08:00:05.000+0000"));
    assert_eq!(rig.value(&id, "CreatedDate"), json!("2026-05-01T08:00:00.000+0000"));

    let gone = rig.call(Method::DELETE, &format!("sobjects/Lead/{id}"), Value::Null).await;
    assert_eq!(gone.status, 204);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let body = if method == Method::PATCH { json!({"Title": "x"}) } else { Value::Null };
        let answer = rig.call(method, &format!("sobjects/Lead/{id}"), body).await;
        assert_eq!((answer.status, answer.error().0.as_str()), (404, "ENTITY_IS_DELETED"));
    }
}
