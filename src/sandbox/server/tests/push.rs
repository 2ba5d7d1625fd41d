//! What is pushed, over TCP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{call, sandbox};
use crate::sandbox::fault::How;
use crate::sandbox::hubspot::oauth::{PRIVATE_APP, PRIVATE_APP_SECRET};
use crate::sandbox::hubspot::webhooks::sign;
use crate::sandbox::server::pubsub::messages::{
    FetchRequest, FetchResponse, PublishRequest, PublishResponse, SchemaInfo, SchemaRequest,
    TopicInfo, TopicRequest,
};
use crate::sandbox::server::{ServeOptions, Serving, serve};
use crate::sandbox::{Sandbox, World};

const LONG: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

/// A listener that refuses the first delivery.
async fn listener() -> (String, Heard) {
    async fn take(State(heard): State<Heard>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let mut all = heard.0.lock().unwrap();
        all.push((headers, body));
        if all.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
    }
    let heard = Heard::default();
    let router =
        axum::Router::new().route("/hooks", axum::routing::post(take)).with_state(heard.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

#[tokio::test]
async fn webhooks_arrive_signed_and_are_sent_again() {
    let (url, heard) = listener().await;
    let sandbox = sandbox();
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    let wanted = json!({"target_url": url, "everything": true, "retry_span": "20s"}).to_string();
    let answer = call(serving.hubspot, "POST", "/sandbox/hubspot/webhooks", &wanted).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let values = json!({"properties": {"email": "ada@example.com"}}).to_string();
    call(serving.hubspot, "POST", "/sandbox/hubspot/contacts", &values).await;
    let arrived = async {
        while sandbox.world().hubspot.webhooks.tally().arrived == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, arrived).await.unwrap();
    let heard = heard.0.lock().unwrap().clone();
    assert_eq!(heard.len(), 2);
    for (attempt, (headers, body)) in heard.iter().enumerate() {
        let text = |name: &str| headers[name].to_str().unwrap();
        let timestamp: i64 = text("x-hubspot-request-timestamp").parse().unwrap();
        let expected = sign::v3(PRIVATE_APP_SECRET, "POST", &url, body, timestamp);
        assert_eq!(text("x-hubspot-signature-v3"), expected);
        let events: Vec<Value> = serde_json::from_slice(body).unwrap();
        assert!(events.iter().all(|event| event["attemptNumber"] == attempt));
        assert_eq!(events.last().unwrap()["subscriptionType"], "contact.creation");
    }
    let counted = call(serving.hubspot, "GET", "/sandbox/calls", "").await;
    for outcome in ["503", "204"] {
        assert!(
            counted.contains(&format!(r#""what":"webhook","outcome":"{outcome}""#)),
            "{counted}"
        );
    }
    serving.shutdown().await;
}

#[tokio::test]
async fn a_target_that_is_not_there_is_a_failed_attempt() {
    let sandbox = sandbox();
    let now = sandbox.clock().now();
    {
        let mut world = sandbox.world();
        let app = world.hubspot.webhooks.app_mut(PRIVATE_APP).unwrap();
        app.set_target_url(Some("http://127.0.0.1:9/hooks")).unwrap();
        world.hubspot.subscribe_to_everything(PRIVATE_APP, now).unwrap();
    }
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    let values = json!({"properties": {"email": "ada@example.com"}}).to_string();
    call(serving.hubspot, "POST", "/sandbox/hubspot/contacts", &values).await;
    let failed = async {
        while sandbox.world().hubspot.webhooks.tally().failed == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, failed).await.unwrap();
    serving.shutdown().await;
}

/// A client of the event service with a session of its own.
struct Client {
    grpc: Grpc<Channel>,
    metadata: [(&'static str, String); 3],
}

impl Client {
    /// The org's id and the token of a new session.
    fn sign_in(sandbox: &Sandbox) -> (Arc<str>, String) {
        let now = sandbox.clock().now();
        let mut world = sandbox.world();
        let World { salesforce: org, random, .. } = &mut *world;
        let (id, user) = (org.id.clone(), org.staff.integration.clone());
        let token = org.auth.open_session(&id, now, &user, "a client", random);
        (id, token)
    }

    async fn new(sandbox: &Sandbox, endpoint: Endpoint) -> Self {
        let (id, token) = Self::sign_in(sandbox);
        let channel = endpoint.connect().await.unwrap();
        let metadata = [
            ("accesstoken", token),
            ("instanceurl", "https://sandbox.my.salesforce.com".to_owned()),
            ("tenantid", id[..15].to_owned()),
        ];
        Self { grpc: Grpc::new(channel), metadata }
    }

    async fn plain(sandbox: &Sandbox, serving: &Serving) -> Self {
        Self::new(sandbox, Endpoint::from_shared(serving.pubsub_url()).unwrap()).await
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    fn path(method: &str) -> PathAndQuery {
        format!("/eventbus.v1.PubSub/{method}").parse().unwrap()
    }

    async fn topic(&mut self, name: &str) -> Result<TopicInfo, Status> {
        let request = self.request(TopicRequest { topic_name: name.to_owned() });
        self.grpc.ready().await.unwrap();
        let codec = ProstCodec::<TopicRequest, TopicInfo>::default();
        let answer = self.grpc.unary(request, Self::path("GetTopic"), codec).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn schema(&mut self, id: &str) -> Result<SchemaInfo, Status> {
        let request = self.request(SchemaRequest { schema_id: id.to_owned() });
        self.grpc.ready().await.unwrap();
        let codec = ProstCodec::<SchemaRequest, SchemaInfo>::default();
        let answer = self.grpc.unary(request, Self::path("GetSchema"), codec).await;
        answer.map(tonic::Response::into_inner)
    }

    /// A stream that requests this many events once, and keeps its sending half open.
    async fn subscribe(
        &mut self,
        topic: &str,
        count: i32,
    ) -> Result<Streaming<FetchResponse>, Status> {
        let first = FetchRequest {
            topic_name: topic.to_owned(),
            num_requested: count,
            ..FetchRequest::default()
        };
        let requests = futures_util::stream::iter([first]);
        let request = self.request(requests.chain(futures_util::stream::pending()));
        self.grpc.ready().await.unwrap();
        let codec = ProstCodec::<FetchRequest, FetchResponse>::default();
        let answer = self.grpc.streaming(request, Self::path("Subscribe"), codec).await;
        answer.map(tonic::Response::into_inner)
    }
}

async fn next(stream: &mut Streaming<FetchResponse>) -> Result<Option<FetchResponse>, Status> {
    tokio::time::timeout(LONG, stream.message()).await.unwrap()
}

fn create_lead(sandbox: &Sandbox, last: &str) {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    let user = world.salesforce.staff.sales[0].clone();
    let values = json!({"LastName": last, "Company": "Acme"});
    let values = values.as_object().unwrap();
    world.salesforce.person_creates(now, &user, "Lead", values).unwrap();
}

fn code(status: &Status) -> &str {
    let code = status.metadata().get("error-code").unwrap().to_str().unwrap();
    assert!(status.metadata().contains_key("rpc-id"));
    code.strip_prefix("sfdc.platform.eventbus.grpc.").unwrap()
}

#[tokio::test]
async fn events_arrive_on_every_stream() {
    let sandbox = sandbox();
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    let mut client = Client::plain(&sandbox, &serving).await;
    let topic = client.topic("/data/LeadChangeEvent").await.unwrap();
    assert!(topic.can_subscribe && !topic.can_publish);
    let mut one = client.subscribe("/data/LeadChangeEvent", 5).await.unwrap();
    let mut two = client.subscribe("/data/ChangeEvents", 100).await.unwrap();
    // The streams begin at the newest event, which they know once the service has opened them.
    let opened = async {
        let count = || {
            let key = (crate::sandbox::fault::Side::Salesforce, "Subscribe".into(), "ok".into());
            sandbox.world().calls.pushes().get(&key).copied().unwrap_or_default()
        };
        while count() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, opened).await.unwrap();
    create_lead(&sandbox, "Okafor");
    for (stream, left) in [(&mut one, 4), (&mut two, 99)] {
        let response = next(stream).await.unwrap().unwrap();
        assert_eq!((response.events.len(), response.pending_num_requested), (1, left));
        let event = response.events[0].event.clone().unwrap();
        assert_eq!(response.latest_replay_id, response.events[0].replay_id);
        assert_eq!(event.schema_id, topic.schema_id);
        let schema = client.schema(&event.schema_id).await.unwrap();
        assert!(schema.schema_json.contains("ChangeEventHeader"));
    }
    sandbox.world().salesforce.bus.settings.keepalive = jiff::SignedDuration::from_millis(200);
    let alive = next(&mut one).await.unwrap().unwrap();
    assert!(alive.events.is_empty() && alive.latest_replay_id.len() == 8);
    let stopped = tokio::time::Instant::now();
    serving.shutdown().await;
    assert!(stopped.elapsed() < Duration::from_secs(2), "open streams do not hold it up");
}

#[tokio::test]
async fn refusals_carry_their_code_in_the_trailers() {
    let sandbox = sandbox();
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    let mut client = Client::plain(&sandbox, &serving).await;
    let refused = client.topic("/data/NothingChangeEvent").await.unwrap_err();
    assert_eq!((refused.code() as i32, code(&refused)), (5, "topic.not.found"));
    let opened = client.subscribe("/data/LeadChangeEvent", 0).await;
    let refused = match opened {
        Ok(mut stream) => next(&mut stream).await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(code(&refused), "subscription.fetch.requested.events.invalid");
    let publish = client.request(PublishRequest { topic_name: "/event/X__e".to_owned() });
    client.grpc.ready().await.unwrap();
    let codec = ProstCodec::<PublishRequest, PublishResponse>::default();
    let refused = client.grpc.unary(publish, Client::path("Publish"), codec).await.unwrap_err();
    assert_eq!(refused.code() as i32, 12);
    for (fault, status, expected) in [
        ("pubsub-unavailable", 13, "service.unavailable"),
        ("quota-exhausted", 8, "subscription.limit.exceeded"),
    ] {
        sandbox.world().faults.arm(fault, None, How::Next(1)).unwrap();
        let refused = match client.subscribe("/data/LeadChangeEvent", 1).await {
            Ok(mut stream) => next(&mut stream).await.unwrap_err(),
            Err(status) => status,
        };
        assert_eq!((refused.code() as i32, code(&refused)), (status, expected));
        assert_eq!(refused.metadata().get("type").unwrap(), "Subscribe");
    }
    let mut stream = client.subscribe("/data/LeadChangeEvent", 1).await.unwrap();
    sandbox.world().salesforce.auth.expire_sessions();
    sandbox.world().faults.arm("stream-cut", None, How::Next(1)).unwrap();
    // A running stream outlives its session; it ends here because it is cut.
    create_lead(&sandbox, "Okafor");
    let cut = async {
        loop {
            match next(&mut stream).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("closed in order"),
                Err(status) => break status,
            }
        }
    };
    let status = cut.await;
    // What a client makes of a reset: no trailers, no code.
    assert!([13, 14].contains(&(status.code() as i32)), "{status:?}");
    assert!(status.metadata().get("error-code").is_none());
    let refused = client.topic("/data/LeadChangeEvent").await.unwrap_err();
    assert_eq!((refused.code() as i32, code(&refused)), (16, "service.auth.error"));
    serving.shutdown().await;
}

#[tokio::test]
async fn the_same_with_tls() {
    let sandbox = sandbox();
    let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
    let trust = Certificate::from_pem(&serving.certificate);
    let tls = ClientTlsConfig::new().ca_certificate(trust);
    let endpoint = Endpoint::from_shared(serving.pubsub_tls_url()).unwrap();
    let mut client = Client::new(&sandbox, endpoint.tls_config(tls).unwrap()).await;
    let topic = client.topic("/data/ContactChangeEvent").await.unwrap();
    assert_eq!(topic.schema_id.len(), 22);
    serving.shutdown().await;
}
