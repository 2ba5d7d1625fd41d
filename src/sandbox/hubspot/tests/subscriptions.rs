//! The management of webhooks by a public app's developer.

use super::*;
use crate::sandbox::hubspot::oauth::{DEVELOPER_KEY, OAUTH_APP, PRIVATE_APP};

fn path(rest: &str) -> String {
    format!("/webhooks/v3/{OAUTH_APP}/{rest}?hapikey={DEVELOPER_KEY}")
}

async fn call(hub: &Hub, method: Method, path: &str, body: Value) -> Got {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    hub.with_token("", method.as_str(), path, &body).await
}

#[tokio::test(start_paused = true)]
async fn a_public_app_is_subscribed_by_the_api() {
    let hub = Hub::new();
    let none = call(&hub, Method::GET, &path("settings"), Value::Null).await;
    assert_eq!(none.status, 404);
    let target = "https://sync.example.com/webhooks/hubspot";
    let wanted = json!({"targetUrl": target, "throttling": {"maxConcurrentRequests": 20}});
    assert_eq!(call(&hub, Method::PUT, &path("settings"), wanted.clone()).await.body, wanted);
    assert_eq!(call(&hub, Method::GET, &path("settings"), Value::Null).await.body, wanted);
    let kind = json!({"eventType": "contact.propertyChange", "propertyName": "lifecyclestage"});
    let made = call(&hub, Method::POST, &path("subscriptions"), kind.clone()).await;
    assert_eq!((made.status, &made.body["active"]), (201, &json!(false)));
    let again = call(&hub, Method::POST, &path("subscriptions"), kind).await;
    assert_eq!((again.status, &again.body["category"]), (409, &json!("CONFLICT")));
    let one = path(&format!("subscriptions/{}", made.id()));
    let switched = call(&hub, Method::PATCH, &one, json!({"active": true})).await;
    assert_eq!((switched.status, &switched.body["active"]), (200, &json!(true)));
    let both = json!({"inputs": [{"id": made.id(), "active": false}, {"id": 1, "active": true}]});
    let batch = call(&hub, Method::POST, &path("subscriptions/batch/update"), both).await;
    assert_eq!((batch.status, &batch.body["numErrors"]), (207, &json!(1)));
    assert_eq!(batch.body["results"][0]["active"], false);
    let list = call(&hub, Method::GET, &path("subscriptions"), Value::Null).await;
    assert_eq!(list.body["results"][0]["propertyName"], "lifecyclestage");
    assert_eq!(call(&hub, Method::DELETE, &one, Value::Null).await.status, 204);
    assert_eq!(call(&hub, Method::GET, &one, Value::Null).await.status, 404);
    assert_eq!(call(&hub, Method::DELETE, &path("settings"), Value::Null).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn strangers_and_mistakes_are_refused() {
    let hub = Hub::new();
    let bare = format!("/webhooks/v3/{OAUTH_APP}/subscriptions");
    assert_eq!(call(&hub, Method::GET, &bare, Value::Null).await.status, 401);
    let private = format!("/webhooks/v3/{PRIVATE_APP}/subscriptions?hapikey={DEVELOPER_KEY}");
    assert_eq!(call(&hub, Method::GET, &private, Value::Null).await.status, 403);
    for body in [
        json!({}),
        json!({"eventType": "contact.renamed"}),
        json!({"eventType": "contact.propertyChange"}),
        json!({"eventType": "contact.creation", "objectTypeId": "0-1"}),
        json!({"eventType": "object.creation", "objectTypeId": "2-99"}),
    ] {
        let refused = call(&hub, Method::POST, &path("subscriptions"), body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
    }
    let slow =
        json!({"targetUrl": "https://x.example", "throttling": {"maxConcurrentRequests": 5}});
    assert_eq!(call(&hub, Method::PUT, &path("settings"), slow).await.status, 400);
}
