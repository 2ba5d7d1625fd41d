use std::time::Duration;

use super::*;
use crate::sandbox::calls::Purpose;
use crate::sandbox::fault::Side;

fn arm(hub: &Hub, order: &str) {
    hub.sandbox.world().faults.arm_order(&order.parse().unwrap()).unwrap();
}

fn exists(hub: &Hub, email: &str) -> bool {
    hub.sandbox.world().hubspot.find_by_email(email).is_some()
}

#[tokio::test(start_paused = true)]
async fn faults_without_effect() {
    let hub = Hub::new();
    let body = json!({ "properties": { "email": "a@example.com" } });
    for (fault, statuses) in [
        ("too-many-requests", [429, 429]),
        ("daily-limit", [429, 429]),
        ("unavailable", [503, 503]),
        ("html", [502, 503]),
        ("server-error", [500, 500]),
        ("locked", [423, 423]),
        ("expire-token", [401, 401]),
    ] {
        arm(&hub, fault);
        let got = hub.post("/crm/v3/objects/contacts", body.clone()).await;
        assert!(statuses.contains(&got.status), "{fault}: {}", got.status);
        assert!(!exists(&hub, "a@example.com"), "{fault}");
    }
    let after = hub.post("/crm/v3/objects/contacts", body).await;
    assert_eq!(after.status, 201, "a private app's token is well again");
}

#[tokio::test(start_paused = true)]
async fn faults_after_the_effect() {
    let hub = Hub::new();
    let create = async |email: &str| {
        let call =
            hub.post("/crm/v3/objects/contacts", json!({ "properties": { "email": email } }));
        tokio::time::timeout(Duration::from_secs(30), call).await
    };
    arm(&hub, "timeout-after");
    assert_eq!(create("a@example.com").await.unwrap().status, 504);
    arm(&hub, "empty-body");
    let got = create("b@example.com").await.unwrap();
    assert_eq!((got.status, got.body), (201, Value::Null));
    arm(&hub, "hang-after");
    assert!(create("c@example.com").await.is_err());
    arm(&hub, "hang-before");
    assert!(create("d@example.com").await.is_err());
    arm(&hub, "slow");
    let before = hub.now();
    assert_eq!(create("e@example.com").await.unwrap().status, 201);
    assert!(hub.now() > before);
    let made = ["a", "b", "c", "d", "e"].map(|name| exists(&hub, &format!("{name}@example.com")));
    assert_eq!(made, [true, true, true, false, true]);

    let world = hub.sandbox.world();
    assert_eq!(world.calls.of(Side::HubSpot, Purpose::Write), 5);
    let counted: Vec<(Option<u16>, u64)> =
        world.calls.counted().iter().map(|(key, count)| (key.status, *count)).collect();
    assert_eq!(counted, [(None, 2), (Some(201), 2), (Some(504), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_fails_in_its_body() {
    let hub = Hub::new();
    arm(&hub, "cut-after");
    let request = http::Request::post("/crm/v3/objects/contacts")
        .header("authorization", format!("Bearer {}", oauth::PRIVATE_TOKEN))
        .body(Body::from(r#"{"properties":{"email":"a@example.com"}}"#))
        .unwrap();
    let response = hub.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 201);
    assert!(response.into_body().collect().await.is_err());
    assert!(exists(&hub, "a@example.com"));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_sign_in_refuses_everything() {
    let hub = Hub::new();
    arm(&hub, "expired-forever");
    for _ in 0..3 {
        assert_eq!(hub.get("/crm/v3/owners").await.status, 401);
    }
    let body = format!(
        "grant_type=refresh_token&refresh_token=x&client_id={}&client_secret={}",
        oauth::CLIENT_ID,
        oauth::CLIENT_SECRET
    );
    let got = hub.with_token("", "POST", "/oauth/v3/token", &body).await;
    assert_eq!(got.body["status"], "BAD_REFRESH_TOKEN");
    hub.sandbox.world().faults.disarm_all();
    assert_eq!(hub.get("/crm/v3/owners").await.status, 200);
    hub.sandbox.world().hubspot.auth.revoke(oauth::PRIVATE_TOKEN);
    assert_eq!(hub.get("/crm/v3/owners").await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn the_admin_door_acts_as_a_person() {
    let hub = Hub::new();
    arm(&hub, "unavailable=100%");
    let created = hub
        .post(
            "/sandbox/hubspot/contacts",
            json!({ "properties": { "email": "a@example.com", "lifecyclestage": "customer" } }),
        )
        .await;
    assert_eq!(created.status, 200, "the door is spared by faults");
    let path = format!("/sandbox/hubspot/contacts/{}", created.id());
    let edited = hub
        .patch(&path, json!({ "properties": { "lifecyclestage": "lead" }, "user": 51_002 }))
        .await;
    assert_eq!(edited.property("lifecyclestage"), "lead");
    let refused = hub.patch(&path, json!({ "properties": { "hubspotscore": "9" } })).await;
    assert_eq!(refused.status, 400);
    let scored =
        hub.patch(&path, json!({ "properties": { "hubspotscore": "9" }, "as": "platform" })).await;
    assert_eq!(scored.property("hubspotscore"), "9");
    assert_eq!(hub.post(&format!("{path}/archive"), json!({})).await.body["archived"], true);
    assert_eq!(hub.post(&format!("{path}/restore"), json!({})).await.body["archived"], false);
    let other = hub
        .post("/sandbox/hubspot/contacts", json!({ "properties": { "email": "b@example.com" } }))
        .await;
    let merged = hub.post(&format!("{path}/merge"), json!({ "other": other.id() })).await;
    assert_eq!(merged.property("email"), "a@example.com");
    assert_eq!(
        hub.post("/sandbox/hubspot/settings", json!({ "search_lag": "2s" })).await.status,
        200
    );
    assert_eq!(hub.sandbox.world().hubspot.settings.search_lag, SignedDuration::from_secs(2));
    assert_eq!(hub.sandbox.world().calls.total(Side::HubSpot), 0, "the door is not counted");
    let calls = hub.get("/sandbox/calls?recent=5").await;
    assert_eq!(calls.body["sides"]["hubspot"]["total"], 0);
    let ahead = hub.post("/sandbox/clock", json!({ "advance": "31m" })).await;
    assert_eq!(ahead.body["now"], "2026-11-02T08:31:00Z");
}
