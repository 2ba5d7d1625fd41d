use base64::Engine as _;

use super::*;

async fn token(hub: &Hub, form: &[(&str, &str)]) -> Got {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs([("client_id", oauth::CLIENT_ID), ("client_secret", oauth::CLIENT_SECRET)]);
    body.extend_pairs(form);
    hub.with_token("", "POST", "/oauth/2026-03/token", &body.finish()).await
}

/// Signs in as a browser would and returns the code.
async fn code(hub: &Hub, challenge: &str) -> String {
    let path = format!(
        "/oauth/authorize?client_id={}&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback\
         &scope=oauth%20crm.objects.contacts.read&state=s1&code_challenge={challenge}\
         &code_challenge_method=S256",
        oauth::CLIENT_ID
    );
    let got = hub.with_token("", "GET", &path, "").await;
    assert_eq!(got.status, 302, "{}", got.body);
    let back = url::Url::parse(got.headers["location"].to_str().unwrap()).unwrap();
    let query: std::collections::BTreeMap<_, _> = back.query_pairs().into_owned().collect();
    assert_eq!(query["state"], "s1");
    query["code"].clone()
}

fn challenge(verifier: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref())
}

fn exchange<'a>(code: &'a str, verifier: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", "http://127.0.0.1:9/back"),
        ("code_verifier", verifier),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_code_becomes_a_token_that_expires_and_is_refreshed() {
    let hub = Hub::new();
    let first = code(&hub, &challenge("right")).await;
    let wrong = token(&hub, &exchange(&first, "wrong")).await;
    assert_eq!((wrong.status, &wrong.body["status"]), (400, &json!("BAD_AUTH_CODE")));
    let spent = token(&hub, &exchange(&first, "right")).await;
    assert_eq!(spent.status, 400, "a code works once");
    let second = code(&hub, &challenge("right")).await;
    let got = token(&hub, &exchange(&second, "right")).await;
    assert_eq!((got.status, &got.body["expires_in"]), (200, &json!(1800)));
    assert_eq!(got.body["hub_id"], 44_237_313);
    let access = got.body["access_token"].as_str().unwrap().to_owned();
    let refresh = got.body["refresh_token"].as_str().unwrap().to_owned();

    let read =
        async |token: &str| hub.with_token(token, "GET", "/crm/v3/objects/contacts", "").await;
    assert_eq!(read(&access).await.status, 200);
    let denied = hub.with_token(&access, "GET", "/crm/v3/objects/companies", "").await;
    assert_eq!((denied.status, &denied.body["category"]), (403, &json!("MISSING_SCOPES")));
    hub.advance(1801);
    let late = read(&access).await;
    insta::assert_json_snapshot!(late.uncorrelated(), @r#"
    {
      "status": "error",
      "message": "The OAuth token used to make this call expired 1 second(s) ago.",
      "category": "EXPIRED_AUTHENTICATION",
      "context": {
        "expire time": [
          "2026-11-02T08:30:00Z"
        ]
      }
    }
    "#);
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let fresh = token(&hub, &form).await;
    assert_eq!(fresh.body["refresh_token"], refresh.as_str());
    let access = fresh.body["access_token"].as_str().unwrap();
    assert_eq!(read(access).await.status, 200);
    hub.sandbox.world().faults.arm_order(&"expire-token".parse().unwrap()).unwrap();
    for _ in 0..2 {
        assert_eq!(read(access).await.body["category"], "EXPIRED_AUTHENTICATION");
    }
    let fresh = token(&hub, &form).await;
    let access = fresh.body["access_token"].as_str().unwrap();
    let body = format!("token={access}");
    let seen = hub.with_token("", "POST", "/oauth/2026-03/token/introspect", &body).await;
    assert_eq!(
        (&seen.body["active"], &seen.body["app_id"]),
        (&json!(true), &json!(oauth::OAUTH_APP))
    );
    hub.sandbox.world().hubspot.auth.uninstall(oauth::OAUTH_APP);
    let dead = token(&hub, &form).await;
    insta::assert_json_snapshot!(dead.body, @r#"
    {
      "status": "BAD_REFRESH_TOKEN",
      "message": "refresh token is invalid, expired or revoked",
      "error": "invalid_grant",
      "error_description": "refresh token is invalid, expired or revoked"
    }
    "#);
    assert_eq!(read(access).await.body["category"], "INVALID_AUTHENTICATION");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_client_is_refused() {
    let hub = Hub::new();
    for (body, status) in [
        ("grant_type=refresh_token&client_id=x", "BAD_CLIENT_ID"),
        (
            &format!("grant_type=refresh_token&client_id={}&client_secret=x", oauth::CLIENT_ID),
            "BAD_CLIENT_SECRET",
        ),
        (
            &format!(
                "grant_type=magic&client_id={}&client_secret={}",
                oauth::CLIENT_ID,
                oauth::CLIENT_SECRET
            ),
            "BAD_GRANT_TYPE",
        ),
    ] {
        let got = hub.with_token("", "POST", "/oauth/v3/token", body).await;
        assert_eq!((got.status, &got.body["status"]), (400, &json!(status)));
    }
    let none = hub.with_token("", "GET", "/crm/v3/objects/contacts", "").await;
    assert_eq!((none.status, none.headers.contains_key("x-hubspot-auth-failure")), (401, true));
    let body = json!({ "tokenKey": oauth::PRIVATE_TOKEN });
    let info = hub.post("/oauth/v2/private-apps/get/access-token-info", body).await;
    assert_eq!(info.body["appId"], oauth::PRIVATE_APP);
}

#[tokio::test(start_paused = true)]
async fn the_window_of_ten_seconds_rolls() {
    let hub = Hub::new();
    hub.sandbox.world().hubspot.limiter.limits = Limits::default();
    let call = async || hub.get("/crm/v3/owners").await;
    let first = call().await;
    assert_eq!(first.headers["x-hubspot-ratelimit-max"], "190");
    assert_eq!(first.headers["x-hubspot-ratelimit-remaining"], "189");
    assert_eq!(first.headers["x-hubspot-ratelimit-daily-remaining"], "999999");
    for _ in 1..190 {
        assert_eq!(call().await.status, 200);
    }
    let over = call().await;
    assert_eq!(over.status, 429);
    insta::assert_json_snapshot!(over.uncorrelated(), @r#"
    {
      "status": "error",
      "message": "You have reached your ten_secondly_rolling limit.",
      "errorType": "RATE_LIMIT",
      "policyName": "TEN_SECONDLY_ROLLING",
      "groupName": "publicapi:private_app-api-calls-ten-secondly:19083857"
    }
    "#);
    for n in 0..6 {
        let got = hub.search(json!({})).await;
        assert_eq!(got.status, if n < 5 { 200 } else { 429 }, "search has a limit of its own");
        assert!(!got.headers.contains_key("x-hubspot-ratelimit-max"));
    }
    hub.advance(10);
    assert_eq!(call().await.status, 200);
    hub.sandbox.world().hubspot.limiter.limits.daily = Some(10);
    assert_eq!(call().await.body["policyName"], "DAILY");
    hub.advance(24 * 3600);
    assert_eq!(call().await.status, 200);
}
